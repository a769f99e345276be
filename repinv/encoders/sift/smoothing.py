"""Gaussian smoothing as VLFeat does it before PHOW, and its adjoint."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from scipy import sparse

from repinv._core.typing import ImagePullback


@functools.lru_cache(maxsize=64)
def _matrix(size: int, sigma: float, dtype: Any) -> Any:
    """Smoothing along an axis: a Gaussian cut at 4 σ, the border's pixels repeated beyond it."""
    reach = math.ceil(4 * sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(dtype)
    pixels = np.clip(np.arange(size)[:, None] + np.arange(-reach, reach + 1), 0, size - 1)
    rows = np.repeat(np.arange(size), taps.size)
    entries = np.tile(taps, size), (rows, pixels.ravel())
    # Entries of the same place are added up.
    return sparse.coo_array(entries, shape=(size, size)).tocsr()


def smooth(image: np.ndarray, sigma: float) -> tuple[np.ndarray, ImagePullback]:
    """One gray image (1, H, W) smoothed, 0 meaning as it is, and the pullback."""
    if sigma == 0:
        return image, lambda v: v
    down, across = (_matrix(size, sigma, image.dtype) for size in image.shape[1:])

    def apply(left: Any, right: Any, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray((right @ (left @ x[0]).T).T)[None]

    return apply(down, across, image), lambda v: apply(down.T, across.T, v)
