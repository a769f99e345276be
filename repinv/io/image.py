"""A user's image ↔ batch: the only place that knows dtypes, value ranges and channel axes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj, is_numpy_array, to_device

_LAYOUT = "an image of shape (H, W), (H, W, 1) or (H, W, 3)"


def as_batch(
    image: Any,
    *,
    precision: Any = np.float32,
    channels: int | None = None,
    any_channels: bool = False,
) -> np.ndarray:
    """A user's image as a batch of one, with its pixel values untouched.

    Parameters
    ----------
    image : array, shape (H, W) or (H, W, C), any real dtype
        C is 1 or 3, unless `channels` or `any_channels` says otherwise.
    precision : dtype
        What integer pixels become; float32 and float64 pixels keep their type.
    channels : int or None
        Number of channels that the taker needs; None for any.
    any_channels : bool
        Whether all numbers of channels are taken, where `channels` is None.

    Returns
    -------
    x : ndarray, shape (1, C, H, W), floating
        A copy: the image is never written to.

    Raises
    ------
    TypeError
        If the pixels are not real numbers, or live on a device.
    ValueError
        If the shape is not that of an image, or a pixel is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> as_batch(np.arange(6, dtype=np.uint8).reshape(2, 3)).shape
    (1, 1, 2, 3)
    """
    pixels = _checked(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if channels is not None or not any_channels:
        _check_channels(pixels.shape, channels)
    dtype = pixels.dtype if pixels.dtype in (np.float32, np.float64) else np.dtype(precision)
    x = np.array(np.moveaxis(pixels, -1, 0)[None], dtype=dtype, order="C")
    _check_finite(x[0])
    return x


def channels_last(image: Any, axis: int) -> Any:
    """A user's image with the channels, if it has any, moved from an axis to the last one.

    Examples
    --------
    >>> import numpy as np
    >>> channels_last(np.zeros((3, 4, 5)), 0).shape, channels_last(np.zeros((4, 5)), 0).shape
    ((4, 5, 3), (4, 5))
    """
    if axis in (-1, 2) or len(getattr(image, "shape", np.shape(image))) != 3:
        return image
    return np.moveaxis(_checked(image), axis, -1)


def detached(a: Any) -> Any:
    """An array of any library without its gradient, and bfloat16, which NumPy lacks, as float32.

    What is no array is returned as it is.
    """
    if callable(getattr(a, "detach", None)):
        a = a.detach()
    if str(getattr(a, "dtype", "")).endswith("bfloat16"):
        a = a.float() if hasattr(a, "float") else a.astype(np.float32)
    return a


def on_host(a: Any) -> np.ndarray:
    """An array of any library and device as NumPy, without its gradient."""
    a = detached(a)
    if is_array_api_obj(a) and not is_numpy_array(a):
        a = to_device(a, "cpu")
    return np.asarray(a)


def from_batch(x: Any, /) -> np.ndarray:
    """One image of a batch, as users hold images.

    Parameters
    ----------
    x : array, shape (C, H, W)

    Returns
    -------
    image : ndarray, shape (H, W) if C is 1, else (H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> from_batch(np.zeros((3, 4, 5))).shape, from_batch(np.zeros((1, 4, 5))).shape
    ((4, 5, 3), (4, 5))
    """
    pixels = np.asarray(x)
    if pixels.ndim != 3:
        raise ValueError(
            f"expected one image of a batch, of shape (C, H, W); got shape {pixels.shape}. "
            "Take one with x[i]."
        )
    return pixels[0] if len(pixels) == 1 else np.ascontiguousarray(np.moveaxis(pixels, 0, -1))


def as_unit(image: Any, *, precision: Any = np.float32) -> np.ndarray:
    """Pixels as numbers in [0, 1]: what 0 and 1 mean is read from their dtype.

    Parameters
    ----------
    image : array, shape (H, W) or (H, W, C), bool, uint8, uint16 or floating
        Integers stand for fractions of the largest value of their type; floats must lie in
        [0, 1] and are taken as they are.
    precision : dtype
        Of the result, unless the image is float32 or float64 already.

    Returns
    -------
    image : ndarray of the same shape, floating, in [0, 1]

    Raises
    ------
    TypeError
        If the dtype does not tell the range of values, as int64 does not.
    ValueError
        If the shape is not that of an image, or a float pixel lies outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> float(as_unit(np.array([[255, 0]], dtype=np.uint8))[0, 0])
    1.0
    """
    pixels = _checked(image)
    kind, dtype = pixels.dtype.kind, pixels.dtype
    if kind == "b":
        return pixels.astype(precision)
    if dtype in (np.uint8, np.uint16):
        return (pixels / np.iinfo(dtype).max).astype(precision)
    if kind != "f":
        raise TypeError(
            f"expected pixels of bool, uint8, uint16, or floats in [0, 1]; got {dtype}, which does "
            "not say what white is. Convert them, e.g. image.astype(numpy.uint8) for 0 to 255."
        )
    _check_finite(pixels if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0))
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"expected float pixels in [0, 1]; got {low:.4g} to {high:.4g}. "
            "Divide by the value of white, e.g. by 255."
        )
    return pixels.astype(dtype if dtype in (np.float32, np.float64) else precision)


def to_gray(image: Any) -> np.ndarray:
    """Luminance of an image in [0, 1], by scikit-image's weights (those of Rec. 709).

    Parameters
    ----------
    image : array, shape (H, W), (H, W, 1) or (H, W, 3), floating, in [0, 1]

    Returns
    -------
    gray : ndarray, shape (H, W), floating, in [0, 1]
    """
    pixels = as_unit(image)
    if pixels.ndim == 2:
        return pixels
    _check_channels(pixels.shape, None)
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    from skimage.color import rgb2gray

    gray: np.ndarray = np.clip(rgb2gray(pixels), 0, 1).astype(pixels.dtype)
    return gray


def _checked(image: Any) -> np.ndarray:
    """The image as an array of real numbers with two or three axes, none of them empty."""
    if isinstance(image, str | os.PathLike):
        raise TypeError(
            f"expected {_LAYOUT} as an array; got the name {os.fspath(image)!r}. Read it first, "
            "e.g. with skimage.io.imread."
        )
    try:
        pixels = np.asarray(detached(image))
    except (TypeError, RuntimeError, ValueError) as error:
        kind = f"{type(image).__module__.split('.')[0]}.{type(image).__name__}"
        device = f" on {image.device}" if hasattr(image, "device") else ""
        raise TypeError(
            f"expected {_LAYOUT} as a NumPy array; got {kind}{device}. "
            "Convert it first; for torch: image.numpy(force=True)."
        ) from error
    if pixels.dtype.kind not in "buif":
        remedy = (
            "Take its real part or magnitude."
            if pixels.dtype.kind == "c"
            else ("Give one rectangular array of numbers.")
        )
        raise TypeError(f"expected {_LAYOUT} of real numbers; got dtype {pixels.dtype}. {remedy}")
    if pixels.ndim not in (2, 3):
        raise ValueError(f"expected {_LAYOUT}; got shape {pixels.shape}. Give one image at a time.")
    if pixels.size == 0:
        raise ValueError(f"expected {_LAYOUT}; got an empty one of shape {pixels.shape}.")
    return pixels


def _check_channels(shape: tuple[int, ...], channels: int | None) -> None:
    """Raise ValueError unless (H, W, C) has as many channels as are needed."""
    got = shape[-1]
    if got == channels or (channels is None and got in (1, 3)):
        return
    expected = _LAYOUT if channels is None else f"an image of {channels} channel(s)"
    if got in (2, 4) and channels in (None, 1, 3):
        remedy = "Drop its alpha channel: image[..., :-1]."
    elif channels == 1 and got == 3:
        remedy = "Convert it, e.g. with skimage.color.rgb2gray."
    elif channels == 3 and got == 1:
        remedy = "Repeat it, e.g. with skimage.color.gray2rgb."
    else:
        remedy = "Channels stand on the last axis: numpy.moveaxis(image, 0, -1) brings them there."
    raise ValueError(f"expected {expected}; got {got} channels in shape {shape}. {remedy}")


def _check_finite(pixels: np.ndarray) -> None:
    """Raise ValueError naming the first pixel of (..., H, W) that is NaN or infinite."""
    finite = np.isfinite(pixels)
    if finite.all():
        return
    first = tuple(int(i) for i in np.argwhere(~finite)[0][-2:])
    raise ValueError(
        f"expected finite pixels; got {np.count_nonzero(~finite)} NaN or infinite of "
        f"{pixels.size}, the first at (row, column) {first}. Replace them, e.g. with "
        "numpy.nan_to_num."
    )
