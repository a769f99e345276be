"""Fourier: images on a torus, filtered to the spectrum of natural images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv._core.typing import Array
from repinv.variables.local import FLATTER, Local


@dataclass(frozen=True)
class Fourier:
    r"""White noise filtered to the spectrum of natural images, wrapping at the borders.

    ``x = ½ + amplitude · F⁻¹(S ∘ F z)`` with S(f) ∝ f\ :sup:`-exponent` of unit mean square: the
    solver optimizes z, and steps of equal size in it change an image as natural images differ.

    Parameters
    ----------
    exponent : float
        Fall of the amplitude spectrum; 0 is flat.
    amplitude : float
        Root mean square of x − ½ where z has unit variance.
    start_scale : float
        Standard deviation of z at the start.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.Pixels : The pixels themselves, projected into [0, 1] after every step.

    Notes
    -----
    With S real and even the filter is symmetric, and so its own adjoint: the pullback is the
    filter. Where `Spectral` mirrors an image at its borders this wraps it, as the shifts of
    `Jitter` do: what leaves on one side enters smoothly on the other.

    References
    ----------
    .. [1] Olah, Mordvintsev and Schubert, "Feature visualization", Distill, 2017, section
       "Preconditioning and parameterization". :doi:`10.23915/distill.00007`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> space = repinv.Fourier()
    >>> noise = np.random.default_rng(0).standard_normal((1, 1, 16, 16))
    >>> bool(np.allclose(space.inverse(space.image(noise)), noise))
    True
    """

    exponent: float = 1.0
    amplitude: float = 0.2
    start_scale: float = 1e-2

    #: Changes about z = 0, which is gray, may be weighted; see `repinv.Local`.
    is_centred = is_steady = True

    def __post_init__(self) -> None:
        if not (self.amplitude > 0 and self.start_scale > 0):
            raise ValueError(
                "Fourier needs an amplitude and a start_scale > 0; "
                f"got {self.amplitude} and {self.start_scale}."
            )

    def flatter(self) -> Fourier:
        """The same with a spectrum that falls less, for changes that are weighted."""
        return replace(self, exponent=max(self.exponent - FLATTER, 0.0))

    def about(self, around: Array, weights: Array, /) -> Local:
        """Weighted changes of an image; see `Parametrization`."""
        return Local(self.flatter(), around, weights)

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """x = ½ + filtered z; the pullback filters."""
        return self._filtered(z) + 0.5, self._filtered

    def image(self, z: Array, /) -> Array:
        """The images, unclipped."""
        return self._filtered(z) + 0.5

    def start(self, noise: Array, /) -> Array:
        """White noise, which is noise of the natural spectrum in x."""
        return self.start_scale * noise

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image."""
        return self._filtered(x - 0.5, power=-1)

    def project(self, z: Array, /) -> Array:
        """Every z is allowed: the range of x is kept by a barrier and an exact last step."""
        return z

    def _filtered(self, z: Array, *, power: int = 1) -> Array:
        """F⁻¹(gain ∘ F z), or with the inverse gain; the same dtype, a fresh array."""
        xp = array_namespace(z)
        height, width = z.shape[-2:]
        kind = xp, z.dtype, device_of(z)
        gain = _gain(height, width, self.exponent, self.amplitude, power, *kind)
        spectrum = xp.fft.rfftn(z, axes=(-2, -1)) * gain
        return xp.fft.irfftn(spectrum, s=(height, width), axes=(-2, -1))


@lru_cache(maxsize=16)
def _gain(
    height: int,
    width: int,
    exponent: float,
    amplitude: float,
    power: int,
    xp: Any,
    dtype: Any,
    device: Any,
) -> Array:
    """(amplitude · f^-exponent)^power (H, W // 2 + 1), of mean square amplitude² before."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    frequency = np.hypot(down, across)
    frequency[0, 0] = 0.5 / max(height, width)  # as far below the first as `Spectral` has it
    gain = frequency**-exponent
    gain *= amplitude / np.sqrt(np.mean(gain**2))
    return xp.asarray(gain[:, : width // 2 + 1] ** power, dtype=dtype, device=device)
