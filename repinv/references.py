"""Priors that lean on other images: a reference for each, or the other images of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from repinv.batch import rows
from repinv.encoder import Array

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

    Notes
    -----
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
