"""A batch of independent problems as rows: values (N,) beside arrays (N, ...)."""

from __future__ import annotations

from array_api_compat import array_namespace, is_numpy_array

from repinv._core.typing import Array


def rows(a: Array) -> Array:
    """Every problem as one row, (N, D)."""
    return a.reshape((a.shape[0], -1))


def column(values: Array, like: Array) -> Array:
    """Values (N,) with axes of length one behind, so that they broadcast against `like`."""
    return values.reshape((-1,) + (1,) * (like.ndim - 1))


def chosen(which: Array, a: Array, b: Array) -> Array:
    """Rows of `a` (N, D) where `which` (N,) is true, of `b` elsewhere; always a fresh array."""
    xp = array_namespace(a)
    if not is_numpy_array(a):
        return xp.where(which[:, None], a, b)
    # Rows are copied whole, several times faster than NumPy's `where` asks for every entry.
    index = xp.arange(a.shape[0], device=a.device)
    return xp.take(xp.concat([a, b]), index + xp.where(which, 0, a.shape[0]), axis=0)


def inner(a: Array, b: Array) -> Array:
    """Inner product of each problem, (N,).

    Of arrays on a device as a sum, which all of it works on; `vecdot` may give a row to one core.
    """
    xp = array_namespace(a)
    if is_numpy_array(a):
        return xp.vecdot(rows(a), rows(b))
    return xp.sum(rows(a) * rows(b), axis=1)
