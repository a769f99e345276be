"""Nonnegative sparse codes: the lasso of many vectors in one dictionary, solved exactly."""

from __future__ import annotations

import numpy as np

from repinv.encoders._kernels.jit import helper, jit

#: Atoms that enter the active set at a time, and the rounds after which they do so one by one,
#: which is what the proof of termination needs.
_TOGETHER, _HASTE = 16, 60
#: Pivots below which an atom counts as dependent on those before it, by bytes of a number.
_DEPENDENT = {4: 3e-6, 8: 1e-10}
#: How far above the penalty, relative to the largest correlation, a correlation has to be.
_SLACK = 1e-9


@helper
def _factor(gram, active, first, count, tiny, lower):  # type: ignore[no-untyped-def]
    """Cholesky factor of the active part of the Gram matrix, whose rows before `first` are known.

    The first dependent atom, or -1.
    """
    for i in range(first, count):
        row = active[i]
        for j in range(i + 1):
            total = np.float64(gram[row, active[j]])
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if j < i:
                lower[i, j] = total / lower[j, j]
            elif total > tiny * gram[row, row]:
                lower[i, i] = np.sqrt(total)
            else:
                return i
    return -1


@helper
def _solve(lower, count, b):  # type: ignore[no-untyped-def]
    """L Lᵀ b' = b, in place."""
    for i in range(count):
        total = b[i]
        for j in range(i):
            total -= lower[i, j] * b[j]
        b[i] = total / lower[i, i]
    for i in range(count - 1, -1, -1):
        b[i] /= lower[i, i]
        for j in range(i):
            b[j] -= lower[i, j] * b[i]


@helper
def _without(active, alpha, count, at):  # type: ignore[no-untyped-def]
    """Take one atom out of the active set; how many are left."""
    for i in range(at, count - 1):
        active[i], alpha[i] = active[i + 1], alpha[i + 1]
    return count - 1


@helper
def _exchange(gram, q, penalty, active, alpha, at, lower, way):  # type: ignore[no-untyped-def]
    """Which atom makes way for one that depends on those before it.

    Along what the dependent one and its equivalent of the others cancel, the fit stays as it is
    and the penalty changes evenly: the shares go that way until one of them is used up.
    """
    entering = active[at]
    for i in range(at):
        way[i] = np.float64(gram[active[i], entering])
    _solve(lower, at, way)
    gain = np.float64(q[entering]) - penalty
    for i in range(at):
        gain -= way[i] * (np.float64(q[active[i]]) - penalty)
    leaving, most = at, np.inf
    if gain > 0:
        for i in range(at):
            if way[i] > 0 and alpha[i] < most * way[i]:
                leaving, most = i, alpha[i] / way[i]
    if leaving < at:
        for i in range(at):
            alpha[i] = max(alpha[i] - most * way[i], 0.0)
        alpha[at] += most
    return leaving


@helper
def _minimize(gram, q, penalty, tiny, active, alpha, first, count, alone, barred, lower, goal):  # type: ignore[no-untyped-def]
    """The nonnegative minimum over the active atoms, in place; how many stay active.

    Those before `first` were active, and factored, already.
    `alpha` is nonnegative and goes straight towards the unconstrained minimum, again and again,
    each time without the atom that would become negative first (Lawson and Hanson).
    """
    while count > 0:
        dependent = _factor(gram, active, first, count, tiny, lower)
        if dependent >= 0:
            first = _exchange(gram, q, penalty, active, alpha, dependent, lower, goal)
            if first == dependent and alone:
                barred[active[dependent]] = True
            count = _without(active, alpha, count, first)
            continue
        for i in range(count):
            goal[i] = np.float64(q[active[i]]) - penalty
        _solve(lower, count, goal)
        step = 1.0
        for i in range(count):
            if goal[i] <= 0:
                step = min(step, alpha[i] / (alpha[i] - goal[i]) if alpha[i] > 0 else 0.0)
        stays, first = 0, count
        for i in range(count):
            moved = alpha[i] + step * (goal[i] - alpha[i])
            if goal[i] > 0 or moved > 1e-15 * (1.0 + alpha[i]):
                active[stays], alpha[stays] = active[i], max(moved, 0.0)
                stays += 1
            elif first == count:
                first = i
        if stays == count and step == 1.0:
            return count
        count = stays
    return count


@helper
def _enter(slope, penalty, closed, active, alpha, count, most):  # type: ignore[no-untyped-def]
    """Add the atoms that would lower the energy most, of those not closed; how many are active."""
    best, at = penalty, -1
    for k in range(slope.size):
        if slope[k] > best and not closed[k]:
            best, at = slope[k], k
    if at < 0 or count == active.size:
        return count
    active[count], alpha[count] = at, 0.0
    added, least = 1, penalty + 0.6 * (best - penalty)
    for k in range(slope.size):
        if added == most or count + added == active.size:
            break
        if slope[k] >= least and not closed[k] and k != at:
            active[count + added], alpha[count + added] = k, 0.0
            added += 1
    return count + added


@jit
def _codes(gram, q, penalty, tiny, code):  # type: ignore[no-untyped-def]
    """argmin ½ αᵀGα − (q − λ)ᵀα over α ≥ 0, for each row q (M, K); code (M, K) takes them.

    Where atoms are dependent the minimum need not be unique; one of them is found.
    """
    atoms = gram.shape[0]
    most = min(atoms, 512)
    lower = np.empty((most, most), np.float64)
    goal, alpha = np.empty(most, np.float64), np.empty(most, np.float64)
    active = np.empty(most, np.int64)
    slope = np.empty(atoms, q.dtype)
    barred, closed = np.empty(atoms, np.bool_), np.empty(atoms, np.bool_)
    for m in range(q.shape[0]):
        barred[:] = False
        count, largest, alone = 0, 0.0, False
        for k in range(atoms):
            slope[k] = q[m, k]
            largest = max(largest, abs(q[m, k]))
        threshold = penalty + _SLACK * largest
        for turn in range(20 * most):
            closed[:] = barred
            for i in range(count):
                closed[active[i]] = True
            before = count
            alone = alone or turn >= _HASTE
            count = _enter(
                slope, threshold, closed, active, alpha, count, 1 if alone else _TOGETHER
            )
            if count == before:
                break
            count = _minimize(
                gram,
                q[m],
                penalty,
                tiny,
                active,
                alpha,
                before,
                count,
                alone,
                barred,
                lower,
                goal,
            )
            # Where as many leave as enter, the next enters alone.
            alone = count <= before
            slope[:] = q[m]
            for i in range(count):
                row, factor = active[i], q.dtype.type(alpha[i])
                for k in range(atoms):
                    slope[k] -= factor * gram[row, k]
        code[m] = 0
        for i in range(count):
            code[m, active[i]] = alpha[i]


@jit
def _pull_codes(gram, atoms, code, cotangent, tiny, grad):  # type: ignore[no-untyped-def]
    """The transposed derivative of `codes` with respect to vectors x of q = x Dᵀ; grad takes it.

    On the active atoms A of a row, G_A α_A = D_A x − λ: the gradient is D_Aᵀ G_A⁻¹ v_A. Atoms at
    zero pass nothing.
    """
    most = min(gram.shape[0], 512)
    lower = np.empty((most, most), np.float64)
    active, b = np.empty(most, np.int64), np.empty(most, np.float64)
    for m in range(code.shape[0]):
        count = 0
        for k in range(code.shape[1]):
            if code[m, k] > 0 and count < most:
                active[count], b[count] = k, cotangent[m, k]
                count += 1
        dependent = _factor(gram, active, 0, count, tiny, lower)
        while dependent >= 0:
            count = _without(active, b, count, dependent)
            dependent = _factor(gram, active, dependent, count, tiny, lower)
        _solve(lower, count, b)
        grad[m] = 0
        for i in range(count):
            factor = grad.dtype.type(b[i])
            for d in range(atoms.shape[1]):
                grad[m, d] += factor * atoms[active[i], d]


def codes(gram: np.ndarray, q: np.ndarray, penalty: float, code: np.ndarray) -> None:
    """Codes (M, K) of the lasso with Gram matrix G (K, K) and correlations q (M, K)."""
    _codes(gram, q, penalty, _DEPENDENT[gram.itemsize], code)


def pull_codes(
    gram: np.ndarray,
    atoms: np.ndarray,
    code: np.ndarray,
    cotangent: np.ndarray,
    grad: np.ndarray,
) -> None:
    """What cotangents (M, K) of codes are for the vectors (M, D) coded; see `_pull_codes`."""
    _pull_codes(gram, atoms, code, cotangent, _DEPENDENT[gram.itemsize], grad)
