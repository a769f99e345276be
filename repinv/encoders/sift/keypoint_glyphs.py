"""Glyphs of descriptors at keypoints: a rotated square of stars for each."""

from __future__ import annotations

import math

import numpy as np

from repinv.encoders.sift import glyphs
from repinv.encoders.sift.patches import BINS, ORIENTATIONS

#: Pixels of the picture for one of the image.
SCALE = 3


def star(descriptor: np.ndarray) -> np.ndarray:
    """An upright picture of one descriptor (128,): 4×4 stars.

    Orientations run counterclockwise in OpenCV's descriptors, and clockwise in `glyphs`.
    """
    bins = descriptor.reshape(BINS, BINS, ORIENTATIONS)
    return glyphs.draw(np.roll(bins[..., ::-1], 1, axis=-1)[None, None])


def draw(descriptors: np.ndarray, keypoints: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture (SCALE·H, SCALE·W) of descriptors (K, 128) at keypoints, the large ones first."""
    picture = np.zeros((SCALE * height, SCALE * width), descriptors.dtype)
    for k in np.argsort(-keypoints[:, 2], kind="stable"):
        drawn = star(descriptors[k])
        side = len(drawn)
        x, y, size, angle = keypoints[k, :4]
        # Spatial bins are 3 half sizes wide, and the patch is turned clockwise by the angle.
        patch = BINS * 1.5 * size
        reach = math.ceil(patch / math.sqrt(2))
        rows = np.arange(
            max(0, math.floor(SCALE * (y - reach))),
            min(len(picture), math.ceil(SCALE * (y + reach + 1))),
        )
        columns = np.arange(
            max(0, math.floor(SCALE * (x - reach))),
            min(picture.shape[1], math.ceil(SCALE * (x + reach + 1))),
        )
        down = ((rows + 0.5) / SCALE - 0.5 - y)[:, None]
        right = ((columns + 0.5) / SCALE - 0.5 - x)[None]
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        across = (right * cosine + down * sine) / patch + 0.5
        below = (down * cosine - right * sine) / patch + 0.5
        inside = (across >= 0) & (across < 1) & (below >= 0) & (below < 1)
        i, j = (np.clip((side * a).astype(int), 0, side - 1) for a in (below, across))
        part = picture[np.ix_(rows, columns)]
        picture[np.ix_(rows, columns)] = np.where(inside, np.maximum(drawn[i, j], 0.3 * part), part)
    return picture
