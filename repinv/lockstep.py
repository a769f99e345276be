"""Several inversions by one encoder in one run: what a GPU needs to be kept busy."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from array_api_compat import array_namespace

from repinv import convergence
from repinv.attempts import attempted
from repinv.encoder import Array, Encoder
from repinv.losses import SquaredError
from repinv.parametrizations import Parametrization
from repinv.posing import posed
from repinv.result import Result
from repinv.runs import run
from repinv.stages import Problem
from repinv.tasks import invert

#: Why a part of a run that several inversions shared is not saved: it cannot go on alone.
_SHARED = "An inversion that shared its run with others cannot be saved; run it alone."
#: A problem, the position where it starts, and notes.
_Asked: TypeAlias = tuple[Problem, dict[str, Any], tuple[str, ...]]
#: What `repinv.invert` takes where nothing is said.
_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(invert).parameters.items()
    if parameter.default is not parameter.empty and name in inspect.signature(posed).parameters
}


def invert_each(
    wanted: Sequence[tuple[Array, int]], encoder: Encoder, **options: Any
) -> list[Result]:
    """Invert several features, those together that are asked for alike.

    Every image is a problem of its own, and takes the steps that it would take alone, up to the
    rounding of kernels that work on several images at once. Whether a run begins anew in changes
    to which the features answer alike, its first image decides. Those with places that are kept
    flat run alone.

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
    >>> from repinv.lockstep import invert_each
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> images = np.random.default_rng(0).random((3, 32, 32)).astype(np.float32)
    >>> wanted = [(hog(image), seed) for seed, image in enumerate(images)]
    >>> found = invert_each(wanted, hog, shape=(32, 32), max_iter=30)
    >>> [result.images.shape for result in found]
    [(1, 32, 32), (1, 32, 32), (1, 32, 32)]
    """
    asked = []
    spaces: dict[int, Parametrization] = {}
    for features, seed in wanted:
        settled = _DEFAULTS | options | {"seed": seed}
        if seed in spaces:
            # What to turn depends on the seed, and the encoder is asked a dozen times for it.
            settled["parametrization"] = spaces[seed]
        asked.append(posed(features, encoder, **settled))
        if not settled["jitter"] and asked[-1][0].max_iter > 0:  # a blank target takes no search
            spaces[seed] = asked[-1][0].parametrization
    groups: list[list[int]] = []
    for number in range(len(asked)):
        alike = (g for g in groups if _is_alike(asked[g[0]], asked[number]))
        group = next(alike, None)
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    found: dict[int, Result] = {}
    for group in groups:
        found |= dict(zip(group, _together([asked[k] for k in group]), strict=True))
    return [found[k] for k in range(len(asked))]


def _is_alike(one: _Asked, other: _Asked) -> bool:
    """Whether two problems differ in nothing but what they aim at."""
    first, second = one[0], other[0]
    # Where several starts become one image in the middle, targets would have to as well.
    plain = first.starts == 1 and _target(first).shape == _target(second).shape
    plain &= not any("areas" in position for _, position, _ in (one, other))
    return plain and replace(first, loss=second.loss) == second


def _target(problem: Problem) -> Array:
    loss = problem.loss
    assert isinstance(loss, SquaredError)
    return loss.target


def _together(asked: list[_Asked]) -> list[Result]:
    """The results of problems that are alike."""
    problem, position, notes = asked[0]
    if len(asked) == 1:
        return [attempted(problem, position, {}, 0.0, notes, None, None, progress=False)]
    xp = array_namespace(position["z"])
    count = position["z"].shape[0]
    targets = [_target(one) for one, _, _ in asked for _ in range(count)]
    loss = replace(problem.loss, target=xp.concat(targets, axis=0))  # type: ignore[type-var]
    joined = position | {"z": xp.concat([place["z"] for _, place, _ in asked], axis=0)}
    whole = run(replace(problem, loss=loss), joined, {}, 0.0, (), None, None, progress=False)
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
        run=({"problem": _SHARED}, {}),
    )
