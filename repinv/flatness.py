"""What features tell of flat images: the gray of a blank target."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from scipy.optimize import minimize_scalar

from repinv.encoder import Array, Encoder

#: Grays whose features a target is compared with, the middle one first.
_GRAYS = (0.5, 0.0, 1.0, 0.25, 0.1)
#: Relative squared difference of features below which they are equal but for rounding, and below
#: which another gray may have them.
_EQUAL, _NEAR = 1e-9, 0.5


def blank_gray(
    encoder: Encoder, target: Array, weight: Array | None, image_shape: tuple[int, int, int]
) -> float | None:
    """The gray of a constant image with a target's features; None if no such image has them.

    Parameters
    ----------
    encoder : Encoder
    target : array, shape (1, *F)
        Features Φ₀ of one image.
    weight : array, shape (1, *F), or None
        Of the squared differences from the target.
    image_shape : tuple of int
        (C, H, W) of the image.

    Notes
    -----
    The middle gray stands for all of them where an encoder does not respond to brightness. For
    others the gray is found by a search of one variable, from features near enough to the target's.
    """
    xp = array_namespace(target)
    scale = float(xp.sum((target if weight is None else weight * target) * target))

    def encoded(gray: float) -> Array:
        return encoder.encode(encoder.asarray(constant(gray, image_shape)))

    def error(features: Array) -> float:
        difference = features - target
        weighted = difference if weight is None else weight * difference
        return float(xp.sum(weighted * difference)) / (scale if scale > 0 else 1.0)

    middle = encoded(_GRAYS[0])
    errors = []
    for gray in _GRAYS:
        features = middle if gray == _GRAYS[0] else encoded(gray)
        errors.append(error(features))
        # Zero features have no unit in which others would be near to them.
        if errors[-1] <= (_EQUAL if scale > 0 else 0):
            return gray
        if gray == _GRAYS[1] and bool(xp.all(features == middle)):
            return None
    if scale == 0 or min(errors) > _NEAR:
        return None
    found: Any = minimize_scalar(
        lambda gray: error(encoded(gray)), bounds=(0, 1), method="bounded", options={"xatol": 1e-7}
    )
    return float(found.x) if found.fun <= _EQUAL else None


def constant(gray: float, image_shape: tuple[int, int, int]) -> np.ndarray:
    """A constant image (1, C, H, W)."""
    return np.full((1, *image_shape), gray, np.float32)
