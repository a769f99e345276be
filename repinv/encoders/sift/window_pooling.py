"""Votes pooled by windows that overlap in any way, as dense descriptors need; the pullback below.

A window's weights are a product of a function of the row and one of the column. Votes lie in
lines of `lanes` numbers a pixel, a multiple of eight: one for each orientation, and padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders._kernels.gradient import Binning, Polar, gather_row, polar_row, pull_polar
from repinv.encoders._kernels.jit import helper, jit
from repinv.encoders._kernels.simd import weighted_sum


class Taps(NamedTuple):
    """Windows along one axis, by where they begin: window u holds `start[u]` … `stop[u]` − 1.

    Both ends of the windows rise (or stay) from one to the next.
    """

    start: np.ndarray  # (U,) int64
    stop: np.ndarray  # (U,) int64
    offset: np.ndarray  # (U,) int64, where the window's weights begin
    weights: np.ndarray  # (sum of lengths,), floating


def taps(windows: Sequence[tuple[int, np.ndarray]], size: int, dtype: object) -> Taps:
    """`Taps` of windows, each its first pixel and weights, within an axis of `size` pixels."""
    lengths = [weights.size for _, weights in windows]
    start = np.array([min(first, size) for first, _ in windows], np.int64)
    return Taps(
        start,
        start + np.array(lengths, np.int64),
        np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
        np.concatenate([weights for _, weights in windows]).astype(dtype),  # type: ignore[call-overload]
    )


def transposed(windows: Taps, size: int) -> Taps:
    """The adjoint: for each of `size` pixels, the windows that it is in."""
    count = windows.start.size
    lengths = windows.stop - windows.start
    owner = np.repeat(np.arange(count), lengths)
    pixel = np.arange(owner.size) - np.repeat(windows.offset - windows.start, lengths)
    held = np.bincount(pixel, minlength=size).astype(np.int64)
    order = np.argsort(pixel, kind="stable")
    offset = np.concatenate([[0], np.cumsum(held)[:-1]]).astype(np.int64)
    first = np.zeros(size, np.int64)
    first[held > 0] = owner[order][offset[held > 0]]
    return Taps(first, first + held, offset, windows.weights[order])


def voting_pixels(windows: Taps, size: int) -> np.ndarray:
    """Which of `size` pixels vote for which windows."""
    votes = np.zeros((windows.start.size, size), np.float32)
    for u in range(windows.start.size):
        pixels = slice(int(windows.start[u]), int(windows.stop[u]))
        at = int(windows.offset[u])
        votes[u, pixels] = windows.weights[at : at + pixels.stop - pixels.start] > 0
    return votes


@helper
def _spread_votes(votes, index, bins, lanes, line):  # type: ignore[no-untyped-def]
    """A line of pixels' pairs of votes, each in its lanes."""
    line[:] = 0
    for x in range(index.shape[1]):
        # Just below a full turn an angle rounds to it.
        k = index[0, x] if index[0, x] < bins else 0
        after = k + 1 if k + 1 < bins else 0
        line[x * lanes + k] = votes[0, 2 * x]
        line[x * lanes + after] += votes[0, 2 * x + 1]


@helper
def _pool_line(line, columns, lanes, pooled, u):  # type: ignore[no-untyped-def]
    """Windows along a line: pooled[u]."""
    step, count = np.uint64(lanes), columns.start.size
    base = np.uint64(u * count * lanes)
    for t in range(count):
        at, length = np.uint64(columns.start[t] * lanes), columns.stop[t] - columns.start[t]
        offset = np.uint64(columns.offset[t])
        for k in range(0, lanes, 8):
            to = base + np.uint64(t * lanes + k)
            own = at + np.uint64(k)
            weighted_sum(pooled, to, line, own, step, np.uint64(length), columns.weights, offset)


@helper
def _sum_lines(lines, first, count, weights, offset, out):  # type: ignore[no-untyped-def]
    """out = Σ weights·lines, `count` lines from `first` on."""
    length = np.uint64(lines.shape[1])
    at, count, offset = np.uint64(first) * length, np.uint64(count), np.uint64(offset)
    for k in range(0, out.size, 8):
        to = np.uint64(k)
        weighted_sum(out, to, lines, at + to, length, count, weights, offset)


@jit
def windows_of(image, binning, rows, columns, lanes, polar, pooled):  # type: ignore[no-untyped-def]
    """Pooled votes (rows, columns, lanes) of one gray image (1, H, W).

    `polar` is written; its rows may be fewer than the image's where it is not needed later.
    """
    width, kept = image.shape[2], polar.across.shape[0]
    votes = np.empty((1, 2 * width), image.dtype)
    magnitude = np.empty(width, image.dtype)
    index = np.empty((1, width), np.int32)
    depth = 1
    for u in range(rows.start.size):
        depth = max(depth, rows.stop[u] - rows.start[u])
    # The lines that a window may hold, in a ring, and their weights in the ring's order.
    ring = np.zeros((depth, width * lanes), image.dtype)
    turned = np.empty(depth, image.dtype)
    line = np.empty(width * lanes, image.dtype)
    done = 0
    for u in range(rows.start.size):
        start, stop = rows.start[u], rows.stop[u]
        for y in range(max(done, start), stop):
            polar_row(image, y, binning, polar, y % kept, magnitude, votes, index, 0)
            _spread_votes(votes, index, binning.bins, lanes, ring[y % depth])
        done = max(done, stop)
        turned[:] = 0
        for y in range(start, stop):
            turned[y % depth] = rows.weights[rows.offset[u] + y - start]
        _sum_lines(ring, 0, depth, turned, 0, line)
        _pool_line(line, columns, lanes, pooled, u)


@jit
def pull_windows(cotangent, binning, rows, columns, lanes, polar, grad):  # type: ignore[no-untyped-def]
    """Pullback of `windows_of`, to grad (1, H, W), from the `transposed` rows and columns.

    `cotangent` is (windows of rows, windows of columns · lanes).
    """
    height, width = grad.shape[1:]
    real = grad.dtype.type
    scale, edge = real(binning.scale), real(binning.edge)
    summed = np.empty(cotangent.shape[1], grad.dtype)
    dense = np.empty((1, width * lanes), grad.dtype)
    pairs = np.empty(2 * width, grad.dtype)
    # The last three lines; what a line of pixels gets is known when the next one is.
    across, down = np.zeros((3, width), grad.dtype), np.zeros((3, width), grad.dtype)
    for y in range(height):
        count = rows.stop[y] - rows.start[y]
        if count > 0:
            _sum_lines(cotangent, rows.start[y], count, rows.weights, rows.offset[y], summed)
            _pool_line(summed, columns, lanes, dense, 0)
            for x in range(width):
                k = int(polar.position[y, x])
                k = k if k < binning.bins else 0
                after = k + 1 if k + 1 < binning.bins else 0
                pairs[2 * x] = dense[0, x * lanes + k]
                pairs[2 * x + 1] = dense[0, x * lanes + after]
            pull_polar(binning, pairs, polar, y, scale, across, down, y % 3)
        else:
            # A line that does not vote has no polar form.
            for x in range(width):
                across[y % 3, x] = down[y % 3, x] = real(0)
        gather_row(y, edge, across, down, grad)


def oriented_windows(
    image: np.ndarray,
    binning: Binning,
    windows: tuple[Taps, Taps],
    members: tuple[Taps, Taps],
    *,
    keep: bool,
) -> tuple[np.ndarray, ImagePullback]:
    """Pooled votes (rows, columns, lanes) of one gray image (1, H, W), and their pullback.

    `windows` are those of the rows and of the columns, `members` the same `transposed`. Without
    `keep` nothing is stored for the pullback, which must not be used.
    """
    rows, columns = windows
    _, height, width = image.shape
    kept = (height if keep else 1, width)
    across, down, position = np.empty((3, *kept), image.dtype)
    polar = Polar(across, down, position, np.empty((1, 1), np.uint8))
    lanes = (binning.bins + 7) // 8 * 8
    pooled = np.empty((rows.start.size, columns.start.size, lanes), image.dtype)
    windows_of(image, binning, rows, columns, lanes, polar, pooled)

    def pullback(cotangent: np.ndarray) -> np.ndarray:
        grad = np.empty(image.shape, image.dtype)
        flat = cotangent.reshape(rows.start.size, -1)
        pull_windows(flat, binning, *members, lanes, polar, grad)
        return grad

    return pooled, pullback
