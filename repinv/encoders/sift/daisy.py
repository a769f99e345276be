"""DAISY descriptors: orientation histograms under Gaussians on rings about each position."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from repinv._core import positions
from repinv._core.typing import ImagePullback, SizeRange
from repinv.encoders._kernels.gradient import FLAT
from repinv.encoders._parts import validation
from repinv.encoders._parts.image_encoder import ImageEncoder

_NORMALIZATIONS = {"l1": 0, "l2": 1, "daisy": 2, "off": 3}
#: What scikit-image adds to entries before it normalizes them; where it cuts a Gaussian, in σ.
_EPSILON, _TRUNCATE = 1e-10, 4.0


@dataclasses.dataclass(frozen=True)
class DAISY(ImageEncoder):
    """DAISY descriptors on a grid, exact and differentiable.

    Made by `DAISY.skimage`. Batches are NumPy arrays (N, 1, H, W) of float32 or float64 in [0, 1].

    Parameters
    ----------
    step : int
        Pixels between descriptors.
    radius : int
        Of the outermost ring, and the margin of the grid, in pixels.
    histograms, orientations : int
        Histograms of a ring, and bins of a histogram.
    normalization : {"l1", "l2", "daisy", "off"}
        What a descriptor, or each histogram of it ("daisy"), is divided by.
    sigmas : tuple of float
        Deviations of the Gaussians of the histogram at the centre, and of those of each ring.
    ring_radii : tuple of float
        Radii of the rings in pixels.
    value_range : tuple of float
        Pixel values that 0 and 1 of a batch stand for.
    channels : int
        Number of image channels taken: 1.

    See Also
    --------
    repinv.DSIFT : Dense SIFT descriptors, exact and differentiable.
    repinv.SIFT : SIFT descriptors at keypoints, exact and differentiable.

    Notes
    -----
    A gradient g votes for the orientation o with the weight |g|·exp(κ·cos(θ − o)), where κ is the
    number of orientations over π. It is the forward difference, and zero at the far border.
    Histograms are votes under a Gaussian whose image is mirrored at its edges. The pullback is
    zero where |g| < 1e-10.

    References
    ----------
    .. [1] E. Tola, V. Lepetit and P. Fua, "DAISY: an efficient dense descriptor applied to
       wide-baseline stereo", PAMI 2010, doi:10.1109/TPAMI.2009.77

    Examples
    --------
    >>> import numpy as np, repinv
    >>> repinv.DAISY.skimage(step=8)(np.eye(64)).shape
    (5, 5, 200)
    """

    step: int
    radius: int
    histograms: int
    orientations: int
    normalization: str
    sigmas: tuple[float, ...]
    ring_radii: tuple[float, ...]
    value_range: tuple[float, float] = (0.0, 1.0)
    channels: int | None = 1
    unit_pixels: ClassVar[bool] = True
    _names: ClassVar[tuple[str, str]] = ("DAISY", "as_module")

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_range", validation.value_range(self.value_range))

    @classmethod
    def skimage(
        cls,
        step: int = 4,
        radius: int = 15,
        rings: int = 3,
        histograms: int = 8,
        orientations: int = 8,
        normalization: str = "l1",
        sigmas: tuple[float, ...] | None = None,
        ring_radii: tuple[float, ...] | None = None,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> DAISY:
        """scikit-image's ``skimage.feature.daisy``.

        Parameters
        ----------
        step, radius, rings, histograms, orientations : int
            Pixels between descriptors, radius of the outermost ring in pixels, number of rings,
            of histograms of a ring, and of bins of a histogram.
        normalization : {"l1", "l2", "daisy", "off"}
            Of each descriptor, by its sum or norm; of each histogram by its norm; or none.
        sigmas : tuple of float, optional
            Deviations of the Gaussians, one more than there are rings; they decide `rings`.
        ring_radii : tuple of float, optional
            Radii of the rings; they decide `rings`, and the last one `radius`, which is whole.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        DAISY
            With features (y, x, (rings·histograms + 1)·orientations).

        Raises
        ------
        ValueError
            If an option is impossible.

        Notes
        -----
        As in scikit-image, of deviations that are given the first is that of the first ring too,
        and the last is not used.

        Examples
        --------
        >>> import repinv
        >>> repinv.DAISY.skimage(step=16, rings=2, histograms=6).feature_shape((1, 64, 64))
        (3, 3, 104)
        """
        given_radii = None if ring_radii is None else _reals("ring_radii", ring_radii)
        given_sigmas = None if sigmas is None else _reals("sigmas", sigmas)
        count = validation.whole("rings", rings)
        margin = validation.whole("radius", radius)
        if given_radii is not None:
            count, last = len(given_radii), given_radii[-1]
            margin = validation.whole("ring_radii[-1]", int(last) if last == int(last) else last)
            if max(given_radii) > margin:
                raise ValueError(f"ring_radii must rise to the last; got {given_radii}. Sort them.")
        if given_sigmas is not None:
            if given_radii is not None and len(given_sigmas) != count + 1:
                raise ValueError(
                    f"sigmas must be one more than ring_radii; got {len(given_sigmas)} and "
                    f"{count}. The first is that of the histogram at the centre."
                )
            count = validation.whole("the number of rings", len(given_sigmas) - 1)
        own = given_sigmas or tuple(margin * (i + 1) / (2 * count) for i in range(count))
        validation.choice("normalization", normalization, _NORMALIZATIONS)
        return cls(
            validation.whole("step", step),
            margin,
            validation.whole("histograms", histograms),
            validation.whole("orientations", orientations),
            normalization,
            (own[0], *own)[: count + 1],
            given_radii or tuple(margin * (i + 1) / count for i in range(count)),
            value_range,
        )

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape (y, x, D) of the features of one image (1, H, W).

        Raises
        ------
        ValueError
            If the image is too small, or not gray.
        """
        least = 2 * self.radius + 1
        _, height, width = validation.image_shape(
            "DAISY", image_shape, self.channels, (least, least), "Pad it or use smaller rings."
        )
        rows, columns = (-(-(n - 2 * self.radius) // self.step) for n in (height, width))
        return rows, columns, self._groups * self.orientations

    @property
    def _groups(self) -> int:
        """Histograms of a descriptor."""
        return len(self.ring_radii) * self.histograms + 1

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Smallest and largest height and width that give this shape; see `Encoder`."""
        if len(feature_shape) != 3 or feature_shape[2] != self._groups * self.orientations:
            return None
        rows, columns = (
            ((n - 1) * self.step + 1 + 2 * self.radius, n * self.step + 2 * self.radius)
            for n in feature_shape[:2]
        )
        return rows, columns

    @property
    def descriptor_axis(self) -> int:
        """Axis of a descriptor's numbers; see `Encoder`."""
        return 2

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Centres (y, x) of the descriptors; see `Encoder.frames`."""
        centres = [
            self.radius + self.step * np.arange(n, dtype=np.float64)
            for n in self.feature_shape(image_shape)[:2]
        ]
        return positions.grid(*centres)

    def _of_image(self, image: np.ndarray, *, keep: bool) -> tuple[np.ndarray, ImagePullback]:
        """Descriptors of one image (1, H, W), and their pullback."""
        low, high = self.value_range
        votes, pull_votes = self._votes(image[0] * image.dtype.type(high - low))
        windows = self._windows(image.shape[1:], image.dtype)
        rows, columns, size = self.feature_shape(image.shape)
        pooled = np.empty((self._groups, self.orientations, rows, columns), image.dtype)
        for window in windows:
            blurred = window.down @ votes @ window.across.T
            for group, y, x in window.members:
                pooled[group] = blurred[:, y[:, None], x]
        raw = pooled.transpose(2, 3, 0, 1)
        features, pull_normalized = self._normalized(raw)

        def pullback(v: np.ndarray) -> np.ndarray:
            from_features = pull_normalized(v.reshape(raw.shape)).transpose(2, 3, 0, 1)
            grad = np.zeros_like(votes)
            for window in windows:
                shape = (self.orientations, len(window.down), len(window.across))
                blurred = np.zeros(shape, image.dtype)
                for group, y, x in window.members:
                    # No position occurs twice in a grid.
                    blurred[:, y[:, None], x] += from_features[group]
                grad += window.down.T @ blurred @ window.across
            return np.asarray(pull_votes(grad)[None] * image.dtype.type(high - low))

        return features.reshape(rows, columns, size), pullback

    def _votes(self, image: np.ndarray) -> tuple[np.ndarray, ImagePullback]:
        """Votes (orientations, H, W) of the gradients of an image (H, W), and the pullback."""
        kappa = self.orientations / math.pi
        angles = 2 * np.arange(self.orientations) * np.pi / self.orientations - np.pi
        cosine, sine = (f(angles).astype(image.dtype)[:, None, None] for f in (np.cos, np.sin))
        across, down = np.zeros_like(image), np.zeros_like(image)
        across[:, :-1], down[:-1] = np.diff(image, axis=1), np.diff(image, axis=0)
        size = np.hypot(across, down)
        inverse = np.where(size >= FLAT, 1 / np.maximum(size, FLAT), 0).astype(image.dtype)
        across, down = across * inverse, down * inverse
        weights = np.exp(image.dtype.type(kappa) * (across * cosine + down * sine))

        def pullback(v: np.ndarray) -> np.ndarray:
            # d(|g|·w) = w·u·dg + w′(θ)·t·dg, with w′ = −κ·sin(θ − o)·w.
            weighted = v * weights
            along = weighted.sum(axis=0)
            turn = (weighted * (across * sine - down * cosine)).sum(axis=0) * kappa
            moving = inverse > 0
            right = np.where(moving, along * across - turn * down, 0)[:, :-1]
            below = np.where(moving, along * down + turn * across, 0)[:-1]
            grad = np.zeros_like(image)
            grad[:, 1:] += right
            grad[:, :-1] -= right
            grad[1:] += below
            grad[:-1] -= below
            return grad

        votes: np.ndarray = weights * size
        return votes, pullback

    def _normalized(self, raw: np.ndarray) -> tuple[np.ndarray, ImagePullback]:
        """Descriptors (y, x, groups, orientations) over their sums or norms, and the pullback."""
        if self.normalization == "off":
            return raw, lambda v: v
        values = raw + raw.dtype.type(_EPSILON)
        axes = (3,) if self.normalization == "daisy" else (2, 3)
        if self.normalization == "l1":
            length = values.sum(axis=axes, keepdims=True)
            features, slope = values / length, np.ones_like(length)
        else:
            length = np.sqrt((values * values).sum(axis=axes, keepdims=True))
            features = values / length
            slope = features

        def pullback(v: np.ndarray) -> np.ndarray:
            along = (v * features).sum(axis=axes, keepdims=True)
            return np.asarray((v - along * slope) / length)

        return features, pullback

    def _windows(self, size: tuple[int, ...], dtype: Any) -> tuple[_Window, ...]:
        return _windows(
            self.step,
            self.radius,
            self.histograms,
            self.sigmas,
            self.ring_radii,
            (size[0], size[1]),
            np.dtype(dtype),
        )


class _Window(NamedTuple):
    """What is smoothed alike: a matrix for each axis, at the lines that are looked at."""

    down: np.ndarray  # (rows, H)
    across: np.ndarray  # (columns, W)
    members: list[tuple[int, np.ndarray, np.ndarray]]  # histograms, and their rows and columns


@functools.lru_cache(maxsize=16)
def _windows(
    step: int,
    radius: int,
    histograms: int,
    sigmas: tuple[float, ...],
    ring_radii: tuple[float, ...],
    size: tuple[int, int],
    dtype: np.dtype,
) -> tuple[_Window, ...]:
    """The windows of the histogram at the centre and of each ring, for images of a size (H, W)."""
    centres = [np.arange(radius, n - radius, step) for n in size]
    found = []
    for i, sigma in enumerate(sigmas):
        offsets = [(0, 0)]
        if i > 0:
            turns = [2 * math.pi * j / histograms for j in range(histograms)]
            offsets = [
                (round(ring_radii[i - 1] * math.sin(t)), round(ring_radii[i - 1] * math.cos(t)))
                for t in turns
            ]
        rows, columns = (
            np.unique(np.concatenate([centre + offset[axis] for offset in offsets]))
            for axis, centre in enumerate(centres)
        )
        first = 1 + (i - 1) * histograms if i else 0
        members = [
            (
                first + j,
                np.searchsorted(rows, centres[0] + y),
                np.searchsorted(columns, centres[1] + x),
            )
            for j, (y, x) in enumerate(offsets)
        ]
        down, across = (
            _smoothing(n, sigma)[lines].astype(dtype)
            for n, lines in zip(size, (rows, columns), strict=True)
        )
        found.append(_Window(down, across, members))
    return tuple(found)


def _smoothing(size: int, sigma: float) -> np.ndarray:
    """Smoothing along an axis, a matrix (size, size): the image is mirrored at its edges."""
    reach = int(_TRUNCATE * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    pixels = (np.arange(size)[:, None] + np.arange(-reach, reach + 1)) % (2 * size)
    pixels = np.where(pixels < size, pixels, 2 * size - 1 - pixels)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], pixels), taps / taps.sum())
    return matrix


def _reals(name: str, values: Any) -> tuple[float, ...]:
    """Some positive numbers."""
    if not isinstance(values, tuple | list | np.ndarray) or len(values) == 0:
        raise ValueError(f"{name} must be some numbers; got {values!r}. Give at least one.")
    return tuple(validation.real(f"{name}[{i}]", v, above=0) for i, v in enumerate(values))
