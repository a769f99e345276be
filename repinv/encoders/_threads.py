"""The images of a batch, shared out between threads; kernels let go of the interpreter's lock."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

import numba


def each(function: Callable[..., Any], *batches: Any) -> list[Any]:
    """Map over the images of a batch, with as many threads as Numba may use."""
    workers = min(numba.get_num_threads(), len(batches[0]))
    if workers < 2:
        return list(map(function, *batches))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, *batches))
