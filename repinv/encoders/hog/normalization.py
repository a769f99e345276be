"""Contrast normalization of cells by the blocks they lie in; each pullback below its forward."""

from __future__ import annotations

import math

import numpy as np

from repinv.encoders._kernels.clipping import passed
from repinv.encoders._kernels.gradient import FLAT
from repinv.encoders._kernels.jit import helper, jit

#: Layouts of `normalize_cells`.
UOCTTI, DALAL_TRIGGS, DPM = 0, 1, 2

#: UoCTTI's texture is a sum over 18 entries in units of its largest norm; DPM rounds it.
TEXTURE = (1 / math.sqrt(18), 1.0, 0.2357)


def cell_channels(layout: int, orientations: int) -> int:
    """Number of feature channels a cell."""
    return (3 * orientations + 4, 4 * orientations, 3 * orientations + 5)[layout]


#: Cells normalized at a time, so that what is read again stays near the processor.
_CHUNK = 256
#: Where four lines begin in working memory: of factors, of textures, of factors' cotangents.
_FACTOR, _TEXTURE, _PULLED = 0, 4 * _CHUNK, 8 * _CHUNK


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
def _clip_four(row, on, top, work, out):  # type: ignore[no-untyped-def]
    """Half the sum of entries under all four factors, clipped; `on` of each goes to its texture.

    What many lines have in common lies in one array at fixed offsets, so that the compiler need
    not check which of the lines overlap.
    """
    half = row.dtype.type(0.5)
    for x in range(row.size):
        a = min(row[x] * work[_FACTOR + x], top)
        b = min(row[x] * work[_FACTOR + _CHUNK + x], top)
        c = min(row[x] * work[_FACTOR + 2 * _CHUNK + x], top)
        d = min(row[x] * work[_FACTOR + 3 * _CHUNK + x], top)
        out[x] = half * (a + b + c + d)
        work[_TEXTURE + x] += on * a
        work[_TEXTURE + _CHUNK + x] += on * b
        work[_TEXTURE + 2 * _CHUNK + x] += on * c
        work[_TEXTURE + 3 * _CHUNK + x] += on * d


@helper
def _pull_clip_four(given, row, on, top, square, work, grad):  # type: ignore[no-untyped-def]
    """Pullback of `_clip_four`; clips pass what `passed` says."""
    half = row.dtype.type(0.5)
    for x in range(row.size):
        r, g, total = row[x], half * given[x], grad[x]
        f = work[_FACTOR + x]
        v = (g + on * work[_TEXTURE + x]) * passed(r * f, top, square, half)
        total += v * f
        work[_PULLED + x] += v * r
        f = work[_FACTOR + _CHUNK + x]
        v = (g + on * work[_TEXTURE + _CHUNK + x]) * passed(r * f, top, square, half)
        total += v * f
        work[_PULLED + _CHUNK + x] += v * r
        f = work[_FACTOR + 2 * _CHUNK + x]
        v = (g + on * work[_TEXTURE + 2 * _CHUNK + x]) * passed(r * f, top, square, half)
        total += v * f
        work[_PULLED + 2 * _CHUNK + x] += v * r
        f = work[_FACTOR + 3 * _CHUNK + x]
        v = (g + on * work[_TEXTURE + 3 * _CHUNK + x]) * passed(r * f, top, square, half)
        grad[x] = total + v * f
        work[_PULLED + 3 * _CHUNK + x] += v * r


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
    top = real(truncation)
    on_both = real(texture) if layout == UOCTTI else real(0)
    on_each = real(texture) if layout == DPM else real(0)
    both, work = np.empty(_CHUNK, cells.dtype), np.empty(8 * _CHUNK, cells.dtype)
    if layout == DPM:
        features[3 * n + 4] = real(0)
    for first in range(0, size, _CHUNK):
        length = min(size - first, _CHUNK)
        stop = first + length
        undirected = both[:length]
        for i in range(4):
            for x in range(length):
                work[_FACTOR + i * _CHUNK + x] = factors[i, first + x]
                work[_TEXTURE + i * _CHUNK + x] = real(0)
        for k in range(n):
            for x in range(length):
                undirected[x] = cells[k, first + x] + cells[k + n, first + x]
            if layout == DALAL_TRIGGS:
                for i in range(4):
                    for x in range(length):
                        v = undirected[x] * work[_FACTOR + i * _CHUNK + x]
                        features[i * n + k, first + x] = min(v, top)
                continue
            for j in (k, k + n):
                _clip_four(cells[j, first:stop], on_each, top, work, features[j, first:stop])
            _clip_four(undirected, on_both, top, work, features[k + 2 * n, first:stop])
        if layout != DALAL_TRIGGS:
            for i in range(4):
                textured = features[_texture_channel(layout, n, i), first:stop]
                for x in range(length):
                    textured[x] = work[_TEXTURE + i * _CHUNK + x]


@jit
def pull_normalize_cells(  # type: ignore[no-untyped-def]
    cotangent, cells, factors, layout, texture, truncation, slope_width, grad, factor_cotangent
):
    """Pullback of `normalize_cells`: adds to grad (bins, M) and factor_cotangent (4, M).

    Clips have surrogate slopes of width `slope_width`·`truncation`; 0 leaves them sharp.
    """
    bins, size = cells.shape
    n = bins // 2
    real = cells.dtype.type
    zero, half, top = real(0), real(0.5), real(truncation)
    square = real(slope_width * slope_width * truncation * truncation)
    on_both = real(texture) if layout == UOCTTI else zero
    on_each = real(texture) if layout == DPM else zero
    both, to_both = np.empty(_CHUNK, cells.dtype), np.empty(_CHUNK, cells.dtype)
    work = np.empty(12 * _CHUNK, cells.dtype)
    for first in range(0, size, _CHUNK):
        length = min(size - first, _CHUNK)
        stop = first + length
        for i in range(4):
            channel = 0 if layout == DALAL_TRIGGS else _texture_channel(layout, n, i)
            for x in range(length):
                work[_FACTOR + i * _CHUNK + x] = factors[i, first + x]
                work[_TEXTURE + i * _CHUNK + x] = cotangent[channel, first + x]
                work[_PULLED + i * _CHUNK + x] = zero
        for k in range(n):
            for x in range(length):
                both[x], to_both[x] = cells[k, first + x] + cells[k + n, first + x], zero
            if layout == DALAL_TRIGGS:
                for i in range(4):
                    for x in range(length):
                        factor = work[_FACTOR + i * _CHUNK + x]
                        v = cotangent[i * n + k, first + x]
                        v *= passed(both[x] * factor, top, square, half)
                        to_both[x] += v * factor
                        work[_PULLED + i * _CHUNK + x] += v * both[x]
            else:
                for j in (k, k + n):
                    row, given = cells[j, first:stop], cotangent[j, first:stop]
                    _pull_clip_four(given, row, on_each, top, square, work, grad[j, first:stop])
                given = cotangent[k + 2 * n, first:stop]
                _pull_clip_four(given, both[:length], on_both, top, square, work, to_both[:length])
            for x in range(length):
                grad[k, first + x] += to_both[x]
                grad[k + n, first + x] += to_both[x]
        for i in range(4):
            for x in range(length):
                factor_cotangent[i, first + x] += work[_PULLED + i * _CHUNK + x]


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
def pull_normalize_blocks(  # type: ignore[no-untyped-def]
    cotangent, blocks, norm, threshold, slope_width, grad
):
    """Pullback of `normalize_blocks`, v → v/s(v) twice over; written to grad.

    Clips have surrogate slopes (`passed`) of width `slope_width`·`threshold`; roots below `FLAT`,
    where the slope has no bound, pass nothing. With f = v/s, ds = <v, dv>/r for a Euclidean norm
    r, and <sign v, dv> for an absolute one.
    """
    real = blocks.dtype.type
    square = real(slope_width * slope_width * threshold * threshold)
    zero, half, threshold = real(0), real(0.5), real(threshold)
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
                g[i] = (g[i] - inner * v) / second * passed(v, threshold, square, half)
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
