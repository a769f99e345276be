"""The words nearest to each descriptor, and locality-constrained codes over them."""

from __future__ import annotations

import numpy as np

from repinv.encoders._kernels.jit import helper, jit


@jit
def nearest(logits, offset, index):  # type: ignore[no-untyped-def]
    """Where logits + offset is largest along each row, in falling order; ties to the first."""
    count = index.shape[1]
    values = np.empty(count, logits.dtype)
    for i in range(logits.shape[0]):
        found = 0
        for k in range(logits.shape[1]):
            value = logits[i, k] + offset[k]
            if found == count and not value > values[count - 1]:
                continue
            at = min(found, count - 1)
            while at > 0 and value > values[at - 1]:
                values[at], index[i, at] = values[at - 1], index[i, at - 1]
                at -= 1
            values[at], index[i, at] = value, k
            found = min(found + 1, count)


@helper
def _solve(lower, b):  # type: ignore[no-untyped-def]
    """L Lᵀ b' = b, in place."""
    n = b.size
    for i in range(n):
        for j in range(i):
            b[i] -= lower[i, j] * b[j]
        b[i] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            b[i] -= lower[j, i] * b[j]
        b[i] /= lower[i, i]


@helper
def _factor(x, points, index, ridge, shifted, lower):  # type: ignore[no-untyped-def]
    """z = neighbours − x, and the Cholesky factor of C = z zᵀ + (ridge·tr(z zᵀ) + ε)·1.

    In float64 throughout: C is nearly singular by construction. ε keeps it regular where x and
    all its neighbours coincide.
    """
    count = index.size
    for j in range(count):
        for d in range(x.size):
            shifted[j, d] = np.float64(points[index[j], d]) - np.float64(x[d])
    trace = 0.0
    for i in range(count):
        for j in range(i + 1):
            product = 0.0
            for d in range(x.size):
                product += shifted[i, d] * shifted[j, d]
            lower[i, j] = product
        trace += lower[i, i]
    for i in range(count):
        lower[i, i] += ridge * trace + 1e-10
        for j in range(i + 1):
            for m in range(j):
                lower[i, j] -= lower[i, m] * lower[j, m]
            lower[i, j] = np.sqrt(lower[i, i]) if i == j else lower[i, j] / lower[j, j]


@jit
def local_codes(x, points, index, ridge, codes):  # type: ignore[no-untyped-def]
    """w = a/Σa with C a = 1, C of `_factor`, for each row of x; the other entries are zero."""
    count = index.shape[1]
    shifted, lower = np.empty((count, x.shape[1])), np.empty((count, count))
    a = np.empty(count)
    for i in range(x.shape[0]):
        _factor(x[i], points, index[i], ridge, shifted, lower)
        a[:] = 1
        _solve(lower, a)
        total = a.sum()
        codes[i, :] = 0
        for j in range(count):
            codes[i, index[i, j]] = a[j] / total


@jit
def pull_local_codes(x, points, index, ridge, from_codes, grad):  # type: ignore[no-untyped-def]
    """Adds to the cotangent of x the part that belongs to the cotangent of its codes.

    With g̃ = (g − ⟨w, g⟩)/Σa the cotangent of a, and C h = g̃, the differential of the code is
    −⟨h, dC a⟩. C's terms give dz_i = −h_i Σ a_j z_j − a_i Σ h_j z_j − 2·ridge·⟨h, a⟩ z_i, and
    x takes −Σ dz_i.
    """
    count = index.shape[1]
    shifted, lower = np.empty((count, x.shape[1])), np.empty((count, count))
    a, h = np.empty(count), np.empty(count)
    for i in range(x.shape[0]):
        _factor(x[i], points, index[i], ridge, shifted, lower)
        a[:] = 1
        _solve(lower, a)
        total, mean = a.sum(), 0.0
        for j in range(count):
            mean += a[j] / total * from_codes[i, index[i, j]]
        for j in range(count):
            h[j] = (from_codes[i, index[i, j]] - mean) / total
        _solve(lower, h)
        sum_h, product = h.sum(), 2 * ridge * (h * a).sum()
        for d in range(x.shape[1]):
            value = 0.0
            for j in range(count):
                value += (sum_h * a[j] + total * h[j] + product) * shifted[j, d]
            grad[i, d] += value
