"""VLFeat's HOG (UoCTTI) in plain NumPy and float64: an encoder that shares no code with repinv.

Errors in the benchmarks are re-scored with it, so that no mistake of ours can flatter them.
"""

from __future__ import annotations

import numpy as np


def vlfeat_hog(image: np.ndarray, *, bilinear: bool, cell: int = 8, n: int = 9) -> np.ndarray:
    """Features (3n + 4, cells_y, cells_x) of one gray image (H, W) in [0, 1]."""
    image = np.asarray(image, np.float64)
    height, width = image.shape
    rows, columns = (height + cell // 2) // cell, (width + cell // 2) // cell
    gy, gx = np.zeros_like(image), np.zeros_like(image)
    gx[1:-1, 1:-1] = image[1:-1, 2:] - image[1:-1, :-2]
    gy[1:-1, 1:-1] = image[2:, 1:-1] - image[:-2, 1:-1]
    magnitude = np.hypot(gx, gy)
    position = np.arctan2(gy, gx) % (2 * np.pi) * (n / np.pi)
    lower = np.floor(position)
    upper_share = position - lower if bilinear else (position - lower > 0.5).astype(float)

    votes = np.zeros((rows + 2, columns + 2, 2 * n))
    y, x = np.mgrid[:height, :width]
    cy, cx = (y + 0.5) / cell - 0.5, (x + 0.5) / cell - 0.5
    top, left = np.floor(cy).astype(int), np.floor(cx).astype(int)
    for dy, wy in ((0, 1 - (cy - top)), (1, cy - top)):
        for dx, wx in ((0, 1 - (cx - left)), (1, cx - left)):
            for step, share in ((0, 1 - upper_share), (1, upper_share)):
                bins = (lower.astype(int) + step) % (2 * n)
                where = (top + dy + 1, left + dx + 1, bins)
                inside = (where[0] <= rows + 1) & (where[1] <= columns + 1)
                weight = wy * wx * share * magnitude
                np.add.at(votes, tuple(w[inside] for w in where), weight[inside])
    directed = votes[1:-1, 1:-1]
    undirected = directed[..., :n] + directed[..., n:]
    energy = np.pad((undirected**2).sum(-1), 1, mode="edge")
    blocks = energy[:-1, :-1] + energy[1:, :-1] + energy[:-1, 1:] + energy[1:, 1:]
    factor = 1 / np.sqrt(blocks + 1e-4)
    corners = [factor[i : i + rows, j : j + columns, None] for i in (0, 1) for j in (0, 1)]
    both = np.concatenate([directed, undirected], axis=-1)
    clipped = [np.minimum(0.2, both * corner) for corner in corners]
    texture = [c[..., 2 * n :].sum(-1) / np.sqrt(2 * n) for c in clipped]
    features = np.concatenate([0.5 * sum(clipped), np.stack(texture, -1)], axis=-1)
    return np.moveaxis(features, -1, 0)
