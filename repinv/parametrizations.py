"""Parametrizations: what the solver turns (z), and the image that it stands for (x).

A parametrization is a differentiable map z → x with a pullback, a way to make a start z from
white noise or from an image, and the projection onto the z that are allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv.cosine import dct, frequencies, idct
from repinv.encoder import Array


class Parametrization(Protocol):
    """What `Energy` asks of a parametrization.

    One that maps alike at every iteration may say so by ``is_steady = True``: a GPU then repeats
    its steps faster.
    """

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """Images x (N, C, H, W) of variables z, and the pullback of cotangents of x to z.

        `iteration` counts the steps of the run, for maps that change from step to step.
        """
        ...

    def image(self, z: Array, /) -> Array:
        """The images (N, C, H, W) that variables z stand for."""
        ...

    def start(self, noise: Array, /) -> Array:
        """A start z made from white noise (N, C, H, W) of unit variance."""
        ...

    def inverse(self, x: Array, /) -> Array:
        """Variables z whose image is x, as nearly as the parametrization allows."""
        ...

    def project(self, z: Array, /) -> Array:
        """The allowed z that is nearest."""
        ...


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

    #: The map is the same at every iteration; see `repinv.wrappers.is_steady`.
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


@dataclass(frozen=True)
class Spectral:
    r"""Cosine coefficients, weighted by the spectrum of natural images.

    ``x = ½ + amplitude · IDCT(S ∘ z)`` with S(f) ∝ f\ :sup:`-exponent` of unit mean square: steps
    of equal size in every z change an image as natural images differ.

    Parameters
    ----------
    exponent : float
        Fall of the amplitude spectrum; 0 is flat (pixels, turned by a rotation).
    amplitude : float
        Root mean square of x − ½ where z has unit variance.
    start_scale : float
        Standard deviation of z at the start.

    See Also
    --------
    repinv.Pixels : The pixels themselves, projected into [0, 1] after every step.
    repinv.Fourier : White noise filtered to the spectrum of natural images, wrapping at the
        borders.
    repinv.Local : Changes of an image, weighted from place to place.

    Notes
    -----
    Equation :eq:`spectral` of the documentation.

    The start is all but gray: what the features ask for then grows out of it. Encoders that
    normalize contrast are blind to how strong a texture is, unless it is weaker than the epsilon
    of their normalization; a start of natural contrast leaves crumbs where the image should be
    flat, and those are never removed.

    The cosine transform has no wrap at the borders, unlike Fourier's. S at frequency 0 is taken at
    half a frequency step.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.zeros((1, 1, 16, 16))
    >>> x, pullback = Spectral().vjp(z)
    >>> x.min(), x.max()
    (np.float64(0.5), np.float64(0.5))
    """

    exponent: float = 0.85
    amplitude: float = 0.2
    start_scale: float = 3e-5

    #: Changes about z = 0, which is gray, may be weighted; see `Local`.
    is_centred = is_steady = True

    def __post_init__(self) -> None:
        if not (self.amplitude > 0 and self.start_scale > 0):
            raise ValueError(
                "Spectral needs an amplitude and a start_scale > 0; "
                f"got {self.amplitude} and {self.start_scale}."
            )

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """x = ½ + IDCT(gain ∘ z), and v → gain ∘ DCT(v): the transform is orthonormal."""
        gain = self._gain(z)
        x = idct(gain * z)
        x += 0.5

        def pullback(v: Array) -> Array:
            w = dct(v)
            w *= gain
            return w

        return x, pullback

    def image(self, z: Array, /) -> Array:
        """The images, unclipped: what is out of range is left to the exact last step."""
        return self.vjp(z)[0]

    def start(self, noise: Array, /) -> Array:
        """White noise, which is noise of the natural spectrum in x."""
        return self.start_scale * noise

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image."""
        return dct(x - 0.5) / self._gain(x)

    def project(self, z: Array, /) -> Array:
        """Every z is allowed: the range of x is kept by a barrier and an exact last step."""
        return z

    def _gain(self, z: Array) -> Array:
        """amplitude · S for images of the shape, library, dtype and device of `z`."""
        kind = array_namespace(z), z.dtype, device_of(z)
        return _spectrum(z.shape[-2], z.shape[-1], self.exponent, self.amplitude, *kind)


@lru_cache(maxsize=16)
def _spectrum(
    height: int, width: int, exponent: float, amplitude: float, xp: Any, dtype: Any, device: Any
) -> Array:
    """amplitude · f^-exponent (H, W), of root mean square `amplitude`."""
    frequency = frequencies(height, width)
    frequency[0, 0] = 0.5 / max(height, width)
    spectrum = frequency**-exponent
    spectrum *= amplitude / np.sqrt(np.mean(spectrum**2))
    return xp.asarray(spectrum, dtype=dtype, device=device)
