"""Dense SIFT of one image: descriptors of each of its channels, on one grid or on several."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from repinv._core import positions
from repinv._core.typing import ImagePullback
from repinv.encoders._kernels.gradient import C_FLOAT, Binning
from repinv.encoders._parts import star_glyphs, still_bins, validation
from repinv.encoders.sift import normalization
from repinv.encoders.sift.grids import KorniaGrid, NaturalGrid, Sizes, VLFeatGrid
from repinv.encoders.sift.normalization import Normalization
from repinv.encoders.sift.pooling_axes import Layout
from repinv.encoders.sift.smoothing import smooth
from repinv.encoders.sift.window_pooling import oriented_windows, voting_pixels

#: Layouts of features: (frames, D), (y, x, D) and (D, y, x).
ROWS, LAST, FIRST = 0, 1, 2
#: Descriptors that are drawn beside each other at most.
_IN_A_ROW = 6


@dataclasses.dataclass(frozen=True)
class DenseSIFT:
    """Descriptors on one grid or more, one image at a time.

    Parameters
    ----------
    grids : tuple
        Those of one image; more than one only where `layout` is ROWS.
    orientations : int
        Directed bins, shared linearly.
    normalization : Normalization
        But its `area`, which is the grid's.
    layout : int
    edge, epsilon : float
        See `Binning`.
    smoothing : tuple of float
        Deviation of the Gaussian that the image is smoothed by for each grid, 0 for none.
    """

    grids: tuple[VLFeatGrid | NaturalGrid | KorniaGrid, ...]
    orientations: int
    normalization: Normalization
    layout: int
    edge: float = 1.0
    epsilon: float = 0.0
    smoothing: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        # Files hold it as a plain tuple.
        object.__setattr__(self, "normalization", Normalization(*self.normalization))

    @property
    def descriptor_axis(self) -> int:
        """Axis of a descriptor's numbers."""
        return {ROWS: 1, LAST: 2, FIRST: 0}[self.layout]

    @property
    def size(self) -> int:
        """Numbers of a descriptor of one channel."""
        return math.prod(self.grids[0].bins) * self.orientations

    def smallest(self) -> tuple[int, int]:
        """Least height and width."""
        least = [grid.smallest() for grid in self.grids]
        return max(height for height, _ in least), max(width for _, width in least)

    def counts(self, height: int, width: int) -> list[tuple[int, int]]:
        """Frames along the axes of each grid."""
        return [(grid.frames(0, height), grid.frames(1, width)) for grid in self.grids]

    def feature_shape(self, channels: int, height: int, width: int) -> tuple[int, ...]:
        """Shape of the features of an image that is large enough."""
        counts, size = self.counts(height, width), channels * self.size
        if self.layout == ROWS:
            return (sum(rows * columns for rows, columns in counts), size)
        return (*counts[0], size) if self.layout == LAST else (size, *counts[0])

    def image_shapes(self, shape: tuple[int, ...]) -> Sizes | None:
        """Heights and widths with features of this shape; None where they are not told."""
        grid = self.grids[0]
        if isinstance(grid, VLFeatGrid) or len(shape) != 3 or min(shape) < 1:
            return None
        if shape[self.descriptor_axis] % self.size:
            return None
        rows, columns = shape[:2] if self.layout == LAST else shape[1:]
        return grid.sizes((rows, columns))

    def frames(self, height: int, width: int) -> np.ndarray:
        """Centres (y, x) of the descriptors."""
        centres = []
        for grid in self.grids:
            along = [
                grid.axis(w, size, np.float32).centres for w, size in ((0, height), (1, width))
            ]
            centres.append(positions.grid(*along))
        return np.concatenate(centres)

    def norms(self, image: np.ndarray) -> np.ndarray:
        """What VLFeat calls the norm of each frame of one gray image (1, H, W)."""
        found = []
        for g, grid in enumerate(self.grids):
            rows, columns, pooled, _ = self._pooled(g, image, 1.0, keep=False)
            norms = np.empty(len(rows.grid.window) * len(columns.grid.window))
            rule = self.normalization._replace(area=grid.area)
            grids = rows.grid, columns.grid
            normalization.norms_of(pooled, *grids, self.orientations, rule, norms)
            found.append(norms)
        return np.concatenate(found)

    def _pooled(
        self, g: int, image: np.ndarray, scale: float, *, keep: bool
    ) -> tuple[Layout, Layout, np.ndarray, ImagePullback]:
        """Layouts, pooled votes, and their pullback, of one grid on one gray image."""
        grid, (height, width), kind = self.grids[g], image.shape[1:], image.dtype
        rows, columns = grid.axis(0, height, kind), grid.axis(1, width, kind)
        turn = self.orientations / (2 * math.pi)
        halved = 0.5 * scale
        binning = Binning(
            self.orientations, turn, 0.0, True, 1.0, halved, C_FLOAT, self.edge, self.epsilon
        )
        smoothed, pull_smooth = smooth(image, self.smoothing[g])
        windows = rows.windows, columns.windows
        members = rows.members, columns.members
        pooled, pull = oriented_windows(smoothed, binning, windows, members, keep=keep)
        return rows, columns, pooled, lambda v: pull_smooth(pull(v))

    def _described(
        self, g: int, image: np.ndarray, scale: float, out: np.ndarray, *, keep: bool
    ) -> ImagePullback:
        """Descriptors of one grid on one gray image, written to `out`, and their pullback."""
        rows, columns, pooled, pull = self._pooled(g, image, scale, keep=keep)
        rule = self.normalization._replace(area=self.grids[g].area)
        plan = rows.grid, columns.grid, self.orientations, rule
        normalization.describe(pooled, *plan, out)

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            grad = np.zeros_like(pooled)
            normalization.pull_describe(np.ascontiguousarray(cotangent), pooled, *plan, grad)
            return pull(grad)

        return pullback

    def vjp(
        self, image: np.ndarray, value_range: tuple[float, float], *, keep: bool
    ) -> tuple[np.ndarray, ImagePullback]:
        """Features of one image (C, H, W), and their pullback if it is to be kept."""
        scale = value_range[1] - value_range[0]
        counts = [rows * columns for rows, columns in self.counts(*image.shape[1:])]
        ends = np.cumsum(counts)
        places = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        descriptors = np.empty((len(image), ends[-1], self.size), image.dtype)
        pulls = [
            [
                self._described(g, channel[None], scale, own[place], keep=keep)
                for g, place in enumerate(places)
            ]
            for channel, own in zip(image, descriptors, strict=True)
        ]

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            from_features = self._unarranged(cotangent, descriptors.shape)
            grad = np.zeros_like(image)
            for c, own in enumerate(pulls):
                for place, pull in zip(places, own, strict=True):
                    grad[c] += pull(from_features[c, place])[0]
            return grad

        return self._arranged(descriptors, image.shape[1:]), pullback

    def still(self, silent: np.ndarray, channels: int, height: int, width: int) -> np.ndarray:
        """Pixels (2, H, W) without a gradient across, and down, in any channel."""
        counts = [rows * columns for rows, columns in self.counts(height, width)]
        ends = np.cumsum(counts)
        descriptors = self._unarranged(silent, (channels, int(ends[-1]), self.size))
        proven = np.zeros((channels, 2, height, width), bool)
        bins = still_bins.axis_bins(self.orientations, True, 0.0, True)
        for grid, count, end in zip(self.grids, counts, ends, strict=True):
            own = descriptors[:, end - count : end]
            axes = [grid.axis(w, size, np.float32) for w, size in ((0, height), (1, width))]
            votes = [
                voting_pixels(axis.windows, size)
                for axis, size in zip(axes, (height, width), strict=True)
            ]
            y, x = (axis.grid.window for axis in axes)
            windows = np.ix_(np.arange(self.orientations), y.ravel(), x.ravel())
            for one, found in zip(own, proven, strict=True):
                entries = one.reshape(len(y), len(x), *grid.bins, self.orientations)
                entries = entries.transpose(4, 0, 2, 1, 3).reshape(
                    self.orientations, y.size, x.size
                )
                pooled = np.zeros((self.orientations, *(len(v) for v in votes)), bool)
                np.logical_or.at(pooled, windows, entries)
                found |= still_bins.without_votes(pooled, bins, *votes)
        still: np.ndarray = np.asarray(proven.all(axis=0))
        return still

    def glyph(self, features: np.ndarray, channels: int, height: int, width: int) -> np.ndarray:
        """A picture of some descriptors of the first grid, which hardly overlap; see `glyphs`."""
        counts = self.counts(height, width)
        total = sum(rows * columns for rows, columns in counts)
        own = self._unarranged(features, (channels, total, self.size)).sum(axis=0)
        grid, (rows, columns) = self.grids[0], counts[0]
        own = own[: rows * columns].reshape(rows, columns, *grid.bins, self.orientations)
        centres = self.frames(height, width)[: rows * columns].reshape(rows, columns, 2)
        every = []
        for axis, size in ((0, height), (1, width)):
            line = centres[:, 0, 0] if axis == 0 else centres[0, :, 1]
            crowded = -(-len(line) // _IN_A_ROW)
            windows = grid.axis(axis, size, np.float32)
            of_first = windows.grid.window[0]
            reach = windows.windows.stop[of_first].max() - windows.windows.start[of_first].min()
            step = line[1] - line[0] if len(line) > 1 else reach
            every.append(max(crowded, round(0.75 * reach / step)))
        return star_glyphs.draw(own[:: every[0], :: every[1]])

    def _arranged(self, descriptors: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """(C, frames, D) → the mirrored layout, channels side by side in a descriptor."""
        if self.layout == FIRST:
            bins = math.prod(self.grids[0].bins)
            angles = descriptors.reshape(*descriptors.shape[:2], bins, self.orientations)
            joined = angles.transpose(0, 3, 2, 1)
        else:
            joined = descriptors if len(descriptors) == 1 else descriptors.transpose(1, 0, 2)
        return joined.reshape(self.feature_shape(len(descriptors), *size))

    def _unarranged(self, cotangent: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Adjoint of `_arranged`."""
        channels, frames, size = shape
        if self.layout == FIRST:
            bins = math.prod(self.grids[0].bins)
            split = cotangent.reshape(channels, self.orientations, bins, frames)
            return split.transpose(0, 3, 2, 1).reshape(shape)
        return cotangent.reshape(frames, channels, size).transpose(1, 0, 2)


def _pair(name: str, value: Any) -> tuple[int, int]:
    """A whole number for both axes, or one for each."""
    if isinstance(value, tuple | list | np.ndarray):
        return validation.pair(name, value)
    return (validation.whole(name, value),) * 2


def _bounds(value: Any) -> tuple[int, int, int, int] | None:
    """VLFeat's bounds, or None."""
    if value is None:
        return None
    if not isinstance(value, tuple | list | np.ndarray) or len(value) != 4:
        raise ValueError(
            f"bounds must be (min_y, min_x, max_y, max_x); got {value!r}. Give four pixels."
        )
    low_y, low_x, high_y, high_x = (
        validation.whole(f"bounds[{i}]", one, 0) for i, one in enumerate(value)
    )
    return low_y, low_x, high_y, high_x


#: VLFeat's single-precision epsilon.
_EPSILON = 1.19209290e-07


def _vlfeat_rule(rootsift: bool, contrast_threshold: float) -> Normalization:
    """VLFeat's normalization, and the options that users add to it."""
    rooted = validation.flag("rootsift", rootsift)
    threshold = validation.real("contrast_threshold", contrast_threshold)
    return Normalization(0.0, _EPSILON, 0.0, 0.2, True, rooted, 0.0, threshold, 1.0)


def vlfeat(
    step: Any,
    size: Any,
    fast: bool,
    window_size: float,
    bounds: Any,
    geometry: Any,
    rootsift: bool,
    contrast_threshold: float,
) -> DenseSIFT:
    """VLFeat's, from its own words."""
    if not isinstance(geometry, tuple | list | np.ndarray) or len(geometry) != 3:
        raise ValueError(
            "geometry must be (bins_y, bins_x, orientations); "
            f"got {geometry!r}. Give three whole numbers, such as (4, 4, 8)."
        )
    bins_y, bins_x, orientations = (
        validation.whole(f"geometry[{i}]", one, 1, 255) for i, one in enumerate(geometry)
    )
    grid = VLFeatGrid(
        _pair("step", step),
        _pair("size", size),
        (bins_y, bins_x),
        validation.real("window_size", window_size, above=0),
        validation.flag("fast", fast),
        _bounds(bounds),
    )
    if grid.bounds is not None:
        spans = [(bins - 1) * size for size, bins in zip(grid.size, grid.bins, strict=True)]
        low_y, low_x, high_y, high_x = grid.bounds
        if high_y - low_y < spans[0] or high_x - low_x < spans[1]:
            raise ValueError(
                f"bounds {grid.bounds} hold no descriptor, which takes {spans[0] + 1}x"
                f"{spans[1] + 1} pixels. Widen the bounds or take smaller bins."
            )
    return DenseSIFT(
        (grid,), orientations, _vlfeat_rule(rootsift, contrast_threshold), ROWS, edge=2.0
    )


def phow(
    step: Any,
    sizes: Any,
    fast: bool,
    magnification: float,
    window_size: float,
    contrast_threshold: float,
    rootsift: bool,
) -> DenseSIFT:
    """Those of VLFeat's ``vl_phow``: several sizes, their first centres at one place."""
    if not isinstance(sizes, tuple | list | np.ndarray) or len(sizes) == 0:
        raise ValueError(f"sizes must be some whole numbers; got {sizes!r}. Give (4, 6, 8, 10).")
    several = [validation.whole(f"sizes[{i}]", size) for i, size in enumerate(sizes)]
    factor = validation.real("magnification", magnification, above=0)
    grids = tuple(
        VLFeatGrid(
            _pair("step", step),
            (size, size),
            (4, 4),
            validation.real("window_size", window_size, above=0),
            validation.flag("fast", fast),
            margin=3 * (max(several) - size) // 2,
        )
        for size in several
    )
    rule = _vlfeat_rule(rootsift, contrast_threshold)
    smoothing = tuple(size / factor for size in several)
    return DenseSIFT(grids, 8, rule, ROWS, edge=2.0, smoothing=smoothing)


def natural(bin_size: int) -> DenseSIFT:
    """That of Mahendran & Vedaldi."""
    grid = NaturalGrid(validation.whole("bin_size", bin_size))
    rule = Normalization(1e-6, 0.0, 0.0, 0.2, False, False, 0.0, 0.0, 1.0)
    return DenseSIFT((grid,), 8, rule, LAST, edge=0.0)


def kornia(
    num_ang_bins: int,
    num_spatial_bins: int,
    spatial_bin_size: int,
    rootsift: bool,
    clipval: float,
    stride: int,
    padding: int,
) -> DenseSIFT:
    """kornia's, from its own words."""
    grid = KorniaGrid(
        validation.whole("spatial_bin_size", spatial_bin_size),
        validation.whole("num_spatial_bins", num_spatial_bins),
        validation.whole("stride", stride),
        validation.whole("padding", padding, 0),
    )
    rule = Normalization(
        0.0,
        0.0,
        1e-12,
        validation.real("clipval", clipval, above=0),
        True,
        validation.flag("rootsift", rootsift),
        1e-10,
        0.0,
        1.0,
    )
    angles = validation.whole("num_ang_bins", num_ang_bins, 1, 255)
    return DenseSIFT((grid,), angles, rule, FIRST, edge=1.0, epsilon=1e-10)
