"""The one loop of the solver: evaluate, let the rule choose the next point, check now and then."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from array_api_compat import array_namespace, is_numpy_array, to_device

from repinv._core.threads import libraries_limited
from repinv._core.typing import Array
from repinv.solvers.rules import State, UpdateRule

#: Maps (z, iteration) to (values (N,), gradients, terms by name (N,)).
Objective: TypeAlias = Callable[[Array, int], tuple[Array, Array, dict[str, Array]]]
#: Maps (z, state, iteration) to those after one evaluation, and the terms by name (N,).
Step: TypeAlias = Callable[[Array, State, int], tuple[Array, State, dict[str, Array]]]


@dataclass(frozen=True)
class Snapshot:
    """What a callback is shown: the iterations done, and the best energies and points so far.

    Attributes
    ----------
    iteration : int
    value : ndarray, shape (N,)
    z : array
    parametrization : object or None
        Whose `image` gives the image of `z`; None where `minimize` is called by itself.
    terms : mapping of str to array, shape (N,), or None
        Terms of the energy at the last evaluation, such as "data"; to be read at once.
    """

    iteration: int
    value: np.ndarray
    z: Array
    parametrization: object = None
    terms: Mapping[str, Array] | None = None


@dataclass(frozen=True)
class Minimum:
    """What `minimize` returns.

    Attributes
    ----------
    z, value : array
        The best point of each problem, and its value (N,).
    next_z : array
        Where the next evaluation would be.
    state : dict
        The rule's state; with `next_z` and `iteration` it continues the run.
    iteration : int
        Iterations done, those of a run that this one continued included.
    seen : ndarray, shape (N,), or None
        Best values at the last check, for the tolerance.
    trace : dict of str to array, shape (iterations of this run, N)
        Every term of the energy, and "energy", their sum, at every evaluation.
    seconds : float
    stop_reason : str
        "max_iter", "tolerance", "time_limit", "callback" or "interrupted".
    """

    z: Array
    value: Array
    next_z: Array
    state: State
    iteration: int
    seen: np.ndarray | None
    trace: dict[str, Array]
    seconds: float
    stop_reason: str


def to_host(a: Array, /) -> np.ndarray:
    """An array of any library as NumPy; waits for the device."""
    return a if is_numpy_array(a) else np.asarray(to_device(a, "cpu"))


def minimize(
    value_and_grad: Objective,
    z: Array,
    rule: UpdateRule,
    *,
    max_iter: int,
    tol: float = 0.0,
    check_every: int = 10,
    project: Callable[[Array], Array] | None = None,
    repeated: Callable[[Step], Step] | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    time_limit: float | None = None,
    state: State | None = None,
    iteration: int = 0,
    seen: np.ndarray | None = None,
) -> Minimum:
    """Minimize a batch of independent functions, one evaluation of each an iteration.

    Parameters
    ----------
    value_and_grad : callable
        (z, iteration) → values (N,), gradients, and terms by name.
    z : array, shape (N, ...)
        Where the first evaluation is.
    rule : UpdateRule
        How a step is made from a gradient.
    max_iter : int
        Iterations at most, counted from 0 also where a run is continued.
    tol : float
        Stop when, from one check to the next, no problem lowered its value by more than this share
        of it. 0 never stops for that.
    check_every : int
        Iterations between two looks at the values, the clock and the callback.
    project : callable or None
        Applied to every point before it is evaluated.
    repeated : callable or None
        `Encoder.repeated`, where every step is to be computed as the one before it.
    callback : callable or None
        Shown a `Snapshot` at every check; the run stops when it returns True.
    time_limit : float or None
        Seconds.
    state, iteration, seen : dict, int, ndarray
        Of the `Minimum` that is to be continued, from its `next_z`.

    Returns
    -------
    minimum : Minimum
        With the best points so far, also when interrupted from the keyboard.

    See Also
    --------
    repinv.LBFGS : Limited-memory BFGS with backtracking, every problem of a batch by itself.
    repinv.Energy : The energy of a batch of independent problems, as a function of the solver's
        variable z.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import numpy as np
    >>> def bowl(z, iteration):
    ...     value = np.vecdot(z - 3, z - 3)
    ...     return value, 2 * (z - 3), {"data": value}
    >>> from repinv import LBFGS
    >>> minimize(bowl, np.zeros((2, 5)), LBFGS(), max_iter=50).z.round(3)
    array([[3., 3., 3., 3., 3.],
           [3., 3., 3., 3., 3.]])
    """
    began = time.perf_counter()
    state = rule.init(z) if state is None else state
    numbers = [name for name, value in state.items() if isinstance(value, int)]
    trace: list[dict[str, Array]] = []
    stop_reason = "max_iter"
    # A step's matrix products are short; threads would wait for each other longer than they work.
    limits = libraries_limited("blas") if is_numpy_array(z) else contextlib.nullcontext()

    def once(z: Array, state: State, iteration: int) -> tuple[Array, State, dict[str, Array]]:
        value, grad, terms = value_and_grad(z, iteration)
        z, state = rule.update(z, value, grad, state)
        return z if project is None else project(z), state, {"energy": value, **terms}

    step = once if repeated is None else repeated(once)
    try:
        with limits:
            while iteration < max_iter:
                next_z, next_state, terms = step(z, state, iteration)
                # Together: an interruption finds the run before this evaluation, or after it.
                z, state, iteration = next_z, next_state, iteration + 1
                trace.append(terms)
                if iteration % check_every and iteration < max_iter:
                    continue
                if callback is None and tol == 0 and time_limit is None:
                    continue
                # Read before the clock is: a device may be many steps behind.
                before, seen = seen, to_host(state["best_value"])
                if time_limit is not None and time.perf_counter() - began > time_limit:
                    stop_reason = "time_limit"
                    break
                if callback is not None and callback(_snapshot(iteration, seen, state, terms)):
                    stop_reason = "callback"
                    break
                if tol > 0 and before is not None and np.all(before - seen <= tol * np.abs(before)):
                    stop_reason = "tolerance"
                    break
    except KeyboardInterrupt:
        stop_reason = "interrupted"
    xp = array_namespace(z)
    names = trace[0] if trace else {}
    # What a device counted becomes a number again.
    state |= {name: int(state[name]) for name in numbers}
    return Minimum(
        z=state["best_z"],
        value=state["best_value"],
        next_z=z,
        state=state,
        iteration=iteration,
        seen=seen,
        trace={name: xp.stack([terms[name] for terms in trace]) for name in names},
        seconds=time.perf_counter() - began,
        stop_reason=stop_reason,
    )


def _snapshot(
    iteration: int, value: np.ndarray, state: State, terms: Mapping[str, Array]
) -> Snapshot:
    """What a callback is shown, which may keep it: a repeated step writes where it wrote before."""
    best = state["best_z"]
    copied = array_namespace(best).asarray(best, copy=True)
    return Snapshot(iteration, value, copied, terms=terms)
