"""Exponentials and sums of many rows in one pass, and the adjoint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from repinv.encoders._kernels.jit import jit

# exp(f) on [-ln2/2, ln2/2]; largest relative error 1.2e-7.
_TAYLOR = tuple(1 / math.factorial(n) for n in range(7))


def _exp(x: Any) -> Any:
    """The exponential of a number that is not positive."""
    raise NotImplementedError


@overload(_exp, jit_options={"fastmath": True, "forceinline": True})
def _exp_overload(x):  # type: ignore[no-untyped-def]
    """2ⁿ·exp(f) in float32, which compiles to vector instructions; exact in float64.

    Below 1e-20, which no sum of float32 notices, it is zero: on many processors arithmetic with
    the subnormal numbers that come of smaller ones is some forty times slower.
    """
    if x != types.float32:
        return lambda x: math.exp(x)
    c0, c1, c2, c3, c4, c5, c6 = (np.float32(c) for c in _TAYLOR)
    least, zero, half = np.float32(-46), np.float32(0), np.float32(0.5)
    octave, per_octave = np.float32(math.log(2)), np.float32(1 / math.log(2))
    bias, mantissa = np.int32(127), np.int32(23)

    def scaled(x):  # type: ignore[no-untyped-def]
        t = (x if x > least else least) * per_octave
        n = np.floor(t + half)
        f = (t - n) * octave
        power = np.int32((np.int32(n) + bias) << mantissa).view(np.float32)
        value = power * (c0 + f * (c1 + f * (c2 + f * (c3 + f * (c4 + f * (c5 + f * c6))))))
        return value if x > least else zero

    return scaled


@jit
def softmax_rows(codes, offset):  # type: ignore[no-untyped-def]
    """codes + offset → its softmax along rows, in place."""
    for i in range(codes.shape[0]):
        row = codes[i]
        largest = row[0] + offset[0]
        for k in range(row.size):
            value = row[k] + offset[k]
            # A conditional, since `max` minds NaN and does not compile to vectors.
            largest = value if value > largest else largest
        total = codes.dtype.type(0)
        for k in range(row.size):
            value = _exp(row[k] + offset[k] - largest)
            row[k] = value
            total += value
        scale = codes.dtype.type(1) / total
        for k in range(row.size):
            row[k] *= scale


@jit
def pull_softmax_rows(codes, grad):  # type: ignore[no-untyped-def]
    """A cotangent of the softmax `codes` → that of its logits, q∘(g − ⟨q, g⟩), in place."""
    for i in range(codes.shape[0]):
        mean = codes.dtype.type(0)
        for k in range(codes.shape[1]):
            mean += codes[i, k] * grad[i, k]
        for k in range(codes.shape[1]):
            grad[i, k] = codes[i, k] * (grad[i, k] - mean)


@jit
def softmax_nearest(codes, offset, index):  # type: ignore[no-untyped-def]
    """`softmax_rows` over the entries `index` of each row alone; the others become zero."""
    kept = np.empty(index.shape[1], codes.dtype)
    for i in range(codes.shape[0]):
        row = codes[i]
        first = row[index[i, 0]] + offset[index[i, 0]]  # the largest, since they are in order
        total = codes.dtype.type(0)
        for j in range(kept.size):
            kept[j] = _exp(row[index[i, j]] + offset[index[i, j]] - first)
            total += kept[j]
        row[:] = 0
        for j in range(kept.size):
            row[index[i, j]] = kept[j] / total
