"""Priors that lean on more than the image: a reference, its energies, or the rest of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from repinv._core.batch import rows
from repinv._core.typing import Array
from repinv.energy.priors import divergence, gradient_energy

#: Squared norm below which an image counts as constant.
_CONSTANT = 1e-12


def _centred(x: Array) -> tuple[Array, Array, Array]:
    """Images without their mean as unit rows (N, D), their norms (N,), and which are not constant.

    Constant images have rows of zeros and norm 1.
    """
    xp = array_namespace(x)
    flat = rows(x)
    flat = flat - xp.mean(flat, axis=1, keepdims=True)
    square = xp.vecdot(flat, flat)
    varies = square > _CONSTANT
    norm = xp.sqrt(xp.where(varies, square, xp.ones_like(square)))
    unit = flat / norm[:, None] * xp.astype(varies, x.dtype)[:, None]
    return unit, norm, varies


def _tangent(unit: Array, towards: Array, norm: Array) -> Array:
    """Gradient (N, D) of ⟨u(x), t⟩, u the unit rows of centred images x, for centred t (N, D)."""
    xp = array_namespace(unit)
    # u = Px/|Px|, P the centring: du = (I − uuᵀ) P dx / |Px|; t and u are centred already.
    along = xp.vecdot(unit, towards)[:, None]
    return (towards - along * unit) / norm[:, None]


@dataclass(frozen=True)
class Pull:
    """``1 − correlation`` with a reference image: draws towards it, whatever its contrast.

    Half the mean squared difference of the two at zero mean and unit standard deviation.

    Parameters
    ----------
    image : array, shape (1, C, H, W) or (N, C, H, W)
        The reference of all problems, or one each.

    See Also
    --------
    repinv.CellEnergy : Mean squared difference of cells' log gradient energies from given ones, up
        to a constant.
    repinv.caricature : Exaggerate what a representation sees in an image.

    Notes
    -----
    Equation :eq:`pull` of the documentation.

    Where either image is constant there is no correlation: the value is 1 and the gradient 0.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> bool(Pull(image).value_and_grad(0.1 * image + 0.3)[0][0] < 1e-12)
    True
    """

    image: Any

    def value_and_grad(self, x: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, C, H, W) with respect to the images."""
        xp = array_namespace(x)
        reference, _, _ = _centred(self.image)
        unit, norm, varies = _centred(x)
        reference = xp.broadcast_to(reference, unit.shape)
        grad = -_tangent(unit, reference, norm) * xp.astype(varies, x.dtype)[:, None]
        return 1 - xp.vecdot(unit, reference), xp.reshape(grad, x.shape)


@dataclass(frozen=True)
class Diversity:
    """Mean squared correlation of an image with the others of its batch: drives them apart.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.Weighted : A prior and how much it counts.

    Notes
    -----
    The one prior that couples the problems of a batch. Each of two images bears half of what they
    cost together, and the gradient is that of the sum over the batch. An image alone costs nothing.

    References
    ----------
    .. [1] Olah, Mordvintsev and Schubert, "Feature visualization", Distill, 2017, section
       "Diversity". :doi:`10.23915/distill.00007`

    Examples
    --------
    >>> import numpy as np
    >>> image = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> Diversity().value_and_grad(np.concatenate([image, image]))[0]
    array([0.5, 0.5])
    """

    def value_and_grad(self, x: Array, /) -> tuple[Array, Array]:
        """Values (N,), and the gradients (N, C, H, W) of their sum."""
        xp = array_namespace(x)
        count = x.shape[0]
        unit, norm, varies = _centred(x)
        correlation = xp.matmul(unit, unit.mT)
        correlation = correlation * (1 - xp.eye(count, dtype=x.dtype, device=x.device))
        pairs = max(count - 1, 1)
        value = xp.vecdot(correlation, correlation) * (0.5 / pairs)
        # d ½ Σᵢⱼ cᵢⱼ² = 2 Σⱼ cᵢⱼ dcᵢⱼ for each i, by symmetry.
        towards = xp.matmul(correlation, unit) * (2 / pairs)
        grad = _tangent(unit, towards, norm) * xp.astype(varies, x.dtype)[:, None]
        return value, xp.reshape(grad, x.shape)


#: Gradient energy that is added to that of every cell, in units of the mean over the image: what
#: is fainter counts as flat.
FLOOR = 1e-3


def cell_energies(x: Array, cell: int, /) -> Array:
    """Logarithms of the mean squared gradient of cells, relative to that of the image.

    Parameters
    ----------
    x : array, shape (N, C, H, W)
        Images.
    cell : int
        Side in pixels.

    Returns
    -------
    log_energy : array, shape (N, 1, ⌊H / cell⌋, ⌊W / cell⌋)
        ``log(e / ē + FLOOR)``; that of constant images is all ``log(FLOOR)``.

    See Also
    --------
    repinv.CellEnergy : Mean squared difference of cells' log gradient energies from given ones, up
        to a constant.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.zeros((1, 1, 16, 16))
    >>> image[..., :8, :8] = np.random.default_rng(0).random((8, 8))
    >>> int(repinv.cell_energies(image, 8).argmax())
    0
    """
    energy, mean, _ = _energies(x, cell)
    return array_namespace(x).log(energy / mean + FLOOR)


def _energies(x: Array, cell: int) -> tuple[Array, Array, tuple[Array, Array]]:
    """Energies of cells (N, 1, h, w), their mean (N, 1, 1, 1) or 1 if constant; the differences."""
    xp = array_namespace(x)
    square, across, down = gradient_energy(x)
    height, width = x.shape[2] // cell, x.shape[3] // cell
    whole = square[..., : height * cell, : width * cell]
    cells = xp.reshape(whole, (x.shape[0], 1, height, cell, width, cell))
    energy = xp.mean(xp.mean(cells, axis=5), axis=3)
    mean = xp.mean(energy, axis=(1, 2, 3), keepdims=True)
    return energy, xp.where(mean > _CONSTANT, mean, xp.ones_like(mean)), (across, down)


@dataclass(frozen=True)
class CellEnergy:
    """Mean squared difference of cells' log gradient energies from given ones, up to a constant.

    Draws texture to where it belongs and away from where an image is flat, whatever the contrast.

    Parameters
    ----------
    log_energy : array, shape (1, 1, h, w) or (N, 1, h, w)
        As `cell_energies` returns them.
    cell : int
        Side of a cell in pixels.

    See Also
    --------
    repinv.cell_energies : Logarithms of the mean squared gradient of cells, relative to that of the
        image.
    repinv.Pull : ``1 − correlation`` with a reference image: draws towards it, whatever its
        contrast.
    repinv.Restorer : A small convolutional network from the mean and spread of pre-images to a
        photograph.

    Notes
    -----
    Equation :eq:`cell-energy` of the documentation.

    ∇ takes forward differences; lines beyond the last whole cell do not count. Energies are
    taken relative to the mean e̅ over the cells, plus `FLOOR`. Of constant images the gradient is 0.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((1, 1, 16, 16))
    >>> prior = CellEnergy(cell_energies(image, 8), 8)
    >>> bool(prior.value_and_grad(0.1 * image + 0.3)[0][0] < 1e-12)
    True
    """

    log_energy: Any
    cell: int

    def value_and_grad(self, x: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, C, H, W) with respect to the images."""
        xp = array_namespace(x)
        cell = self.cell
        energy, mean, (across, down) = _energies(x, cell)
        share = energy / mean + FLOOR
        excess = xp.log(share) - self.log_energy
        excess = excess - xp.mean(excess, axis=(1, 2, 3), keepdims=True)
        count, _, height, width = energy.shape
        # With r the excess and f the FLOOR, d mean(r²) = 2/hw Σ r dl, for Σ r = 0 takes care of the
        # mean; l = log(e + f ē) − log ē, whose last part drops out for the same reason.
        slope = (2 / (height * width)) * excess / (share * mean)
        slope = slope + FLOOR * xp.mean(slope, axis=(1, 2, 3), keepdims=True)
        # A cell's energy is Σ|∇x|² over its pixels / cell²: each pixel has its cell's slope.
        spread = xp.broadcast_to(
            slope[:, :, :, None, :, None] * (2 / cell**2),
            (count, 1, height, cell, width, cell),
        )
        pixels = xp.zeros_like(x[:, :1, ...])
        pixels[..., : height * cell, : width * cell] = xp.reshape(
            spread, (count, 1, height * cell, width * cell)
        )
        grad = divergence(x, across * pixels[..., :-1], down * pixels[..., :-1, :])
        return xp.mean(excess * excess, axis=(1, 2, 3)), grad
