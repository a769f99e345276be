"""HOG with one vector a block of cells: scikit-image's."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders._kernels.gradient import FLAT, SKIMAGE, Binning
from repinv.encoders._parts import still_bins, validation
from repinv.encoders.hog import normalization
from repinv.encoders.hog.cell_pooling import oriented_cells
from repinv.encoders.hog.glyphs import draw
from repinv.encoders.hog.pooling_axes import box_axis, voting_pixels


def square_root(image: np.ndarray) -> tuple[np.ndarray, ImagePullback]:
    """√ of pixels, negative ones taken as 0; the slope is 0 where it has no bound."""
    root = np.sqrt(np.maximum(image, 0))
    slope = np.divide(0.5, root, out=np.zeros_like(root), where=root > FLAT)
    return root, lambda cotangent: cotangent * slope


def normalized(
    blocks: np.ndarray, norm: int, threshold: float, slope_width: float
) -> tuple[np.ndarray, ImagePullback]:
    """Blocks (by, bx, entries) under a norm of `_blocks`, whose clips have surrogate slopes."""
    flat = np.ascontiguousarray(blocks).reshape(-1, blocks.shape[-1])
    features = np.empty_like(flat)
    normalization.normalize_blocks(flat, norm, threshold, features)

    def pullback(cotangent: np.ndarray) -> np.ndarray:
        grad = np.empty_like(flat)
        cotangent = np.ascontiguousarray(cotangent).reshape(flat.shape)
        normalization.pull_normalize_blocks(cotangent, flat, norm, threshold, slope_width, grad)
        return grad.reshape(blocks.shape)

    return features.reshape(blocks.shape), pullback


@dataclasses.dataclass(frozen=True)
class BoxHOG:
    """scikit-image's: means over cells of undirected bins, in overlapping blocks.

    Pairs are (y, x). `softness` is 0 for its bins, 1 for linear interpolation between two;
    `slope_width` the width of the clip's surrogate slope, in units of the clip.
    """

    orientations: int
    pixels_per_cell: tuple[int, int]
    cells_per_block: tuple[int, int]
    norm: int
    transform_sqrt: bool
    softness: float = 0.0
    slope_width: float = dataclasses.field(default=0.0, repr=False)

    @property
    def clips(self) -> bool:
        """Whether entries are clipped."""
        return self.norm == normalization.L2_HYS

    def smallest(self) -> tuple[int, int]:
        """Least height and width: one block, three pixels."""
        cells, blocks = self.pixels_per_cell, self.cells_per_block
        return max(3, cells[0] * blocks[0]), max(3, cells[1] * blocks[1])

    def feature_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Shape of the features of an image that is large enough."""
        grid = (
            size // cell - block + 1
            for size, cell, block in zip(
                (height, width), self.pixels_per_cell, self.cells_per_block, strict=True
            )
        )
        return (*grid, *self.cells_per_block, self.orientations)

    def image_shapes(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Heights and widths with features of this shape."""
        if (
            len(shape) != 5
            or shape[2:] != (*self.cells_per_block, self.orientations)
            or min(shape) < 1
        ):
            return None
        ranges = []
        for count, cell, block in zip(
            shape[:2], self.pixels_per_cell, self.cells_per_block, strict=True
        ):
            least = (count + block - 1) * cell
            ranges.append((max(3, least), least + cell - 1))
        return ranges[0], ranges[1]

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether features of one image may have this shape."""
        return self.image_shapes(shape) is not None

    def example(self) -> tuple[int, ...]:
        """Shape of the features of the smallest image."""
        return self.feature_shape(*self.smallest())

    def vjp(
        self, image: np.ndarray, value_range: tuple[float, float], *, keep: bool
    ) -> tuple[np.ndarray, ImagePullback]:
        """Features of one image (C, H, W), and their pullback if it is to be kept."""
        low, scale = value_range[0], value_range[1] - value_range[0]
        pull_root = None
        if self.transform_sqrt:
            image, pull_root = square_root(image.dtype.type(scale) * image + image.dtype.type(low))
        binning = Binning(
            self.orientations,
            self.orientations / math.pi,
            0.5,
            False,
            self.softness,
            1.0 if self.transform_sqrt else scale,
            SKIMAGE,
        )
        rows, columns = (
            box_axis(cell, size // cell, image.dtype)
            for size, cell in zip(image.shape[1:], self.pixels_per_cell, strict=True)
        )
        strips, pull_cells = oriented_cells(image, binning, rows, columns, keep=keep)
        cells = np.moveaxis(strips, 0, -1)
        high, wide = self.cells_per_block
        windows = np.lib.stride_tricks.sliding_window_view(cells, (high, wide), axis=(0, 1))
        blocks = np.moveaxis(windows, 2, -1)
        shape = blocks.shape
        features, pull_norm = normalized(
            blocks.reshape(*shape[:2], -1), self.norm, 0.2, self.slope_width
        )

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            from_blocks = pull_norm(cotangent).reshape(shape)
            grad = np.zeros(cells.shape, cells.dtype)
            for y in range(high):
                for x in range(wide):
                    grad[y : y + shape[0], x : x + shape[1]] += from_blocks[:, :, y, x]
            grad = pull_cells(np.ascontiguousarray(np.moveaxis(grad, -1, 0)))
            if pull_root is not None:
                grad = grad.dtype.type(scale) * pull_root(grad)
            return grad

        return features.reshape(shape), pullback

    def still(self, silent: np.ndarray, height: int, width: int) -> np.ndarray:
        """Pixels (2, H, W) without a gradient across, and down, as silent features prove."""
        high, wide = self.cells_per_block
        counts = (height // self.pixels_per_cell[0], width // self.pixels_per_cell[1])
        cells = np.zeros((*counts, self.orientations), bool)
        rows, columns = silent.shape[:2]
        for y in range(high):
            for x in range(wide):
                cells[y : y + rows, x : x + columns] |= silent[:, :, y, x]
        bins = still_bins.axis_bins(self.orientations, False, 0.5, False)
        axes = (
            voting_pixels(box_axis(cell, count, np.float32), 0, size)
            for cell, count, size in zip(self.pixels_per_cell, counts, (height, width), strict=True)
        )
        return still_bins.without_votes(np.moveaxis(cells, -1, 0), bins, *axes)

    def histograms(
        self, features: np.ndarray, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Histograms (N, M, bins) of the cells of all blocks, and their centres (y, x), (M, 2)."""
        centres = [
            (np.add.outer(np.arange(blocks), np.arange(cells)) + 0.5) * pixels - 0.5
            for blocks, cells, pixels in zip(
                features.shape[1:3], self.cells_per_block, self.pixels_per_cell, strict=True
            )
        ]
        down, across = centres
        shape = features.shape[1:5]
        down = np.broadcast_to(down[:, None, :, None], shape)
        across = np.broadcast_to(across[None, :, None, :], shape)
        positions = np.stack([down, across], axis=-1).reshape(-1, 2)
        return features.reshape(len(features), len(positions), -1), positions

    def glyph(self, features: np.ndarray) -> np.ndarray:
        """Cells drawn with their mean over the blocks that they lie in."""
        high, wide = self.cells_per_block
        rows, columns, *_, bins = features.shape
        total = np.zeros((rows + high - 1, columns + wide - 1, bins), features.dtype)
        times = np.zeros((*total.shape[:2], 1), features.dtype)
        for y in range(high):
            for x in range(wide):
                total[y : y + rows, x : x + columns] += features[:, :, y, x]
                times[y : y + rows, x : x + columns] += 1
        step = math.pi / self.orientations
        return draw(total / times, step / 2, step)


def skimage(
    orientations: int,
    pixels_per_cell: tuple[int, int],
    cells_per_block: tuple[int, int],
    block_norm: str,
    transform_sqrt: bool,
) -> BoxHOG:
    """scikit-image's, from its own words."""
    norms = {
        "L1": normalization.L1,
        "L1-sqrt": normalization.L1_SQRT,
        "L2": normalization.L2,
        "L2-Hys": normalization.L2_HYS,
    }
    return BoxHOG(
        validation.whole("orientations", orientations),
        validation.pair("pixels_per_cell", pixels_per_cell),
        validation.pair("cells_per_block", cells_per_block),
        validation.choice("block_norm", block_norm, norms),
        validation.flag("transform_sqrt", transform_sqrt),
    )
