"""Eigenpairs of JᵀJ: exact, by Lanczos, by LOBPCG, and by projection on what changes nothing."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, lobpcg, lsmr

from repinv.tasks.distortions.linearization import Linearization
from repinv.variables.dct import dct, frequencies, idct

#: Products that ARPACK holds vectors of, at least.
_HELD = 20
#: Relative accuracy of the largest eigenvalue where it is only the unit of the others.
ROUGH = 1e-2
#: Share of a random start that is expected to be left when it is projected.
_LEFT = 0.25
#: ‖J v‖ of a projection, in units of the largest and of the tolerance, at which its residual is
#: usually within the tolerance.
_USUAL = 10
#: Vectors of a block beside those that are wanted, which speed LOBPCG up.
_MORE = 2


class Eigenpairs(NamedTuple):
    """Eigenvectors as columns (D, K), and their eigenvalues (K,) of JᵀJ."""

    vectors: np.ndarray
    values: np.ndarray

    def first(self, count: int) -> Eigenpairs:
        """The first so many."""
        return Eigenpairs(self.vectors[:, :count], self.values[:count])


def exact(linear: Linearization, largest: int, smallest: int) -> tuple[Eigenpairs, Eigenpairs]:
    """The largest and smallest eigenpairs, from the singular values of the whole Jacobian.

    Where more directions than wanted have the eigenvalue zero, LAPACK's choice of these is
    returned.
    """
    jacobian = linear.matrix()
    count, size = jacobian.shape
    if count >= size:
        jacobian = scipy.linalg.qr(jacobian, mode="r", overwrite_a=True)[0][:size]
    _, found, rows = scipy.linalg.svd(jacobian, full_matrices=smallest > 0)
    values = np.zeros(len(rows))
    values[: len(found)] = found**2
    top = Eigenpairs(rows[:largest].T, values[:largest])
    last = slice(len(rows) - smallest, len(rows))
    return top, Eigenpairs(rows[last][::-1].T, values[last][::-1])


def largest_by_lanczos(
    linear: Linearization, count: int, *, tol: float, max_iter: int, rng: np.random.Generator
) -> Eigenpairs:
    """The `count` largest eigenpairs by ARPACK's restarted Lanczos method [1]_.

    Parameters
    ----------
    linear : Linearization
    count : int
        At least 1.
    tol : float
        Residual relative to the eigenvalue at which it stops.
    max_iter : int
        Products with JᵀJ at most, up to those between two restarts.
    rng : Generator
        Of the start.

    References
    ----------
    .. [1] Lehoucq, Sorensen and Yang, ARPACK users' guide, SIAM, 1998.
       :doi:`10.1137/1.9780898719628`
    """
    size = linear.shape[1]
    if count >= size - 1:
        return exact(linear, count, 0)[0]
    held = min(size, max(2 * count + 1, _HELD))
    restarts = max(1, (max_iter - held) // max(1, held - count))
    start = rng.standard_normal(size)
    if not linear.normal(start).any():
        return Eigenpairs(np.eye(size, count), np.zeros(count))
    try:
        values, vectors = eigsh(
            _operator(linear), count, which="LA", ncv=held, v0=start, tol=tol, maxiter=restarts
        )
    except ArpackNoConvergence as error:
        values, vectors = error.eigenvalues, error.eigenvectors
        if len(values) < count:
            rest = rng.standard_normal((size, count - len(values)))
            return ritz(linear, np.concatenate([vectors, rest], axis=1), descending=True)
    order = np.argsort(-values, kind="stable")
    return Eigenpairs(vectors[:, order], values[order])


def by_lobpcg(
    linear: Linearization,
    start: np.ndarray,
    *,
    is_largest: bool,
    tol: float,
    max_iter: int,
) -> Eigenpairs:
    """Extreme eigenpairs by LOBPCG [1]_, from a block of starts (D, K).

    The smallest are preconditioned by the spectrum of photographs: features are most sensitive to
    high frequencies.

    References
    ----------
    .. [1] Knyazev, "Toward the optimal preconditioned eigensolver", SIAM Journal on Scientific
       Computing 23, 2001. :doi:`10.1137/S1064827500366124`
    """
    size, block = start.shape
    if 5 * block >= size:  # which LOBPCG refuses
        top, bottom = exact(linear, block, 0) if is_largest else exact(linear, 0, block)
        return top if is_largest else bottom
    preconditioner = None
    if not is_largest:
        weights = _spectrum(linear)

        def smoothed_twice(v: np.ndarray) -> np.ndarray:
            return smoothed(linear, smoothed(linear, v, weights), weights)

        preconditioner = LinearOperator((size, size), matvec=smoothed_twice, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of accuracy, which residuals are measured for
        values, vectors = lobpcg(
            _operator(linear),
            start,
            M=preconditioner,
            largest=is_largest,
            tol=tol,
            maxiter=max(1, max_iter // block),
        )[:2]
    order = np.argsort(-values if is_largest else values, kind="stable")
    return Eigenpairs(vectors[:, order], values[order])


def unseen(
    linear: Linearization,
    starts: np.ndarray,
    *,
    unit: float,
    tol: float,
    max_iter: int,
) -> Eigenpairs:
    """Directions that change features as little as is wanted: random images, projected.

    Where J has a null space of many dimensions, no direction in it is the smallest. Each start n is
    projected onto it: y minimizes ‖J y − J n‖, and n − y is returned. Images with the spectrum of
    photographs are the variables, so that what is left of a start is smooth too.

    Parameters
    ----------
    linear : Linearization
    starts : ndarray, shape (K, D)
        White noise.
    unit : float
        The largest eigenvalue.
    tol : float
        Residual, in this unit, at which a projection is to stop.
    max_iter : int
        Products with J and Jᵀ at most, of all together.

    Returns
    -------
    found : Eigenpairs
        Ritz vectors in the span of the projections, the smallest first.

    References
    ----------
    .. [1] Fong and Saunders, "LSMR: an iterative algorithm for sparse least-squares problems",
       SIAM Journal on Scientific Computing 33, 2011. :doi:`10.1137/10079687X`
    """
    weights = _spectrum(linear)
    operator = LinearOperator(
        linear.shape,
        matvec=lambda z: linear.forward(smoothed(linear, z, weights)),
        rmatvec=lambda w: smoothed(linear, linear.transposed(w), weights),
        dtype=np.float64,
    )
    left = []
    for white in starts:
        image = smoothed(linear, white, weights)
        target = linear.forward(image)
        length = float(np.linalg.norm(target))
        y = np.zeros_like(white)
        if length > 0:
            wanted = _LEFT * _USUAL * tol * math.sqrt(unit) * float(np.linalg.norm(image)) / length
            most = max(1, max_iter // len(starts))
            y = lsmr(operator, target, atol=0, btol=wanted, conlim=0, maxiter=most)[0]
        left.append(image - smoothed(linear, y, weights))
    return ritz(linear, np.stack(left, axis=1), descending=False)


def ritz(linear: Linearization, block: np.ndarray, *, descending: bool) -> Eigenpairs:
    """The best eigenpairs within the span of a block (D, K)."""
    basis = np.linalg.qr(block)[0]
    pushed = np.stack([linear.forward(column) for column in basis.T], axis=1)
    values, rotation = np.linalg.eigh(pushed.T @ pushed)
    order = slice(None, None, -1) if descending else slice(None)
    return Eigenpairs((basis @ rotation)[:, order], np.maximum(values, 0)[order])


def none_of(linear: Linearization) -> Eigenpairs:
    """No pairs, in arrays of the right shapes."""
    return Eigenpairs(np.zeros((linear.shape[1], 0)), np.zeros(0))


def largest_value(linear: Linearization, rng: np.random.Generator, max_iter: int) -> float:
    """The largest eigenvalue to about a hundredth, as a unit."""
    found = largest_by_lanczos(linear, 1, tol=ROUGH, max_iter=max_iter, rng=rng)
    return float(found.values[0])


def residuals(linear: Linearization, found: Eigenpairs, unit: float) -> np.ndarray:
    """‖JᵀJv − λv‖ of each pair, in units of the largest eigenvalue."""
    apart = [
        np.linalg.norm(linear.normal(vector) - value * vector)
        for vector, value in zip(found.vectors.T, found.values, strict=True)
    ]
    return np.array(apart, dtype=np.float64) / unit


def block_of(linear: Linearization, count: int, rng: np.random.Generator) -> np.ndarray:
    """White noise (D, K), a few more than are wanted, for LOBPCG to start from."""
    return rng.standard_normal((linear.shape[1], count + _MORE))


def smoothed(linear: Linearization, white: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """White noise (D,) or a column of it with a spectrum; symmetric."""
    image = np.asarray(white).reshape(linear.image.shape)
    return np.asarray(idct(dct(image) * weights)).reshape(-1)


def _spectrum(linear: Linearization) -> np.ndarray:
    """Weights (H, W) of cosines: 1/f, the amplitude of photographs, at most that of one cycle."""
    height, width = linear.image.shape[-2:]
    lowest = 1 / max(height, width)
    return np.asarray(lowest / np.maximum(frequencies(height, width), lowest))


def _operator(linear: Linearization) -> LinearOperator:
    """JᵀJ as SciPy takes it."""
    size = linear.shape[1]
    return LinearOperator((size, size), matvec=linear.normal, dtype=np.float64)
