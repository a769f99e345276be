"""A user's image ↔ batch: the only place that knows dtypes, value ranges, channel axes, files."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_batch(image: Any, *, precision: Any = np.float32, channels: int | None = None) -> np.ndarray:
    """A user's image as a batch of one, with its pixel values untouched.

    Parameters
    ----------
    image : array, shape (H, W) or (H, W, C), any real dtype
    precision : dtype
        What integer pixels become; float32 and float64 pixels keep their type.
    channels : int or None
        Number of channels that the taker needs; None for any.

    Returns
    -------
    x : ndarray, shape (1, C, H, W), floating
    """
    pixels = np.asarray(image)
    dtype = pixels.dtype if pixels.dtype in (np.float32, np.float64) else np.dtype(precision)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0)[None], dtype=dtype)
