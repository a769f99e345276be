"""Which pixels of an axis vote for which cells, and with what weight: makers of `Axis`."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from repinv.encoders.hog.cell_pooling import Axis


def _axis(strips: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], dtype: Any) -> Axis:
    """An `Axis` of strips, each its pixels (a pixel may repeat), lower and upper weights."""
    start, stop, lower, upper = [], [], [], []
    for pixels, low, high in strips:
        first = int(pixels[0]) if pixels.size else 0
        start.append(first)
        lower.append(np.bincount(pixels - first, weights=low))
        upper.append(np.bincount(pixels - first, weights=high))
        stop.append(first + lower[-1].size)
    sizes = [weights.size for weights in lower]
    return Axis(
        np.array(start, np.int64),
        np.array(stop, np.int64),
        np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
        np.concatenate(lower).astype(dtype),
        np.concatenate(upper).astype(dtype),
    )


@functools.lru_cache(maxsize=64)
def bilinear_axis(size: int, cell: int, cells: int, end: int, dtype: Any) -> Axis:
    """Pixels 1 … end−1, each shared linearly by the two nearest of the cells.

    Strip s lies between the centres of cells s−1 and s, so `cells` + 1 strips come out, the
    first of which is to be dropped. Pixels after `size` − 2 are that pixel once more.
    """
    pixels = np.arange(1, end)
    position = (pixels + 0.5) / cell - 0.5
    left = np.floor(position).astype(int)
    share = position - left
    clamped = np.minimum(pixels, size - 2)
    strips = ((left == s - 1) for s in range(cells + 1))
    return _axis(((clamped[p], 1 - share[p], share[p]) for p in strips), dtype)


@functools.lru_cache(maxsize=64)
def box_axis(cell: int, cells: int, dtype: Any) -> Axis:
    """Cells side by side, the mean of their pixels; a strip a cell."""
    weights = np.full(cell, 1 / cell)
    strips = (np.arange(s * cell, (s + 1) * cell) for s in range(cells))
    return _axis(((pixels, weights, 0 * weights) for pixels in strips), dtype)


@functools.lru_cache(maxsize=64)
def block_axis(starts: tuple[int, ...], block: int, cell: int, sigma: float, dtype: Any) -> Axis:
    """OpenCV's blocks, each weighted by a Gaussian and shared linearly by its cells.

    A block takes one strip more than it has cells, the first of which is to be dropped. The
    Gaussian is centred on a pixel, not between the two middle ones.
    """
    inside = np.arange(block)
    weight = np.exp(-((inside - 0.5 * block) ** 2) / (2 * sigma**2))
    position = (inside + 0.5) / cell - 0.5
    left = np.floor(position).astype(int)
    share = position - left
    strips = (
        (start + inside[left == s], ((1 - share) * weight)[left == s], (share * weight)[left == s])
        for start in starts
        for s in range(-1, block // cell)
    )
    return _axis(strips, dtype)


def voting_pixels(axis: Axis, drop: int, size: int) -> np.ndarray:
    """Which of `size` pixels vote for which cells of an `Axis`, the first `drop` left out."""
    count = axis.start.size
    votes = np.zeros((count + 1, size), np.float32)
    for s in range(count):
        pixels = slice(int(axis.start[s]), int(axis.stop[s]))
        weights = slice(int(axis.offset[s]), int(axis.offset[s]) + pixels.stop - pixels.start)
        votes[s, pixels] += axis.lower[weights] > 0
        votes[s + 1, pixels] += axis.upper[weights] > 0
    return votes[drop:count]
