"""A batch of independent problems as rows: values (N,) beside arrays (N, ...)."""

from __future__ import annotations

from array_api_compat import array_namespace

from repinv.encoder import Array


def rows(a: Array) -> Array:
    """Every problem as one row, (N, D)."""
    return array_namespace(a).reshape(a, (a.shape[0], -1))


def column(values: Array, like: Array) -> Array:
    """Values (N,) with axes of length one behind, so that they broadcast against `like`."""
    return values.reshape((-1,) + (1,) * (like.ndim - 1))


def inner(a: Array, b: Array) -> Array:
    """Inner product of each problem, (N,)."""
    return array_namespace(a, b).vecdot(rows(a), rows(b))
