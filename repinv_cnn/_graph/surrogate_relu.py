"""Rectifiers with a surrogate slope in the pullback; their outputs are exact.

A unit that is off passes no gradient back, so that no step switches it on; one that is barely on
passes all of it, up to the step that switches it off. The slope of a smooth rectifier in its place
changes gradually over a range of inputs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor


def surrogate_relu(x: Tensor, width: float) -> Tensor:
    """max(x, 0), pulled back with the slope of a smooth rectifier: `pull_surrogate`."""
    found: Tensor = _SurrogateReLU.apply(x, width)  # type: ignore[no-untyped-call]
    return found


class _SurrogateReLU(torch.autograd.Function):
    """The rectifier and its pullback."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: float) -> Tensor:
        """max(x, 0)."""
        ctx.save_for_backward(x)
        ctx.width = width
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *v: Tensor) -> tuple[Tensor, None]:
        """v times the slope."""
        (x,) = ctx.saved_tensors
        return pull_surrogate(v[0], x, ctx.width), None


#: Of s², so that where x is zero everywhere half of v is passed, not NaN.
_LEAST = 1e-30


def pull_surrogate(v: Tensor, x: Tensor, width: float) -> Tensor:
    """v times ½(1 + x/√(x² + s²)), s being `width` times the root mean square of x in each image.

    That is the slope of ½(x + √(x² + s²)) ('squareplus', Barron, arXiv:2112.11687, 2021).
    """
    layout = None if torch.compiler.is_compiling() else _layout(x)
    if layout is not None:
        out = torch.empty_like(x)
        v = v.contiguous(memory_format=layout)
        _pull(_rows(v, layout), _rows(x, layout), width, _rows(out, layout))
        return out
    norm = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)
    square = norm.square_().mul_(width**2 * len(x) / x.numel()).add_(_LEAST)
    if x.is_cuda and not torch.compiler.is_compiling():
        return _fused()(v, x, square)
    # (r + x)/2r, r being √(x² + s²): in few operations.
    slope = torch.addcmul(square, x, x).rsqrt_().mul_(x).add_(1.0).mul_(0.5)
    return slope.mul_(v)


@functools.cache
def _fused() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The same as one kernel of a GPU, of v, x and s²: memory is read once, not six times."""
    fused: Callable[[Tensor, Tensor, Tensor], Tensor] = torch.cuda.jiterator._create_jit_fn(
        "template <typename T> T surrogate(T v, T x, T square)"
        "{ T r = sqrt(x * x + square); return v * (r + x) / (r + r); }"
    )
    return fused


@numba.njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"contract", "nsz", "arcp", "reassoc"},
)
def _pull(v: np.ndarray, x: np.ndarray, width: float, out: np.ndarray) -> None:
    """The same for values as they lie in memory, (N, D)."""
    count, size = x.shape
    for n in range(count):
        total = 0.0
        for k in range(size):
            total += float(x[n, k]) * float(x[n, k])
        square = x.dtype.type(width * width * total / size + _LEAST)
        for k in range(size):
            r = np.sqrt(x[n, k] * x[n, k] + square)
            out[n, k] = v[n, k] * (r + x[n, k]) / (r + r)


def _layout(x: Tensor) -> torch.memory_format | None:
    """Memory format of a tensor whose images NumPy can be shown as dense rows; None of others."""
    if not x.is_cpu or x.dtype not in (torch.float32, torch.float64):
        return None
    if x.is_contiguous():
        return torch.contiguous_format
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return None


def _rows(maps: Tensor, layout: torch.memory_format) -> np.ndarray:
    """Every image's values as they lie in memory, (N, D); of the memory of `maps`."""
    values: np.ndarray = maps.numpy()
    if layout is torch.channels_last:
        values = values.transpose(0, 2, 3, 1)
    return values.reshape((values.shape[0], -1))
