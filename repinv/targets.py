"""What a user asks for, checked: features, their mask, the image shape, the image to start from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_array

from repinv.encoder import Array, Encoder


def image_shape(shape: tuple[int, ...], encoder: Encoder) -> tuple[int, int, int]:
    """(C, H, W) of an image of shape (H, W) or (H, W, C)."""
    if (
        not isinstance(shape, tuple | list)
        or len(shape) not in (2, 3)
        or any(int(n) != n or n < 1 for n in shape)
    ):
        raise ValueError(f"shape must be (H, W) or (H, W, C), in pixels; got {shape}.")
    channels = shape[2] if len(shape) == 3 else (encoder.channels or 1)
    if encoder.channels is not None and channels != encoder.channels:
        raise ValueError(
            f"the encoder takes {encoder.channels} channel(s); shape={shape} has {channels}."
        )
    return int(channels), int(shape[0]), int(shape[1])


def target(
    features: Array, encoder: Encoder, shape: tuple[int, ...] | None
) -> tuple[Array, tuple[int, int, int], tuple[str, ...]]:
    """Checked features in the encoder's layout, the image shape (C, H, W), and notes."""
    checked = _real_and_finite(features)
    given = tuple(int(n) for n in checked.shape)
    if 0 in given or not given:
        raise ValueError(f"features are empty: their shape is {given}.")
    notes: tuple[str, ...] = ()
    if shape is None:
        sizes = _sizes(encoder, given)
        if sizes is None:
            raise ValueError(
                f"features of shape {given} do not tell the size of the image; pass shape=(H, W), "
                "or on the command line --shape HxW."
            )
        (height, _), (width, _) = sizes
        shape = (height, width)
        notes = (f"shape {height}x{width} is the smallest of {_range(sizes)} that fit",)
    size = image_shape(shape, encoder)
    expected = tuple(encoder.feature_shape(size))
    flat = len([n for n in given if n != 1]) <= 1
    if given != expected and not (flat and math.prod(given) == math.prod(expected)):
        sizes = _sizes(encoder, given)
        fit = f"fit images of {_range(sizes)}" if sizes else "are not of this encoder"
        raise ValueError(f"features of shape {given} {fit}; shape={tuple(shape)} gives {expected}.")
    return array_namespace(checked).reshape(checked, expected), size, notes


def _real_and_finite(features: Array) -> Array:
    """Features as an array of real and finite numbers; NumPy's in float32."""
    if not is_array_api_obj(features) or is_numpy_array(features):
        features = np.asarray(features)
        if features.dtype.kind not in "fiu" and features.size:
            raise TypeError(
                f"features must be real numbers; got an array of dtype {features.dtype}."
            )
        with np.errstate(over="ignore"):
            features = features.astype(np.float32)
    xp = array_namespace(features)
    if not xp.isdtype(features.dtype, ("real floating", "integral")):
        raise TypeError(f"features must be real numbers; got an array of dtype {features.dtype}.")
    if not bool(xp.all(xp.isfinite(features))):
        raise ValueError("features must be finite in float32; these hold NaN, infinity or more.")
    return features


def _sizes(encoder: Encoder, feature_shape: tuple[int, ...]) -> Any:
    """`Encoder.image_shapes`, or None for a shape that cannot be this encoder's."""
    try:
        return encoder.image_shapes(feature_shape)
    except (ValueError, IndexError):
        return None


def _range(sizes: Any) -> str:
    """Sizes in words."""
    (a, b), (c, d) = sizes
    return f"{a}..{b} x {c}..{d} pixels"


def weight(mask: Array, shape: tuple[int, ...]) -> np.ndarray:
    """A checked mask as weights of the squared differences."""
    weight = np.asarray(mask)
    if weight.dtype.kind not in "bfiu":
        raise TypeError(f"mask must be boolean or weights; got dtype {weight.dtype}.")
    weight = weight.astype(np.float32)
    if weight.ndim == 1 and weight.size == math.prod(shape):
        weight = weight.reshape(shape)
    try:
        full = np.broadcast_to(weight, shape)
    except ValueError:
        raise ValueError(
            f"mask must broadcast to the features' shape {shape}; got {weight.shape}."
        ) from None
    if not np.isfinite(weight).all() or (weight < 0).any() or not full.any():
        raise ValueError("mask must be finite, not negative, and not zero everywhere.")
    return np.ascontiguousarray(full)


def initial(image: Array, size: tuple[int, int, int]) -> np.ndarray:
    """A checked start (1, C, H, W)."""
    x = np.asarray(image)
    if x.dtype.kind not in "bfiu":
        raise TypeError(f"initial must be an image of real numbers; got dtype {x.dtype}.")
    x = x.astype(np.float32)
    x = x[..., None] if x.ndim == 2 else x
    x = np.moveaxis(x, -1, 0)[None]
    if x.shape[1:] != size:
        raise ValueError(f"initial must be an image of {size} (C, H, W); got {x.shape[1:]}.")
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise ValueError("initial must lie in [0, 1]; divide 8-bit pixels by 255.")
    return np.ascontiguousarray(x)
