"""Update rules: where to evaluate next, given one evaluation of every problem of a batch.

What a rule decides (accept, shorten the step, start over) it decides for every problem by itself,
with masks: nothing here reads a value from a device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from array_api_compat import array_namespace

from repinv._core.batch import column, rows
from repinv._core.typing import Array

#: What a rule remembers between steps: arrays and numbers by name. Holds ``best_z`` (the best
#: point so far) and ``best_value`` (N,).
State: TypeAlias = dict[str, Any]


class UpdateRule(Protocol):
    """What `minimize` needs of a rule: two pure functions, but for `update` consuming its state.

    Two more are optional. ``restart(state)`` is the state for another function near the same point:
    a run keeps it from one stage to the next if both have this rule. ``for_stage(iterations)`` is
    the rule as a stage of so many iterations takes it, where a run has several.
    """

    def init(self, z: Array, /) -> State:
        """State before the first evaluation, which will be at `z`."""
        ...

    def update(self, z: Array, value: Array, grad: Array, state: State, /) -> tuple[Array, State]:
        """Where to evaluate next, given the evaluation at `z`. `state` must not be used again."""
        ...


def with_best(z: Array, value: Array, state: State) -> State:
    """`state` with the better of its best point and `z`, problem by problem."""
    xp = array_namespace(z)
    better = value < state["best_value"]
    return state | {
        "best_z": xp.where(column(better, z), z, state["best_z"]),
        "best_value": xp.where(better, value, state["best_value"]),
    }


def never(z: Array) -> Array:
    """Values (N,) that any finite value betters."""
    xp = array_namespace(z)
    return xp.full((z.shape[0],), xp.inf, dtype=z.dtype, device=z.device)


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
            "best_value": never(z),
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
        state = with_best(z, value, state)
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
            "best_value": never(z),
            "squares": array_namespace(z).zeros_like(z),
        }

    def update(self, z: Array, value: Array, grad: Array, state: State, /) -> tuple[Array, State]:
        """One step against the gradient."""
        xp = array_namespace(z)
        squares = state["squares"] + grad * grad
        state = with_best(z, value, state)
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
        Iterations after which the step size reaches zero; None keeps it, or in a run of several
        stages is the length of the stage.
    returns_last : bool
        Take the last point for the best: where a function changes at random from step to step, the
        least value seen is no better than others.

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
    returns_last: bool = False

    def for_stage(self, iterations: int, /) -> Adam:
        """With a step that falls to zero at the stage's end, unless `decay_over` says otherwise."""
        return self if self.decay_over is not None else replace(self, decay_over=iterations)

    def init(self, z: Array, /) -> State:
        """Running means zero."""
        xp = array_namespace(z)
        flat = rows(z)
        scale = xp.sqrt(xp.vecdot(flat, flat) * (1 / flat.shape[1]))
        usable = (scale > 0) & self.relative
        return {
            "scale": xp.where(usable, scale, xp.ones_like(scale)),
            "best_z": z,
            "best_value": never(z),
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
        state = with_best(z, value, state)
        step = column(state["scale"] * (float(step_size) / (1 - keep**count)), z)
        next_z = z - step * (mean / root)
        if self.returns_last:
            state |= {"best_z": next_z, "best_value": value}
        return next_z, state | {"mean": mean, "square": square, "count": count}
