"""Threads of the libraries below NumPy, which get into each other's way where work is short."""

from __future__ import annotations

import functools
import sys
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController


def libraries_limited(user_api: str | None = None) -> AbstractContextManager[Any]:
    """One thread for matrix products (`user_api` "blas"), or for all that these libraries do.

    Examples
    --------
    >>> with libraries_limited("blas"):
    ...     pass
    """
    limited: AbstractContextManager[Any] = _found(len(sys.modules)).limit(
        limits=1, user_api=user_api
    )
    return limited


@functools.lru_cache(1)
def _found(n_modules: int) -> ThreadpoolController:
    """The libraries of this process, looked for again once more modules are imported.

    To find them takes milliseconds, as long as a small inversion does.
    """
    return ThreadpoolController()
