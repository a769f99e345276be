"""A run: the stages of an energy, from a state to the finished images."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from tqdm.auto import tqdm

from repinv._core.typing import Array
from repinv.energy.losses import SquaredError
from repinv.search import consensus, polarity
from repinv.search.finalize import finished
from repinv.search.probing import evening_weights
from repinv.search.problem import Problem
from repinv.search.result import Result
from repinv.search.schedule import Stage
from repinv.search.state import RunState
from repinv.solvers.minimize import Minimum, Snapshot, minimize, to_host
from repinv.variables.base import Parametrization, is_steady
from repinv.variables.pixels import Pixels
from repinv.variables.transforms import seen_through

#: Mean of weights of mean square 1 above which the features are about as sensitive everywhere, and
#: beginning anew would gain nothing: networks have .98 and more, HOG and SIFT .96 and less.
EVEN = 0.97
#: Random views of a finished image that its error is measured over.
_VIEWS = 8


@dataclasses.dataclass(frozen=True)
class Watch:
    """How a run is watched, and when it is stopped early.

    Parameters
    ----------
    time_limit : float or None
        Seconds.
    callback : callable or None
        Shown a `Snapshot` at every check; the run stops when it returns True.
    progress : bool
        Show a progress bar.
    """

    time_limit: float | None = None
    callback: Callable[[Snapshot], object] | None = None
    progress: bool = False

    def after(self, seconds: float) -> Watch:
        """The same with less time left."""
        left = None if self.time_limit is None else self.time_limit - seconds
        return dataclasses.replace(self, time_limit=left)


def run(problem: Problem, state: RunState, watch: Watch) -> Result:
    """Go through the stages from a state, and finish the images."""
    began = time.perf_counter()
    lengths = problem.lengths()
    with tqdm(
        total=problem.max_iter,
        initial=sum(lengths[: state.stage]) + state.iteration,
        disable=not watch.progress,
        unit="evaluation",
    ) as bar:
        while True:
            found = _minimized(problem, state, watch.after(time.perf_counter() - began), bar)
            state = _after(state, found)
            is_last = state.stage == len(problem.stages) - 1
            if is_last or found.stop_reason not in ("max_iter", "tolerance"):
                break
            try:
                state = _next_stage(problem, state, found.z)
            except KeyboardInterrupt:
                found = dataclasses.replace(found, stop_reason="interrupted")
                break
            del found  # the old rule's memory goes before the new one's comes
        bar.update(sum(lengths[: state.stage]) + found.iteration - bar.n)
    if is_last and found.iteration == lengths[-1]:
        # Done: what the rule remembers, many times its images, is of no more use.
        state = state.replace(z=found.z, rule_state=None)
    trace = state.trace or _no_trace(len(found.z))
    seconds = state.seconds + time.perf_counter() - began
    return _finalized(problem, state.replace(trace=trace, seconds=seconds), found)


def _minimized(problem: Problem, state: RunState, watch: Watch, bar: tqdm[Any]) -> Minimum:
    """What the rest of a state's stage finds."""
    space, energy = problem.space(state), problem.energy(state)
    is_watched = watch.callback is not None or watch.progress
    return minimize(
        energy.value_and_grad,
        state.z,
        problem.rule(state.stage),
        max_iter=problem.lengths()[state.stage],
        tol=problem.tol,
        check_every=problem.check_every,
        project=space.project,
        repeated=energy.encoder.repeated if is_steady(space) else None,
        callback=_shown(problem, state, space, watch, bar) if is_watched else None,
        time_limit=watch.time_limit,
        state=state.rule_state,
        iteration=state.iteration,
        seen=state.seen,
    )


def _shown(
    problem: Problem, state: RunState, space: Parametrization, watch: Watch, bar: tqdm[Any]
) -> Callable[[Snapshot], object]:
    """What is shown a stage's snapshots: the progress bar, and the user's callback."""
    before = sum(problem.lengths()[: state.stage])

    def show(snapshot: Snapshot) -> object:
        shown = dataclasses.replace(
            snapshot, iteration=before + snapshot.iteration, parametrization=space
        )
        bar.update(shown.iteration - bar.n)
        bar.set_postfix(energy=f"{float(np.min(shown.value)):.2e}", refresh=False)
        return watch.callback(shown) if watch.callback is not None else False

    return show


def _after(state: RunState, found: Minimum) -> RunState:
    """The state after some iterations of its stage."""
    trace = state.trace
    if found.trace:
        new = {name: to_host(values) for name, values in found.trace.items()}
        trace = _joined([trace, new] if trace else [new])
    return state.replace(
        iteration=found.iteration,
        z=found.next_z,
        rule_state=found.state,
        seen=found.seen,
        trace=trace,
    )


def _next_stage(problem: Problem, state: RunState, z: Array) -> RunState:
    """The state at the beginning of the next stage, from the best variables of this one."""
    following, space = state.stage + 1, problem.space(state)
    stage, base = problem.stages[following], problem.base(following)
    if problem.averages(following):
        starts = problem.starts if state.reference is None else 1
        z, reference = consensus.averaged(
            space.image(z), starts, problem.restoring(), base, stage.chooses_polarity
        )
        if stage.begins_with_outline:
            restored = polarity.likelier(polarity.within(reference))
            z = base.inverse(polarity.outline(restored))
        if stage.noise:
            z = _anew(stage, base, base.image(z), state.noise, starts)
        trace = consensus.averaged_trace(state.trace, starts)
        return state.next_stage(z=z, reference=reference, around=None, weights=None, trace=trace)
    changes_spectrum = stage.exponent != problem.stages[state.stage].exponent
    if changes_spectrum or stage.noise or stage.chooses_polarity:
        every = 1 if state.reference is None else problem.starts
        z = _anew(stage, base, space.image(z), state.noise, every)
        return state.next_stage(z=z, around=None, weights=None)
    if problem.begins_anew(following):
        around = space.image(z)
        counting = getattr(problem.loss, "weight", None)
        weights = evening_weights(
            problem.stage_encoder(stage), around, counting, stage.sensitivity_radius
        )
        xp = array_namespace(around)
        # The first image decides, so that it is what it would be alone.
        if float(xp.mean(weights[0, ...])) <= EVEN:
            return state.next_stage(z=xp.zeros_like(around), around=around, weights=weights)
    here, after = (problem.stages[k].rule for k in (state.stage, following))
    restart = getattr(here, "restart", None)
    # Curvature changes little from one stage to the next.
    kept = restart(state.rule_state) if restart is not None and here == after else None
    return state.next_stage(z=z, rule_state=kept)


def _anew(
    stage: Stage, base: Parametrization, x: Array, noise: Array | None, every: int = 1
) -> Array:
    """Variables of images that a stage begins with under a spectrum of its own.

    Of white noise (N · every, C, H, W) that of the first start of each image is taken.
    """
    if stage.chooses_polarity:
        x = polarity.likelier(x)
    if stage.noise and noise is not None:
        x = polarity.with_noise(x, noise[::every, ...], stage.noise)
    return base.inverse(x)


def _finalized(problem: Problem, state: RunState, found: Minimum) -> Result:
    """The images of the best variables, within [0, 1], and what a `Result` holds of the run."""
    x = problem.space(state).image(found.z)
    best, features, scores = finished(problem.encoder, x, problem.loss, state.initial)
    if problem.starts > 1 and state.reference is None:
        # Stopped before the starts were averaged: the best of each image's.
        best, features, scores = consensus.best(problem.starts, best, features, scores)
    images = to_host(best)
    images = images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)
    iterations = len(state.trace["energy"])
    anew = sum(problem.begins_anew(k) for k in range(1, state.stage + 1))
    header, arrays = state.packed()
    return Result(
        images=np.ascontiguousarray(images),
        features=features,
        **{name: to_host(values).astype(np.float64) for name, values in scores.items()},
        view_error=_view_error(problem, best),
        trace=dict(state.trace),
        iterations=iterations,
        evaluations=iterations + anew + 3,
        seconds=state.seconds,
        stop_reason=found.stop_reason,
        notes=state.notes,
        run=({"problem": problem.described(), **header}, arrays),
        encoder=problem.encoder,
        problems=1,
    )


def _view_error(problem: Problem, x: Array) -> np.ndarray | None:
    """The mean error of random views of images, where an inversion looked at such; else None."""
    if not isinstance(problem.loss, SquaredError):
        return None
    space = seen_through(problem.parametrization, Pixels())
    if is_steady(space):
        return None
    errors = [
        to_host(problem.loss.value_and_grad(problem.encoder.encode(space.vjp(x, number)[0]))[0])
        for number in range(_VIEWS)
    ]
    return np.asarray(np.mean(errors, axis=0, dtype=np.float64))


def _joined(traces: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Traces one after the other; a term that a stage did without is zero there."""
    names = dict.fromkeys(name for part in traces for name in part)
    return {
        name: np.concatenate([part.get(name, np.zeros_like(part["energy"])) for part in traces])
        for name in names
    }


def _no_trace(count: int) -> dict[str, np.ndarray]:
    """The trace of a run of no evaluations."""
    return {name: np.zeros((0, count), np.float32) for name in ("energy", "data")}
