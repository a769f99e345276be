"""Several inversions: those alike in one run, the others one after the other, and all as one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace

from repinv._core import memory
from repinv._core.typing import Array
from repinv.energy.losses import SquaredError
from repinv.search import convergence
from repinv.search.problem import Problem
from repinv.search.result import Result
from repinv.search.retries import attempted
from repinv.search.run import run
from repinv.solvers.minimize import Snapshot

#: Why a part of a run that several inversions shared is not saved: it cannot go on alone.
SHARED = "An inversion that shared its run with others cannot be saved; run it alone."
#: Seconds that are left to a run once time is over, or the user has interrupted: its start is
#: returned.
_NONE_LEFT = 1e-9
#: A problem, the position where it starts, and notes.
Asked: TypeAlias = tuple[Problem, dict[str, Any], tuple[str, ...]]


def found(
    asked: Sequence[Asked],
    time_limit: float | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    progress: bool = False,
) -> list[Result]:
    """Results of problems, those together that differ in nothing but what they aim at.

    Parameters
    ----------
    asked : sequence of (Problem, dict, tuple of str)
        As `posed` returns them.
    time_limit : float or None
        Seconds for all of them.
    callback, progress
        As for `repinv.invert`; each run has its own.

    Returns
    -------
    results : list of Result
        In the order of `asked`. Their seconds are shares of those of their run.
    """
    groups: list[list[int]] = []
    for number in range(len(asked)):
        alike = (g for g in groups if _is_alike(asked[g[0]], asked[number], len(g)))
        group = next(alike, None)
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    began, stopped = time.perf_counter(), False
    results: dict[int, Result] = {}
    for group in groups:
        left = None
        if time_limit is not None:
            left = max(_NONE_LEFT, time_limit - (time.perf_counter() - began))
        left = _NONE_LEFT if stopped else left
        these = _together([asked[k] for k in group], left, callback, progress)
        stopped |= these[0].stop_reason in ("interrupted", "callback")
        results |= dict(zip(group, these, strict=True))
    return [results[k] for k in range(len(asked))]


def as_one(results: Sequence[Result]) -> Result:
    """Results of several problems as one: their images in order, those of a problem together."""
    longest = max(result.iterations for result in results)
    names = dict.fromkeys(name for result in results for name in result.trace)
    xp = array_namespace(results[0].features)
    reasons = [r.stop_reason for r in results if r.stop_reason != "max_iter"]
    return replace(
        results[0],
        images=np.concatenate([result.images for result in results]),
        error=np.concatenate([result.error for result in results]),
        features=xp.concat([result.features for result in results], axis=0),
        trace={
            name: np.concatenate([_padded(r, name, longest) for r in results], axis=1)
            for name in names
        },
        iterations=longest,
        evaluations=max(result.evaluations for result in results),
        seconds=sum(result.seconds for result in results),
        stop_reason=reasons[0] if reasons else "max_iter",
        notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
        run=({"problem": SHARED}, {}),
    )


def _padded(result: Result, name: str, length: int) -> np.ndarray:
    """A term of a trace, NaN after the run's end and where it has no such term."""
    found = np.full((length, result.trace["energy"].shape[1]), np.nan)
    if name in result.trace:
        found[: result.iterations] = result.trace[name]
    return found


def _is_alike(one: Asked, other: Asked, count: int) -> bool:
    """Whether a problem can join a run of `count` that begins with another."""
    first, second = one[0], other[0]
    # Where several starts become one image in the middle, targets would have to as well.
    plain = first.starts == 1 and _target(first).shape == _target(second).shape
    plain &= not any("areas" in position for _, position, _ in (one, other))
    return plain and replace(first, loss=second.loss) == second and _fits(one, count + 1)


def _fits(one: Asked, count: int) -> bool:
    """Whether the memory holds a run of so many problems."""
    channels, height, width = one[1]["z"].shape[1:]
    n_images = count * one[1]["z"].shape[0]
    n_features = math.prod(_target(one[0]).shape)
    try:
        memory.check_fits(height, width, channels, n_images, n_features=n_features)
    except ValueError:
        return False
    return True


def _target(problem: Problem) -> Array:
    loss = problem.loss
    assert isinstance(loss, SquaredError)
    return loss.target


def _together(
    asked: list[Asked],
    time_limit: float | None,
    callback: Callable[[Snapshot], object] | None,
    progress: bool,
) -> list[Result]:
    """The results of problems that are alike."""
    problem, position, notes = asked[0]
    if len(asked) == 1:
        return [attempted(problem, position, {}, 0.0, notes, time_limit, callback, progress)]
    xp = array_namespace(position["z"])
    count = position["z"].shape[0]
    targets = [_target(one) for one, _, _ in asked for _ in range(count)]
    loss = replace(problem.loss, target=xp.concat(targets, axis=0))  # type: ignore[type-var]
    joined = position | {
        name: xp.concat([place[name] for _, place, _ in asked], axis=0)
        for name in ("z", "start")
        if name in position
    }
    together = replace(problem, loss=loss)
    whole = run(together, joined, {}, 0.0, (), time_limit, callback, progress)
    parts = [slice(count * k, count * (k + 1)) for k in range(len(asked))]
    return [
        _part(whole, part, whole.seconds / len(asked), said, problem.lengths()[-1])
        for part, (_, _, said) in zip(parts, asked, strict=True)
    ]


def _part(whole: Result, part: slice, seconds: float, said: tuple[str, ...], last: int) -> Result:
    """What of a run that several inversions shared is that of one."""
    error = whole.error[part]
    trace = {name: values[:, part] for name, values in whole.trace.items()}
    return replace(
        whole,
        images=whole.images[part],
        error=error,
        features=whole.features[part, ...],
        trace=trace,
        seconds=seconds,
        notes=(*said, *convergence.remark(trace, error, last, whole.stop_reason)),
        run=({"problem": SHARED}, {}),
    )
