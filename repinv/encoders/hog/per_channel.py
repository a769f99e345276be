"""HOG of every colour channel by itself: the targets of MaskFeat, as SlowFast computes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from repinv._core import positions
from repinv._core.typing import ImagePullback
from repinv.encoders._kernels.gradient import FLAT
from repinv.encoders._parts import validation
from repinv.encoders.hog.glyphs import draw

#: Floor of the norm that a cell is divided by.
_LEAST_NORM = 1e-12
#: The Sobel kernel of differences across; its transpose is that of differences down.
_SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32)
#: For every bin, the share (C, H, W) of each pixel that votes for it, and its slope by the angle.
_Votes: TypeAlias = list[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ChannelHOG:
    """Cells of undirected bins of each colour channel, of unit norm, one image at a time.

    Parameters
    ----------
    nbins : int
        Bins of half a turn.
    pool : int
        Width of a cell in pixels; a rest of the image at its right and bottom is not seen.
    gaussian_window : int
        Side of the Gaussian window that weights votes, repeated over the image; 0 for none.
    softness : float
        0 for the bin that an angle lies in, 1 for linear interpolation between two.
    """

    nbins: int
    pool: int
    gaussian_window: int = 0
    softness: float = 0.0

    def smallest(self) -> tuple[int, int]:
        """Least height and width: one cell, two pixels to reflect at the border."""
        return (max(2, self.pool),) * 2

    def feature_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Shape of the features of an image that is large enough."""
        return 3, self.nbins, height // self.pool, width // self.pool

    def image_shapes(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Heights and widths with features of this shape."""
        if len(shape) != 4 or shape[:2] != (3, self.nbins) or min(shape) < 1:
            return None
        high, wide = (
            (max(2, count * self.pool), (count + 1) * self.pool - 1) for count in shape[2:]
        )
        return high, wide

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether features of one image may have this shape."""
        return self.image_shapes(shape) is not None

    def example(self) -> tuple[int, ...]:
        """Shape of the features of the smallest image."""
        return self.feature_shape(*self.smallest())

    def vjp(
        self, image: np.ndarray, value_range: tuple[float, float], *, keep: bool
    ) -> tuple[np.ndarray, ImagePullback]:
        """Features of one image (3, H, W), and their pullback."""
        scale = image.dtype.type(value_range[1] - value_range[0])
        across, down = _sobel(scale * image)
        magnitude = np.sqrt(across * across + down * down)
        weights = self._window(*image.shape[1:]).astype(image.dtype)
        voted = self._votes(across, down)
        cells = np.stack([self._pooled(magnitude * weights * vote) for vote, _ in voted], axis=1)
        norm = np.sqrt(np.sum(cells * cells, axis=1, keepdims=True))
        divisor = np.maximum(norm, _LEAST_NORM)
        features = cells / divisor

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            along = np.sum(cotangent * features, axis=1, keepdims=True)
            from_cells = (cotangent - features * along * (norm > _LEAST_NORM)) / divisor
            has_direction = magnitude >= FLAT
            inverse = np.where(has_direction, 1 / np.where(has_direction, magnitude, 1), 0)
            radial, turning = np.zeros_like(image), np.zeros_like(image)
            for k, (vote, slope) in enumerate(voted):
                spread = weights * self._spread(from_cells[:, k], *image.shape[1:])
                radial += spread * vote
                turning += spread * slope
            # The angle of (across, down) is atan2(across, down): it turns from down to across.
            x, y = across * inverse, down * inverse
            pulled = _pull_sobel(radial * x + turning * y, radial * y - turning * x)
            image_cotangent: np.ndarray = scale * pulled
            return image_cotangent

        return features, pullback

    def still(self, silent: np.ndarray, height: int, width: int) -> np.ndarray:
        """Pixels (2, H, W) without a gradient across, and down: none is claimed.

        The Sobel filter averages three lines, so that a pixel may differ from its neighbours where
        all gradients are zero.
        """
        return np.zeros((2, height, width), bool)

    def histograms(
        self, features: np.ndarray, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Histograms (N, M, 3 bins) of the cells, a channel after the other, and their centres."""
        count, rows, columns = len(features), *features.shape[3:]
        centres = [(np.arange(n) + 0.5) * self.pool - 0.5 for n in (rows, columns)]
        vectors = features.reshape(count, -1, rows * columns).transpose(0, 2, 1)
        return vectors, positions.grid(*centres)

    def glyph(self, features: np.ndarray) -> np.ndarray:
        """Cells drawn with their mean over the colour channels."""
        step = math.pi / self.nbins
        # Angles are measured from down to across, bars from across to down.
        cells = np.moveaxis(features.mean(axis=0)[::-1], 0, -1)
        return draw(cells, math.pi / 2 - (self.nbins - 0.5) * step, step)

    def _votes(self, across: np.ndarray, down: np.ndarray) -> _Votes:
        """Each bin's share of every pixel, and its slope by the angle."""
        real = across.dtype.type
        if self.softness == 0:
            # Rounded so, and in this order: it decides where angles at a border of bins lie.
            angle = np.arctan2(across, down, dtype=np.float64).astype(across.dtype)
            position = angle / real(math.pi) * real(self.nbins)
            index = np.floor(position).astype(np.int32) % self.nbins
            zero = np.zeros_like(across)
            return [((index == k).astype(across.dtype), zero) for k in range(self.nbins)]
        position = np.arctan2(across, down) * real(self.nbins / math.pi)
        below = np.floor(position - 0.5)
        raw = 0.5 + (position - 0.5 - below - 0.5) / self.softness
        upper = np.clip(raw, 0, 1)
        slope = ((raw > 0) & (raw < 1)) * real(self.nbins / math.pi / self.softness)
        first = below.astype(np.int32) % self.nbins
        second = (first + 1) % self.nbins
        return [
            (
                (first == k) * (1 - upper) + (second == k) * upper,
                (second == k) * slope - (first == k) * slope,
            )
            for k in range(self.nbins)
        ]

    def _window(self, height: int, width: int) -> np.ndarray:
        """Weights of votes: a Gaussian of unit sum, repeated; ones without a window."""
        side = self.gaussian_window
        if side == 0:
            return np.ones((height, width))
        place = np.arange(side) - (side - 1) / 2
        line = np.exp(-0.5 * (place / (side // 2)) ** 2)
        line /= line.sum()
        rows, columns = (np.resize(line, size) for size in (height, width))
        return np.outer(rows, columns)

    def _pooled(self, votes: np.ndarray) -> np.ndarray:
        """Sums over whole cells, (C, rows, columns)."""
        channels, height, width = votes.shape
        rows, columns = height // self.pool, width // self.pool
        inside = votes[:, : rows * self.pool, : columns * self.pool]
        cells = inside.reshape(channels, rows, self.pool, columns, self.pool)
        sums: np.ndarray = cells.sum(axis=(2, 4))
        return sums

    def _spread(self, cells: np.ndarray, height: int, width: int) -> np.ndarray:
        """Adjoint of `_pooled`."""
        large = cells.repeat(self.pool, axis=1).repeat(self.pool, axis=2)
        rest = (height - large.shape[1], width - large.shape[2])
        return np.pad(large, ((0, 0), (0, rest[0]), (0, rest[1])))


def _sobel(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sobel derivatives (C, H, W) across and down, left less right, borders reflected.

    Terms are added in the order of the kernel's rows: under a reflected border what is zero is left
    to rounding, and its sign decides between two bins.
    """
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    across, down = np.zeros_like(image), np.zeros_like(image)
    for view, weight in _taps(padded, _SOBEL):
        across += weight * view
    for view, weight in _taps(padded, _SOBEL.T):
        down += weight * view
    return across, down


def _pull_sobel(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Adjoint of `_sobel`."""
    channels, height, width = across.shape
    grad = np.zeros((channels, height + 2, width + 2), across.dtype)
    for cotangent, kernel in ((across, _SOBEL), (down, _SOBEL.T)):
        for view, weight in _taps(grad, kernel):
            view += weight * cotangent
    # A border of one pixel repeats the line next to the image's first and last.
    for axis in (1, 2):
        moved = np.moveaxis(grad, axis, 0)
        moved[2] += moved[0]
        moved[-3] += moved[-1]
        grad = np.moveaxis(moved[1:-1], 0, axis)
    return np.ascontiguousarray(grad)


def _taps(padded: np.ndarray, kernel: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Views of an image with a border of one pixel, and their weights in a 3x3 kernel."""
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    for (row, column), weight in np.ndenumerate(kernel):
        if weight:
            yield padded[:, row : row + height, column : column + width], weight


def maskfeat(nbins: int, pool: int, gaussian_window: int | None) -> ChannelHOG:
    """SlowFast's, from its own words."""
    window = 0
    if gaussian_window is not None:
        window = validation.whole("gaussian_window", gaussian_window, 2)
    return ChannelHOG(validation.whole("nbins", nbins), validation.whole("pool", pool), window)
