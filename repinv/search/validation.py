"""What a user gives, checked: masks, choices of features, directions, an image to start from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io.image import as_unit, on_host
from repinv.search.feature_layout import Reading, of_windows, with_bias


def check_counts(*, least: int = 1, **counts: int) -> None:
    """Raise ValueError unless each is a whole number, and not below `least`."""
    for name, value in counts.items():
        if value != int(value) or value < least:
            raise ValueError(f"{name} must be a whole number >= {least}; got {value}.")


def transforms(given: Any, rules: Sequence[Any]) -> None:
    """Raise unless `transforms` is "robust" or a sequence, and the rules can follow them."""
    if isinstance(given, str) and given != "robust":
        raise ValueError(
            f"transforms must be 'robust', or a sequence of repinv.Jitter and repinv.RandomView; "
            f"got {given!r}."
        )
    for rule in rules:
        if getattr(rule, "needs_steady", False):
            raise ValueError(
                f"{type(rule).__name__} compares energies of different steps, and random changes "
                "of the image (transforms, jitter) make another energy of each. Leave the solver "
                "out, or take repinv.Adam(), or stages with transforms=False."
            )


def weight(
    target: Array,
    encoder: Encoder,
    image_shape: tuple[int, int, int],
    mask: Array | None,
    filter_group: slice | Sequence[int] | None,
    neighbourhood: int | None,
) -> Array | None:
    """Weights of the squared differences from a target (*F); None where all count alike."""
    shape = tuple(int(n) for n in target.shape)
    found = None if mask is None else _mask(mask, shape)
    chosen = []
    if filter_group is not None:
        chosen.append(_channels(filter_group, encoder, shape))
    if neighbourhood is not None:
        chosen.append(_middle(neighbourhood, encoder, shape, image_shape))
    for part in chosen:
        found = part if found is None else found * part
    if found is not None and not found.any():
        raise ValueError("mask, filter_group and neighbourhood leave no feature that counts.")
    balance = encoder.balance(target, image_shape)
    if balance is None:
        return None if found is None else np.ascontiguousarray(np.broadcast_to(found, shape))
    return balance if found is None else balance * encoder.asarray(found)


def check_choice(
    feature_shape: tuple[int, ...],
    encoder: Encoder,
    image_shape: tuple[int, int, int],
    filter_group: slice | Sequence[int] | None,
    neighbourhood: int | None,
) -> None:
    """Raise unless features of a shape have such channels and such a middle."""
    if filter_group is not None:
        _channels(filter_group, encoder, feature_shape)
    if neighbourhood is not None:
        _middle(neighbourhood, encoder, feature_shape, image_shape)


def _axis(name: str, encoder: Encoder) -> int:
    """The axis of the channels, of an encoder that has one."""
    axis = encoder.descriptor_axis
    if axis is None:
        raise TypeError(
            f"{name} needs features that are channels at positions; those of "
            f"{type(encoder).__name__} are not. Use mask= instead."
        )
    return axis


def _channels(group: slice | Sequence[int], encoder: Encoder, shape: tuple[int, ...]) -> np.ndarray:
    """1 for the channels of a group, 0 for others; broadcasts against the features."""
    axis = _axis("filter_group", encoder)
    size = shape[axis]
    found = np.zeros(size, np.float32)
    try:
        found[group if isinstance(group, slice) else np.asarray(group, dtype=np.int64)] = 1
    except (IndexError, TypeError, ValueError):
        raise ValueError(
            f"filter_group must be a slice, or numbers of channels from 0 to {size - 1}; "
            f"got {group!r}."
        ) from None
    if not found.any():
        raise ValueError(f"filter_group {group!r} holds none of the {size} channels.")
    return found.reshape([-1 if i == axis else 1 for i in range(len(shape))])


def _middle(
    side: int, encoder: Encoder, shape: tuple[int, ...], image_shape: tuple[int, int, int]
) -> np.ndarray:
    """1 for the positions in the middle, 0 for others; broadcasts against the features."""
    axis = _axis("neighbourhood", encoder)
    if side != int(side) or side < 1:
        raise ValueError(f"neighbourhood must be a whole number >= 1; got {side}.")
    positions = tuple(n for i, n in enumerate(shape) if i != axis)
    if len(positions) == 2:
        inside = [_central(np.arange(n, dtype=float), int(side)) for n in positions]
        found = np.outer(*inside)
    else:
        rows, columns = np.asarray(encoder.frames(image_shape)).T
        found = _central(rows, int(side)) & _central(columns, int(side))
    return np.expand_dims(found.reshape(positions).astype(np.float32), axis)


def _central(positions: np.ndarray, count: int) -> np.ndarray:
    """Whether each position is among the `count` distinct ones in the middle."""
    distinct = np.unique(positions)
    first = max(0, (distinct.size - count) // 2)
    return np.isin(positions, distinct[first : first + count])


def check_is_numbers(component: Any) -> None:
    """Raise TypeError if a component is an estimator in place of its weights."""
    if hasattr(component, "predict"):
        raise TypeError(
            f"component must be numbers; got {type(component).__name__}. Give its weights, such as "
            "svm.coef_; of a pipeline repinv.sklearn.direction(pipeline)."
        )


def direction(component: Any, encoder: Encoder, shape: tuple[int, ...]) -> np.ndarray:
    """d (*F) of a component: an index, a channel, or a direction in the features' space."""
    wanted = on_host(component)
    if wanted.dtype.kind in "iu" and wanted.ndim == 0:
        axis = 0 if len(shape) == 1 else encoder.descriptor_axis
        if axis is None:
            raise ValueError(
                f"one number names a channel, and features of shape {shape} have none. Give "
                f"{len(shape)} numbers for one feature, or a direction of this shape."
            )
        return np.asarray(_one(int(wanted), axis, shape))
    if isinstance(component, tuple):
        if len(component) != len(shape) or wanted.dtype.kind not in "iu":
            raise ValueError(
                f"a feature of shape {shape} is named by {len(shape)} whole numbers; "
                f"got {component!r}."
            )
        _check_inside(component, shape)
        found = np.zeros(shape, np.float32)
        found[component] = 1
        return found
    if wanted.dtype.kind not in "biuf":
        raise TypeError(f"component must be numbers; got dtype {wanted.dtype}.")
    if wanted.shape != shape and wanted.size != math.prod(shape):
        bias = wanted.size == math.prod(shape) + 1
        hint = with_bias(wanted.size) if bias else of_windows(wanted.shape, encoder)
        raise ValueError(
            f"a direction must have the features' shape {shape}, or be flat with "
            f"{math.prod(shape)} entries; got {wanted.shape}. {hint}".rstrip()
        )
    if not (np.isfinite(wanted).all() and wanted.any()):
        raise ValueError("a direction must be finite, and not zero everywhere.")
    return wanted.astype(np.float32).reshape(shape)


def _one(channel: int, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    """The mean over all positions of one channel, as a direction."""
    _check_inside((channel,), (shape[axis],))
    found = np.zeros(shape, np.float32)
    found[(slice(None),) * axis + (channel,)] = shape[axis] / math.prod(shape)
    return found


def _check_inside(index: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless an index lies within a shape."""
    if not all(-size <= i < size for i, size in zip(index, shape, strict=True)):
        raise ValueError(
            f"component {index if len(index) > 1 else index[0]} is outside of the features; "
            f"numbers go from 0 to {', '.join(str(size - 1) for size in shape)}."
        )


def _mask(mask: Array, shape: tuple[int, ...]) -> np.ndarray:
    """A checked mask as weights of the squared differences."""
    weight = on_host(mask)
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


def initial(image: Array, size: tuple[int, int, int], name: str = "initial") -> np.ndarray:
    """A checked start (1, C, H, W), or another image of the option `name`."""
    x = on_host(image)
    if x.dtype.kind not in "bfiu":
        raise TypeError(f"{name} must be an image of real numbers; got dtype {x.dtype}.")
    if x.dtype in (np.uint8, np.uint16):
        x = as_unit(x)
    x = x.astype(np.float32)
    x = x[..., None] if x.ndim == 2 else x
    x = np.moveaxis(x, -1, 0)[None]
    if x.shape[1:] != size:
        raise ValueError(f"{name} must be an image of {size} (C, H, W); got {x.shape[1:]}.")
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"{name} must lie in [0, 1]; divide 8-bit pixels by 255.")
    return np.ascontiguousarray(x)


def polarity(given: Any, size: tuple[int, int, int]) -> None:
    """Raise an error unless the option is one of the words, None or an image of a size."""
    if isinstance(given, str):
        if given not in ("auto", "structures"):
            raise ValueError(
                f'polarity must be "auto", "structures", None or an image to follow; got {given!r}.'
            )
    elif given is not None:
        initial(given, size, "polarity")


def polarities(given: Any, reading: Reading) -> list[Any]:
    """What the option is for each of several images' features: of a stack of images one each."""
    count, (channels, height, width) = len(reading), reading.size
    if given is None or isinstance(given, str):
        return [given] * count
    images = on_host(given)
    one = [(height, width, channels), *([(height, width)] if channels == 1 else [])]
    if images.ndim < 3 or images.shape in one or images.shape[1:] not in one:
        return [given] * count
    if len(images) != count:
        raise ValueError(
            f"polarity must be an image, or a stack of one for each of the {count} rows of "
            f"features; got {len(images)} images."
        )
    return list(images)


def inverted(inverter: Any, target: Array, encoder: Encoder, size: tuple[int, int, int]) -> Array:
    """The image that an inverter finds for checked features, to start from.

    Raises
    ------
    ValueError
        If the inverter is of another encoder.
    """
    if inverter.encoder != encoder:
        raise ValueError(
            f"initial inverts features of {inverter.encoder!r}; these are of {encoder!r}. Fit one "
            "to that."
        )
    shape = size[1:] if size[0] == 1 else (*size[1:], size[0])
    return inverter.invert(np.asarray(target), shape=shape).image


def starts(seeds: int, is_initial_given: bool) -> None:
    """Raise ValueError if several starts would be the same."""
    if is_initial_given and seeds > 1:
        raise ValueError(
            f"{seeds} seeds average what several random starts lead to; from an initial image all "
            "would lead to the same. Leave out initial, or seeds."
        )
