"""Limited-memory BFGS: the rule that inversions are made by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import array_namespace

from repinv._core.batch import chosen, inner, rows
from repinv._core.typing import Array
from repinv.solvers.rules import State, never

#: Steps that are remembered at least and at most; numbers that are held before fewer are.
_LEAST, _MOST, _HELD = 10, 40, 2**18


def remembered(size: int) -> int:
    """Steps, each with its change of the gradient, that are remembered of so many variables."""
    return min(max(_LEAST, _HELD // (2 * size)), _MOST)


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS with backtracking, every problem of a batch by itself.

    Parameters
    ----------
    memory : int, optional
        Steps remembered. By default 10, and up to 40 where that takes no more than 1 MiB a problem:
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
    the oldest pair deletes a row and a column. A refused step leaves its slot empty.

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
    #: It compares energies of different steps, which must be of one function.
    needs_steady: ClassVar[bool] = True

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
        length = xp.sqrt(inner(flat, flat))
        return {
            "best_z": z,
            "best_value": never(z),
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
        pairs[:, _part(slot), :] = moved[:, None, :]
        pairs[:, _part(m + slot), :] = changed[:, None, :]
        products = xp.matmul(pairs, new_grad[..., None])[..., 0]
        differences = products - state["pairs_grad"]
        curvature, change = inner(moved, changed), inner(changed, changed)
        # Where products underflow there is no curvature to learn, and 1/curvature would overflow.
        keep = accept & (curvature > 1e4 * xp.finfo(z.dtype).smallest_normal)
        refused = xp.where(accept, 0.0, state["refused"] + 1)
        memory = self._remember(state, slot, keep, curvature, change, differences)
        memory["r_inverse"] *= xp.astype(refused < self.patience, z.dtype)[:, None, None]
        squared = inner(new_grad, new_grad)
        gamma = xp.where(keep, curvature / xp.where(keep, change, 1.0), state["gamma"])
        short = state["first_step"] / xp.sqrt(xp.where(squared > 0, squared, 1.0))
        gamma = xp.where(refused == self.patience, 0.1 * short, gamma)
        if fresh == 2:
            gamma = short

        coefficients, new_slope = self._direction(memory, products, gamma, squared)
        new_step = self._step(value - best_value, step, slope)
        new_step = xp.where(accept | (refused == self.patience), 1.0, new_step)
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

    def _direction(
        self, memory: State, products: Array, gamma: Array, squared: Array
    ) -> tuple[Array, Array]:
        """H g as γ g and coefficients (N, 2m) of the remembered vectors, and the slope −g·Hg.

        The slope follows from the products of these vectors with the gradient alone.
        """
        xp = array_namespace(products)
        r_inverse, changes = memory["r_inverse"], memory["changes"]
        m = r_inverse.shape[1]
        steps_grad, changes_grad = products[:, :m], gamma[:, None] * products[:, m:]
        a = xp.matmul(r_inverse, steps_grad[..., None])
        b = memory["diagonal"][..., None] * a
        b = b + gamma[:, None, None] * xp.matmul(changes, a) - changes_grad[..., None]
        on_steps = xp.matmul(r_inverse.mT, b)[..., 0]
        on_changes = -gamma[:, None] * a[..., 0]
        coefficients = xp.concat([on_steps, on_changes], axis=1)
        slope = -(gamma * squared + xp.vecdot(coefficients, products))
        usable = slope < 0
        coefficients = xp.where(usable[:, None], coefficients, 0.0)
        return coefficients, xp.where(usable, slope, -gamma * squared)

    def _step(self, change: Array, step: Array, slope: Array) -> Array:
        """A step that was refused, shortened to the minimum of a parabola.

        It goes through the value and slope where the step began, and the refused value.
        """
        xp = array_namespace(change)
        excess = change - step * slope
        share = -0.5 * step * slope / xp.where(excess > 0, excess, 1.0)
        share = xp.where(share > 0.1, xp.where(share < 0.5, share, 0.5), 0.1)
        return step * share

    def _remember(
        self,
        state: State,
        slot: int | Array,
        keep: Array,
        curvature: Array,
        change: Array,
        differences: Array,
    ) -> State:
        """R⁻¹, the diagonal of R, and YᵀY with the pair in `slot` replaced by the newest."""
        xp = array_namespace(keep)
        r_inverse, diagonal, changes = state["r_inverse"], state["diagonal"], state["changes"]
        m = r_inverse.shape[1]
        part, here = _part(slot), xp.arange(m, device=keep.device) == slot
        nothing = xp.zeros_like(r_inverse[:, :1, :])  # a number would have to be moved to a device
        r_inverse[:, part, :] = nothing
        r_inverse[:, :, part] = nothing.mT
        safe = xp.where(keep, curvature, 1.0)
        # [[R, u], [0, d]]⁻¹ = [[R⁻¹, −R⁻¹u/d], [0, 1/d]], u the products of older steps with y.
        column = -xp.matmul(r_inverse, differences[:, :m, None])[..., 0] / safe[:, None]
        column = xp.where(here, 1 / safe[:, None], column)
        r_inverse[:, :, part] = xp.where(keep[:, None], column, 0.0)[..., None]
        diagonal[:, part] = xp.where(keep, curvature, 0.0)[:, None]
        row = xp.where(here, change[:, None], differences[:, m:])
        changes[:, part, :] = row[:, None, :]
        changes[:, :, part] = row[..., None]
        return {"r_inverse": r_inverse, "diagonal": diagonal, "changes": changes}


def _part(slot: int | Array) -> slice | Array:
    """One slot of an axis, as an index that keeps the axis; slots may be arrays (1,)."""
    return slice(slot, slot + 1) if isinstance(slot, int) else slot
