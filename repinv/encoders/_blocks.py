"""Contrast normalization of cells by the blocks they lie in; each pullback below its forward."""

from __future__ import annotations

import math

import numpy as np

from repinv.encoders._gradient import FLAT, helper, jit

#: Layouts of `normalize_cells`.
UOCTTI, DALAL_TRIGGS, DPM = 0, 1, 2

#: UoCTTI's texture is a sum over 18 entries in units of its largest norm; DPM rounds it.
TEXTURE = (1 / math.sqrt(18), 1.0, 0.2357)


def cell_channels(layout: int, orientations: int) -> int:
    """Number of feature channels a cell."""
    return (3 * orientations + 4, 4 * orientations, 3 * orientations + 5)[layout]


#: Cells normalized at a time, so that what is read again stays near the processor.
_CHUNK = 1024


@jit
def block_factors(cells, epsilon, constant, factors):  # type: ignore[no-untyped-def]
    """1/√(energy + epsilon) of the four 2x2 blocks that hold each cell.

    Cells (bins, y, x) → factors (4, y, x), of the blocks to the upper left, upper right, lower
    left and lower right. The energy is that of the undirected histogram; cells past the border
    repeat the last one. A positive `constant` takes the place of all factors.
    """
    bins, height, width = cells.shape
    half = bins // 2
    real = cells.dtype.type
    energy = np.zeros((height, width), cells.dtype)
    for k in range(half):
        for y in range(height):
            for x in range(width):
                both = cells[k, y, x] + cells[k + half, y, x]
                energy[y, x] += both * both
    for i in range(4):
        for y in range(height):
            other = min(max(y + i // 2 * 2 - 1, 0), height - 1)
            for x in range(width):
                beside = min(max(x + i % 2 * 2 - 1, 0), width - 1)
                total = energy[y, x] + energy[y, beside] + energy[other, x] + energy[other, beside]
                factors[i, y, x] = real(1) / math.sqrt(total + real(epsilon))
    if constant > 0:
        factors[:] = real(constant)


@jit
def pull_block_factors(factor_cotangent, cells, factors, grad):  # type: ignore[no-untyped-def]
    """Pullback of `block_factors`, added to grad: dF = −½F³ dE, dE = 2(h + h′)(dh + dh′)."""
    bins, height, width = cells.shape
    half = bins // 2
    energy = np.zeros((height, width), cells.dtype)
    for i in range(4):
        for y in range(height):
            other = min(max(y + i // 2 * 2 - 1, 0), height - 1)
            for x in range(width):
                beside = min(max(x + i % 2 * 2 - 1, 0), width - 1)
                factor = factors[i, y, x]
                v = -factor_cotangent[i, y, x] * factor * factor * factor
                energy[y, x] += v
                energy[y, beside] += v
                energy[other, x] += v
                energy[other, beside] += v
    for k in range(half):
        for y in range(height):
            for x in range(width):
                v = energy[y, x] * (cells[k, y, x] + cells[k + half, y, x])
                grad[k, y, x] += v
                grad[k + half, y, x] += v


@helper
def _add_clipped(row, factor, top, scale, out):  # type: ignore[no-untyped-def]
    """Clipped multiples of entries by their factors, added."""
    for x in range(row.size):
        out[x] += scale * min(row[x] * factor[x], top)


@helper
def _pull_clipped(cotangent, scale, row, factor, top, grad, pulled):  # type: ignore[no-untyped-def]
    """Pullback of clipped multiples; an entry at the clip or above passes nothing."""
    zero = row.dtype.type(0)
    for x in range(row.size):
        v = scale * cotangent[x] if row[x] * factor[x] < top else zero
        grad[x] += v * factor[x]
        pulled[x] += v * row[x]


@helper
def _texture_channel(layout, n, i):  # type: ignore[no-untyped-def]
    """Channel of factor i's texture; voc-release swaps upper left and lower right."""
    return 3 * n + (3 - i if layout == DPM and i % 3 == 0 else i)


@jit
def normalize_cells(cells, factors, layout, texture, truncation, features):  # type: ignore[no-untyped-def]
    """Clipped multiples of cells (bins, M) by their factors (4, M) → features (D, M).

    `layout` UOCTTI: the mean of the four (times 2) for directed and undirected bins, then four
    sums over undirected ones; DPM: those sums over directed bins, in another order, and a
    channel of zeros; DALAL_TRIGGS: the undirected bins under each factor.
    """
    bins, size = cells.shape
    n = bins // 2
    real = cells.dtype.type
    half, one, top, texture = real(0.5), real(1), real(truncation), real(texture)
    features[:] = real(0)
    both = np.empty(min(size, _CHUNK), cells.dtype)
    for first in range(0, size, _CHUNK):
        stop = min(size, first + _CHUNK)
        for k in range(n):
            for x in range(stop - first):
                both[x] = cells[k, first + x] + cells[k + n, first + x]
            undirected = both[: stop - first]
            for i in range(4):
                factor = factors[i, first:stop]
                if layout == DALAL_TRIGGS:
                    out = features[i * n + k, first:stop]
                    _add_clipped(undirected, factor, top, one, out)
                    continue
                out = features[k + 2 * n, first:stop]
                _add_clipped(undirected, factor, top, half, out)
                textured = features[_texture_channel(layout, n, i), first:stop]
                if layout == UOCTTI:
                    _add_clipped(undirected, factor, top, texture, textured)
                for j in (k, k + n):
                    row = cells[j, first:stop]
                    _add_clipped(row, factor, top, half, features[j, first:stop])
                    if layout == DPM:
                        _add_clipped(row, factor, top, texture, textured)


@jit
def pull_normalize_cells(  # type: ignore[no-untyped-def]
    cotangent, cells, factors, layout, texture, truncation, grad, factor_cotangent
):
    """Pullback of `normalize_cells`: adds to grad (bins, M) and factor_cotangent (4, M)."""
    bins, size = cells.shape
    n = bins // 2
    real = cells.dtype.type
    half, one, top = real(0.5), real(1), real(truncation)
    on_both = real(texture) if layout == UOCTTI else real(0)
    on_each = real(texture) if layout == DPM else real(0)
    work = np.empty((3, min(size, _CHUNK)), cells.dtype)
    for first in range(0, size, _CHUNK):
        stop = min(size, first + _CHUNK)
        both, to_both, v = work[0, : stop - first], work[1, : stop - first], work[2, : stop - first]
        for k in range(n):
            for x in range(stop - first):
                both[x] = cells[k, first + x] + cells[k + n, first + x]
            to_both[:] = real(0)
            for i in range(4):
                factor, pulled = factors[i, first:stop], factor_cotangent[i, first:stop]
                if layout == DALAL_TRIGGS:
                    given = cotangent[i * n + k, first:stop]
                    _pull_clipped(given, one, both, factor, top, to_both, pulled)
                    continue
                textured = cotangent[_texture_channel(layout, n, i), first:stop]
                for part in range(3):
                    j = k + part * n
                    row = both if part == 2 else cells[j, first:stop]
                    out = to_both if part == 2 else grad[j, first:stop]
                    on = on_both if part == 2 else on_each
                    given, scale = cotangent[j, first:stop], half
                    if on > 0:
                        for x in range(stop - first):
                            v[x] = half * given[x] + on * textured[x]
                        given, scale = v, one
                    _pull_clipped(given, scale, row, factor, top, out, pulled)
            for x in range(stop - first):
                grad[k, first + x] += to_both[x]
                grad[k + n, first + x] += to_both[x]


#: Norms of `normalize_blocks`.
L1, L1_SQRT, L2, L2_HYS, OPENCV = 0, 1, 2, 3, 4


@helper
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
