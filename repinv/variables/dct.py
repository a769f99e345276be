"""The orthonormal cosine transform (type II) over the last two axes of images.

It has no wrap at the borders, unlike Fourier's. Images are multiplied by two matrices; NumPy arrays
of more than 64 pixels a side take `scipy.fft.dctn`, which is faster there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from array_api_compat import array_namespace, is_numpy_array
from array_api_compat import device as device_of

from repinv._core.typing import Array

#: Sides of images that are multiplied by matrices, of whatever library.
_SMALL = 64


def dct(x: Array) -> Array:
    """The transform of images (..., H, W); a fresh array."""
    if _is_fast(x):
        return scipy.fft.dctn(x, axes=(-2, -1), norm="ortho")
    rows, columns = _matrices_like(x)
    return rows @ x @ columns.mT


def idct(u: Array) -> Array:
    """Inverse, and so adjoint, of `dct`; a fresh array."""
    if _is_fast(u):
        return scipy.fft.idctn(u, axes=(-2, -1), norm="ortho")
    rows, columns = _matrices_like(u)
    return rows.mT @ u @ columns


def _is_fast(x: Array) -> bool:
    """Whether the fast transform is there, and is the faster one."""
    return is_numpy_array(x) and max(x.shape[-2:]) > _SMALL


def frequencies(height: int, width: int) -> np.ndarray:
    """Those of the coefficients (H, W); 1 is the highest along an axis, half a period a pixel."""
    found: np.ndarray = np.hypot(np.arange(height)[:, None] / height, np.arange(width) / width)
    return found


def blurred(x: Array, deviation: float) -> Array:
    """Images under a Gaussian (deviation in pixels) that mirrors them at their borders."""
    kind = array_namespace(x), x.dtype, device_of(x)
    return idct(dct(x) * _gaussian(x.shape[-2], x.shape[-1], deviation, *kind))


@lru_cache(maxsize=16)
def _gaussian(height: int, width: int, deviation: float, xp: Any, dtype: Any, device: Any) -> Array:
    """Transform (H, W) of a Gaussian of unit sum."""
    squared = [(deviation * np.pi * np.arange(size) / size) ** 2 for size in (height, width)]
    gaussian = np.exp(-0.5 * (squared[0][:, None] + squared[1]))
    return xp.asarray(gaussian, dtype=dtype, device=device)


@lru_cache(maxsize=16)
def _matrix(size: int, xp: Any, dtype: Any, device: Any) -> Array:
    """The matrix of the transform of one axis."""
    matrix = scipy.fft.dct(np.eye(size), axis=0, norm="ortho")
    return xp.asarray(matrix, dtype=dtype, device=device)


def _matrices_like(x: Array) -> tuple[Array, Array]:
    """Transform matrices of both axes of `x`, in its library, dtype and device."""
    kind = array_namespace(x), x.dtype, device_of(x)
    return _matrix(x.shape[-2], *kind), _matrix(x.shape[-1], *kind)
