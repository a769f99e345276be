"""Threads: several processes of a parallel run do not each take all processors."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before NumPy, Numba and torch are loaded; what is set outside counts.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
