"""Features as users hold them, read: in which layout they come, and of how many images."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_array

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io.image import detached, on_host

#: What `layout` may say.
LAYOUTS = ("channels_first", "channels_last")


@dataclass(frozen=True)
class Reading:
    """Features of one image or several in the encoder's layout.

    Attributes
    ----------
    features : array, shape (N, *F)
    size : tuple of int
        (C, H, W) of the images.
    is_stack : bool
        Whether they came with an axis of images.
    notes : tuple of str
        What was decided that the user may want to know.
    came_as : tuple of int or None
        Shape in which one image's features came, if their channels were on the other end.
    """

    features: Array
    size: tuple[int, int, int]
    is_stack: bool
    notes: tuple[str, ...]
    came_as: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return int(self.features.shape[0])

    def of(self, number: int) -> Reading:
        """The features of one of the images."""
        return replace(self, features=self.features[number : number + 1, ...], is_stack=False)

    def mask(self, mask: Array | None, encoder: Encoder) -> Array | None:
        """A mask of features as they came, as one of features in the encoder's layout."""
        if mask is None or self.came_as is None:
            return mask
        try:
            full = np.broadcast_to(on_host(mask), self.came_as)
        except ValueError:
            return mask  # of the encoder's layout, or refused with those
        return _mover(encoder, self.came_as)(full)


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


def read(
    features: Array, encoder: Encoder, shape: tuple[int, ...] | None, layout: str | None = None
) -> Reading:
    """Features of one image or of several, checked and brought to the encoder's layout.

    Parameters
    ----------
    features : array
        In the encoder's layout, flat, or with their channels on the other end; or a stack of such,
        whose first axis is that of images.
    encoder : Encoder
    shape : tuple of int or None
        (H, W) or (H, W, C) of the images; None for the smallest size that fits.
    layout : {"channels_first", "channels_last"} or None
        Which it is, where features could be either.

    Returns
    -------
    reading : Reading

    Raises
    ------
    TypeError, ValueError
        If they are not the encoder's, or could be of two layouts.
    """
    _check_layout(layout, encoder)
    checked = real_and_finite(features)
    given = tuple(int(n) for n in checked.shape)
    if 0 in given or not given:
        raise ValueError(f"features are empty: their shape is {given}.")
    expected = None
    if shape is not None:
        expected = tuple(encoder.feature_shape(image_shape(shape, encoder)))
    one, is_stack = given, False
    forms = _forms(one, encoder, expected, layout)
    if not forms:
        one, is_stack = given[1:], True
        forms = _forms(one, encoder, expected, layout)
    if not forms:
        raise _misfit(given, encoder, shape, expected)
    if len(forms) > 1 and layout is None:
        raise ValueError(
            f"features of shape {one} could be channels first or channels last, and bindings of "
            f"{encoder.both_layouts} return both. Say which: layout='channels_first' or "
            "layout='channels_last', on the command line --layout."
        )
    moved, flat = forms[0]
    notes: tuple[str, ...] = ()
    own = _moved(one, encoder) if moved and not flat else one
    if expected is None:
        sizes = _sizes(encoder, own)
        (height, _), (width, _) = sizes
        shape = (height, width)
        expected = tuple(encoder.feature_shape(image_shape(shape, encoder)))
        if _window(encoder) is None and any(least < most for least, most in sizes):
            notes = (f"shape {height}x{width} is the smallest of {_range(sizes)} that fit",)
    assert shape is not None
    if moved and layout is None:
        notes = (
            *notes,
            f"features of shape {one} were taken as {_other(encoder)}; result.features are in the "
            f"layout of a call, {expected}",
        )
    count = given[0] if is_stack else 1
    xp = array_namespace(checked)
    size = image_shape(shape, encoder)
    if not moved:
        return Reading(xp.reshape(checked, (count, *expected)), size, is_stack, notes)
    came_as, move = _unmoved(expected, encoder), _mover(encoder, expected)
    each = xp.reshape(checked, (count, *came_as))
    stack = xp.stack([move(each[k, ...]) for k in range(count)])
    return Reading(stack, size, is_stack, notes, came_as)


def real_and_finite(features: Array) -> Array:
    """Features as an array of real and finite numbers in float32."""
    if isinstance(features, str | os.PathLike):
        raise TypeError(
            f"features must be an array; got the name {os.fspath(features)!r}. Read it first, such "
            "as by numpy.load."
        )
    features = detached(features)
    if not is_array_api_obj(features) or is_numpy_array(features):
        try:
            features = np.asarray(features)
        except ValueError:
            raise TypeError(_several(features)) from None
        if features.dtype.kind not in "fiu" and features.size:
            raise TypeError(
                f"features must be real numbers; got an array of dtype {features.dtype}."
            )
        with np.errstate(over="ignore"):
            features = features.astype(np.float32)
    xp = array_namespace(features)
    if not xp.isdtype(features.dtype, ("real floating", "integral")):
        raise TypeError(f"features must be real numbers; got an array of dtype {features.dtype}.")
    features = xp.astype(features, xp.float32, copy=False)
    if not bool(xp.all(xp.isfinite(features))):
        raise ValueError("features must be finite in float32; these hold NaN, infinity or more.")
    return features


def _several(features: Any) -> str:
    """Why a sequence of arrays of different shapes is refused."""
    shapes = ", ".join(str(np.shape(part)) for part in features)
    hint = ""
    if isinstance(features, tuple) and len(features) == 2:
        hint = " skimage.feature.hog(visualize=True) returns features and a picture of them."
    return (
        f"features must be one array; got {len(features)} of different shapes, {shapes}.{hint} "
        "Give one of them, such as features[0]."
    )


def _check_layout(layout: str | None, encoder: Encoder) -> None:
    """Raise unless there is such a layout, and the encoder's features can have it."""
    if layout is None:
        return
    if layout not in LAYOUTS:
        raise ValueError(
            f"layout must be 'channels_first', 'channels_last' or None; got {layout!r}."
        )
    if encoder.layout is None:
        raise ValueError(
            f"layout goes with maps of channels; the features of {type(encoder).__name__} are "
            "not of that kind. Leave it out."
        )


def _forms(
    one: tuple[int, ...],
    encoder: Encoder,
    expected: tuple[int, ...] | None,
    layout: str | None,
) -> list[tuple[bool, bool]]:
    """How features of one image of a shape can be read: (channels on the other end, flat)."""

    def fits(shape: tuple[int, ...]) -> bool:
        return shape == expected if expected is not None else _sizes(encoder, shape) is not None

    wanted = {None: (False, True), encoder.layout: (False,)}.get(layout, (True,))
    found = []
    for moved in wanted:
        if moved and encoder.layout is None:
            continue
        if one and fits(_moved(one, encoder) if moved else one):
            found.append((moved, False))
    is_flat = bool(one) and _is_flat(one)
    if not found and is_flat and expected is not None and math.prod(one) == math.prod(expected):
        # Flat features are in the order of a call, unless the user says otherwise.
        found = [(len(wanted) == 1 and wanted[0], True)]
    if len(found) > 1 and encoder.both_layouts is None:
        found = found[:1]
    return found


def _is_flat(shape: tuple[int, ...]) -> bool:
    """Whether no more than one axis is longer than one."""
    return len([n for n in shape if n != 1]) <= 1


def _axes(encoder: Encoder, ndim: int) -> tuple[int, int]:
    """Axis of channels in a call's layout, and on the other end."""
    return (0, ndim - 1) if encoder.layout == "channels_first" else (ndim - 1, 0)


def _moved(shape: tuple[int, ...], encoder: Encoder) -> tuple[int, ...]:
    """A shape with channels on the other end, as it is in a call's layout."""
    own, other = _axes(encoder, len(shape))
    return _shifted(shape, other, own)


def _unmoved(shape: tuple[int, ...], encoder: Encoder) -> tuple[int, ...]:
    """A shape in a call's layout, with its channels on the other end."""
    own, other = _axes(encoder, len(shape))
    return _shifted(shape, own, other)


def _shifted(shape: tuple[int, ...], source: int, to: int) -> tuple[int, ...]:
    axes = list(shape)
    axes.insert(to, axes.pop(source))
    return tuple(axes)


def _mover(encoder: Encoder, expected: tuple[int, ...]) -> Callable[[Array], Array]:
    """Brings features (or a mask) with channels on the other end to a call's layout."""
    own, other = _axes(encoder, len(expected))
    return lambda a: array_namespace(a).moveaxis(a, other, own)


def _other(encoder: Encoder) -> str:
    """The layout that is not a call's, in words."""
    return "channels last" if encoder.layout == "channels_first" else "channels first"


def _sizes(encoder: Encoder, feature_shape: tuple[int, ...]) -> Any:
    """`Encoder.image_shapes`, or None for a shape that cannot be this encoder's."""
    try:
        return encoder.image_shapes(feature_shape)
    except (ValueError, IndexError):
        return None


def _window(encoder: Encoder) -> tuple[int, int, int] | None:
    """Width, height and numbers of an encoder's window, if its vectors are those of windows."""
    flavour: Any = getattr(encoder, "flavour", None)
    if not hasattr(flavour, "window_shape"):
        return None
    return (*flavour.win_size, math.prod(flavour.window_shape()))


def _range(sizes: Any) -> str:
    """Sizes in words."""
    (a, b), (c, d) = sizes
    return f"{a}..{b} x {c}..{d} pixels"


def _misfit(
    given: tuple[int, ...],
    encoder: Encoder,
    shape: tuple[int, ...] | None,
    expected: tuple[int, ...] | None,
) -> ValueError:
    """Why features of a shape are refused, and what to do."""
    if expected is None:
        bias = _bias(given, encoder)
        return ValueError(
            bias
            or of_windows(given, encoder)
            or f"features of shape {given} do not tell the size of the image; pass shape=(H, W), "
            "or on the command line --shape HxW."
        )
    sizes = _sizes(encoder, given)
    fit = f"fit images of {_range(sizes)}" if sizes else "are not of this encoder"
    text = f"features of shape {given} {fit}; shape={tuple(shape or ())} gives {expected}."
    if _is_flat(given) and math.prod(given) == math.prod(expected) + 1:
        return ValueError(f"{text} {with_bias(math.prod(given))}")
    windows = of_windows(given, encoder)
    if windows:
        return ValueError(f"{text} {windows}")
    if sorted(given) == sorted(expected):
        axes = tuple(given.index(n) for n in expected)
        if len(set(axes)) == len(axes):
            return ValueError(f"{text} Bring the axes to that order: features.transpose{axes}.")
    if sizes:
        return ValueError(text)
    return ValueError(
        f"{text} Give the encoder the options that they were computed with, such as the sizes of "
        "cells and blocks."
    )


def _bias(given: tuple[int, ...], encoder: Encoder) -> str:
    """What to say of flat features that are one too many to be of one image."""
    if not _is_flat(given):
        return ""
    count = math.prod(given)
    return "" if _sizes(encoder, (count - 1,)) is None else with_bias(count)


def of_windows(given: tuple[int, ...], encoder: Encoder) -> str:
    """How many numbers an encoder's windows have, where given ones are not so many."""
    window = _window(encoder)
    if window is None or not _is_flat(given):
        return ""
    (width, height, one), count = window, math.prod(given)
    if count % one == 0:
        return ""
    several = round(count / one)
    text = f"{count} numbers; a window of {width}x{height} has {one}"
    text += f", {several} windows have {several * one}" if several > 1 else ""
    return f"{text}. Give the encoder the options that they were computed with."


def with_bias(count: int) -> str:
    """What a vector of one number too many is."""
    return (
        f"{count} numbers are {count - 1} weights and a bias, as a linear detector has them (such "
        "as cv2.HOGDescriptor_getDefaultPeopleDetector()). Leave out the last: vector[:-1]."
    )
