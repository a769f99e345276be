"""Several inversions: those alike share a run, the others follow one another."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.energy.losses import SquaredError
from repinv.search import convergence
from repinv.search.feature_layout import read
from repinv.search.problem import Problem
from repinv.search.result import Result
from repinv.search.retries import attempted
from repinv.search.run import Watch, run
from repinv.search.setup import InvertOptions, Start, setup
from repinv.solvers import memory
from repinv.variables.base import Parametrization

#: Why a part of a run that several inversions shared is not saved: it cannot go on alone.
SHARED = "An inversion that shared its run with others cannot be saved; run it alone."
#: Seconds that are left to a run once time is over, or the user has interrupted: its start is
#: returned.
_NONE_LEFT = 1e-9


def solved(starts: Sequence[Start], watch: Watch) -> list[Result]:
    """Results of problems, those together that differ in nothing but what they aim at.

    Parameters
    ----------
    starts : sequence of (Problem, RunState)
        As `setup` returns them.
    watch : Watch
        Its time is for all of them; each run has its own progress bar.

    Returns
    -------
    results : list of Result
        In the order of `starts`. Their seconds are shares of those of their run.
    """
    groups: list[list[int]] = []
    for number in range(len(starts)):
        alike = (g for g in groups if _is_alike(starts[g[0]], starts[number], len(g)))
        group = next(alike, None)
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    began, stopped = time.perf_counter(), False
    results: dict[int, Result] = {}
    for group in groups:
        left = watch.after(time.perf_counter() - began)
        if left.time_limit is not None:
            left = replace(left, time_limit=max(_NONE_LEFT, left.time_limit))
        if stopped:
            left = replace(left, time_limit=_NONE_LEFT)
        these = _together([starts[k] for k in group], left)
        stopped |= these[0].stop_reason in ("interrupted", "callback")
        results |= dict(zip(group, these, strict=True))
    return [results[k] for k in range(len(starts))]


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
        view_error=_concatenated([result.view_error for result in results]),
        trace={
            name: np.concatenate([_padded(r, name, longest) for r in results], axis=1)
            for name in names
        },
        iterations=longest,
        evaluations=max(result.evaluations for result in results),
        seconds=sum(result.seconds for result in results),
        stop_reason=reasons[0] if reasons else "max_iter",
        notes=_notes(results),
        run=({"problem": SHARED}, {}),
        problems=len(results),
    )


def _notes(results: Sequence[Result]) -> tuple[str, ...]:
    """Notes of several problems, each once, with the rows that it is of if these are not all."""
    found: dict[str, list[int]] = {}
    for number, result in enumerate(results, 1):
        for note in dict.fromkeys(result.notes):
            found.setdefault(note, []).append(number)
    return tuple(_of_rows(note, rows, len(results)) for note, rows in found.items())


def _of_rows(note: str, rows: Sequence[int], count: int) -> str:
    """A note with the rows that it is of."""
    if len(rows) == count:
        return note
    return f"row{'s' * (len(rows) > 1)} {', '.join(map(str, rows))} of {count}: {note}"


def _concatenated(errors: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Errors of views as one array, or None where a run looked at none."""
    found = [error for error in errors if error is not None]
    return np.concatenate(found) if len(found) == len(errors) else None


def _padded(result: Result, name: str, length: int) -> np.ndarray:
    """A term of a trace, NaN after the run's end and where it has no such term."""
    found = np.full((length, result.trace["energy"].shape[1]), np.nan)
    if name in result.trace:
        found[: result.iterations] = result.trace[name]
    return found


def _is_alike(one: Start, other: Start, count: int) -> bool:
    """Whether a problem can join a run of `count` that begins with another."""
    first, second = one[0], other[0]
    # Where several starts become one image in the middle, targets would have to as well.
    plain = first.starts == 1 and _target(first).shape == _target(second).shape
    plain &= all(state.areas is None for _, state in (one, other))
    return plain and replace(first, loss=second.loss) == second and _fits(one, count + 1)


def _fits(one: Start, count: int) -> bool:
    """Whether the memory holds a run of so many problems."""
    problem, state = one
    channels, height, width = state.z.shape[1:]
    n_images = count * state.z.shape[0]
    n_features = math.prod(_target(problem).shape)
    try:
        memory.check_fits(height, width, channels, n_images, n_features=n_features)
    except ValueError:
        return False
    return True


def _target(problem: Problem) -> Array:
    loss = problem.loss
    assert isinstance(loss, SquaredError)
    return loss.target


def _together(starts: list[Start], watch: Watch) -> list[Result]:
    """The results of problems that are alike."""
    problem, state = starts[0]
    if len(starts) == 1:
        return [attempted(problem, state, watch)]
    xp = array_namespace(state.z)
    count = state.z.shape[0]
    targets = [_target(one) for one, _ in starts for _ in range(count)]
    loss = replace(problem.loss, target=xp.concat(targets, axis=0))  # type: ignore[type-var]
    joined = state.replace(z=xp.concat([one.z for _, one in starts], axis=0), notes=())
    if state.noise is not None:
        noise = xp.concat([one.noise for _, one in starts], axis=0)
        joined = joined.replace(noise=noise)
    if state.initial is not None:
        initial = xp.concat([one.initial for _, one in starts], axis=0)
        joined = joined.replace(initial=initial)
    whole = run(replace(problem, loss=loss), joined, watch)
    parts = [slice(count * k, count * (k + 1)) for k in range(len(starts))]
    return [
        _part(whole, part, whole.seconds / len(starts), one.notes, problem.lengths()[-1])
        for part, (_, one) in zip(parts, starts, strict=True)
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
        view_error=None if whole.view_error is None else whole.view_error[part],
        trace=trace,
        seconds=seconds,
        notes=(*said, *convergence.remark(trace, error, last, whole.stop_reason)),
        run=({"problem": SHARED}, {}),
    )


def invert_each(
    wanted: Sequence[tuple[Array, int]], encoder: Encoder, **options: Any
) -> list[Result]:
    """Invert several features, in one run those that differ in target and seed alone.

    Every image is a problem of its own, and takes the steps that it would take alone, up to the
    rounding of kernels that work on several images at once. Whether a run changes to weighted
    variables depends on its first image. Images with areas that are kept flat run alone.

    Parameters
    ----------
    wanted : sequence of (array, int)
        Features, and the seed of each inversion.
    encoder : Encoder
    **options
        Of `repinv.invert`, the same for all, but for what watches a run.

    Returns
    -------
    results : list of Result
        As `repinv.invert` would find them, one after the other. Their seconds are shares of those
        of the run.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> from repinv.tasks.batched import invert_each
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> images = np.random.default_rng(0).random((3, 32, 32)).astype(np.float32)
    >>> wanted = [(hog(image), seed) for seed, image in enumerate(images)]
    >>> found = invert_each(wanted, hog, shape=(32, 32), max_iter=30)
    >>> [result.images.shape for result in found]
    [(1, 32, 32), (1, 32, 32), (1, 32, 32)]
    """
    rest = dict(options)
    shape, layout = rest.pop("shape", None), rest.pop("layout", None)
    settings = InvertOptions(**rest)
    starts: list[Start] = []
    spaces: dict[int, Parametrization] = {}
    for features, seed in wanted:
        reading = read(features, encoder, shape, layout)
        if len(reading) > 1:
            raise ValueError(
                f"expected features of one image each; got those of {len(reading)}. Give each of "
                "them."
            )
        # The parametrization depends on the seed, and takes a dozen evaluations to choose.
        space = spaces.get(seed, settings.parametrization)
        problem, state = setup(
            reading, encoder, replace(settings, seed=seed, parametrization=space)
        )
        starts.append((problem, state))
        if not settings.changes and problem.max_iter > 0:  # a blank target takes no search
            spaces[seed] = problem.parametrization
    return solved(starts, Watch())
