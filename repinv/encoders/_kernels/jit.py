"""How kernels are compiled."""

from __future__ import annotations

from typing import Any

import numba

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp", "reassoc"},
}
_UNWRAPPED: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
#: How kernels are compiled: cached on disk, without the interpreter's lock or zero checks.
jit = numba.njit(**_OPTIONS)
#: The same for what only kernels call. Inlined, so that there is one machine code of it: a kernel
#: that was just compiled could otherwise call another than one that is read from the cache does.
helper = numba.njit(**_OPTIONS, **_UNWRAPPED, forceinline=True)
