"""Sensitivity: where in an image, and at which frequencies, features notice changes."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repinv._core.typing import Array
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.io.image import from_batch
from repinv.search import validation
from repinv.tasks.distortions.linearization import Linearization, read_image
from repinv.tasks.distortions.shown import Shown
from repinv.variables.dct import dct, frequencies

#: Bands of frequency; below and above them is nothing but the mean and the corners.
_BANDS = 16


@dataclass(frozen=True)
class Sensitivity(Shown):
    """Where in an image, and at which frequencies, features notice changes.

    Attributes
    ----------
    map : ndarray, shape (H, W), float64
        Mean squared change of the features for a unit change of a pixel, summed over channels: the
        diagonal of JᵀJ.
    frequencies : ndarray, shape (B,)
        Middles of bands, in cycles per pixel.
    spectrum : ndarray, shape (B,)
        Mean squared change of the features for a unit change along a cosine of the band.
    error : float
        Standard error of `map` that random cotangents leave, relative to it.
    image : ndarray, shape (H, W) or (H, W, C), float64, in [0, 1]
        Where the derivative was taken.
    seconds : float
    encoder : Encoder or None
        Φ.

    See Also
    --------
    repinv.sensitivity : Measure where, and at which frequencies, features notice changes.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((32, 32))
    >>> found = repinv.sensitivity(repinv.HOG.vlfeat(), image)
    >>> found.map.shape, found.spectrum.shape == found.frequencies.shape
    ((32, 32), True)
    """

    map: np.ndarray
    frequencies: np.ndarray
    spectrum: np.ndarray
    error: float
    image: np.ndarray
    seconds: float
    encoder: Encoder | None = field(repr=False, default=None)

    @property
    def trace(self) -> float:
        """Sum of all eigenvalues of JᵀJ."""
        return float(self.map.sum())

    def __repr__(self) -> str:
        """A summary of one line for each thing worth reading."""
        peak = self.frequencies[int(np.argmax(self.spectrum))]
        return (
            f"Sensitivity: of {self.map.shape}, trace {self.trace:.3g}, highest at {peak:.2g} "
            f"cycles per pixel\n  the map to about {100 * self.error:.0f} %, in "
            f"{self.seconds:.2f} s"
        )

    def plot(self, *, axes: Any = None) -> Any:
        """Draw the image, the map and the spectrum.

        Parameters
        ----------
        axes : sequence of three matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        from repinv.plot.distortions import sensitivity_figure  # which loads matplotlib

        return sensitivity_figure(self, axes=axes)


def sensitivity(
    encoder: Encoder | str, image: Array, *, n_probes: int = 64, seed: int = 0
) -> Sensitivity:
    """Measure where in an image, and at which frequencies, an encoder's features notice changes.

    Parameters
    ----------
    encoder : Encoder or str
        Φ; or its expression on the command line.
    image : array, shape (H, W) or (H, W, C)
        Floats in [0, 1], or integers that stand for fractions of white.
    n_probes : int
        Random cotangents that are pulled back. The standard error of the map falls with the square
        root of their number.
    seed : int
        Of the cotangents.

    Returns
    -------
    sensitivity : Sensitivity
        With a map, a spectrum, and how far random cotangents leave the map uncertain.

    Raises
    ------
    TypeError, ValueError
        If the encoder does not take the image, or n_probes is no number of them.

    See Also
    --------
    repinv.eigendistortions : Find the changes of an image that features notice most and least.

    Notes
    -----
    For white cotangents w, the mean of (Jᵀw)ᵢ² is the i-th diagonal entry of JᵀJ [1]_, and that of
    the squared cosine coefficients of Jᵀw the diagonal in that basis. The derivative is that of the
    pullback, on one side of kinks.

    References
    ----------
    .. [1] Bekas, Kokiopoulou and Saad, "An estimator for the diagonal of a matrix", Applied
       Numerical Mathematics 57, 2007. :doi:`10.1016/j.apnum.2007.01.003`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.full((32, 32), 0.5)
    >>> image[:, 16:] = np.random.default_rng(0).random((32, 16))
    >>> found = repinv.sensitivity("hog.skimage", image)
    >>> bool(found.map[:, 24:].mean() > found.map[:, :8].mean())
    True
    """
    began = time.perf_counter()
    encoder = expressions.encoder_of(encoder, image)
    x = read_image(image, encoder)
    validation.check_counts(least=2, n_probes=n_probes)
    linear = Linearization(encoder, x)
    rng = np.random.default_rng(seed)
    height, width = x.shape[-2:]
    squares, fourth, power = np.zeros((3, height, width))
    for _ in range(n_probes):
        pulled = linear.transposed(rng.standard_normal(linear.shape[0])).reshape(x.shape[1:])
        one = (pulled * pulled).sum(axis=0)
        squares += one / n_probes
        fourth += one * one / n_probes
        turned = dct(pulled)
        power += (turned * turned).sum(axis=0) / n_probes
    if not squares.any():
        raise ValueError(
            f"the features of {type(encoder).__name__} do not change with this image (JᵀJ = 0). "
            "Take an image with more in it, or another encoder."
        )
    deviations = np.sqrt(np.maximum(fourth - squares**2, 0) / n_probes)
    centres, spectrum = _banded(power)
    return Sensitivity(
        map=squares,
        frequencies=centres,
        spectrum=spectrum,
        error=float(deviations.sum() / squares.sum()),
        image=from_batch(linear.image),
        seconds=time.perf_counter() - began,
        encoder=encoder,
    )


def _banded(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over bands of the power of cosines (H, W), and the middles of these bands.

    A cosine of index k has k/2 cycles over the image. Bands are equally wide on a logarithmic axis;
    those without a cosine are left out, and so is the mean of the image.
    """
    cycles = frequencies(*power.shape) / 2
    edges = np.geomspace(1 / (2 * max(power.shape)) * 0.999, 0.5, _BANDS + 1)
    inside = [(low <= cycles) & (cycles < high) for low, high in itertools.pairwise(edges)]
    kept = [band for band in inside if band.any()]
    centres = np.array([np.exp(np.log(cycles[band]).mean()) for band in kept])
    return centres, np.array([power[band].mean() for band in kept])
