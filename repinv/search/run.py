"""A run: stages of an energy, from a position in them to the finished images."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from tqdm import tqdm

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io import serialization
from repinv.search import consensus
from repinv.search.finalize import finished
from repinv.search.probing import evening_weights
from repinv.search.problem import HANDED_ON, Problem
from repinv.search.result import Result
from repinv.solvers.lbfgs import LBFGS
from repinv.solvers.minimize import Minimum, Snapshot, minimize, to_host
from repinv.variables.base import Parametrization, is_steady

#: Mean of weights of mean square 1 above which places are as good as alike already, and beginning
#: anew would gain nothing; those of networks have .98 and more, those of HOG and SIFT .96 and less.
ALIKE = 0.97


def run(
    problem: Problem,
    position: dict[str, Any],
    trace: dict[str, np.ndarray],
    seconds: float,
    notes: tuple[str, ...],
    time_limit: float | None,
    callback: Callable[[Snapshot], object] | None,
    progress: bool,
) -> Result:
    """Go through the stages from a position in them, and finish the images."""
    began = time.perf_counter()
    lengths = problem.lengths()
    found: Minimum | None = None
    traces = [trace] if trace else []
    bar = tqdm(
        total=problem.max_iter,
        initial=sum(lengths[: position["stage"]]) + position["iteration"],
        disable=not progress,
        unit="evaluation",
    )
    with bar:
        while True:
            stage, length = problem.stages[position["stage"]], lengths[position["stage"]]
            before = sum(lengths[: position["stage"]])
            rule = problem.rule(stage, length)
            space = problem.space(position)
            energy = problem.objective(stage, position)
            left = None if time_limit is None else time_limit - (time.perf_counter() - began)

            def watch(
                snapshot: Snapshot, before: int = before, space: Parametrization = space
            ) -> object:
                shown = dataclasses.replace(
                    snapshot, iteration=before + snapshot.iteration, parametrization=space
                )
                bar.update(shown.iteration - bar.n)
                bar.set_postfix(energy=f"{float(np.min(shown.value)):.2e}", refresh=False)
                return callback(shown) if callback is not None else False

            found = minimize(
                energy.value_and_grad,
                position["z"],
                rule,
                max_iter=length,
                tol=problem.tol,
                check_every=problem.check_every,
                project=space.project,
                repeated=energy.encoder.repeated if is_steady(space) else None,
                callback=watch if callback is not None or progress else None,
                time_limit=left,
                state=position["state"],
                iteration=position["iteration"],
                seen=position.get("seen"),
            )
            if found.trace:
                traces.append({name: to_host(values) for name, values in found.trace.items()})
            position = position | {
                "iteration": found.iteration,
                "z": found.next_z,
                "state": found.state,
                "seen": found.seen,
            }
            last = position["stage"] == len(problem.stages) - 1
            if last or found.stop_reason not in ("max_iter", "tolerance"):
                break
            try:
                position = _next_stage(problem, position, found, space)
                if problem.gathers(position["stage"]):
                    traces = [consensus.averaged_trace(_joined(traces), problem.starts)]
            except KeyboardInterrupt:
                found = dataclasses.replace(found, stop_reason="interrupted")
                break
            found = None  # the old rule's memory goes before the new one's comes
        bar.update(before + found.iteration - bar.n)
    seconds += time.perf_counter() - began
    joined = _joined(traces) or _no_trace(len(found.z))
    anew = sum(problem.begins_anew(k) for k in range(1, position["stage"] + 1))
    iterations = len(joined["energy"])
    if last and found.iteration == length:
        # Done: what the rule remembers, many times its images, is of no use to anybody.
        position = position | {"z": found.z, "state": None}
    x = space.image(found.z)
    best, features, scores = finished(problem.encoder, x, problem.loss, position.get("start"))
    if problem.starts > 1 and position.get("reference") is None:
        # Stopped before the starts came together: the best of each image's.
        best, features, scores = consensus.best(problem.starts, best, features, scores)
    images = to_host(best)
    images = images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)
    return Result(
        images=np.ascontiguousarray(images),
        features=features,
        **{name: to_host(values).astype(np.float64) for name, values in scores.items()},
        trace=joined,
        iterations=iterations,
        evaluations=iterations + anew + 3,
        seconds=seconds,
        stop_reason=found.stop_reason,
        notes=notes,
        run=_packed(problem, position, joined, seconds, notes),
    )


def _joined(traces: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Traces one after the other; a term that a stage did without is zero there."""
    names = dict.fromkeys(name for part in traces for name in part)
    return {
        name: np.concatenate([part.get(name, np.zeros_like(part["energy"])) for part in traces])
        for name in names
    }


def _no_trace(count: int) -> dict[str, np.ndarray]:
    """The trace of a run of no evaluations."""
    return {name: np.zeros((0, count), np.float32) for name in ("energy", "data")}


def _next_stage(
    problem: Problem,
    position: dict[str, Any],
    found: Minimum,
    space: Parametrization,
) -> dict[str, Any]:
    """The position at the beginning of the next stage."""
    here, after = (problem.stages[position["stage"] + k].rule for k in (0, 1))
    following = {"stage": position["stage"] + 1, "iteration": 0}
    if problem.gathers(following["stage"]):
        return (
            following
            | {"state": None}
            | _kept(position, ("areas", "plain", "flat", "start"))
            | consensus.gathered(
                space.image(found.z), problem.starts, problem.restorer, problem.parametrization
            )
        )
    if problem.begins_anew(following["stage"]):
        stage, around = problem.stages[following["stage"]], space.image(found.z)
        counting = getattr(problem.loss, "weight", None)
        weights = evening_weights(problem.stage_encoder(stage), around, counting, stage.local)
        xp = array_namespace(around)
        # The first image decides, so that it is what it would be alone.
        if float(xp.mean(weights[0, ...])) <= ALIKE:
            z = xp.zeros_like(around)
            changes = {"z": z, "around": around, "weights": weights}
            return following | {"state": None} | _kept(position) | changes
    state = None
    if isinstance(here, LBFGS) and here == after:
        # Curvature changes little from one stage to the next.
        state = here.restart(found.state)
    return following | {"z": found.z, "state": state} | _kept(position)


def _kept(position: dict[str, Any], names: tuple[str, ...] = HANDED_ON) -> dict[str, Any]:
    """What stages hand on beside the variables."""
    return {name: position[name] for name in names if position.get(name) is not None}


def _packed(
    problem: Problem,
    position: dict[str, Any],
    trace: dict[str, np.ndarray],
    seconds: float,
    notes: tuple[str, ...],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a run's file."""
    fields = {
        f.name: moved(getattr(problem, f.name), to_host)
        for f in dataclasses.fields(problem)
        if f.name != "encoder"
    }
    try:
        encoder = serialization.describe(problem.encoder)
    except TypeError:
        encoder = None
    described: dict[str, Any] | str
    try:
        described = {"encoder": encoder} | {k: serialization.describe(v) for k, v in fields.items()}
    except TypeError as error:
        described = str(error)
    state = position["state"] or {}
    plain = {k: v for k, v in state.items() if isinstance(v, int | float)}
    header = {
        "problem": described,
        "position": {
            "stage": position["stage"],
            "iteration": position["iteration"],
            "state": plain if position["state"] is not None else None,
        },
        "seconds": seconds,
        "notes": list(notes),
    }
    arrays = {name: to_host(values) for name, values in _kept(position).items()}
    arrays["z"] = to_host(position["z"])
    if position.get("seen") is not None:
        arrays["seen"] = position["seen"]
    arrays |= {f"state/{k}": to_host(v) for k, v in state.items() if k not in plain}
    arrays |= {f"trace/{k}": v for k, v in trace.items()}
    return header, arrays


def moved(value: Any, move: Callable[[Array], Array]) -> Any:
    """A dataclass or a tuple with the arrays in it moved, such as to another device."""
    if isinstance(value, tuple):
        return tuple(moved(item, move) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Encoder):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **{k: moved(v, move) for k, v in fields.items()})
    return move(value) if is_array_api_obj(value) else value
