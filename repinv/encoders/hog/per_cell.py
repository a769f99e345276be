"""HOG with one vector a cell: VLFeat's two variants, and the voc-release features."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from repinv._core import positions
from repinv._core.typing import ImagePullback
from repinv.encoders._kernels.gradient import C_FLOAT, DPM, Binning
from repinv.encoders._parts import still_bins, validation
from repinv.encoders.hog import normalization
from repinv.encoders.hog.cell_pooling import Axis, oriented_cells
from repinv.encoders.hog.glyphs import draw
from repinv.encoders.hog.pooling_axes import bilinear_axis, voting_pixels


@dataclasses.dataclass(frozen=True)
class CellHOG:
    """Bilinear directed cells under four block factors each, one image at a time.

    Parameters
    ----------
    cell_size, orientations : int
        Width of a cell in pixels; undirected orientations.
    layout : int
        `_blocks.UOCTTI`, `_blocks.DALAL_TRIGGS` or `_blocks.DPM`.
    softness : float
        0 for the nearest of the directed bins, 1 for linear interpolation between two.
    truncation : float
        Where normalized entries are clipped.
    factor : float
        Takes the place of the block factors if positive.
    slope_width : float
        Width, in units of `truncation`, of the surrogate slope of clips.
    """

    cell_size: int
    orientations: int
    layout: int
    softness: float
    truncation: float = 0.2
    factor: float = 0.0
    slope_width: float = dataclasses.field(default=0.0, repr=False)

    @property
    def rule(self) -> int:
        """Whose bins and ties are followed."""
        return DPM if self.layout == normalization.DPM else C_FLOAT

    @property
    def ring(self) -> int:
        """Cells left out along each border."""
        return int(self.layout == normalization.DPM)

    def cells(self, size: int) -> int:
        """Cells along an axis of `size` pixels, the ring included."""
        return (size + self.cell_size // 2) // self.cell_size

    def smallest(self) -> tuple[int, int]:
        """Least height and width: one cell left, three pixels."""
        least = (1 + 2 * self.ring) * self.cell_size - self.cell_size // 2
        return (max(3, least),) * 2

    def feature_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Shape of the features of an image that is large enough."""
        grid = (self.cells(height) - 2 * self.ring, self.cells(width) - 2 * self.ring)
        channels = normalization.cell_channels(self.layout, self.orientations)
        return (*grid, channels) if self.layout == normalization.DPM else (channels, *grid)

    @property
    def descriptor_axis(self) -> int:
        """Axis of a cell's vector."""
        return 2 if self.layout == normalization.DPM else 0

    def numbers(self) -> int:
        """Numbers of a cell that are not always zero."""
        channels: int = normalization.cell_channels(self.layout, self.orientations)
        return channels - (self.layout == normalization.DPM)

    def frames(self, height: int, width: int) -> np.ndarray:
        """Centres (y, x) of the cells."""
        centres = [
            (np.arange(self.ring, self.cells(size) - self.ring) + 0.5) * self.cell_size - 0.5
            for size in (height, width)
        ]
        return positions.grid(*centres)

    def image_shapes(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Heights and widths with features of this shape."""
        channels = normalization.cell_channels(self.layout, self.orientations)
        at = -1 if self.layout == normalization.DPM else 0
        if len(shape) != 3 or shape[at] != channels or min(shape) < 1:
            return None
        grid = shape[:2] if self.layout == normalization.DPM else shape[1:]
        least = [(count + 2 * self.ring) * self.cell_size - self.cell_size // 2 for count in grid]
        (a, b), c = least, self.cell_size
        return (max(a, 3), a + c - 1), (max(b, 3), b + c - 1)

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether features of one image may have this shape."""
        return self.image_shapes(shape) is not None

    def example(self) -> tuple[int, ...]:
        """Shape of the features of the smallest image."""
        return self.feature_shape(*self.smallest())

    def plan(self, image: np.ndarray, scale: float) -> tuple[Binning, Axis, Axis]:
        """What `oriented_cells` is to do with an image (C, H, W)."""
        n = self.orientations
        binning = Binning(2 * n, n / math.pi, 0.0, True, self.softness, scale, self.rule)
        axes = []
        for size in image.shape[1:]:
            count = self.cells(size)
            end = count * self.cell_size - 1 if self.layout == normalization.DPM else size - 1
            axes.append(bilinear_axis(size, self.cell_size, count, end, image.dtype))
        return binning, axes[0], axes[1]

    def vjp(
        self, image: np.ndarray, value_range: tuple[float, float], *, keep: bool
    ) -> tuple[np.ndarray, ImagePullback]:
        """Features of one image (C, H, W), and their pullback if it is to be kept."""
        binning, rows, columns = self.plan(image, value_range[1] - value_range[0])
        cells, pull_cells = oriented_cells(image, binning, rows, columns, 1, keep=keep)
        bins, height, width = cells.shape
        factors = np.empty((4, height, width), image.dtype)
        normalization.block_factors(cells, 1e-4, self.factor, factors)
        flat_cells, flat_factors = cells.reshape(bins, -1), factors.reshape(4, -1)
        options = (self.layout, normalization.TEXTURE[self.layout], self.truncation)
        channels = normalization.cell_channels(self.layout, self.orientations)
        features = np.empty((channels, height * width), image.dtype)
        normalization.normalize_cells(flat_cells, flat_factors, *options, features)

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            from_features = self._uncrop(cotangent, (channels, height, width))
            grad, from_factors = np.zeros_like(flat_cells), np.zeros_like(flat_factors)
            normalization.pull_normalize_cells(
                from_features.reshape(channels, -1),
                flat_cells,
                flat_factors,
                *options,
                self.slope_width,
                grad,
                from_factors,
            )
            grad = grad.reshape(cells.shape)
            if self.factor == 0:
                from_factors = from_factors.reshape(factors.shape)
                normalization.pull_block_factors(from_factors, cells, factors, grad)
            return pull_cells(grad)

        return self._crop(features.reshape(channels, height, width)), pullback

    def still(self, silent: np.ndarray, height: int, width: int) -> np.ndarray:
        """Pixels (2, H, W) without a gradient across, and down, as silent features prove."""
        n, counts = self.orientations, (self.cells(height), self.cells(width))
        if self.layout == normalization.DALAL_TRIGGS:
            undirected = silent.reshape(4, n, *counts).all(axis=0)
            cells = np.concatenate([undirected, undirected])
        else:
            channels = normalization.cell_channels(self.layout, n)
            cells = self._uncrop(silent, (channels, *counts))[: 2 * n]
        bins = still_bins.axis_bins(2 * n, True, 0.0, self.softness > 0)
        _, rows, columns = self.plan(np.empty((1, height, width), np.float32), 1.0)
        votes = (voting_pixels(a, 1, s) for a, s in ((rows, height), (columns, width)))
        return still_bins.without_votes(cells, bins, *votes)

    def histograms(
        self, features: np.ndarray, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (N, M, D) of the cells, and their centres (y, x), (M, 2).

        DPM's last number of a cell, which is always zero, is left out; the others are UoCTTI's.
        """
        cells = np.moveaxis(features, 1 + self.descriptor_axis, -1)[..., : self.numbers()]
        return cells.reshape(len(cells), -1, cells.shape[-1]), self.frames(height, width)

    def glyph(self, features: np.ndarray) -> np.ndarray:
        """The picture that VLFeat renders: a bin is summed over directions or blocks."""
        n = self.orientations
        channels = np.moveaxis(features, -1, 0) if self.layout == normalization.DPM else features
        groups = 4 if self.layout == normalization.DALAL_TRIGGS else 3
        weights = channels[: groups * n].reshape(groups, n, *channels.shape[1:]).sum(axis=0)
        return draw(np.moveaxis(weights, 0, -1), 0.0, math.pi / n)

    def _crop(self, features: np.ndarray) -> np.ndarray:
        """(D, y, x) → the mirrored layout, the ring dropped."""
        if self.layout != normalization.DPM:
            return features
        return np.moveaxis(features[:, 1:-1, 1:-1], 0, -1)

    def _uncrop(self, cotangent: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Adjoint of `_crop`."""
        if self.layout != normalization.DPM:
            return np.ascontiguousarray(cotangent)
        grad = np.zeros(shape, cotangent.dtype)
        grad[:, 1:-1, 1:-1] = np.moveaxis(cotangent, -1, 0)
        return grad


def vlfeat(
    cell_size: int, variant: str, num_orientations: int, bilinear_orientations: bool
) -> CellHOG:
    """VLFeat's, from its own words."""
    layouts = {"uoctti": normalization.UOCTTI, "dalal-triggs": normalization.DALAL_TRIGGS}
    return CellHOG(
        validation.whole("cell_size", cell_size),
        validation.whole("num_orientations", num_orientations),
        validation.choice("variant", variant, layouts),
        float(validation.flag("bilinear_orientations", bilinear_orientations)),
    )


def dpm(sbin: int, normalize: bool, truncator: float) -> CellHOG:
    """voc-release's, from its own words."""
    return CellHOG(
        validation.whole("sbin", sbin),
        9,
        normalization.DPM,
        0.0,
        validation.real("truncator", truncator, above=0),
        0.0 if validation.flag("normalize", normalize) else 0.15,
    )
