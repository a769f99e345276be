"""What encoders of NumPy arrays accept, and the errors that say what to do instead."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np


def batch(x: Any, name: str, module: str) -> np.ndarray:
    """A batch (N, C, H, W) of float32 or float64, contiguous; `module` takes torch's tensors."""
    if not isinstance(x, np.ndarray):
        kind = f"{type(x).__module__.split('.')[0]}.{type(x).__name__}"
        if kind.startswith("torch."):
            raise TypeError(
                f"{name} takes NumPy arrays; got torch.Tensor on {x.device}. "
                f"Use image.numpy(force=True), or repinv_cnn.{module}."
            )
        raise TypeError(f"{name} takes NumPy arrays; got {kind}. Convert it with numpy.asarray.")
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(
            f"{name} takes batches of float32 or float64; got {x.dtype}. Convert real pixels "
            "with x.astype(numpy.float32)."
        )
    if x.ndim != 4:
        raise ValueError(
            f"{name} takes batches (N, C, H, W); got shape {x.shape}. Add the missing axes, or "
            "call the encoder itself with one image (H, W) or (H, W, C)."
        )
    return np.ascontiguousarray(x)


def image_shape(
    name: str,
    shape: tuple[int, ...],
    channels: int | None,
    least: tuple[int, int],
    advice: str,
) -> tuple[int, int, int]:
    """The shape (C, H, W) of an image with enough pixels, and with the channels that are taken."""
    if len(shape) != 3:
        raise ValueError(
            f"expected an image shape (C, H, W); got {tuple(shape)}. Give three numbers."
        )
    given, height, width = shape
    if channels not in (None, given) or not 1 <= given <= 255:
        wanted = "1 to 255" if channels is None else channels
        raise ValueError(
            f"this {name} takes {wanted} channels; got {given}. "
            "Convert the image, or name its channels in the encoder (channel_axis)."
        )
    rows, columns = least
    if height < rows or width < columns:
        raise ValueError(
            f"this {name} needs at least {rows}x{columns} pixels; got {height}x{width}. {advice}"
        )
    return given, height, width


def cotangent(v: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A cotangent of features, in the precision of the image."""
    v = np.asarray(v)
    if v.shape != shape:
        raise ValueError(
            f"expected a cotangent of shape {shape}, as the features; got {v.shape}. "
            "Reshape it to the features' shape."
        )
    return np.ascontiguousarray(v, dtype=dtype)


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number within bounds."""
    fits = isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)
    if not fits or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(
            f"{name} must be a whole number {bounds}; got {value!r}. Give such a number."
        )
    return int(value)


def pair(name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """Two whole numbers."""
    if not isinstance(value, tuple | list | np.ndarray) or len(value) != 2:
        raise ValueError(f"{name} must be a pair of whole numbers; got {value!r}. Give both.")
    return whole(f"{name}[0]", value[0], least), whole(f"{name}[1]", value[1], least)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if value not in (True, False):
        raise ValueError(f"{name} must be True or False; got {value!r}. Give one of the two.")
    return bool(value)


def real(name: str, value: Any, *, above: float | None = None) -> float:
    """A finite number, larger than `above`."""
    fits = isinstance(value, numbers.Real) and np.isfinite(float(value))
    if not fits or (above is not None and value <= above):
        bound = "" if above is None else f" above {above:g}"
        raise ValueError(f"{name} must be a finite number{bound}; got {value!r}. Give such a one.")
    return float(value)


def softness(value: Any) -> float:
    """A number in (0, 1]."""
    number = real("softness", value, above=0)
    if number > 1:
        raise ValueError(f"softness must lie in (0, 1]; got {number:g}. Use at most 1.")
    return number


def choice(name: str, value: Any, choices: dict[str, int]) -> int:
    """One of some words."""
    if not isinstance(value, str) or value not in choices:
        words = ", ".join(repr(word) for word in choices)
        raise ValueError(f"{name} must be one of {words}; got {value!r}. Choose one of these.")
    return choices[value]


def value_range(value: Any) -> tuple[float, float]:
    """Two finite numbers, the second larger."""
    if not isinstance(value, tuple | list | np.ndarray) or len(value) != 2:
        raise ValueError(
            f"value_range must be a pair of numbers; got {value!r}. Give the pixel values of "
            "black and white, such as (0, 255)."
        )
    low = real("value_range[0]", value[0])
    return low, real("value_range[1]", value[1], above=low)


def of_image(encoder: Any, features: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Features of an image of a shape (H, W) or (H, W, C), flat or not, in the encoder's layout.

    Raises
    ------
    ValueError
        If such an image has more or fewer.
    """
    expected = encoder.feature_shape(((*shape, encoder.channels or 1)[2], *shape[:2]))
    if features.size != math.prod(expected):
        raise ValueError(
            f"features of shape {features.shape} are not of an image of {shape}, which has "
            f"{expected}. Give the shape of their image."
        )
    return features.reshape(expected)
