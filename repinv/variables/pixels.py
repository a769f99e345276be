"""The pixels of an image as variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from array_api_compat import array_namespace

from repinv._core.typing import Array


@dataclass(frozen=True)
class Pixels:
    """The pixels themselves, x = z, projected into [0, 1] after every step.

    Parameters
    ----------
    noise : float
        Standard deviation of the start about mid-gray.
    bounded : bool
        False leaves z anywhere while the solver runs; images are clipped all the same.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.Decorrelated : Another parametrization, whose three channels are mixed into natural
        colours.

    Examples
    --------
    >>> import numpy as np
    >>> x, pullback = Pixels().vjp(np.full((1, 1, 2, 2), 0.25))
    >>> x.max(), pullback(np.ones((1, 1, 2, 2))).sum()
    (np.float64(0.25), np.float64(4.0))
    """

    noise: float = 0.2
    bounded: bool = True

    #: The map is the same at every iteration.
    is_steady = True

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """x and its pullback: both are the identity."""
        return z, lambda v: v

    def image(self, z: Array, /) -> Array:
        """The images themselves."""
        return z

    def start(self, noise: Array, /) -> Array:
        """Mid-gray with white noise on it."""
        return self.project(0.5 + self.noise * noise)

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image: the image."""
        return x

    def project(self, z: Array, /) -> Array:
        """Clip to [0, 1] where z is bounded."""
        return array_namespace(z).clip(z, 0.0, 1.0) if self.bounded else z
