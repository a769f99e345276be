"""Where pooled words say that an image is exactly flat."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from repinv.encoders import _local

#: Share of the words of flat places from which a place is flat for certain. So are those about it,
#: interpolated between cells, down to what so many pixels beyond the middle of an edge have, or to
#: the least.
_CERTAIN, _BEYOND, _LEAST = 0.7, 3.2, 0.2
#: The same where nothing is interpolated: all of a cell, or of one descriptor, is flat or is not.
_WHOLE = 0.99
#: Words that a flat place has for certain, relative to the one that it has most of.
_PLAIN = 0.1
#: Contrast of a texture in which every descriptor sees all of its window.
_TEXTURE = 0.1


def places(encoder: Any, features: Any, image_shape: tuple[int, ...]) -> np.ndarray | None:
    """Pixels (H, W) that a bag of words says to be flat; None where none are.

    None also where the words of flat places are not known: descriptors that are not zero there
    tell brightness.
    """
    local, shape = encoder.local, (1, *image_shape)
    constant = local.encode(np.full(shape, 0.5, np.float32))
    if np.any(constant):
        return None
    rows = _local.descriptors(local, constant)[0]
    words = len(encoder.vocabulary)
    pooled = np.asarray(features).reshape(-1, words)
    flat = encoder.encode(np.full(shape, 0.5, np.float32)).reshape(-1, words)
    plain = flat >= _PLAIN * flat.max()
    share = np.where(plain, pooled / np.where(plain, flat, 1), np.inf).min(axis=1)
    share[~plain.any(axis=1)] = 0  # cells without descriptors
    certain = likely = _WHOLE
    if encoder.grid is not None and encoder.interpolate and min(encoder.grid) > 1:
        sizes = (size / cells for size, cells in zip(image_shape[1:], encoder.grid, strict=True))
        certain, likely = _CERTAIN, max(_LEAST, 0.5 - _BEYOND / min(sizes))
    if share.max() <= certain:
        return None
    if encoder.grid is not None:
        pooling = encoder.pooling(len(rows), image_shape, rows.dtype)
        weight = pooling.weight.sum(axis=1)
        seen = np.sum(pooling.weight * share[pooling.cell], axis=1)
        share = seen / np.where(weight > 0, weight, 1)
    areas = ndimage.label(_seen(local, share > likely, image_shape))[0]
    sure = np.unique(areas[_seen(local, share > certain, image_shape)])
    return np.isin(areas, sure[sure > 0])


def _seen(local: Any, which: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Pixels (H, W) that some of the descriptors of an image see."""
    rng = np.random.default_rng(0)
    texture = 0.5 + _TEXTURE * rng.standard_normal((1, *image_shape), np.float32)
    features, pullback = local.vjp(texture)
    width = _local.descriptors(local, features).shape[-1]
    signs = rng.integers(0, 2, (1, len(which), width)).astype(np.float32) * 2 - 1
    cotangent = _local.from_descriptors(local, signs * which[:, None], features.shape)
    square = np.sum(pullback(np.ascontiguousarray(cotangent)) ** 2, axis=(0, 1))
    seen: np.ndarray = square > 0
    return seen
