"""Positions in an image that lie on a grid."""

from __future__ import annotations

import numpy as np


def grid(down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """All pairs (y, x) of positions down and across an image, row by row, (M, 2)."""
    return np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1).reshape(-1, 2)


def even(count: int, size: int) -> np.ndarray:
    """Centres of so many parts that divide a side of `size` pixels evenly.

    0 is the centre of the first pixel.
    """
    return (np.arange(count) + 0.5) * size / count - 0.5
