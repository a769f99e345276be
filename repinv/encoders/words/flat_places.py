"""Regions that pooled words prove to be exactly flat."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from repinv.encoders._parts import local_descriptors

#: Share of the words of a flat region from which a position is flat for certain. So are those about
#: it, interpolated between cells, down to the share so many pixels beyond the middle of an edge, or
#: to the least.
_CERTAIN, _BEYOND, _LEAST = 0.7, 3.2, 0.2
#: The same where nothing is interpolated: all of a cell, or of one descriptor, is flat or is not.
_WHOLE = 0.99
#: Words that a flat region has for certain, relative to its most frequent one.
_PLAIN = 0.1
#: Contrast of a weak texture, in units of the strong one, and by how much its features may differ
#: where they are normalized without an epsilon.
_WEAK, _ALIKE = 1e-4, 0.02
#: Standard deviation, and that of the blur in pixels, of a texture.
_CONTRAST, _SMOOTH = 0.1, 2.0


def places(encoder: Any, features: Any, image_shape: tuple[int, ...]) -> np.ndarray | None:
    """Pixels (H, W) that a bag of words proves to be flat; None where none are.

    None also where words prove nothing: of descriptors that depend on brightness, or whose norm is
    small at low contrast, so that they have words between those of flat regions and of others.
    """
    local, words = encoder.local, len(encoder.vocabulary)
    rows = local_descriptors.rows(local, np.full((1, *image_shape), 0.5, np.float32))[0][0]
    if np.any(rows):
        return None
    flat = encoder.encode(np.full((1, *image_shape), 0.5, np.float32)).reshape(-1, words)
    share = _share(np.asarray(features).reshape(-1, words), flat)
    certain = likely = _WHOLE
    grids = encoder.grids(image_shape)
    if grids and encoder.interpolate and min(grids[0]) > 1:
        sizes = (size / cells for size, cells in zip(image_shape[1:], grids[0], strict=True))
        certain, likely = _CERTAIN, max(_LEAST, 0.5 - _BEYOND / min(sizes))
    if share.max() <= certain:
        return None
    texture = _texture(image_shape)
    if not _normalizes(local, texture):
        return None
    if grids:
        pooling = encoder.pooling(len(rows), image_shape, rows.dtype)
        weight = pooling.weight.sum(axis=1)
        seen = np.sum(pooling.weight * share[pooling.cell], axis=1)
        share = seen / np.where(weight > 0, weight, 1)
    areas = ndimage.label(_seen(local, share > likely, texture))[0]
    sure = np.unique(areas[_seen(local, share > certain, texture)])
    found: np.ndarray = np.isin(areas, sure[sure > 0])
    return found


def _share(codes: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """The share of flat regions in each cell's codes (cells, K): how many of their words it has."""
    plain = flat >= _PLAIN * flat.max()
    ratio = codes / np.where(plain, flat, 1)
    share: np.ndarray = np.min(ratio, axis=1, where=plain, initial=np.inf)
    share[np.isinf(share)] = 0  # cells without descriptors
    return share


def _texture(image_shape: tuple[int, ...]) -> Any:
    """A smooth texture of natural contrast, on which descriptors depend in all of their window."""
    noise = np.random.default_rng(0).standard_normal((1, *image_shape))
    smooth = ndimage.gaussian_filter(noise, (0, 0, _SMOOTH, _SMOOTH))
    return (0.5 + _CONTRAST * smooth / smooth.std()).astype(np.float32)


def _normalizes(local: Any, texture: np.ndarray) -> bool:
    """Whether the weakest texture has the descriptors of a strong one."""
    strong, weak = (
        local.encode((0.5 + scale * (texture - 0.5)).astype(np.float32)) for scale in (1, _WEAK)
    )
    return bool(np.linalg.norm(strong - weak) <= _ALIKE * np.linalg.norm(strong))


def _seen(local: Any, which: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Pixels (H, W) that some of the descriptors of an image depend on."""
    features, pullback = local.vjp(texture)
    width = local_descriptors.descriptors(local, features).shape[-1]
    signs = np.random.default_rng(1).integers(0, 2, (1, len(which), width)) * 2 - 1
    cotangent = local_descriptors.from_descriptors(local, signs * which[:, None], features.shape)
    grad = pullback(np.ascontiguousarray(cotangent, features.dtype))
    seen: np.ndarray = np.any(grad != 0, axis=(0, 1))
    return seen
