"""The DSIFT network of Mahendran & Vedaldi in plain NumPy and float64, without code of repinv.

Errors in the benchmarks are re-scored with it, so that no mistake of ours can flatter them.
"""

from __future__ import annotations

import numpy as np


def natural_dsift(image: np.ndarray, *, cell: int = 5) -> np.ndarray:
    """Features (y, x, 128) of one gray image (H, W) in [0, 1]."""
    image = np.asarray(image, np.float64)
    gx = 0.5 * (image[1:-1, 2:] - image[1:-1, :-2])
    gy = 0.5 * (image[2:, 1:-1] - image[:-2, 1:-1])
    magnitude, angle = np.hypot(gx, gy), np.arctan2(gy, gx)
    centres = np.arange(8) * np.pi / 4
    distance = np.abs((angle[..., None] - centres + np.pi) % (2 * np.pi) - np.pi)
    votes = magnitude[..., None] * np.maximum(0, 1 - distance * 4 / np.pi)

    offsets = np.arange(2 * cell)
    triangle = 1 - np.abs(offsets + 0.5 - cell) / cell
    rows, columns = ((size - 2 * cell) // cell + 1 for size in gx.shape)
    down = np.stack([votes[cell * i + offsets] for i in range(rows)])
    across = np.stack([down[:, :, cell * j + offsets] for j in range(columns)], axis=1)
    cells = np.einsum("ijyxk,y,x->ijk", across, triangle, triangle)

    mask = np.exp(-0.5 * ((np.arange(4) - 1.5) / 1.5) ** 2)
    window = np.lib.stride_tricks.sliding_window_view(cells, (4, 4), (0, 1))[::3, ::3]
    stacked = np.einsum("yxkij,i,j->yxijk", window, mask, mask)
    flat = stacked.reshape(*stacked.shape[:2], -1)
    return np.minimum(0.2, flat / np.sqrt(1e-6 + (flat**2).sum(-1, keepdims=True)))
