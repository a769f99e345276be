"""Where dense descriptors lie along an axis, and what their windows weigh, for each flavour."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from repinv.encoders.sift.normalization import Grid
from repinv.encoders.sift.window_pooling import Taps, taps, transposed


class Layout(NamedTuple):
    """One axis of an image as dense descriptors see it."""

    windows: Taps
    members: Taps  # for each pixel, the windows that it is in
    grid: Grid
    centres: np.ndarray  # (frames,) float64, pixels


def _layout(
    windows: dict[tuple[int, int], tuple[int, np.ndarray]],
    frames: int,
    factor: np.ndarray,
    centres: np.ndarray,
    size: int,
    dtype: Any,
) -> Layout:
    """A `Layout` of the windows of each frame and bin, the same one only once.

    Windows are the same where pixels and weights are; they are put in the order that `Taps` needs.
    """
    keys = {at: (first, weights.tobytes()) for at, (first, weights) in windows.items()}
    unique = {keys[at]: window for at, window in windows.items()}
    order = sorted(unique, key=lambda key: (key[0], key[0] + unique[key][1].size))
    number = {key: u for u, key in enumerate(order)}
    index = np.array(
        [[number[keys[f, j]] for j in range(factor.size)] for f in range(frames)], np.int64
    )
    found = taps([unique[key] for key in order], size, dtype)
    return Layout(
        found,
        transposed(found, size),
        Grid(index, factor.astype(dtype)),
        centres,
    )


def _clamped(first: int, weights: np.ndarray, size: int) -> tuple[int, np.ndarray]:
    """A window whose pixels beyond the border are the border's."""
    pixels = np.clip(np.arange(first, first + weights.size), 0, size - 1)
    return int(pixels[0]), np.bincount(pixels - pixels[0], weights=weights)


def _cut(first: int, weights: np.ndarray, size: int) -> tuple[int, np.ndarray]:
    """A window without its pixels beyond the border."""
    begin = min(max(first, 0), size)
    end = max(min(first + weights.size, size), begin)
    return begin, weights[begin - first : end - first] if end > begin else weights[:0]


@functools.lru_cache(maxsize=64)
def vlfeat_axis(
    size: int,
    low: int,
    high: int,
    step: int,
    bin_size: int,
    bins: int,
    window_size: float,
    flat: bool,
    dtype: Any,
) -> Layout:
    """VLFeat's: triangles of half-width `bin_size`, and a Gaussian about a descriptor's centre.

    Bins are `bin_size` apart, the first one's centre at `low` and the last one's at most at
    `high`. Flat windows take the Gaussian's mean over a bin for the Gaussian.
    """
    frames = (high - low - (bins - 1) * bin_size) // step + 1
    offsets = np.arange(1 - bin_size, bin_size)
    triangle = 1 - np.abs(offsets) / bin_size
    middle = 0.5 * (bins - 1) * bin_size
    sigma = window_size * bin_size
    gauss = [np.exp(-0.5 * ((j * bin_size + offsets - middle) / sigma) ** 2) for j in range(bins)]
    factor = np.array([g.mean() if flat else 1.0 for g in gauss])
    windows = {
        (f, j): _clamped(
            low + f * step + j * bin_size + 1 - bin_size,
            triangle if flat else triangle * gauss[j],
            size,
        )
        for f in range(frames)
        for j in range(bins)
    }
    centres = low + step * np.arange(frames) + middle
    return _layout(windows, frames, factor, centres, size, dtype)


@functools.lru_cache(maxsize=64)
def natural_axis(size: int, bin_size: int, dtype: Any) -> Layout:
    """The network of Mahendran & Vedaldi: four cells side by side, every three cells.

    Votes are those of inner pixels, since its derivative filters are not padded; a cell's
    triangle is centred between two pixels.
    """
    triangle = 1 - np.abs(np.arange(2 * bin_size) + 0.5 - bin_size) / bin_size
    cells = (size - 2) // bin_size - 1
    frames = (cells - 4) // 3 + 1
    windows = {
        (f, j): (1 + (3 * f + j) * bin_size, triangle) for f in range(frames) for j in range(4)
    }
    factor = np.exp(-0.5 * ((np.arange(4) - 1.5) / 1.5) ** 2)
    centres = (3 * np.arange(frames) + 2.5) * bin_size + 0.5
    return _layout(windows, frames, factor, centres, size, dtype)


@functools.lru_cache(maxsize=64)
def kornia_axis(size: int, kernel: int, bins: int, stride: int, padding: int, dtype: Any) -> Layout:
    """kornia's: pooled by a triangle of `kernel` taps at every pixel, bins as far apart.

    Beyond the image is nothing. Of an even number of taps the middle lies before the pixel, and
    one position more comes out than there are pixels.
    """
    triangle = 1 - np.abs(np.arange(kernel) + 0.5 - kernel / 2) / (kernel / 2)
    pooled = size + 2 * (kernel // 2) - kernel + 1
    frames = (pooled + 2 * padding - (bins - 1) * kernel - 1) // stride + 1
    nothing = triangle[:0]
    windows = {}
    for f in range(frames):
        for j in range(bins):
            at = f * stride - padding + j * kernel
            inside = 0 <= at < pooled
            edge = (0 if at < 0 else size, nothing)
            windows[f, j] = _cut(at - kernel // 2, triangle, size) if inside else edge
    shift = 0.5 * (kernel % 2 == 0)
    centres = stride * np.arange(frames) - padding + 0.5 * (bins - 1) * kernel - shift
    return _layout(windows, frames, np.ones(bins), centres, size, dtype)
