"""An inversion with flat areas, and what else is tried where it does not end well."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from repinv.search import convergence
from repinv.search.problem import Problem
from repinv.search.result import Result
from repinv.search.run import Watch, run
from repinv.search.state import RunState
from repinv.solvers.minimize import to_host

#: Relative feature error with which no other attempt is made.
_GOOD = 0.02


def attempted(problem: Problem, state: RunState, watch: Watch) -> Result:
    """`run`, and again without flat areas, and from there with them, where an error is left.

    Wrong levels of areas are not corrected by small steps, since features are normalized; an image
    without areas finds them, but has texture in the areas.

    Returns
    -------
    result : Result
        Of least error, with the seconds and evaluations of all.
    """
    began = time.perf_counter()
    best = latest = run(problem, state, watch)
    seconds, evaluations, number = best.seconds, best.evaluations, 1
    # A photograph's few areas may cost more elsewhere than they gain: also inverted without.
    always = state.free_start is not None and _is_same(state.areas, state.proven_areas)
    most = 3 if problem.starts == 1 else 2  # starts that were averaged cannot part again
    while (
        state.free_start is not None
        and number < most
        and _went_to_its_end(latest)
        and (best.error.max() > _GOOD or (always and number == 1))
    ):
        start = RunState(state.free_start, noise=state.noise)
        if number == 2:
            z = problem.base(0).inverse(_last_image(problem, latest))
            start = RunState(z, areas=state.proven_areas, noise=state.noise)
        latest = run(problem, start, watch.after(time.perf_counter() - began))
        seconds, evaluations = seconds + latest.seconds, evaluations + latest.evaluations
        number += 1
        if latest.error.mean() < best.error.mean():
            best = replace(latest, notes=best.notes)
    if number > 1:
        best = replace(
            best,
            seconds=seconds,
            evaluations=evaluations,
            notes=(*best.notes, f"the best of {number} attempts at an image with flat areas"),
            stop_reason=(best if _went_to_its_end(latest) else latest).stop_reason,
        )
    last = problem.lengths()[-1]
    remark = convergence.remark(best.trace, best.error, last, best.stop_reason)
    return replace(best, notes=(*best.notes, *remark))


def _is_same(one: Any, other: Any) -> bool:
    """Whether two arrays are equal."""
    return bool(np.array_equal(to_host(one), to_host(other)))


def _went_to_its_end(result: Result) -> bool:
    """Whether a run was not stopped."""
    return result.stop_reason in ("max_iter", "tolerance")


def _last_image(problem: Problem, result: Result) -> Any:
    """The image that a run ended with, its contrast as the run left it."""
    state = RunState.unpacked(*result.run, problem.encoder.asarray)
    return problem.space(state).image(state.z)
