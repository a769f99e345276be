"""Colours as natural images have them: the three channels vary together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv._core.typing import Array
from repinv.variables.base import OnBase, Parametrization
from repinv.variables.local import Local

#: Symmetric root of the covariance of red, green and blue in photographs, of unit mean variance;
#: printed by scripts/colour_statistics.py.
NATURAL_COLOURS = (
    (0.884, 0.492, 0.266),
    (0.492, 0.682, 0.487),
    (0.266, 0.487, 0.808),
)
#: The same, Q M Q with a Q that leaves the mean of the channels and the root of .03 of the rest.
FAINT_COLOURS = (
    (0.5527, 0.5419, 0.5303),
    (0.5419, 0.5485, 0.5379),
    (0.5303, 0.5379, 0.5427),
)
#: Deviation of what channels differ by, in units of that of their mean, in faint colours of bands.
_FAINT = 0.01
#: M of 467 photographs of many kinds, whose colours are stronger.
PHOTOGRAPHS = (
    (0.942, 0.400, 0.199),
    (0.400, 0.749, 0.448),
    (0.199, 0.448, 0.868),
)


@dataclass(frozen=True)
class Decorrelated(OnBase):
    """Another parametrization, whose channels are mixed into natural colours.

    x = ½ + M (base(z) − ½), M a symmetric root of the covariance of colours: independent variables
    become colours that vary as those of photographs do, mostly in brightness.

    Parameters
    ----------
    base : parametrization
        What z = 0 leaves gray, such as `Spectral` or `Fourier`.
    matrix : tuple of tuple of float
        M, symmetric; by default of red, green and blue.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.Fourier : White noise filtered to the spectrum of natural images, wrapping at the
        borders.

    Notes
    -----
    Images of another number of channels than M has rows are left as they are.

    References
    ----------
    .. [1] Olah, Mordvintsev and Schubert, "Feature visualization", Distill, 2017, section
       "Preconditioning and parameterization". :doi:`10.23915/distill.00007`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> space = repinv.Decorrelated(repinv.Pixels())
    >>> noise = np.random.default_rng(0).standard_normal((1, 3, 64, 64))
    >>> bool(np.corrcoef(space.image(0.5 + noise).reshape(3, -1))[0, 1] > 0.8)
    True
    """

    base: Parametrization
    matrix: tuple[tuple[float, ...], ...] = NATURAL_COLOURS

    def flatter(self) -> Decorrelated:
        """The same over a base whose spectrum falls less."""
        return replace(self, base=self.base.flatter())  # type: ignore[attr-defined]

    def about(self, around: Array, weights: Array, /) -> Local:
        """Weighted changes of an image; see `Parametrization`."""
        return Local(self.flatter(), around, weights)

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The base's x with its channels mixed; and v → the base's pullback of Mᵀ v."""
        x, pullback = self.base.vjp(z, iteration)
        return self._mixed(x - 0.5) + 0.5, lambda v: pullback(self._mixed(v))

    def image(self, z: Array, /) -> Array:
        """The base's image, its channels mixed."""
        return self._mixed(self.base.image(z) - 0.5) + 0.5

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image."""
        return self.base.inverse(self._mixed(x - 0.5, inverse=True) + 0.5)

    def _mixed(self, x: Array, *, inverse: bool = False) -> Array:
        """M x, or M⁻¹ x, over the channels; M is symmetric, and so its own adjoint."""
        count, channels, height, width = x.shape
        if channels != len(self.matrix):
            return x
        xp = array_namespace(x)
        matrix = _matrix(self.matrix, inverse, xp, x.dtype, device_of(x))
        flat = xp.reshape(x, (count, channels, height * width))
        return xp.reshape(xp.matmul(matrix, flat), x.shape)


def faint_colours(channels: int) -> tuple[tuple[float, ...], ...]:
    """M of images that are nearly gray: of bands, whose colours are not known, alike in all."""
    if channels == 3:
        return FAINT_COLOURS
    alike = 1 + _FAINT * (channels * np.eye(channels) - 1)
    return tuple(map(tuple, (alike / channels**0.5).tolist()))


@lru_cache(maxsize=16)
def _matrix(
    rows: tuple[tuple[float, ...], ...], inverse: bool, xp: Any, dtype: Any, device: Any
) -> Array:
    """M or M⁻¹ as an array of the library and device: moved there once and for all."""
    matrix = np.array(rows)
    return xp.asarray(np.linalg.inv(matrix) if inverse else matrix, dtype=dtype, device=device)
