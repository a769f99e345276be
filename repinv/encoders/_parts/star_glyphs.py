"""Glyphs of SIFT descriptors: a star in each spatial bin, with a ray for each orientation."""

from __future__ import annotations

import functools
import math

import numpy as np

#: Side of a spatial bin's star in pixels, and the gap between two descriptors.
SIDE, GAP = 13, 5


@functools.lru_cache(maxsize=16)
def _rays(count: int) -> np.ndarray:
    """(count, SIDE, SIDE): lines from the middle in the directions of gradients, 0 or 1."""
    rays = np.zeros((count, SIDE, SIDE))
    along = np.arange(0, SIDE // 2 + 0.25, 0.25)
    for k in range(count):
        angle = 2 * math.pi * k / count
        rows = np.rint(SIDE // 2 + along * math.sin(angle)).astype(int)
        columns = np.rint(SIDE // 2 + along * math.cos(angle)).astype(int)
        for down, right in ((0, 0), (0, 1), (1, 0)):  # thick enough to be seen when it is small
            near = np.minimum(rows + down, SIDE - 1), np.minimum(columns + right, SIDE - 1)
            rays[k, near[0], near[1]] = 1
    return rays


def draw(descriptors: np.ndarray) -> np.ndarray:
    """A picture of descriptors (rows, columns, bins_y, bins_x, orientations) beside each other.

    Rays point along the image gradient, downwards for one that grows down the image, and are as
    bright as their bin is strong.
    """
    rows, columns, down, across, count = descriptors.shape
    stars = np.tensordot(descriptors, _rays(count), 1)
    # The middle belongs to all rays of a star; it is as bright as the strongest.
    strongest = descriptors.max(axis=-1)
    stars = np.minimum(stars, strongest[..., None, None])
    blocks = stars.transpose(0, 1, 2, 4, 3, 5).reshape(rows, columns, down * SIDE, across * SIDE)
    picture = np.zeros((rows, columns, down * SIDE + GAP, across * SIDE + GAP))
    picture[:, :, : down * SIDE, : across * SIDE] = blocks
    joined = picture.transpose(0, 2, 1, 3).reshape(rows * picture.shape[2], -1)
    return joined[:-GAP, :-GAP].astype(descriptors.dtype)
