"""HOG with one vector a window of blocks of cells: OpenCV's."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders._kernels.gradient import C_FLOAT, Binning
from repinv.encoders._parts import still_bins, validation
from repinv.encoders.hog import normalization
from repinv.encoders.hog.cell_pooling import Axis, oriented_cells
from repinv.encoders.hog.glyphs import SIDE, draw
from repinv.encoders.hog.per_block import normalized, square_root
from repinv.encoders.hog.pooling_axes import block_axis, voting_pixels


@dataclasses.dataclass(frozen=True)
class WindowHOG:
    """OpenCV's: blocks under a Gaussian, in windows; pairs are (width, height) as there."""

    win_size: tuple[int, int]
    block_size: tuple[int, int]
    block_stride: tuple[int, int]
    cell_size: tuple[int, int]
    nbins: int
    sigma: float
    threshold: float
    gamma_correction: bool
    signed_gradient: bool
    win_stride: tuple[int, int]
    padding: tuple[int, int]
    softness: float = 1.0
    slope_width: float = dataclasses.field(default=0.0, repr=False)

    def smallest(self) -> tuple[int, int]:
        """Least height and width: one window, and enough to reflect at the border."""
        width, height = (
            max(3, pad + 2, window - 2 * pad)
            for window, pad in zip(self.win_size, self.padding, strict=True)
        )
        return height, width

    def _counts(self, height: int, width: int) -> tuple[int, int]:
        """Windows along (y, x)."""
        columns, rows = (
            (size + 2 * pad - window) // stride + 1
            for size, pad, window, stride in zip(
                (width, height), self.padding, self.win_size, self.win_stride, strict=True
            )
        )
        return rows, columns

    def window_shape(self) -> tuple[int, ...]:
        """(blocks_x, blocks_y, cells_x, cells_y, bins)."""
        blocks = (
            (window - block) // stride + 1
            for window, block, stride in zip(
                self.win_size, self.block_size, self.block_stride, strict=True
            )
        )
        cells = (block // c for block, c in zip(self.block_size, self.cell_size, strict=True))
        return (*blocks, *cells, self.nbins)

    def feature_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Length of the flat descriptor of an image that is large enough."""
        return (math.prod(self._counts(height, width)) * math.prod(self.window_shape()),)

    def image_shapes(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Heights and widths that give one window; None for more, which could lie any way."""
        if shape != (math.prod(self.window_shape()),):
            return None
        height, width = self.smallest()
        last = [
            window - 2 * pad + stride - 1
            for window, pad, stride in zip(
                self.win_size, self.padding, self.win_stride, strict=True
            )
        ]
        return (height, last[1]), (width, last[0])

    def _starts(self, windows: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Where blocks start, each once, and which of them are whose: (windows, blocks)."""
        inside = range(0, self.win_size[axis] - self.block_size[axis] + 1, self.block_stride[axis])
        starts = np.add.outer(np.arange(windows) * self.win_stride[axis], np.array(inside))
        unique, index = np.unique(starts, return_inverse=True)
        return unique, index.reshape(starts.shape)

    def _axes(self, starts_y: np.ndarray, starts_x: np.ndarray, dtype: Any) -> tuple[Axis, Axis]:
        """Axes of blocks that start there, one pixel further for the margin."""
        rows, columns = (
            block_axis(
                tuple((starts + 1).tolist()),
                self.block_size[axis],
                self.cell_size[axis],
                self.sigma,
                dtype,
            )
            for axis, starts in ((1, starts_y), (0, starts_x))
        )
        return rows, columns

    def still(self, silent: np.ndarray, height: int, width: int) -> np.ndarray:
        """Pixels (2, H, W) without a gradient across, and down, as silent features prove."""
        rows_of, columns_of = self._counts(height, width)
        starts_y, index_y = self._starts(rows_of, 1)
        starts_x, index_x = self._starts(columns_of, 0)
        _, _, cells_x, cells_y, _ = self.window_shape()
        windows = silent.reshape(rows_of, columns_of, *self.window_shape())
        blocks = np.zeros((starts_y.size, starts_x.size, cells_x, cells_y, self.nbins), bool)
        pick = (index_y[:, None, None, :], index_x[None, :, :, None])
        np.logical_or.at(blocks, pick, windows)
        split = (self.nbins, starts_y.size, cells_y + 1, starts_x.size, cells_x + 1)
        cells = np.zeros(split, bool)
        cells[:, :, 1:, :, 1:] = blocks.transpose(4, 0, 3, 1, 2)
        across, down = (pad + 1 for pad in self.padding)
        axes = zip(
            self._axes(starts_y, starts_x, np.float32),
            (height + 2 * down, width + 2 * across),
            strict=True,
        )
        votes = (voting_pixels(axis, 0, size) for axis, size in axes)
        bins = still_bins.axis_bins(self.nbins, self.signed_gradient, 0.5, True)
        strips = cells.reshape(self.nbins, split[1] * split[2], -1)
        padded = still_bins.without_votes(strips, bins, *votes)
        return padded[:, down : down + height, across : across + width]

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether features of one image may have this shape."""
        window = math.prod(self.window_shape())
        return len(shape) == 1 and shape[0] > 0 and shape[0] % window == 0

    def example(self) -> tuple[int, ...]:
        """Shape of the features of the smallest image."""
        return self.feature_shape(*self.smallest())

    def vjp(
        self, image: np.ndarray, value_range: tuple[float, float], *, keep: bool
    ) -> tuple[np.ndarray, ImagePullback]:
        """Features of one image (C, H, W), and their pullback if it is to be kept."""
        low, scale = value_range[0], value_range[1] - value_range[0]
        real = image.dtype.type
        rows_of, columns_of = self._counts(*image.shape[1:])
        original = image.shape
        pull_root = None
        if self.gamma_correction:
            image, pull_root = square_root(real(scale) * image + real(low))
        # One pixel more than asked: the gradient at the margin's edge looks past it.
        across, down = (pad + 1 for pad in self.padding)
        margins = ((0, 0), (down, down), (across, across))
        image = np.pad(image, margins, mode="reflect")
        turn = 2 * math.pi if self.signed_gradient else math.pi
        binning = Binning(
            self.nbins,
            self.nbins / turn,
            0.5,
            self.signed_gradient,
            self.softness,
            1.0 if self.gamma_correction else scale,
            C_FLOAT,
        )
        starts_y, index_y = self._starts(rows_of, 1)
        starts_x, index_x = self._starts(columns_of, 0)
        rows, columns = self._axes(starts_y, starts_x, image.dtype)
        strips, pull_cells = oriented_cells(image, binning, rows, columns, keep=keep)
        _, _, cells_x, cells_y, _ = self.window_shape()
        split = (self.nbins, starts_y.size, cells_y + 1, starts_x.size, cells_x + 1)
        cells = strips.reshape(split)[:, :, 1:, :, 1:]
        blocks = cells.transpose(1, 3, 4, 2, 0)
        shape = blocks.shape
        features, pull_norm = normalized(
            blocks.reshape(*shape[:2], -1), normalization.OPENCV, self.threshold, self.slope_width
        )
        # windows (y, x), then blocks (x, y) of each
        pick = (index_y[:, None, None, :], index_x[None, :, :, None])

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            from_blocks = np.zeros_like(features)
            windows = cotangent.reshape(*np.broadcast_shapes(*(p.shape for p in pick)), -1)
            np.add.at(from_blocks, pick, windows)
            from_blocks = pull_norm(from_blocks).reshape(shape)
            grad = np.zeros(split, strips.dtype)
            grad[:, :, 1:, :, 1:] = from_blocks.transpose(4, 0, 3, 1, 2)
            grad = _pull_reflection(pull_cells(grad.reshape(strips.shape)), down, across)
            if pull_root is not None:
                grad = real(scale) * pull_root(grad)
            return grad.reshape(original)

        return features[pick].reshape(-1), pullback

    def histograms(
        self, features: np.ndarray, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Histograms (N, M, bins) of the cells of all blocks, and their centres (y, x), (M, 2)."""
        blocks_x, blocks_y, cells_x, cells_y, bins = self.window_shape()
        rows, columns = self._counts(height, width)
        down, across = (
            _outer_sum(
                np.arange(windows) * self.win_stride[axis] - self.padding[axis],
                np.arange(blocks) * self.block_stride[axis],
                (np.arange(cells) + 0.5) * self.cell_size[axis] - 0.5,
            )
            for axis, windows, blocks, cells in (
                (1, rows, blocks_y, cells_y), (0, columns, blocks_x, cells_x)
            )
        )  # fmt: skip
        shape = (rows, columns, blocks_x, blocks_y, cells_x, cells_y)
        y = np.broadcast_to(down[:, None, None, :, None, :], shape)
        x = np.broadcast_to(across[None, :, :, None, :, None], shape)
        positions = np.stack([y, x], axis=-1).reshape(-1, 2)
        return features.reshape(len(features), -1, bins), positions

    def glyph(self, features: np.ndarray) -> np.ndarray:
        """Cells drawn with their mean over the blocks of a window; windows below each other."""
        blocks_x, blocks_y, cells_x, cells_y, bins = self.window_shape()
        windows = features.reshape(-1, blocks_x, blocks_y, cells_x, cells_y, bins)
        places, spacing = [], []
        for axis, blocks, cells in ((1, blocks_y, cells_y), (0, blocks_x, cells_x)):
            stride, cell = self.block_stride[axis], self.cell_size[axis]
            unit = math.gcd(stride, cell)
            places.append(np.add.outer(np.arange(blocks) * stride, np.arange(cells) * cell) // unit)
            spacing.append(max(1, round(SIDE * unit / cell)))
        grid = (places[0].max() + 1, places[1].max() + 1)
        pick = (places[0][None, :, None, :], places[1][:, None, :, None])
        times = np.zeros((*grid, 1), features.dtype)
        np.add.at(times, pick, 1)
        pictures = []
        for window in windows:
            total = np.zeros((*grid, bins), features.dtype)
            np.add.at(total, pick, window)
            turn = 2 * math.pi if self.signed_gradient else math.pi
            step = turn / bins
            mean = total / np.maximum(times, 1)
            pictures.append(draw(mean, step / 2, step, (spacing[0], spacing[1])))
        return np.concatenate(pictures)


def _outer_sum(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    """Sums of an entry of each, (A, B, C)."""
    return np.asarray(first[:, None, None] + second[:, None] + third)


def _pull_reflection(grad: np.ndarray, down: int, across: int) -> np.ndarray:
    """Adjoint of padding by reflection: margins are folded back onto what they repeat."""
    for axis, margin in ((1, down), (2, across)):
        moved = np.moveaxis(grad, axis, 0)
        inner = moved[margin:-margin].copy()
        inner[1 : margin + 1] += moved[:margin][::-1]
        inner[-margin - 1 : -1] += moved[-margin:][::-1]
        grad = np.moveaxis(inner, 0, axis)
    return grad


#: Attributes of a ``cv2.HOGDescriptor``, and the words of `HOG.opencv` for them.
_SETTINGS = {
    "winSize": "win_size",
    "blockSize": "block_size",
    "blockStride": "block_stride",
    "cellSize": "cell_size",
    "nbins": "nbins",
    "winSigma": "win_sigma",
    "L2HysThreshold": "l2_hys_threshold",
    "gammaCorrection": "gamma_correction",
    "signedGradient": "signed_gradient",
}


def settings(descriptor: Any) -> dict[str, Any]:
    """What `HOG.opencv` is to be given for the features of a ``cv2.HOGDescriptor``."""
    missing = [name for name in _SETTINGS if not hasattr(descriptor, name)]
    if missing or isinstance(descriptor, type):
        given = descriptor if isinstance(descriptor, type) else type(descriptor)
        raise TypeError(
            f"expected a cv2.HOGDescriptor; got {given.__module__}.{given.__qualname__}"
            f"{' itself' if isinstance(descriptor, type) else ''}. Make one first, such as "
            "cv2.HOGDescriptor(), or give the sizes to HOG.opencv."
        )
    return {ours: getattr(descriptor, theirs) for theirs, ours in _SETTINGS.items()}


def opencv(
    win_size: tuple[int, int] | None,
    block_size: tuple[int, int] | None,
    block_stride: tuple[int, int] | None,
    cell_size: tuple[int, int] | None,
    nbins: int | None,
    win_sigma: float | None,
    l2_hys_threshold: float | None,
    gamma_correction: bool | None,
    signed_gradient: bool | None,
    win_stride: tuple[int, int] | None,
    padding: tuple[int, int] | None,
) -> WindowHOG:
    """OpenCV's, from its own words, with what its two constructors take where nothing is said."""
    if gamma_correction is None:
        sizes = (win_size, block_size, block_stride, cell_size, nbins)
        gamma_correction = all(size is None for size in sizes)
    window = validation.pair("win_size", (64, 128) if win_size is None else win_size)
    block = validation.pair("block_size", (16, 16) if block_size is None else block_size)
    step = validation.pair("block_stride", (8, 8) if block_stride is None else block_stride)
    cell = validation.pair("cell_size", (8, 8) if cell_size is None else cell_size)
    stride = cell if win_stride is None else validation.pair("win_stride", win_stride)
    margin = (0, 0) if padding is None else validation.pair("padding", padding, 0)
    for w, b, s, c in zip(window, block, step, cell, strict=True):
        if b % c or w < b or (w - b) % s:
            raise ValueError(
                "expected blocks of whole cells and windows of a block and whole strides; "
                f"got win_size={window}, block_size={block}, block_stride={step}, "
                f"cell_size={cell}. Change these sizes."
            )
    sigma = -1.0 if win_sigma is None else validation.real("win_sigma", win_sigma)
    threshold = 0.2 if l2_hys_threshold is None else l2_hys_threshold
    common = [math.gcd(a, b) for a, b in zip(stride, step, strict=True)]
    return WindowHOG(
        window,
        block,
        step,
        cell,
        validation.whole("nbins", 9 if nbins is None else nbins),
        sigma if sigma > 0 else sum(block) / 8,
        validation.real("l2_hys_threshold", threshold, above=0),
        validation.flag("gamma_correction", gamma_correction),
        validation.flag("signed_gradient", False if signed_gradient is None else signed_gradient),
        stride,
        (_aligned(margin[0], common[0]), _aligned(margin[1], common[1])),
    )


def _aligned(size: int, step: int) -> int:
    """A padding as OpenCV's ``alignSize`` makes it, which means steps that are powers of two."""
    return (size + step - 1) & -step
