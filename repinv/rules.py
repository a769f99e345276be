"""Update rules: where to evaluate next, given one evaluation of every problem of a batch.

What a rule decides (accept, shorten the step, start over) it decides for every problem by itself,
with masks: nothing here reads a value from a device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from array_api_compat import array_namespace

from repinv.batch import chosen, column, rows
from repinv.encoder import Array
from repinv.memory import pairs as remembered

#: What a rule remembers between steps: arrays and numbers by name. Holds ``best_z`` (the best
#: point so far) and ``best_value`` (N,).
State: TypeAlias = dict[str, Any]


class UpdateRule(Protocol):
    """What `minimize` asks of a rule: two pure functions, but for `update` consuming its state."""

    def init(self, z: Array, /) -> State:
        """State before the first evaluation, which will be at `z`."""
        ...

    def update(self, z: Array, value: Array, grad: Array, state: State, /) -> tuple[Array, State]:
        """Where to evaluate next, given the evaluation at `z`. `state` must not be used again."""
        ...


def _with_best(z: Array, value: Array, state: State) -> State:
    """`state` with the better of its best point and `z`, problem by problem."""
    xp = array_namespace(z)
    better = value < state["best_value"]
    return state | {
        "best_z": xp.where(column(better, z), z, state["best_z"]),
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
    memory : int, optional
        Steps remembered. By default 10, and up to 20 where that takes no more than 1 MiB a problem:
        curvature is then all but free, and images of networks' size gain by it.
    first_step : float
        Root mean square of the first step, in units of that of the start.
    armijo : float
        A step is accepted if it lowers the value by this share of what the slope promises.
    patience : int
        Steps refused in a row after which the memory is dropped.

    See Also
    --------
    repinv.Adam : Adam, optionally with a step size that falls to zero along half a cosine.
    repinv.Momentum : Gradient descent with momentum: v ← decay·v − step·grad, z ← z + v.
    repinv.minimize : Minimize a batch of independent functions, one evaluation of each an
        iteration.

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

    Examples
    --------
    >>> import numpy as np, repinv
    >>> bowl = lambda z, iteration: ((z**2).sum((1, 2, 3)), 2 * z, {})
    >>> found = repinv.minimize(bowl, np.ones((1, 1, 2, 2)), repinv.LBFGS(), max_iter=20)
    >>> bool(found.value[0] < 1e-12)
    True
    """

    memory: int | None = None
    first_step: float = 0.1
    armijo: float = 1e-4
    patience: int = 10

    def __post_init__(self) -> None:
        if (self.memory is not None and self.memory < 1) or not self.first_step > 0:
            raise ValueError(
                "LBFGS needs memory >= 1 and first_step > 0; "
                f"got {self.memory} and {self.first_step}."
            )

    def init(self, z: Array, /) -> State:
        """Empty memory; the first evaluation is accepted whatever its value."""
        xp = array_namespace(z)
        flat = rows(z)
        count, size = flat.shape
        kind = {"dtype": z.dtype, "device": z.device}
        m = self.memory or remembered(size)
        length = xp.sqrt(xp.vecdot(flat, flat))
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

    def update(self, z: Array, value: Array, grad: Array, state: State, /) -> tuple[Array, State]:
        """Accept or refuse the evaluation at `z`, and step from the best point."""
        xp = array_namespace(z)
        m, slot, fresh = state["r_inverse"].shape[1], state["slot"], state["fresh"]
        best_z, g, old_grad = rows(state["best_z"]), rows(grad), state["grad"]
        pairs = state["pairs"]
        best_value, step, slope = state["best_value"], state["step"], state["slope"]
        if fresh:
            accept = xp.isfinite(value)
            new_best, new_grad = rows(z), g
            moved = changed = xp.zeros_like(g)
        else:
            accept = value <= best_value + self.armijo * step * slope
            moved = rows(z) - best_z
            moved *= xp.astype(accept, z.dtype)[:, None]
            new_best = best_z + moved
            new_grad = chosen(accept, g, old_grad)  # what is refused may not be finite
            changed = new_grad - old_grad
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

        # The parabola through value, slope and refused value has its minimum at this share.
        excess = value - best_value - step * slope
        share = -0.5 * step * slope / xp.where(excess > 0, excess, 1.0)
        share = xp.where(share > 0.1, xp.where(share < 0.5, share, 0.5), 0.1)
        new_step = xp.where(accept | (refused == self.patience), 1.0, step * share)
        # step · direction = −step · (γ g + coefficients · pairs)
        move = xp.matmul(-(new_step[:, None] * coefficients)[:, None, :], pairs)[:, 0, :]
        move -= (new_step * gamma)[:, None] * new_grad
        move += new_best
        return xp.reshape(move, z.shape), {
            "best_z": xp.reshape(new_best, z.shape),
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
        r_inverse, diagonal, changes = state["r_inverse"], state["diagonal"], state["changes"]
        m = r_inverse.shape[1]
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


#: Mean square of an image in the published code (a norm of 27098 at 256x256), pixels in [0, 1].
_VARIANCE = (27098 / 256 / 255) ** 2


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

    See Also
    --------
    repinv.LBFGS : Limited-memory BFGS with backtracking, every problem of a batch by itself.
    repinv.Adam : Adam, optionally with a step size that falls to zero along half a cosine.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016, sec. 3.3. :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> bowl = lambda z, iteration: ((z**2).sum((1, 2, 3)), 2 * z, {})
    >>> rule = repinv.Momentum(schedule=((0.05, 50),))
    >>> found = repinv.minimize(bowl, np.ones((1, 1, 2, 2)), rule, max_iter=50)
    >>> bool(found.value[0] < 4)
    True
    """

    schedule: tuple[tuple[float, int], ...] = ((0.01, 1),)
    decay: float = 0.9

    @classmethod
    def mahendran(cls, pixels: int, max_iter: int = 800) -> Momentum:
        """The authors' schedule: 0.004 and a tenth of it, thrice, for a quarter of the run each.

        In pixels in [0, 1], and for the mean energies of this package, whose gradients fall with
        the number of pixels; see `repinv.tasks.mahendran`.
        """
        quarter = max(1, max_iter // 4)
        first = 0.004 * _VARIANCE * pixels
        return cls(tuple((first * 0.1**k, quarter) for k in range(4)))

    def init(self, z: Array, /) -> State:
        """Velocity zero."""
        return {
            "best_z": z,
            "best_value": _never(z),
            "velocity": array_namespace(z).zeros_like(z),
            "count": 0,
        }

    def update(self, z: Array, value: Array, grad: Array, state: State, /) -> tuple[Array, State]:
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
        Of a step, in the units of z.
    eps : float
        Added to the root of the summed squares.

    See Also
    --------
    repinv.Adam : Adam, optionally with a step size that falls to zero along half a cosine.
    repinv.LBFGS : Limited-memory BFGS with backtracking, every problem of a batch by itself.

    References
    ----------
    .. [1] Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
       stochastic optimization", JMLR 12, 2011.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> bowl = lambda z, iteration: ((z**2).sum((1, 2, 3)), 2 * z, {})
    >>> found = repinv.minimize(bowl, np.ones((1, 1, 2, 2)), repinv.AdaGrad(), max_iter=50)
    >>> bool(found.value[0] < 4)
    True
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

    def update(self, z: Array, value: Array, grad: Array, state: State, /) -> tuple[Array, State]:
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
        Of a step, in the units of z.
    betas : tuple of float
        Shares of the running means of the gradient and of its square that are kept.
    eps : float
        Added to the root of the mean square.
    relative : bool
        Take `step_size` in units of the root mean square of each problem's start.
    decay_over : int or None
        Iterations after which the step size reaches zero; None keeps it.

    See Also
    --------
    repinv.LBFGS : Limited-memory BFGS with backtracking, every problem of a batch by itself.
    repinv.AdaGrad : AdaGrad, with a step for every variable that shrinks with the squared gradients
        seen.

    References
    ----------
    .. [1] Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
       :arxiv:`1412.6980`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> bowl = lambda z, iteration: ((z**2).sum((1, 2, 3)), 2 * z, {})
    >>> found = repinv.minimize(bowl, np.ones((1, 1, 2, 2)), repinv.Adam(), max_iter=50)
    >>> bool(found.value[0] < 4)
    True
    """

    step_size: float = 0.05
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-12
    relative: bool = False
    decay_over: int | None = None

    def init(self, z: Array, /) -> State:
        """Running means zero."""
        xp = array_namespace(z)
        flat = rows(z)
        scale = xp.sqrt(xp.vecdot(flat, flat) * (1 / flat.shape[1]))
        usable = (scale > 0) & self.relative
        return {
            "scale": xp.where(usable, scale, xp.ones_like(scale)),
            "best_z": z,
            "best_value": _never(z),
            "mean": xp.zeros_like(z),
            "square": xp.zeros_like(z),
            "count": 0,
        }

    def update(self, z: Array, value: Array, grad: Array, state: State, /) -> tuple[Array, State]:
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
        step = column(state["scale"] * (float(step_size) / (1 - keep**count)), z)
        next_z = z - step * (mean / root)
        return next_z, state | {"mean": mean, "square": square, "count": count}
