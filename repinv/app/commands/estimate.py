"""Memory and minutes of a large inversion, estimated before it starts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import repinv
from repinv.encoders.base import Encoder
from repinv.solvers import memory

#: Pixels of all pre-images from which the estimate is printed.
LARGE = 2**20
#: Side of the texture that is inverted to time an evaluation, and evaluations of it.
_SIDE, _EVALUATIONS = 1024, 4
#: Factor of the time a pixel where an image is so many times larger: it is in no cache then.
_FARTHER, _FAR = 1.5, 2.0
#: The longest side that is suggested: inversions take minutes there.
_OFFERED = 1024


def announced(
    encoder: Encoder, image_shape: tuple[int, int, int], n_images: int, max_iter: int
) -> str | None:
    """Memory and minutes that inversions will take, in words; None where they are not large.

    Parameters
    ----------
    encoder : Encoder
    image_shape : tuple of int
        (C, H, W).
    n_images : int
        Pre-images, those that are averaged among them.
    max_iter : int
        Evaluations of each.
    """
    channels, height, width = image_shape
    if height * width * n_images < LARGE:
        return None
    n_features = math.prod(encoder.feature_shape(image_shape))
    size = memory.needed(height, width, channels, n_images, n_features=n_features)
    seconds = evaluation_seconds(encoder, image_shape)
    time = ""
    if seconds is not None:
        time = f" and {_in_words(seconds * n_images * max_iter)} for {max_iter} evaluations"
    offer = ""
    if max(height, width) > _OFFERED:
        offer = f"; --size {_OFFERED} makes the image smaller"
    return f"{height}x{width} pixels: about {size / 2**30:.2g} GiB of memory{time}{offer}"


def evaluation_seconds(encoder: Encoder, image_shape: tuple[int, int, int]) -> float | None:
    """Seconds of one evaluation, from those on a small image; None where this cannot be encoded."""
    channels, height, width = image_shape
    sides = (min(height, _SIDE), min(width, _SIDE))
    noise = np.random.default_rng(0).random((1, channels, *sides)).astype(np.float32)
    try:
        features = encoder.encode(encoder.asarray(noise))[0, ...]
        shape = (*sides, *((channels,) * (channels > 1)))
        options: dict[str, Any] = {"shape": shape, "layout": encoder.layout}
        # The first compiles what is compiled on first use.
        repinv.invert(features, encoder, max_iter=1, **options)
        result = repinv.invert(features, encoder, max_iter=_EVALUATIONS, **options)
    except ValueError:  # networks may take images of one size alone
        return None
    ratio = height * width / math.prod(sides)
    ratio *= _FARTHER if ratio > _FAR else 1.0
    return float(result.seconds) / _EVALUATIONS * ratio


def _in_words(seconds: float) -> str:
    """A time with as many digits as an estimate has."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
