"""Cosine coefficients as variables, weighted by the spectrum of natural images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv._core.typing import Array
from repinv.variables.dct import dct, frequencies, idct
from repinv.variables.local import FLATTER, Local


@dataclass(frozen=True)
class Spectral:
    r"""Cosine coefficients, weighted by the spectrum of natural images.

    ``x = ½ + amplitude · IDCT(S ∘ z)`` with S(f) ∝ f\ :sup:`-exponent` of unit mean square: steps
    of equal size in every z change an image as natural images differ.

    Parameters
    ----------
    exponent : float
        Fall of the amplitude spectrum; 0 is flat (pixels under a rotation).
    amplitude : float
        Root mean square of x − ½ where z has unit variance.
    start_scale : float
        Standard deviation of z at the start.

    See Also
    --------
    repinv.Pixels : The pixels themselves, projected into [0, 1] after every step.
    repinv.Fourier : White noise filtered to the spectrum of natural images, wrapping at the
        borders.
    repinv.Local : Changes of an image, weighted from pixel to pixel.

    Notes
    -----
    Equation :eq:`spectral` of the documentation.

    The start is nearly constant gray. Encoders that normalize contrast do not respond to how strong
    a texture is, unless it is weaker than the epsilon of their normalization; a start of natural
    contrast leaves residual artefacts where the image should be flat, and no gradient removes them.

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

    def with_exponent(self, exponent: float) -> Spectral:
        """The same with a spectrum that falls as another power of the frequency."""
        return replace(self, exponent=exponent)

    def flatter(self) -> Spectral:
        """The same with a spectrum that falls less, for changes that are weighted."""
        return self.with_exponent(max(self.exponent - FLATTER, 0.0))

    def about(self, around: Array, weights: Array, /) -> Local:
        """Weighted changes of an image; see `Parametrization`."""
        return Local(self.flatter(), around, weights)

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
