"""Threads of parallel runs, and random numbers of tests."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before NumPy, Numba and torch are loaded; what is set outside counts.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import zlib

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def own_draws(request, monkeypatch):
    """Random numbers of a test depend on its name, not on which tests its worker ran before."""
    if isinstance(getattr(request.module, "RNG", None), np.random.Generator):
        own = np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
        monkeypatch.setattr(request.module, "RNG", own)
