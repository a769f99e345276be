"""Glyphs of descriptors at keypoints: a rotated square of stars for each."""

from __future__ import annotations

import math

import numpy as np

from repinv.encoders._parts import star_glyphs
from repinv.encoders.keypoints.patches import BINS, ORIENTATIONS

#: Pixels of the picture for one of the image.
SCALE = 3


def star(descriptor: np.ndarray, rightward: int) -> np.ndarray:
    """An upright picture of one descriptor (128,): 4×4 stars.

    Orientations run counterclockwise, and clockwise in `star_glyphs`; that of the number
    `rightward` points right.
    """
    bins = descriptor.reshape(BINS, BINS, ORIENTATIONS)
    return star_glyphs.draw(np.roll(bins[..., ::-1], 1 + rightward, axis=-1)[None, None])


def draw(
    descriptors: np.ndarray,
    keypoints: np.ndarray,
    size: tuple[int, int],
    rightward: int,
    clockwise: int,
) -> np.ndarray:
    """A picture of descriptors (K, 128) at keypoints of an image, the large ones first.

    Parameters
    ----------
    descriptors, keypoints : ndarray, shapes (K, 128) and (K, 5)
    size : tuple of int
        (H, W) of the image.
    rightward : int
        See `star`.
    clockwise : int
        1 or −1: where patches are turned to by a positive angle.

    Returns
    -------
    picture : ndarray, shape (SCALE·H, SCALE·W)
    """
    height, width = size
    picture = np.zeros((SCALE * height, SCALE * width), descriptors.dtype)
    for k in np.argsort(-keypoints[:, 2], kind="stable"):
        drawn = star(descriptors[k], rightward)
        side = len(drawn)
        x, y, diameter, angle = keypoints[k, :4]
        angle = math.radians(clockwise * angle)
        # Spatial bins are 3 half sizes wide, and the patch is turned clockwise by the angle.
        patch = BINS * 1.5 * diameter
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
        cosine, sine = math.cos(angle), math.sin(angle)
        across = (right * cosine + down * sine) / patch + 0.5
        below = (down * cosine - right * sine) / patch + 0.5
        inside = (across >= 0) & (across < 1) & (below >= 0) & (below < 1)
        i, j = (np.clip((side * a).astype(int), 0, side - 1) for a in (below, across))
        part = picture[np.ix_(rows, columns)]
        picture[np.ix_(rows, columns)] = np.where(inside, np.maximum(drawn[i, j], 0.3 * part), part)
    return picture
