"""The images of a batch, shared out between threads; kernels let go of the interpreter's lock."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numba

from repinv._core.threads import libraries_limited


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread, for encoders called by this thread meanwhile and for the libraries below them."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with libraries_limited():
            yield
    finally:
        numba.set_num_threads(before)


def each(function: Callable[..., Any], *batches: Any) -> list[Any]:
    """Map over the images of a batch, with as many threads as Numba may use."""
    workers = min(numba.get_num_threads(), len(batches[0]))
    if workers < 2:
        return list(map(function, *batches))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, *batches))
