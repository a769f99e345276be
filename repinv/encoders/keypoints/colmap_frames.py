"""Frames as COLMAP gives them → keypoints with the layers that their descriptors are of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from repinv.encoders.keypoints import keypoints as _keypoints
from repinv.encoders.keypoints.colmap_sift import SIGMA

_SIMILAR = ("x", "y", "scale", "orientation")
_AFFINE = ("x", "y", "a11", "a12", "a21", "a22")
_FORMS = (
    "pycolmap's FeatureKeypoints, an array (K, 4) of x, y, scale and orientation or (K, 6) of x, "
    "y, a11, a12, a21 and a22, a structured array or a mapping with these names, or a .npz or "
    ".json file of them"
)
#: Centre of the first pixel.
_CENTRE = 0.5
#: How far affine frames may be from a rotation, in units of their scale.
_SHEAR = 1e-3
#: How far a scale may be from that of its layer, in layers: refinement goes less than 1.5.
_FARTHEST = 1.51
#: Rows that refinement moves keypoints by, in pixels of their octave, and the largest cost of more.
_MOVED, _MISPLACED = 1.0, 8.0
#: Scales of one keypoint with two orientations, in layers, which are rounded.
_TWIN = 1e-4
#: Cost of a new layer that does not begin above the end of the one before.
_BELOW = 0.5
#: Share of frames above the one before of their layer from which on these are in another order.
_UNORDERED = 0.05


def read(given: Any, first_octave: int, octaves: int, resolution: int) -> np.ndarray:
    """Keypoints (K, 5) of frames: x, y, twice σ, degrees, and the packed octave.

    Parameters
    ----------
    given : pycolmap.FeatureKeypoints, array, mapping or path
        Frames: x and y in pixels, ½ being the centre of the first one, σ in pixels, and radians.
    first_octave, octaves, resolution : int
        The first octave, how many there are, and how many layers each has.

    Raises
    ------
    TypeError
        If it is nothing of that kind.
    ValueError
        If there are no frames, their numbers are impossible, or they are sheared.

    Notes
    -----
    A descriptor is taken from the layer in which its keypoint was found. Frames hold only the
    refined scale, and that of one in fourteen is nearest to another layer. COLMAP lists keypoints
    octave by octave, layer by layer and row by row, so that their order tells the layers. Frames
    in another order are taken to lie in the layers nearest to their scales.

    Examples
    --------
    >>> read([[20.5, 30.5, 2.1, 0.0]], -1, 4, 3).tolist()
    [[20.0, 30.0, 4.2, 0.0, 256.0]]
    """
    rows = _keypoints.rows_of(given, (_SIMILAR, _AFFINE), "frames", _FORMS)
    x, y, sigma, angle = rows.T if rows.shape[1] == len(_SIMILAR) else _unsheared(rows)
    for k in np.flatnonzero(sigma <= 0)[:1]:
        raise ValueError(
            f"scales of frames must be positive; frame {k} has {sigma[k]:g}. Give σ in pixels."
        )
    x, y = x - _CENTRE, y - _CENTRE
    levels = resolution * np.log2(sigma / SIGMA) - 1
    shift, count = first_octave * resolution, octaves * resolution
    found = _in_order(x, y, levels - shift, count, resolution, first_octave)
    if found is None:
        found = np.clip(np.floor(levels - shift + 0.5), 0, count - 1).astype(np.int64)
    octave, layer = np.divmod(found + shift, resolution)
    packed = octave & 255 | (layer + 1) << 8
    return np.stack([x, y, 2 * sigma, np.degrees(angle), packed], axis=-1)


def _unsheared(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """x, y, scale and orientation of affine frames (K, 6)."""
    x, y, a11, a12, a21, a22 = rows.T
    sigma = np.hypot((a11 + a22) / 2, (a21 - a12) / 2)
    sheared = np.hypot(a11 - a22, a12 + a21) > _SHEAR * sigma
    for k in np.flatnonzero(sheared)[:1]:
        raise ValueError(
            f"frame {k} is sheared: its matrix is [{a11[k]:g}, {a12[k]:g}; {a21[k]:g}, "
            f"{a22[k]:g}], and {int(sheared.sum())} of {len(rows)} are. SIFT.colmap takes frames "
            "that are scaled and rotated alone: extract them without estimate_affine_shape."
        )
    return x, y, sigma, np.arctan2(a21 - a12, a11 + a22)


def _in_order(
    x: np.ndarray,
    y: np.ndarray,
    levels: np.ndarray,
    count: int,
    resolution: int,
    first_octave: int,
) -> np.ndarray | None:
    """Layers (K,), counted from the first of the first octave, of frames in COLMAP's order.

    `levels` are those of the refined scales. The layers are a sequence that does not fall, near
    these levels, and in which rows do not fall within a layer, found by dynamic programming. None
    if there is none.
    """
    away = np.abs(levels[:, None] - np.arange(count))
    own = np.where(away < _FARTHEST, 2 * np.maximum(away - 0.5, 0), math.inf)
    pixel = 2.0 ** (first_octave + np.arange(count) // resolution)
    down = np.diff(y)[:, None] / pixel
    stays = np.minimum(2 * np.maximum(-down - _MOVED, 0), _MISPLACED)
    twins = (np.diff(x) == 0) & (np.diff(y) == 0) & (np.abs(np.diff(levels)) < _TWIN)
    rises = np.where(down > 0, _BELOW, 0.0) + np.where(twins, math.inf, 0.0)[:, None]
    cost, came = own[0], np.empty((len(levels) - 1, count), np.int64)
    everyone = np.arange(count)
    for k, (stay, rise) in enumerate(zip(stays, rises, strict=True)):
        # The cheapest of all layers before each, and which one that is.
        least = np.minimum.accumulate(cost)
        holder = np.maximum.accumulate(np.where(cost == least, everyone, 0))
        below = np.concatenate([[math.inf], least[:-1]]) + rise
        rest = cost + stay
        came[k] = np.where(rest <= below, everyone, np.concatenate([[0], holder[:-1]]))
        cost = np.minimum(rest, below) + own[k + 1]
    if not np.isfinite(cost).any():
        return None
    found = np.empty(len(levels), np.int64)
    found[-1] = np.argmin(cost)
    for k in range(len(levels) - 2, -1, -1):
        found[k] = came[k, found[k + 1]]
    kept = np.flatnonzero(np.diff(found) == 0)
    misplaced = (-down[kept, found[kept]] > 2 * _MOVED).sum()
    return None if misplaced > _UNORDERED * len(levels) else found
