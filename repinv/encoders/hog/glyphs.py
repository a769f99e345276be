"""HOG glyphs: a bar a bin and cell, along the edge, as bright as the bin is strong."""

from __future__ import annotations

import functools
import math

import numpy as np

#: Side of a glyph in pixels, VLFeat's.
SIDE = 21


@functools.lru_cache(maxsize=64)
def _bars(count: int, first: float, step: float) -> np.ndarray:
    """(count, SIDE, SIDE): lines orthogonal to the gradient angles first + k·step, 0 or 1.

    Rasterized as VLFeat does, one pixel for every step along the longer axis.
    """
    bars = np.zeros((count, SIDE, SIDE))
    for k in range(count):
        angle = math.fmod(first + k * step + math.pi / 2, math.pi)
        x, y = math.cos(angle), math.sin(angle)
        flat = angle <= math.pi / 4 or angle >= 3 * math.pi / 4
        slope = y / x if flat else x / y
        offset = (1 - slope) * (SIDE - 1) / 2
        skip = int((1 - abs(x if flat else y)) / 2 * SIDE)
        along = np.arange(skip, SIDE - skip)
        across = np.floor(slope * along + offset + 0.5).astype(int)
        rows, columns = (across, along) if flat else (along, across)
        bars[k, rows, columns] = 1
    return bars


def draw(
    weights: np.ndarray, first: float, step: float, spacing: tuple[int, int] = (SIDE, SIDE)
) -> np.ndarray:
    """A picture of cells (rows, columns, bins), `spacing` pixels apart down and across.

    Bin k stands for gradients of angle `first` + k·`step`. Where the bars of a cell cross they
    add up, as far as its strongest bin, as in VLFeat.
    """
    rows, columns, count = weights.shape
    bars = _bars(count, first, step)
    picture = np.zeros(((rows - 1) * spacing[0] + SIDE, (columns - 1) * spacing[1] + SIDE))
    for y in range(rows):
        top = y * spacing[0]
        glyphs = np.minimum(
            np.tensordot(weights[y], bars, 1), weights[y].max(axis=-1)[:, None, None]
        )
        for x in range(columns):
            left = x * spacing[1]
            picture[top : top + SIDE, left : left + SIDE] += glyphs[x]
    return picture.astype(weights.dtype)
