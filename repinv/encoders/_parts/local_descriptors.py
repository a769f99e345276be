"""Encoders of local descriptors, and the chain rule through what is made of the descriptors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import is_numpy_array

from repinv._core.typing import Array, Pullback
from repinv.encoders import expressions
from repinv.encoders._parts import validation
from repinv.encoders._parts.threads import each
from repinv.encoders.base import Encoder
from repinv.io.image import as_batch, channels_last, on_host

#: (descriptors (F, D), image shape (C, H, W), keep) → the code of one image, and a function from a
#: cotangent of the code to one of the descriptors.
Code: TypeAlias = Callable[
    [np.ndarray, tuple[int, ...], bool],
    tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]],
]

#: Bytes of assignments that a batch keeps for its pullback; where there are more, they are
#: computed again, which makes an evaluation half as long again.
_KEPT = 2**26


#: Sides of images that a local encoder is tried on; its keypoints may lie far from the corner.
_SIDES = (64, 256, 1024, 4096, 16384)


def encoder_of(given: Encoder | str) -> Encoder:
    """A local encoder, or the one that an expression names."""
    return expressions.encoder_of(given)


def accept(encoder: Any, local: Any, name: str, width: int) -> None:
    """Check a new encoder's local one, and take over what it says of images.

    Raises
    ------
    TypeError
        If it is no encoder of local descriptors.
    ValueError
        If its descriptors do not have `width` numbers, as the words do.
    """
    if not isinstance(local, Encoder) or local.descriptor_axis is None:
        raise TypeError(
            f"{name} needs an encoder of local descriptors; got {type(local).__name__}, which has "
            "none. Use one whose descriptor_axis is not None, such as repinv.HOG.vlfeat()."
        )
    found = _sizes(local)
    # Descriptors of several channels are those of each, side by side.
    fits = width % found[0] == 0 if found and local.any_channels else width in found
    if found and not fits:
        raise _misfit(width, found[0])
    for attribute in ("channels", "value_range", "precision", "channel_axis", "any_channels"):
        object.__setattr__(encoder, attribute, getattr(local, attribute))


def width(local: Any, name: str) -> int:
    """Numbers of a descriptor of a local encoder.

    Raises
    ------
    TypeError
        If it is no encoder of local descriptors.
    """
    found = (
        _sizes(local) if isinstance(local, Encoder) and local.descriptor_axis is not None else []
    )
    if not found:
        raise TypeError(
            f"{name} needs an encoder of local descriptors; got {type(local).__name__}, which has "
            "none. Use one whose descriptor_axis is not None, such as repinv.HOG.vlfeat()."
        )
    return found[0]


def _sizes(local: Encoder) -> list[int]:
    """Numbers that descriptors may have, of gray or colour images of sizes that may fit."""
    found = []
    for channels in (1, 3) if local.channels is None else (local.channels,):
        for size in _SIDES:
            try:
                shape = local.feature_shape((channels, size, size))
            except ValueError:
                continue
            found.append(int(shape[local.descriptor_axis or 0]))
            break
    return found


def _misfit(width: int, found: int) -> ValueError:
    """What is wrong with words of another width than descriptors."""
    return ValueError(
        f"words have {width} numbers each; the local encoder's descriptors have {found}. "
        "Use the local encoder that they were fitted with."
    )


def count(local: Encoder, image_shape: tuple[int, ...], width: int) -> int:
    """Number of descriptors of an image (C, H, W).

    Raises
    ------
    ValueError
        As the local encoder does, or if its descriptors do not have `width` numbers.
    """
    shape = list(local.feature_shape(image_shape))
    found = shape.pop(local.descriptor_axis or 0)
    if found != width:
        raise _misfit(width, found)
    return math.prod(shape)


def descriptors(local: Encoder, features: Array) -> np.ndarray:
    """Features (N, *F) as (N, positions, D); a view wherever that is possible."""
    if not isinstance(features, np.ndarray) or features.dtype not in (np.float32, np.float64):
        kind = getattr(features, "dtype", type(features).__name__)
        raise TypeError(
            f"expected NumPy features of float32 or float64 from the local encoder; got {kind}. "
            "Local encoders of other arrays are not taken."
        )
    axis = local.descriptor_axis or 0
    last = np.moveaxis(features, axis + 1, -1)
    return last.reshape(len(features), -1, last.shape[-1])


def from_descriptors(local: Encoder, grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Adjoint of `descriptors`: (N, positions, D) → (N, *F)."""
    axis = local.descriptor_axis or 0
    lattice = shape[1 : axis + 1] + shape[axis + 2 :]
    return np.moveaxis(grad.reshape(len(grad), *lattice, grad.shape[-1]), -1, axis + 1)


def rows(local: Encoder, x: Array) -> tuple[np.ndarray, tuple[int, ...]]:
    """Descriptors (N, positions, D) of a batch, on the host, and the local features' shape."""
    found = _hosted(local.encode(local.asarray(x)), x)
    return descriptors(local, found), found.shape


def rows_vjp(
    local: Encoder, x: Array
) -> tuple[np.ndarray, tuple[int, ...], Callable[[np.ndarray], np.ndarray]]:
    """The same, and the pullback of cotangents (N, positions, D)."""
    features, pull_local = local.vjp(local.asarray(x))
    found = _hosted(features, x)

    def pullback(grad: np.ndarray) -> np.ndarray:
        cotangent = from_descriptors(local, grad, found.shape)
        if not is_numpy_array(features):
            cotangent = np.ascontiguousarray(cotangent)
        elif cotangent.dtype != features.dtype:
            cotangent = cotangent.astype(features.dtype)
        return _hosted(pull_local(local.asarray(cotangent)), x)

    return descriptors(local, found), found.shape, pullback


def _hosted(a: Array, x: Array) -> np.ndarray:
    """What a local encoder gives, which may compute elsewhere and in another precision than x."""
    found = on_host(a)
    dtype = getattr(x, "dtype", None)
    return found.astype(dtype, copy=False) if dtype in (np.float32, np.float64) else found


def vjp(
    local: Encoder, x: Array, code: Code, words: tuple[int, ...]
) -> tuple[np.ndarray, Pullback]:
    """Codes (N, *F) of a batch of images, and the pullback through the local encoder.

    `words` is the shape of the vocabulary, (K, D).
    """
    found, _, pull_local = rows_vjp(local, x)
    found = _fitting(found, words)
    keep = math.prod(found.shape[:2]) * words[0] * found.itemsize <= _KEPT
    coded = each(lambda i: code(found[i], x.shape[1:], keep), range(len(found)))
    features = _stacked([one for one, _ in coded])

    def pullback(cotangent: Array) -> Array:
        v = validation.cotangent(cotangent, features.shape, features.dtype)
        return pull_local(_stacked(each(lambda i: coded[i][1](v[i]), range(len(v)))))

    return features, pullback


def encode(local: Encoder, x: Array, code: Code, words: tuple[int, ...]) -> np.ndarray:
    """Codes (N, *F) of a batch of images."""
    found = _fitting(rows(local, x)[0], words)
    return _stacked(each(lambda i: code(found[i], x.shape[1:], False)[0], range(len(found))))


def call(local: Encoder, image: Any, code: Code, words: tuple[int, ...]) -> np.ndarray:
    """Code of one image, whose descriptors are those of the local encoder's own call."""
    # The local encoder moves its channels itself; here they are only looked at.
    pixels = as_batch(
        channels_last(image, local.channel_axis),
        precision=local.precision,
        channels=local.channels,
        any_channels=local.any_channels,
    )
    found = _fitting(descriptors(local, local(image)[None]), words)
    return code(found[0], pixels.shape[1:], False)[0]


def _fitting(rows: np.ndarray, words: tuple[int, ...]) -> np.ndarray:
    """Descriptors (N, positions, D), if they are as wide as the words."""
    if rows.shape[-1] != words[1]:
        raise _misfit(words[1], rows.shape[-1])
    return rows


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays as a batch; a single one is not copied."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
