"""Solvers: one loop, and the rules that say where to evaluate next.

A rule sees one evaluation of every problem of the batch and returns the next point of each. What
it decides (accept, shorten the step, start over) is decided for every problem by itself, with
masks: nothing here reads a value from a device except `minimize`, once every `check_every` steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from array_api_compat import array_namespace, is_numpy_array, to_device

from repinv.encoder import Array

#: What a rule remembers between steps: arrays and numbers by name. Holds ``best_z`` (the best
#: point so far) and ``best_value`` (N,).
State: TypeAlias = dict[str, Any]
#: Maps (z, iteration) to (values (N,), gradients, terms by name (N,)).
Objective: TypeAlias = Callable[[Array, int], tuple[Array, Array, dict[str, Array]]]


class UpdateRule(Protocol):
    """What `minimize` asks of a rule: two pure functions, but for `update` consuming its state."""

    def init(self, z: Array, /) -> State:
        """State before the first evaluation, which will be at `z`."""
        ...

    def update(
        self, z: Array, value: Array, grad: Array, state: State, /
    ) -> tuple[Array, State]:
        """Where to evaluate next, given the evaluation at `z`. `state` must not be used again."""
        ...


@dataclass(frozen=True)
class Snapshot:
    """What a callback is shown: the iterations done, and the best energies and points so far."""

    iteration: int
    value: np.ndarray
    z: Array


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
    callback: Callable[[Snapshot], object] | None = None,
    time_limit: float | None = None,
    state: State | None = None,
    iteration: int = 0,
) -> Minimum:
    """Minimize a batch of independent functions, one evaluation of each an iteration.

    Parameters
    ----------
    value_and_grad : callable
        (z, iteration) → values (N,), gradients, and terms by name.
    z : array, shape (N, ...)
        Where the first evaluation is.
    rule : UpdateRule
    max_iter : int
        Iterations at most, counted from 0 also where a run is continued.
    tol : float
        Stop when, from one check to the next, no problem lowered its value by more than this share
        of it. 0 stops when nothing moves any more.
    check_every : int
        Iterations between two looks at the values, the clock and the callback.
    project : callable or None
        Applied to every point before it is evaluated.
    callback : callable or None
        Shown a `Snapshot` at every check; the run stops when it returns True.
    time_limit : float or None
        Seconds.
    state, iteration : dict, int
        Of the `Minimum` that is to be continued, from its `next_z`.

    Returns
    -------
    minimum : Minimum
        With the best points so far, also when interrupted from the keyboard.

    Examples
    --------
    >>> import numpy as np
    >>> def bowl(z, iteration):
    ...     value = np.vecdot(z - 3, z - 3)
    ...     return value, 2 * (z - 3), {"data": value}
    >>> minimize(bowl, np.zeros((2, 5)), LBFGS(), max_iter=50).z.round(3)
    array([[3., 3., 3., 3., 3.],
           [3., 3., 3., 3., 3.]])
    """
    began = time.perf_counter()
    state = rule.init(z) if state is None else state
    trace: list[dict[str, Array]] = []
    stop_reason, seen = "max_iter", None
    try:
        while iteration < max_iter:
            value, grad, terms = value_and_grad(z, iteration)
            trace.append({"energy": value, **terms})
            next_z, state = rule.update(z, value, grad, state)
            z = next_z if project is None else project(next_z)
            iteration += 1
            if iteration % check_every or iteration == max_iter:
                continue
            best = to_host(state["best_value"])
            if callback is not None and callback(Snapshot(iteration, best, state["best_z"])):
                stop_reason = "callback"
                break
            if time_limit is not None and time.perf_counter() - began > time_limit:
                stop_reason = "time_limit"
                break
            if seen is not None and bool(np.all(seen - best <= tol * np.abs(seen))):
                stop_reason = "tolerance"
                break
            seen = best
    except KeyboardInterrupt:
        stop_reason = "interrupted"
    xp = array_namespace(z)
    names = trace[0] if trace else {}
    return Minimum(
        z=state["best_z"],
        value=state["best_value"],
        next_z=z,
        state=state,
        iteration=iteration,
        trace={name: xp.stack([terms[name] for terms in trace]) for name in names},
        seconds=time.perf_counter() - began,
        stop_reason=stop_reason,
    )


def _rows(a: Array) -> Array:
    """Every problem as one row, (N, D)."""
    return array_namespace(a).reshape(a, (a.shape[0], -1))


def _column(values: Array, like: Array) -> Array:
    """Values (N,) with axes of length one behind, so that they broadcast against `like`."""
    return values.reshape((-1,) + (1,) * (like.ndim - 1))


def _with_best(z: Array, value: Array, state: State) -> State:
    """`state` with the better of its best point and `z`, problem by problem."""
    xp = array_namespace(z)
    better = value < state["best_value"]
    return state | {
        "best_z": xp.where(_column(better, z), z, state["best_z"]),
        "best_value": xp.where(better, value, state["best_value"]),
    }


def _never(z: Array) -> Array:
    """Values (N,) that any finite value betters."""
    xp = array_namespace(z)
    return xp.full((z.shape[0],), xp.inf, dtype=z.dtype, device=z.device)


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS with backtracking, every problem of a batch by itself.

    Parameters
    ----------
    memory : int
        Steps remembered.
    first_step : float
        Root mean square of the first step, in units of that of the start.
    armijo : float
        A step is accepted if it lowers the value by this share of what the slope promises.
    patience : int
        Steps refused in a row after which the memory is dropped.

    Notes
    -----
    One evaluation is one iteration: an evaluation that is refused shortens the step, and the next
    iteration tries that. The inverse Hessian is in its compact form [1]_, which needs only the
    products of the 2·memory remembered vectors with the gradient, and of R (upper triangle of SᵀY,
    by age) only the inverse, which is updated in place: a new pair appends a column, and dropping
    the oldest pair deletes a row and a column. A refused step leaves its place empty.

    References
    ----------
    .. [1] Byrd, Nocedal and Schnabel, "Representations of quasi-Newton matrices and their use in
       limited memory methods", Mathematical Programming 63, 1994, theorem 2.2.
       :doi:`10.1007/BF01582063`
    """

    memory: int = 10
    first_step: float = 0.1
    armijo: float = 1e-4
    patience: int = 10

    def __post_init__(self) -> None:
        if self.memory < 1 or not self.first_step > 0:
            raise ValueError(
                "LBFGS needs memory >= 1 and first_step > 0; "
                f"got {self.memory} and {self.first_step}."
            )

    def init(self, z: Array, /) -> State:
        """Empty memory; the first evaluation is accepted whatever its value."""
        xp = array_namespace(z)
        rows = _rows(z)
        count, size = rows.shape
        kind = {"dtype": z.dtype, "device": z.device}
        m = self.memory
        length = xp.sqrt(xp.vecdot(rows, rows))
        return {
            "best_z": z,
            "best_value": _never(z),
            "grad": xp.zeros((count, size), **kind),
            "pairs": xp.zeros((count, 2 * m, size), **kind),  # m steps, then m changes of gradient
            "pairs_grad": xp.zeros((count, 2 * m), **kind),  # their products with grad
            "r_inverse": xp.zeros((count, m, m), **kind),
            "diagonal": xp.zeros((count, m), **kind),  # of R
            "changes": xp.zeros((count, m, m), **kind),  # YᵀY
            "gamma": xp.ones((count,), **kind),
            "slope": xp.zeros((count,), **kind),
            "step": xp.ones((count,), **kind),
            "refused": xp.zeros((count,), **kind),
            "first_step": xp.where(length > 0, self.first_step * length, 1.0),
            "slot": 0,
            "fresh": 2,
        }

    def restart(self, state: State, /) -> State:
        """State for another function near the same point: the memory of its curvature is kept."""
        return state | {"fresh": 1}

    def update(
        self, z: Array, value: Array, grad: Array, state: State, /
    ) -> tuple[Array, State]:
        """Accept or refuse the evaluation at `z`, and step from the best point."""
        xp = array_namespace(z)
        m, slot, fresh = self.memory, state["slot"], state["fresh"]
        position, g = _rows(state["best_z"]), _rows(grad)
        pairs = state["pairs"]
        best_value, step, slope = state["best_value"], state["step"], state["slope"]
        if fresh:
            accept = xp.isfinite(value)
            moved = xp.zeros_like(g)
            changed = xp.zeros_like(g)
            new_grad = g
        else:
            accept = value <= best_value + self.armijo * step * slope
            moved = (_rows(z) - position) * xp.astype(accept, z.dtype)[:, None]
            changed = xp.where(accept[:, None], g - state["grad"], 0.0)
            new_grad = state["grad"] + changed
        pairs[:, slot, :] = moved
        pairs[:, m + slot, :] = changed
        products = xp.matmul(pairs, new_grad[..., None])[..., 0]
        differences = products - state["pairs_grad"]
        curvature = xp.vecdot(moved, changed)
        change = xp.vecdot(changed, changed)
        # Where products underflow there is no curvature to learn, and 1/curvature would overflow.
        keep = accept & (curvature > 1e4 * xp.finfo(z.dtype).smallest_normal)
        refused = xp.where(accept, 0.0, state["refused"] + 1)
        memory = self._remember(state, slot, keep, curvature, change, differences)
        memory["r_inverse"] *= xp.astype(refused < self.patience, z.dtype)[:, None, None]
        squared = xp.vecdot(new_grad, new_grad)
        gamma = xp.where(keep, curvature / xp.where(keep, change, 1.0), state["gamma"])
        short = state["first_step"] / xp.sqrt(xp.where(squared > 0, squared, 1.0))
        gamma = xp.where(refused == self.patience, 0.1 * short, gamma)
        if fresh == 2:
            gamma = short

        # H g = γ g + Sᵀ-part + Y-part; the slope −g·Hg follows from the products alone.
        r_inverse, changes = memory["r_inverse"], memory["changes"]
        steps_grad, changes_grad = products[:, :m], gamma[:, None] * products[:, m:]
        a = xp.matmul(r_inverse, steps_grad[..., None])
        b = memory["diagonal"][..., None] * a
        b = b + gamma[:, None, None] * xp.matmul(changes, a) - changes_grad[..., None]
        on_steps = xp.matmul(r_inverse.mT, b)[..., 0]
        on_changes = -gamma[:, None] * a[..., 0]
        coefficients = xp.concat([on_steps, on_changes], axis=1)
        new_slope = -(gamma * squared + xp.vecdot(coefficients, products))
        usable = new_slope < 0
        coefficients = xp.where(usable[:, None], coefficients, 0.0)
        new_slope = xp.where(usable, new_slope, -gamma * squared)
        direction = xp.matmul(-coefficients[:, None, :], pairs)[:, 0, :]
        direction -= gamma[:, None] * new_grad

        # The parabola through value, slope and refused value has its minimum at this share.
        excess = value - best_value - step * slope
        share = -0.5 * step * slope / xp.where(excess > 0, excess, 1.0)
        share = xp.where(share > 0.1, xp.where(share < 0.5, share, 0.5), 0.1)
        new_step = xp.where(accept | (refused == self.patience), 1.0, step * share)
        new_best = z if fresh else xp.reshape(position + moved, z.shape)
        next_z = new_best + xp.reshape(new_step[:, None] * direction, z.shape)
        return next_z, {
            "best_z": new_best,
            "best_value": xp.where(accept, value, best_value),
            "grad": new_grad,
            "pairs": pairs,
            "pairs_grad": products,
            **memory,
            "gamma": gamma,
            "first_step": state["first_step"],
            "slope": new_slope,
            "step": new_step,
            "refused": refused,
            "slot": (slot + 1) % m,
            "fresh": 0,
        }

    def _remember(
        self,
        state: State,
        slot: int,
        keep: Array,
        curvature: Array,
        change: Array,
        differences: Array,
    ) -> State:
        """R⁻¹, the diagonal of R, and YᵀY with the pair in `slot` replaced by the newest."""
        xp = array_namespace(keep)
        m = self.memory
        r_inverse, diagonal, changes = state["r_inverse"], state["diagonal"], state["changes"]
        r_inverse[:, slot, :] = 0.0
        r_inverse[:, :, slot] = 0.0
        safe = xp.where(keep, curvature, 1.0)
        # [[R, u], [0, d]]⁻¹ = [[R⁻¹, −R⁻¹u/d], [0, 1/d]], u the products of older steps with y.
        column = -xp.matmul(r_inverse, differences[:, :m, None])[..., 0] / safe[:, None]
        r_inverse[:, :, slot] = xp.where(keep[:, None], column, 0.0)
        r_inverse[:, slot, slot] = xp.where(keep, 1 / safe, 0.0)
        diagonal[:, slot] = xp.where(keep, curvature, 0.0)
        row = differences[:, m:]
        changes[:, slot, :] = row
        changes[:, :, slot] = row
        changes[:, slot, slot] = change
        return {"r_inverse": r_inverse, "diagonal": diagonal, "changes": changes}


@dataclass(frozen=True)
class Momentum:
    """Gradient descent with momentum: v ← decay·v − step·grad, z ← z + v.

    Parameters
    ----------
    schedule : tuple of (float, int)
        Step sizes, and for how many iterations each is used; the last one is used from then on.
        The velocity is set to zero where the step size changes.
    decay : float
        Share of the velocity that is kept.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016, sec. 3.3. :doi:`10.1007/s11263-016-0911-8`
    """

    schedule: tuple[tuple[float, int], ...] = ((0.01, 1),)
    decay: float = 0.9

    def init(self, z: Array, /) -> State:
        """Velocity zero."""
        return {
            "best_z": z,
            "best_value": _never(z),
            "velocity": array_namespace(z).zeros_like(z),
            "count": 0,
        }

    def update(
        self, z: Array, value: Array, grad: Array, state: State, /
    ) -> tuple[Array, State]:
        """One step along the velocity."""
        count, end = state["count"], 0
        step_size, changes = self.schedule[-1][0], False
        for size, length in self.schedule:
            changes = changes or count == end
            end += length
            if count < end:
                step_size = size
                break
            changes = False
        velocity = -step_size * grad
        if not changes:
            velocity = velocity + self.decay * state["velocity"]
        state = _with_best(z, value, state)
        return z + velocity, state | {"velocity": velocity, "count": count + 1}


@dataclass(frozen=True)
class AdaGrad:
    """AdaGrad, with a step for every variable that shrinks with the squared gradients seen.

    Parameters
    ----------
    step_size : float
    eps : float
        Added to the root of the summed squares.

    References
    ----------
    .. [1] Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
       stochastic optimization", JMLR 12, 2011.
    """

    step_size: float = 0.1
    eps: float = 1e-10

    def init(self, z: Array, /) -> State:
        """No squares summed."""
        return {
            "best_z": z,
            "best_value": _never(z),
            "squares": array_namespace(z).zeros_like(z),
        }

    def update(
        self, z: Array, value: Array, grad: Array, state: State, /
    ) -> tuple[Array, State]:
        """One step against the gradient."""
        xp = array_namespace(z)
        squares = state["squares"] + grad * grad
        state = _with_best(z, value, state)
        next_z = z - self.step_size * grad / (xp.sqrt(squares) + self.eps)
        return next_z, state | {"squares": squares}


@dataclass(frozen=True)
class Adam:
    """Adam, optionally with a step size that falls to zero along half a cosine.

    Parameters
    ----------
    step_size : float
    betas : tuple of float
        Shares of the running means of the gradient and of its square that are kept.
    eps : float
        Added to the root of the mean square.
    decay_over : int or None
        Iterations after which the step size reaches zero; None keeps it.

    References
    ----------
    .. [1] Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
       :arxiv:`1412.6980`
    """

    step_size: float = 0.05
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-12
    decay_over: int | None = None

    def init(self, z: Array, /) -> State:
        """Running means zero."""
        xp = array_namespace(z)
        return {
            "best_z": z,
            "best_value": _never(z),
            "mean": xp.zeros_like(z),
            "square": xp.zeros_like(z),
            "count": 0,
        }

    def update(
        self, z: Array, value: Array, grad: Array, state: State, /
    ) -> tuple[Array, State]:
        """One step against the running mean, in units of the running root mean square."""
        xp = array_namespace(z)
        keep, keep_square = self.betas
        count = state["count"] + 1
        mean = keep * state["mean"] + (1 - keep) * grad
        square = keep_square * state["square"] + (1 - keep_square) * (grad * grad)
        step_size = self.step_size
        if self.decay_over is not None:
            passed = min(state["count"] / self.decay_over, 1.0)
            step_size *= 0.5 * (1 + np.cos(np.pi * passed))
        # Both means start at zero; dividing by 1 − betaᵗ takes that bias out.
        root = xp.sqrt(square) * (1 - keep_square**count) ** -0.5 + self.eps
        state = _with_best(z, value, state)
        next_z = z - (float(step_size) / (1 - keep**count)) * (mean / root)
        return next_z, state | {"mean": mean, "square": square, "count": count}
