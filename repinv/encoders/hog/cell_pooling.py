"""Orientation votes → pooled cells in one pass over the image; the pullback right below.

Every HOG pools votes with weights that are a product of a function of the row and one of the
column, and a pixel counts in at most two neighbouring cells along each axis of a grid. `Axis`
holds such a function; what differs between the libraries is in it and in `Binning`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders._kernels.gradient import (
    Binning,
    Polar,
    gather_row,
    polar_row,
    pull_polar,
    scatter_row,
)
from repinv.encoders._kernels.jit import helper, jit
from repinv.encoders._kernels.simd import add_columns, add_mixed_pairs, add_spread_pair

#: Pixel columns whose votes are summed before they are pooled.
_TOGETHER = 64


class Axis(NamedTuple):
    """Which pixels of one axis vote for which cells.

    The axis is cut into strips; strip s holds the pixels `start[s]` to `stop[s]` (exclusive),
    which vote for cell s with weight `lower` and for cell s+1 with weight `upper`. Votes for
    the cell after the last strip are dropped. Strips may overlap.
    """

    start: np.ndarray  # (S,) int64
    stop: np.ndarray  # (S,) int64
    offset: np.ndarray  # (S,) int64, where the strip's weights begin
    lower: np.ndarray  # (sum of lengths,), floating
    upper: np.ndarray


@helper
def _longest(axis):  # type: ignore[no-untyped-def]
    """Pixels of the longest strip."""
    longest = 0
    for s in range(axis.start.size):
        longest = max(longest, axis.stop[s] - axis.start[s])
    return longest


@helper
def _add_votes(votes, index, first, stop, lower, upper, period, sums):  # type: ignore[no-untyped-def]
    """Sum a strip's votes a column: `period` bins, each for the two rows of cells.

    Every column has sums of its own, so that neighbours with the same orientation do not wait
    for each other, and no vote is computed for a bin that gets none.
    """
    step, two = np.uint64(2 * period), np.uint64(2)
    sums[: (stop - first) * 2 * period] = 0
    for i in range(lower.size):
        low, high = lower[i], upper[i]
        row, at, to = votes[i], np.uint64(2 * first), np.uint64(0)
        for x in range(np.uint64(first), np.uint64(stop)):
            add_spread_pair(sums, to + two * np.uint64(index[i, x]), row, at, low, high)
            at += two
            to += step


@jit
def cells_of(image, binning, rows, columns, drop, polar, cells):  # type: ignore[no-untyped-def]
    """Histograms of the cells of one image, strip by strip of cells.

    Parameters
    ----------
    image : (C, H, W)
    binning : Binning
    rows, columns : Axis
    polar : Polar
        Written. Its rows may be fewer than the image's where it is not needed later.
    drop : int
        Rows and columns of cells left out at the beginning.
    cells : (bins, rows − drop, columns − drop)
        Written; the votes.
    """
    bins, width = binning.bins, image.shape[2]
    kept = polar.across.shape[0]
    strips = columns.start.size
    high = _longest(rows)
    votes = np.empty((high, 2 * width), image.dtype)
    magnitude = np.empty(width, image.dtype)
    index = np.empty((high, width), np.int32)
    # Two bins more than there are, the first ones again, and padding.
    period = (bins + 5) // 4 * 4
    sums = np.empty(max(_TOGETHER, _longest(columns)) * 2 * period, image.dtype)
    first = 0
    pooled = np.zeros((2, strips + 1, 2 * period), image.dtype)
    for s in range(rows.start.size):
        for i in range(rows.stop[s] - rows.start[s]):
            y = rows.start[s] + i
            polar_row(image, y, binning, polar, y % kept, magnitude, votes, index, i)
        row_lower = rows.lower[rows.offset[s] : rows.offset[s] + rows.stop[s] - rows.start[s]]
        row_upper = rows.upper[rows.offset[s] : rows.offset[s] + rows.stop[s] - rows.start[s]]
        now, before = pooled[s % 2], pooled[1 - s % 2]
        now[:] = 0
        summed = 0
        for t in range(strips):
            if t == summed:
                # Some strips end to end at once: what was just stored is slow to read.
                first, summed = columns.start[t], t + 1
                while summed < strips and (
                    columns.start[summed] == columns.stop[summed - 1]
                    and columns.stop[summed] - first <= _TOGETHER
                ):
                    summed += 1
                stop = columns.stop[summed - 1]
                _add_votes(votes, index, first, stop, row_lower, row_upper, period, sums)
            length = np.uint64(columns.stop[t] - columns.start[t])
            own, offset = np.uint64(columns.start[t] - first), np.uint64(columns.offset[t])
            to = np.uint64(s % 2 * (strips + 1) + t)
            lower, upper = columns.lower, columns.upper
            add_columns(pooled, to, sums, own, length, np.uint64(period), lower, upper, offset)
        if s < drop:
            continue
        for k in range(bins):
            line = cells[k, s - drop]
            for t in range(line.size):
                line[t] = now[drop + t, 2 * k] + before[drop + t, 2 * k + 1]
        line = cells[0, s - drop]
        for t in range(line.size):
            line[t] += now[drop + t, 2 * bins] + before[drop + t, 2 * bins + 1]


@helper
def _runs(columns, period):  # type: ignore[no-untyped-def]
    """Stretches of strips end to end: rows (first pixel, first weight, length).

    The second result says for each weight where its cell begins in a row's table.
    """
    strips = columns.start.size
    runs = np.empty((strips, 3), np.int64)
    base = np.empty(columns.lower.size, np.int32)
    count = 0
    for t in range(strips):
        length = columns.stop[t] - columns.start[t]
        base[columns.offset[t] : columns.offset[t] + length] = t * period
        if t > 0 and columns.start[t] == columns.stop[t - 1]:
            runs[count - 1, 2] += length
        else:
            runs[count, 0] = columns.start[t]
            runs[count, 1] = columns.offset[t]
            runs[count, 2] = length
            count += 1
    return runs[:count], base


@helper
def _pull_votes(table, index, left, right, period, first, pairs):  # type: ignore[no-untyped-def]
    """Cotangents of the two votes of pixels from `first` on, added to pairs of entries."""
    step, two, to = np.uint64(period), np.uint64(2), np.uint64(2 * first)
    for x in range(left.size):
        i = np.uint64(index[x])
        add_mixed_pairs(pairs, to, table, i, i + step, left[x], right[x])
        to += two


@helper
def _strips_of_lines(rows, height):  # type: ignore[no-untyped-def]
    """First strip of each line of pixels, and the one after its last; those between may miss it."""
    between = np.zeros((height, 2), np.int64)
    for s in range(rows.start.size):
        for y in range(rows.start[s], rows.stop[s]):
            if between[y, 1] == 0:
                between[y, 0] = s
            between[y, 1] = s + 1
    return between


@jit
def pull_cells(cotangent, binning, rows, columns, drop, polar, grad):  # type: ignore[no-untyped-def]
    """Pullback of `cells_of`, to grad (C, H, W), which is to be zero if C > 1."""
    bins, (channels, height, width) = binning.bins, grad.shape
    real = grad.dtype.type
    scale, edge = real(binning.scale), real(binning.edge)
    strips = columns.start.size
    # A cell more than there are each way, of zeros, and two more bins, the first ones again.
    period = bins + 2
    entries = np.zeros((rows.start.size + 1, (strips + 1) * period), grad.dtype)
    for s in range(drop, rows.start.size):
        line = entries[s]
        for k in range(period):
            given = cotangent[k % bins, s - drop]
            for t in range(given.size):
                line[(drop + t) * period + k] = given[t]
    runs, base = _runs(columns, period)
    between = _strips_of_lines(rows, height)
    table = np.empty((strips + 1) * period, grad.dtype)
    index = np.empty(width, np.int32)
    pairs = np.empty(2 * width, grad.dtype)
    # The last three lines; what a line of pixels gets is known when the next one is.
    across, down = np.zeros((3, width), grad.dtype), np.zeros((3, width), grad.dtype)
    for y in range(height):
        for x in range(2 * width):
            pairs[x] = real(0)
        for s in range(between[y, 0], between[y, 1]):
            if not rows.start[s] <= y < rows.stop[s]:
                continue
            at = rows.offset[s] + y - rows.start[s]
            lower, upper = rows.lower[at], rows.upper[at]
            for i in range(table.size):
                table[i] = lower * entries[s, i] + upper * entries[s + 1, i]
            for r in range(runs.shape[0]):
                x, e, length = runs[r, 0], runs[r, 1], runs[r, 2]
                own, position = base[e : e + length], polar.position[y, x : x + length]
                for i in range(length):
                    index[i] = own[i] + np.int32(position[i])
                left, right = columns.lower[e : e + length], columns.upper[e : e + length]
                _pull_votes(table, index, left, right, period, x, pairs)
        if between[y, 1] > 0:
            pull_polar(binning, pairs, polar, y, scale, across, down, y % 3)
        else:
            # A line that does not vote has no polar form.
            for x in range(width):
                across[y % 3, x] = down[y % 3, x] = real(0)
        if channels == 1:
            gather_row(y, edge, across, down, grad)
        elif between[y, 1] > 0:
            scatter_row(polar.channel, y, edge, across, down, grad)


def oriented_cells(
    image: np.ndarray, binning: Binning, rows: Axis, columns: Axis, drop: int = 0, *, keep: bool
) -> tuple[np.ndarray, ImagePullback]:
    """Histograms (bins, rows, columns) of one image (C, H, W), and their pullback.

    The first `drop` rows and columns of cells are left out. Without `keep` nothing is stored
    for the pullback, which must not be used.
    """
    _, height, width = image.shape
    kept = (height if keep else 1, width)
    # One block: several make the allocator give memory back and take it again every time.
    across, down, position = np.empty((3, *kept), image.dtype)
    polar = Polar(across, down, position, np.empty(kept, np.uint8))
    shape = (binning.bins, rows.start.size - drop, columns.start.size - drop)
    cells = np.empty(shape, image.dtype)
    cells_of(image, binning, rows, columns, drop, polar, cells)

    def pullback(cotangent: np.ndarray) -> np.ndarray:
        make = np.empty if image.shape[0] == 1 else np.zeros
        grad = make(image.shape, image.dtype)
        pull_cells(cotangent, binning, rows, columns, drop, polar, grad)
        return grad

    return cells, pullback
