"""An inversion with flat areas, and what else is tried where it does not end well."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from repinv.search import convergence
from repinv.search.problem import HANDED_ON, Problem
from repinv.search.result import Result
from repinv.search.run import run
from repinv.solvers.minimize import Snapshot, to_host

#: Relative feature error with which no other attempt is made.
_GOOD = 0.02


def attempted(
    problem: Problem,
    position: dict[str, Any],
    trace: dict[str, np.ndarray],
    seconds: float,
    notes: tuple[str, ...],
    time_limit: float | None,
    callback: Callable[[Snapshot], object] | None,
    progress: bool,
) -> Result:
    """`run`, and again without flat areas, and from there with them, where an error is left.

    Parameters are those of `run`. Wrong levels of areas are not corrected by small steps, since
    features are normalized; an image that is free finds them, but has texture in the areas.

    Returns
    -------
    result : Result
        Of least error, with the seconds and evaluations of all.
    """
    began = time.perf_counter()
    best = run(problem, position, trace, seconds, notes, time_limit, callback, progress)
    plain, number = position.get("plain"), 1
    spent, evaluations = best.seconds, best.evaluations
    latest = best
    # A photograph's few areas may cost more elsewhere than they gain: it is inverted without, too.
    always = plain is not None and _is_same(position["areas"], position["flat"])
    most = 3 if problem.starts == 1 else 2  # starts that came together cannot part again
    while (
        plain is not None
        and number < most
        and _goes_on(latest)
        and (best.error.max() > _GOOD or (always and number == 1))
    ):
        start = {"stage": 0, "iteration": 0, "state": None, "z": plain}
        if number == 2:
            around = _last(problem, latest)
            start |= {"z": problem.parametrization.inverse(around), "areas": position["flat"]}
        left = None if time_limit is None else time_limit - (time.perf_counter() - began)
        latest = run(problem, start, {}, 0.0, notes, left, callback, progress)
        spent, evaluations = spent + latest.seconds, evaluations + latest.evaluations
        number += 1
        if latest.error.mean() < best.error.mean():
            best = replace(latest, notes=best.notes)
    if number > 1:
        said = (*best.notes, f"the best of {number} attempts at an image with flat areas")
        stopped = best.stop_reason if _goes_on(latest) else latest.stop_reason
        best = replace(
            best, seconds=spent, evaluations=evaluations, notes=said, stop_reason=stopped
        )
    last = problem.lengths()[-1]
    said = convergence.remark(best.trace, best.error, last, best.stop_reason)
    return replace(best, notes=(*best.notes, *said))


def _is_same(one: Any, other: Any) -> bool:
    """Whether two arrays are equal."""
    return bool(np.array_equal(to_host(one), to_host(other)))


def _goes_on(result: Result) -> bool:
    """Whether a run went to its end."""
    return result.stop_reason in ("max_iter", "tolerance")


def _last(problem: Problem, result: Result) -> Any:
    """The image that a run ended with, its contrast as the run left it."""
    arrays = {k: problem.encoder.asarray(v) for k, v in result.run[1].items() if "/" not in k}
    position = {name: arrays[name] for name in HANDED_ON if name in arrays}
    return problem.space(position).image(arrays["z"])
