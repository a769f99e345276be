"""Priors: what natural images have in common, as energies of the image alone.

A prior maps images ``(N, C, H, W)`` to values ``(N,)`` and their gradients. Every prior is a mean
over the pixels in units of a scale of its own, so that one weight serves every image size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from array_api_compat import array_namespace

from repinv._core.batch import column, inner, rows
from repinv._core.typing import Array


class Prior(Protocol):
    """What `Energy` needs of a prior."""

    def value_and_grad(self, x: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, C, H, W) with respect to the images."""
        ...


def _mean(values: Array) -> Array:
    """Mean of each image of a batch over all its other axes, (N,)."""
    xp = array_namespace(values)
    return xp.mean(rows(values), axis=1)


@dataclass(frozen=True)
class AlphaNorm:
    """Mean of ``(‖x(u) − ½‖ / scale)^α`` over the pixels u: keeps intensities near mid-gray.

    The norm at a pixel is that of its colour, so that the prior prefers no channel.

    Parameters
    ----------
    alpha : float
        α ≥ 1; large values leave the middle of the range free and act near its ends.
    scale : float
        Distance from mid-gray that costs 1.

    See Also
    --------
    repinv.TotalVariation : Mean of ``(|∇x(u)| / scale)^β`` over the pixels u: keeps neighbours
        alike.
    repinv.IntensityRange : Mean of ``(excess over [low, high] / scale)²`` over pixels and channels:
        a smooth barrier.

    Notes
    -----
    Equation :eq:`alpha-norm` of the documentation.

    The gradient at mid-gray is taken to be 0, which for α > 1 it is.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016, eq. (6). :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> import numpy as np
    >>> value, grad = AlphaNorm(alpha=2).value_and_grad(np.full((1, 1, 2, 2), 1.0))
    >>> value
    array([1.])
    """

    alpha: float = 6.0
    scale: float = 0.5

    def __post_init__(self) -> None:
        if not (self.alpha >= 1 and self.scale > 0):
            raise ValueError(
                f"AlphaNorm needs alpha >= 1 and scale > 0; got {self.alpha} and {self.scale}."
            )

    def value_and_grad(self, x: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, C, H, W) with respect to the images."""
        xp = array_namespace(x)
        centred = (x - 0.5) * (1 / self.scale)
        square = centred * centred
        if x.shape[1] > 1:
            square = xp.sum(square, axis=1, keepdims=True)
        # d s^{α/2} = α s^{α/2-1} <c, dc>; s^{α/2-1} is 1 over 0 at mid-gray for α < 2.
        power = self.alpha / 2 - 1
        if power == 2:
            slope = square * square
        else:
            slope = xp.where(square > 0, square, xp.ones_like(square)) ** power
        pixels = x.shape[2] * x.shape[3]
        grad = centred * slope * (self.alpha / (self.scale * pixels))
        return _mean(square * slope), grad


@dataclass(frozen=True)
class TotalVariation:
    """Mean of ``(|∇x(u)| / scale)^β`` over the pixels u: keeps neighbours alike.

    Parameters
    ----------
    beta : float
        β ≥ 1; 1 favours piecewise constant images, 2 spreads edges out.
    scale : float
        Gradient magnitude that costs 1.
    eps : float
        Added to the squared magnitude where β < 2, in units of `scale`: rounds the kink at 0.

    See Also
    --------
    repinv.AlphaNorm : Mean of ``(‖x(u) − ½‖ / scale)^α`` over the pixels u: keeps intensities near
        mid-gray.
    repinv.NaturalContrast : Squared logarithm of the root mean square gradient over that of
        photographs.

    Notes
    -----
    Equation :eq:`total-variation` of the documentation.

    ∇ takes forward differences and is zero across the far edges. The magnitude at a pixel is over
    both directions and all channels. The value is that of the rounded power, less its value on a
    constant image, so that the gradient is exactly that of the value.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016, eq. (7). :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> import numpy as np
    >>> edge = np.zeros((1, 1, 4, 4))
    >>> edge[..., 2:] = 1.0
    >>> TotalVariation(beta=2, scale=1.0).value_and_grad(edge)[0]
    array([0.25])
    """

    beta: float = 2.0
    scale: float = 0.05
    eps: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.beta >= 1 and self.scale > 0 and self.eps > 0):
            raise ValueError(
                "TotalVariation needs beta >= 1, scale > 0 and eps > 0; "
                f"got {self.beta}, {self.scale} and {self.eps}."
            )

    def value_and_grad(self, x: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, C, H, W) with respect to the images."""
        pixels = x.shape[2] * x.shape[3]
        factor = self.beta / (pixels * self.scale**2)
        if self.beta == 2:
            value, grad = _dirichlet(x)
            grad *= factor
            return value * (1 / (pixels * self.scale**2)), grad
        square, across, down = gradient_energy(x, factor=1 / self.scale**2, least=self.eps**2)
        # d s^{β/2} = β/2 s^{β/2-1} ds, and ds = 2 (across·D₁dx + down·D₂dx)/scale²; moving D₁, D₂
        # off dx leaves their adjoints acting on the weighted differences.
        slope = square ** (self.beta / 2 - 1)
        value = _mean(square * slope) - self.eps**self.beta
        grad = divergence(x, across * slope[..., :-1], down * slope[..., :-1, :])
        grad *= factor
        return value, grad


def gradient_energy(
    x: Array, *, factor: float = 1.0, least: float = 0.0
) -> tuple[Array, Array, Array]:
    """Squared differences to the next pixels, all channels together, and the differences.

    Returns
    -------
    energy : array, shape (N, 1, H, W)
        `least` and `factor` times the squares, none beyond the far edges.
    across, down : array, shapes (N, C, H, W − 1) and (N, C, H − 1, W)
    """
    xp = array_namespace(x)
    across, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    shape = (x.shape[0], 1, *x.shape[2:])
    energy = xp.full(shape, least, dtype=x.dtype, device=x.device)
    energy[..., :-1] += xp.sum(across * across, axis=1, keepdims=True) * factor
    energy[..., :-1, :] += xp.sum(down * down, axis=1, keepdims=True) * factor
    return energy, across, down


def _dirichlet(x: Array) -> tuple[Array, Array]:
    """‖D x‖² of each image, D the forward differences, and half its gradient DᵀD x."""
    xp = array_namespace(x)
    width = x.shape[-1]
    # Lines end to end: whole arrays are far faster than lines of one pixel less.
    flat = xp.reshape(x, (*x.shape[:2], -1))
    grad = xp.zeros_like(flat)
    value = xp.zeros((x.shape[0],), dtype=x.dtype, device=x.device)
    # The last of a line has no next one: from there to the following line nothing counts.
    for step, seams in ((1, slice(width - 1, None, width)), (width, slice(0))):
        difference = flat[..., step:] - flat[..., :-step]
        difference[..., seams] = 0.0
        value += inner(difference, difference)
        grad[..., step:] += difference
        grad[..., :-step] -= difference
    return value, xp.reshape(grad, x.shape)


def divergence(x: Array, across: Array, down: Array) -> Array:
    """Dᵀ(across, down), D the forward differences: <D x, p> = <x, Dᵀ p>. Shape of `x`, fresh."""
    xp = array_namespace(x)
    out = xp.zeros_like(x)
    out[..., 1:] += across
    out[..., :-1] -= across
    out[..., 1:, :] += down
    out[..., :-1, :] -= down
    return out


@dataclass(frozen=True)
class IntensityRange:
    """Mean of ``(excess over [low, high] / scale)²`` over pixels and channels: a smooth barrier.

    Parameters
    ----------
    low, high : float
        Values inside cost nothing.
    scale : float
        Excess that costs 1.

    See Also
    --------
    repinv.AlphaNorm : Mean of ``(‖x(u) − ½‖ / scale)^α`` over the pixels u: keeps intensities near
        mid-gray.
    repinv.NaturalContrast : Squared logarithm of the root mean square gradient over that of
        photographs.

    Examples
    --------
    >>> import numpy as np
    >>> prior = IntensityRange(scale=1.0)
    >>> prior.value_and_grad(np.array([0.5, 2.0]).reshape(1, 1, 1, 2))[0]
    array([0.5])
    """

    low: float = 0.0
    high: float = 1.0
    scale: float = 0.05

    def __post_init__(self) -> None:
        if not (self.low < self.high and self.scale > 0):
            raise ValueError(
                "IntensityRange needs low < high and scale > 0; "
                f"got {self.low}, {self.high} and {self.scale}."
            )

    def value_and_grad(self, x: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, C, H, W) with respect to the images."""
        excess = x - x.clip(self.low, self.high)
        size = x.shape[1] * x.shape[2] * x.shape[3]
        factor = 1 / (self.scale**2 * size)
        return inner(excess, excess) * factor, excess * (2 * factor)


#: Squared ratio to a photograph's gradient below which an image counts as constant.
_FAINT = 1e-24


@dataclass(frozen=True)
class NaturalContrast:
    """Squared logarithm of the root mean square gradient over that of photographs.

    Parameters
    ----------
    gradient : float
        Root mean square of |∇x| that costs nothing.

    See Also
    --------
    repinv.IntensityRange : Mean of ``(excess over [low, high] / scale)²`` over pixels and channels:
        a smooth barrier.
    repinv.TotalVariation : Mean of ``(|∇x(u)| / scale)^β`` over the pixels u: keeps neighbours
        alike.

    Notes
    -----
    Equation :eq:`natural-contrast` of the documentation.

    For encoders that normalize contrast, which would leave it to chance. ∇ is that of
    `TotalVariation`. Below 1e-12 of a photograph's gradient the value is held and the gradient 0:
    a constant image has no direction to gain contrast in.

    Examples
    --------
    >>> import numpy as np
    >>> faint = np.random.default_rng(0).random((1, 1, 16, 16)) * 1e-3
    >>> value, grad = NaturalContrast().value_and_grad(faint)
    >>> bool(value[0] > 1), bool(np.sum(grad * (faint - faint.mean())) < 0)
    (True, True)
    """

    gradient: float = 0.05

    def __post_init__(self) -> None:
        if not self.gradient > 0:
            raise ValueError(f"NaturalContrast needs a gradient > 0; got {self.gradient}.")

    def value_and_grad(self, x: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, C, H, W) with respect to the images."""
        xp = array_namespace(x)
        square, grad = _dirichlet(x)
        scale = 1 / (x.shape[2] * x.shape[3] * self.gradient**2)
        square = square * scale
        textured = square > _FAINT
        square = xp.where(textured, square, _FAINT)
        # ½ log s is the logarithm of the ratio; d (½ log s)² = ½ log(s)/s ds.
        logarithm = 0.5 * xp.log(square)
        slope = xp.where(textured, (2 * scale) * logarithm / square, 0.0)
        grad *= column(slope, grad)
        return logarithm * logarithm, grad
