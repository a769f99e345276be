"""Orientation votes → pooled cells in one pass over the image; the pullback right below.

Every HOG pools votes with weights that are a product of a function of the row and one of the
column, and a pixel counts in at most two neighbouring cells along each axis of a grid. `Axis`
holds such a function; what differs between the libraries is in it and in `Binning`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from repinv.encoders._gradient import Binning, Polar, jit, polar_row, pull_gradient


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


@jit
def _add_votes(sums, count, softness, magnitude, scaled, lower, upper):  # type: ignore[no-untyped-def]
    """Add four rows' votes to the sums of two rows of cells, cumulative over bins.

    Counted from above, sums[:, k] holds what bins above k got; differences of neighbours are
    the histogram. Cumulative votes are clips of one line each, which is less work a bin than
    hats are, and bins that are not hit cancel exactly or to rounding.
    """
    width = magnitude.shape[1]
    zero = magnitude.dtype.type(0)
    l0, l1, l2, l3 = lower
    u0, u1, u2, u3 = upper
    m0, m1, m2, m3 = magnitude[0], magnitude[1], magnitude[2], magnitude[3]
    s0, s1, s2, s3 = scaled[0], scaled[1], scaled[2], scaled[3]
    low, high = sums[0, count], sums[1, count]
    for x in range(width):
        low[x] += l0 * m0[x] + l1 * m1[x] + l2 * m2[x] + l3 * m3[x]
        high[x] += u0 * m0[x] + u1 * m1[x] + u2 * m2[x] + u3 * m3[x]
    for k in range(count):
        low, high = sums[0, k], sums[1, k]
        if softness > 0:
            edge = magnitude.dtype.type(k / softness)
            for x in range(width):
                v0 = min(m0[x], max(zero, s0[x] - edge * m0[x]))
                v1 = min(m1[x], max(zero, s1[x] - edge * m1[x]))
                v2 = min(m2[x], max(zero, s2[x] - edge * m2[x]))
                v3 = min(m3[x], max(zero, s3[x] - edge * m3[x]))
                low[x] += l0 * v0 + l1 * v1 + l2 * v2 + l3 * v3
                high[x] += u0 * v0 + u1 * v1 + u2 * v2 + u3 * v3
        else:
            edge = magnitude.dtype.type(k)
            for x in range(width):
                v0 = m0[x] if s0[x] > edge else zero
                v1 = m1[x] if s1[x] > edge else zero
                v2 = m2[x] if s2[x] > edge else zero
                v3 = m3[x] if s3[x] > edge else zero
                low[x] += l0 * v0 + l1 * v1 + l2 * v2 + l3 * v3
                high[x] += u0 * v0 + u1 * v1 + u2 * v2 + u3 * v3


@jit
def _pool_columns(sums, count, columns, cells):  # type: ignore[no-untyped-def]
    """One row of cells from the cumulative sums of its pixel columns."""
    zero = sums.dtype.type(0)
    pooled = np.zeros((columns.start.size + 1, count + 1), sums.dtype)
    for t in range(columns.start.size):
        start, length = columns.start[t], columns.stop[t] - columns.start[t]
        lower = columns.lower[columns.offset[t] : columns.offset[t] + length]
        upper = columns.upper[columns.offset[t] : columns.offset[t] + length]
        for k in range(count + 1):
            low, high = zero, zero
            for x in range(length):
                v = sums[k, start + x]
                low += lower[x] * v
                high += upper[x] * v
            pooled[t, k] += low
            pooled[t + 1, k] += high
    for t in range(columns.start.size):
        total = pooled[t]
        cells[t, 0] = max(total[count] - total[0], zero) + total[count - 1]
        for k in range(1, count):
            cells[t, k] = max(total[k - 1] - total[k], zero)


@jit
def cells_of(image, binning, rows, columns, polar, cells):  # type: ignore[no-untyped-def]
    """Histograms of the cells of one image, strip by strip of cells.

    Parameters
    ----------
    image : (C, H, W)
    binning : Binning
    rows, columns : Axis
    polar : Polar
        Written. Its rows may be fewer than the image's where it is not needed later.
    cells : (rows, columns, bins)
        Written; the votes.
    """
    count, width = binning.count, image.shape[2]
    real = image.dtype.type
    kept = polar.across.shape[0]
    magnitude = np.empty((4, width), image.dtype)
    scaled = np.empty((4, width), image.dtype)
    lower, upper = np.zeros(4, image.dtype), np.zeros(4, image.dtype)
    sums = np.zeros((2, count + 1, width), image.dtype)
    for s in range(rows.start.size):
        for first in range(rows.start[s], rows.stop[s], 4):
            for i in range(4):
                y = first + i
                lower[i] = upper[i] = real(0)
                if y < rows.stop[s]:
                    at = rows.offset[s] + y - rows.start[s]
                    lower[i], upper[i] = rows.lower[at], rows.upper[at]
                    row = y % kept
                    polar_row(
                        image,
                        y,
                        binning,
                        magnitude[i],
                        scaled[i],
                        polar.across[row],
                        polar.down[row],
                        polar.position[row],
                        polar.channel[row],
                    )
                else:
                    magnitude[i] = real(0)
                    scaled[i] = real(0)
            _add_votes(sums, count, binning.softness, magnitude, scaled, lower, upper)
        _pool_columns(sums[0], count, columns, cells[s])
        sums[0] = sums[1]
        sums[1] = real(0)


@jit
def pull_cells(cotangent, binning, rows, columns, polar, across, down):  # type: ignore[no-untyped-def]
    """Pullback of `cells_of` up to the image gradient (across, down), both added to.

    A vote is |g|·w(θ). With u = g/|g| and t ⟂ u, d(|g|·w) = w·u·dg + w′(θ)·t·dg: bounded,
    and free of inverse functions of g.
    """
    count = binning.count
    real = across.dtype.type
    zero, one, half = real(0), real(1), real(0.5)
    soft = binning.softness > 0
    slope = real(1 / binning.softness) if soft else zero
    turning = slope * real(binning.per_radian)
    strips = columns.start.size
    # One more cell than there are, and two more bins than there are, the first two again.
    bins = np.zeros((strips + 1, count + 2), across.dtype)
    for s in range(rows.start.size):
        for y in range(rows.start[s], rows.stop[s]):
            at = rows.offset[s] + y - rows.start[s]
            lower, upper = rows.lower[at], rows.upper[at]
            for t in range(strips):
                for k in range(count):
                    bins[t, k] = lower * cotangent[s, t, k]
                if s + 1 < rows.start.size:
                    for k in range(count):
                        bins[t, k] += upper * cotangent[s + 1, t, k]
                bins[t, count] = bins[t, 0]
                bins[t, count + 1] = bins[t, 1]
            for t in range(strips):
                first, here, after = columns.start[t], bins[t], bins[t + 1]
                offset = columns.offset[t] - first
                for x in range(first, columns.stop[t]):
                    position = polar.position[y, x]
                    k = int(position)
                    left, right = columns.lower[offset + x], columns.upper[offset + x]
                    near = left * here[k] + right * after[k]
                    rise = left * here[k + 1] + right * after[k + 1] - near
                    ux, uy = polar.across[y, x], polar.down[y, x]
                    if soft:
                        w = half + (position - real(k) - half) * slope
                        along = near + min(one, max(zero, w)) * rise
                        turn = turning * rise if zero < w < one else zero
                        across[y, x] += along * ux - turn * uy
                        down[y, x] += along * uy + turn * ux
                    else:
                        across[y, x] += near * ux
                        down[y, x] += near * uy


def oriented_cells(
    image: np.ndarray, binning: Binning, rows: Axis, columns: Axis, *, keep: bool
) -> tuple[np.ndarray, Polar]:
    """Histograms (rows, columns, bins) of one image (C, H, W), and what `pull_oriented` needs.

    Without `keep` the second result is scratch space.
    """
    _, height, width = image.shape
    kept = (height if keep else 1, width)
    across, down, position = (np.empty(kept, image.dtype) for _ in range(3))
    polar = Polar(across, down, position, np.zeros(kept, np.uint8))
    shape = (rows.start.size, columns.start.size, binning.count)
    cells = np.empty(shape, image.dtype)
    cells_of(image, binning, rows, columns, polar, cells)
    return cells, polar


def pull_oriented(
    cotangent: np.ndarray,
    channels: int,
    binning: Binning,
    rows: Axis,
    columns: Axis,
    polar: Polar,
) -> np.ndarray:
    """Pullback of `oriented_cells`: (rows, columns, bins) → (C, H, W)."""
    across, down = np.zeros_like(polar.across), np.zeros_like(polar.down)
    pull_cells(cotangent, binning, rows, columns, polar, across, down)
    grad = np.empty((channels, *across.shape), across.dtype)
    pull_gradient(across, down, polar.channel, binning.scale, grad)
    return grad
