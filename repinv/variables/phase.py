"""Phase: the magnitudes of the spectrum are those of photographs, and phases are optimized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv._core.typing import Array
from repinv.io import shipped

#: SHA-256 of the file that `scripts/natural_spectrum.py` wrote.
CHECKSUM = "bc6dda670a3ec015a4822c5efbbe4f1e832bc783c558f0a0d5cd39f7552dfc55"


@dataclass(frozen=True)
class Phase:
    r"""Images whose spectrum has the magnitudes of photographs; the variables are its phases.

    ``x = ½ + amplitude · F⁻¹(S ∘ exp(i z))`` with S the root mean squared magnitude of the spectra
    of photographs, of unit mean square. No pattern can take more contrast than photographs have at
    its frequency, so that no other prior is needed.

    Parameters
    ----------
    amplitude : float
        Root mean square of x − ½.
    start_scale : float
        Standard deviation of the phases at the start, in radians; from about 2 on all phases are
        about as likely.

    See Also
    --------
    repinv.Fourier : White noise filtered to the spectrum of natural images, wrapping at the
        borders.
    repinv.Decorrelated : Another parametrization, whose three channels are mixed into natural
        colours.

    Notes
    -----
    Variables have the shape of images, (N, C, H, W). The first W // 2 + 1 columns are the phases
    of the spectrum's half that determines a real image; the others are not used.

    S was measured on 467 photographs, as a function of frequency and direction
    (`scripts/natural_spectrum.py`), and is interpolated for each size; below 1/128 period a pixel
    it goes on as 1/f. The mean of an image is ½. Waves that run straight down stand in the first
    column with both signs of the frequency; the mean of both counts.

    References
    ----------
    .. [1] Fel et al., "Unlocking feature visualization for deeper networks with magnitude
       constrained optimization", NeurIPS 2023. :arxiv:`2306.06805`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> space = repinv.Phase()
    >>> x = space.image(np.random.default_rng(0).standard_normal((1, 1, 64, 64)))
    >>> y = space.image(space.inverse(x))
    >>> bool(np.corrcoef(x.ravel(), y.ravel())[0, 1] > 0.95), x.shape
    (True, (1, 1, 64, 64))
    """

    amplitude: float = 0.2
    start_scale: float = 2.0

    #: z = 0 is an impulse, not gray.
    is_centred = False
    is_steady = True

    def __post_init__(self) -> None:
        if not (self.amplitude > 0 and self.start_scale > 0):
            raise ValueError(
                "Phase needs an amplitude and a start_scale > 0; "
                f"got {self.amplitude} and {self.start_scale}."
            )

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """x of phases z, and the pullback of cotangents of x to them."""
        xp = array_namespace(z)
        spectrum = self._spectrum(z)
        height, width = z.shape[-2:]
        half = width // 2 + 1
        column = np.arange(half)
        # A column that stands for two, f and −f, counts twice.
        twice = 1 + ((column > 0) & (2 * column < width))
        count = xp.asarray(twice / (height * width), dtype=z.dtype, device=device_of(z))

        def pullback(v: Array) -> Array:
            # dx = F⁻¹(i c dz), and so <v, dx> = Σ count · Im(conj(c) F v) dz.
            turned = xp.conj(spectrum) * xp.fft.rfftn(v, axes=(-2, -1))
            grad = count * xp.imag(turned)
            return xp.concat([grad, xp.zeros_like(z[..., half:])], axis=-1)

        return self._image(spectrum, (height, width)), pullback

    def image(self, z: Array, /) -> Array:
        """The images, unclipped."""
        return self._image(self._spectrum(z), (z.shape[-2], z.shape[-1]))

    def start(self, noise: Array, /) -> Array:
        """Random phases."""
        return self.start_scale * noise

    def inverse(self, x: Array, /) -> Array:
        """The phases of an image; its magnitudes are lost."""
        xp = array_namespace(x)
        spectrum = xp.fft.rfftn(x - 0.5, axes=(-2, -1))
        phases = xp.atan2(xp.imag(spectrum), xp.real(spectrum))
        # From −π/2 on: coefficients that are real for every image are not near the cut.
        phases = xp.where(phases < -0.5 * np.pi, phases + 2 * np.pi, phases)
        return xp.concat([phases, xp.zeros_like(x[..., phases.shape[-1] :])], axis=-1)

    def project(self, z: Array, /) -> Array:
        """Every z is allowed."""
        return z

    def _spectrum(self, z: Array) -> Array:
        """S exp(i z), complex (N, C, H, W // 2 + 1)."""
        xp = array_namespace(z)
        height, width = z.shape[-2:]
        kind = xp, z.dtype, device_of(z)
        magnitudes = _magnitudes(height, width, self.amplitude, *kind)
        phases = z[..., : width // 2 + 1]
        real, imaginary = magnitudes * xp.cos(phases), magnitudes * xp.sin(phases)
        return real + 1j * imaginary

    @staticmethod
    def _image(spectrum: Array, size: tuple[int, int]) -> Array:
        """½ + F⁻¹ of a half spectrum, fresh."""
        xp = array_namespace(spectrum)
        return 0.5 + xp.fft.irfftn(spectrum, s=size, axes=(-2, -1))


@lru_cache(maxsize=16)
def _magnitudes(
    height: int, width: int, amplitude: float, xp: Any, dtype: Any, device: Any
) -> Array:
    """Those of a half spectrum (H, W // 2 + 1) of images of root mean square `amplitude`."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    found = natural_magnitudes(np.hypot(down, across), np.arctan2(down, across))
    found[0, 0] = 0
    # By Parseval's theorem, with F⁻¹ divided by the number of pixels.
    found *= amplitude * height * width / max(float(np.sqrt(np.sum(found**2))), 1e-12)
    return xp.asarray(found[:, : width // 2 + 1], dtype=dtype, device=device)


def natural_magnitudes(frequency: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Mean magnitudes of photographs' spectra at frequencies (periods a pixel) and directions."""
    radii, table = _measured()
    octave = np.log2(np.maximum(frequency, 1e-9) / radii[0])
    step = np.log2(radii[1] / radii[0])
    ring = np.clip(octave / step, 0, len(radii) - 1)
    sector = (direction / np.pi * table.shape[1]) % table.shape[1]
    low, left = np.minimum(ring.astype(int), len(radii) - 2), sector.astype(int) % table.shape[1]
    up, along = ring - low, sector - np.floor(sector)
    right = (left + 1) % table.shape[1]
    logs = np.log(table)
    rows = [(1 - along) * logs[k, left] + along * logs[k, right] for k in (low, low + 1)]
    found: np.ndarray = np.exp(
        (1 - up) * rows[0] + up * rows[1] - np.minimum(octave, 0) * np.log(2)
    )
    return found


@lru_cache(maxsize=1)
def _measured() -> tuple[np.ndarray, np.ndarray]:
    """Radii (periods a pixel) and magnitudes (radii, directions) of the file that ships."""

    def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["radii"].astype(float), arrays["magnitudes"].astype(float)

    return shipped.loaded(load, "repinv.variables", "spectra", "photographs.npz", CHECKSUM)
