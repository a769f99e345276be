"""Contrast normalization of cells by the blocks they lie in; each pullback below its forward."""

from __future__ import annotations

import math

import numpy as np

from repinv.encoders._gradient import FLAT, jit

#: Layouts of `normalize_cells`.
UOCTTI, DALAL_TRIGGS, DPM = 0, 1, 2

#: UoCTTI's texture is a sum over 18 entries in units of its largest norm; DPM rounds it.
TEXTURE = (1 / math.sqrt(18), 1.0, 0.2357)


def cell_channels(layout: int, orientations: int) -> int:
    """Number of feature channels a cell."""
    return (3 * orientations + 4, 4 * orientations, 3 * orientations + 5)[layout]


@jit
def block_factors(cells, epsilon, constant, factors):  # type: ignore[no-untyped-def]
    """1/√(energy + epsilon) of every 2x2 block; factors[y, x] has cell (y, x) at its lower right.

    The energy is that of the undirected histogram; cells past the border repeat the last one.
    A positive `constant` takes the place of all factors.
    """
    height, width, bins = cells.shape
    half = bins // 2
    real = cells.dtype.type
    energy = np.zeros((height, width), cells.dtype)
    for y in range(height):
        for x in range(width):
            for k in range(half):
                energy[y, x] += (cells[y, x, k] + cells[y, x, k + half]) ** 2
    for y in range(height + 1):
        above, below = max(y - 1, 0), min(y, height - 1)
        for x in range(width + 1):
            left, right = max(x - 1, 0), min(x, width - 1)
            total = energy[above, left] + energy[above, right]
            total += energy[below, left] + energy[below, right]
            factors[y, x] = real(1) / math.sqrt(total + real(epsilon))
    if constant > 0:
        factors[:] = real(constant)


@jit
def pull_block_factors(factor_cotangent, cells, factors, grad):  # type: ignore[no-untyped-def]
    """Pullback of `block_factors`, added to grad: dF = −½F³ dE, dE = 2(h + h′)(dh + dh′)."""
    height, width, bins = cells.shape
    half = bins // 2
    energy = np.zeros((height, width), cells.dtype)
    for y in range(height + 1):
        above, below = max(y - 1, 0), min(y, height - 1)
        for x in range(width + 1):
            left, right = max(x - 1, 0), min(x, width - 1)
            v = -factor_cotangent[y, x] * factors[y, x] ** 3
            energy[above, left] += v
            energy[above, right] += v
            energy[below, left] += v
            energy[below, right] += v
    for y in range(height):
        for x in range(width):
            for k in range(half):
                v = energy[y, x] * (cells[y, x, k] + cells[y, x, k + half])
                grad[y, x, k] += v
                grad[y, x, k + half] += v


@jit
def normalize_cells(cells, factors, layout, texture, truncation, features):  # type: ignore[no-untyped-def]
    """Clipped multiples of each cell by its four block factors.

    `layout` UOCTTI: the mean of the four (times 2) for directed and undirected bins, then four
    sums over undirected ones; DPM: those sums over directed bins, in the other order, and a
    channel of zeros; DALAL_TRIGGS: the undirected bins under each factor.
    """
    height, width, bins = cells.shape
    n = bins // 2
    real = cells.dtype.type
    half, top, texture = real(0.5), real(truncation), real(texture)
    factor = np.empty(4, cells.dtype)
    sums = np.empty(4, cells.dtype)
    for y in range(height):
        for x in range(width):
            factor[0], factor[1] = factors[y, x], factors[y, x + 1]
            factor[2], factor[3] = factors[y + 1, x], factors[y + 1, x + 1]
            sums[:] = real(0)
            for k in range(n):
                directed, opposite = cells[y, x, k], cells[y, x, k + n]
                both = directed + opposite
                total, total_opposite, total_both = real(0), real(0), real(0)
                for i in range(4):
                    clipped = min(directed * factor[i], top)
                    clipped_opposite = min(opposite * factor[i], top)
                    clipped_both = min(both * factor[i], top)
                    total += clipped
                    total_opposite += clipped_opposite
                    total_both += clipped_both
                    if layout == 0:
                        sums[i] += clipped_both
                    elif layout == 1:
                        features[i * n + k, y, x] = clipped_both
                    else:
                        sums[3 - i] += clipped + clipped_opposite
                if layout != 1:
                    features[k, y, x] = half * total
                    features[k + n, y, x] = half * total_opposite
                    features[k + 2 * n, y, x] = half * total_both
            if layout != 1:
                for i in range(4):
                    features[3 * n + i, y, x] = texture * sums[i]
                if layout == 2:
                    # voc-release goes lower right, upper right, lower left, upper left
                    features[3 * n + 1, y, x] = texture * sums[2]
                    features[3 * n + 2, y, x] = texture * sums[1]
                    features[3 * n + 4, y, x] = real(0)


@jit
def pull_normalize_cells(  # type: ignore[no-untyped-def]
    cotangent, cells, factors, layout, texture, truncation, grad, factor_cotangent
):
    """Pullback of `normalize_cells`: writes grad, adds to factor_cotangent.

    An entry at the clip or above passes nothing.
    """
    height, width, bins = cells.shape
    n = bins // 2
    real = cells.dtype.type
    half, zero, top, texture = real(0.5), real(0), real(truncation), real(texture)
    factor = np.empty(4, cells.dtype)
    pulled = np.empty(4, cells.dtype)
    sums = np.zeros(4, cells.dtype)
    for y in range(height):
        for x in range(width):
            factor[0], factor[1] = factors[y, x], factors[y, x + 1]
            factor[2], factor[3] = factors[y + 1, x], factors[y + 1, x + 1]
            pulled[:] = zero
            if layout == 0:
                for i in range(4):
                    sums[i] = texture * cotangent[3 * n + i, y, x]
            elif layout == 2:
                sums[3] = texture * cotangent[3 * n, y, x]
                sums[1] = texture * cotangent[3 * n + 1, y, x]
                sums[2] = texture * cotangent[3 * n + 2, y, x]
                sums[0] = texture * cotangent[3 * n + 3, y, x]
            for k in range(n):
                directed, opposite = cells[y, x, k], cells[y, x, k + n]
                both = directed + opposite
                to_directed, to_opposite, to_both = zero, zero, zero
                if layout != 1:
                    to_directed = half * cotangent[k, y, x]
                    to_opposite = half * cotangent[k + n, y, x]
                    to_both = half * cotangent[k + 2 * n, y, x]
                down_directed, down_opposite, down_both = zero, zero, zero
                for i in range(4):
                    v, v_opposite, v_both = to_directed, to_opposite, to_both
                    if layout == 0:
                        v_both += sums[i]
                    elif layout == 1:
                        v_both = cotangent[i * n + k, y, x]
                    else:
                        v += sums[i]
                        v_opposite += sums[i]
                    v = v if directed * factor[i] < top else zero
                    v_opposite = v_opposite if opposite * factor[i] < top else zero
                    v_both = v_both if both * factor[i] < top else zero
                    down_directed += v * factor[i]
                    down_opposite += v_opposite * factor[i]
                    down_both += v_both * factor[i]
                    pulled[i] += v * directed + v_opposite * opposite + v_both * both
                grad[y, x, k] = down_directed + down_both
                grad[y, x, k + n] = down_opposite + down_both
            factor_cotangent[y, x] += pulled[0]
            factor_cotangent[y, x + 1] += pulled[1]
            factor_cotangent[y + 1, x] += pulled[2]
            factor_cotangent[y + 1, x + 1] += pulled[3]


#: Norms of `normalize_blocks`.
L1, L1_SQRT, L2, L2_HYS, OPENCV = 0, 1, 2, 3, 4


@jit
def _sizes(block, norm, threshold):  # type: ignore[no-untyped-def]
    """Divisors of a block before and after its clip (the latter 1 where there is no clip)."""
    real = block.dtype.type
    first, second = real(0), real(0)
    for i in range(block.size):
        first += abs(block[i]) if norm <= L1_SQRT else block[i] * block[i]
    if norm <= L1_SQRT:
        return first + real(1e-5), real(1)
    if norm == OPENCV:
        first = math.sqrt(first) + real(0.1 * block.size)
    else:
        first = math.sqrt(first + real(1e-10))
    if norm == L2:
        return first, real(1)
    for i in range(block.size):
        second += min(block[i] / first, threshold) ** 2
    if norm == OPENCV:
        return first, math.sqrt(second) + real(1e-3)
    return first, math.sqrt(second + real(1e-10))


@jit
def normalize_blocks(blocks, norm, threshold, features):  # type: ignore[no-untyped-def]
    """scikit-image's four block norms and OpenCV's; blocks and features are (B, entries)."""
    threshold = blocks.dtype.type(threshold)
    for b in range(blocks.shape[0]):
        first, second = _sizes(blocks[b], norm, threshold)
        for i in range(blocks.shape[1]):
            v = blocks[b, i] / first
            if norm == L1_SQRT:
                v = math.sqrt(v)
            elif norm >= L2_HYS:
                v = min(v, threshold) / second
            features[b, i] = v


@jit
def pull_normalize_blocks(cotangent, blocks, norm, threshold, grad):  # type: ignore[no-untyped-def]
    """Pullback of `normalize_blocks`, v → v/s(v) twice over; written to grad.

    Clipped entries pass nothing, nor do roots of values below `FLAT`, where the slope has no
    bound. With f = v/s, ds = <v, dv>/r for a Euclidean norm r, <sign v, dv> for an absolute one.
    """
    real = blocks.dtype.type
    zero, threshold = real(0), real(threshold)
    entries = blocks.shape[1]
    for b in range(blocks.shape[0]):
        first, second = _sizes(blocks[b], norm, threshold)
        block, g = blocks[b], grad[b]
        for i in range(entries):
            g[i] = cotangent[b, i]
        if norm >= L2_HYS:
            norm_second = second - real(1e-3) if norm == OPENCV else second
            inner = zero
            for i in range(entries):
                inner += g[i] * min(block[i] / first, threshold)
            inner = inner / (second * norm_second) if norm_second > 0 else zero
            for i in range(entries):
                v = block[i] / first
                g[i] = (g[i] - inner * v) / second if v < threshold else zero
        if norm == L1_SQRT:
            for i in range(entries):
                v = block[i] / first
                g[i] = g[i] / (real(2) * math.sqrt(v)) if v > real(FLAT) else zero
        inner = zero
        for i in range(entries):
            inner += g[i] * block[i]
        if norm <= L1_SQRT:
            for i in range(entries):
                sign = real(1) if block[i] > zero else zero
                g[i] = (g[i] - sign * inner / first) / first
        else:
            norm_first = first - real(0.1 * entries) if norm == OPENCV else first
            inner = inner / (first * norm_first) if norm_first > 0 else zero
            for i in range(entries):
                g[i] = (g[i] - inner * block[i]) / first
