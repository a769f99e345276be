"""An inversion as a problem and where its search starts, from what the user asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from repinv._core import memory
from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.energy.energy import Weighted
from repinv.energy.losses import SquaredError
from repinv.search import (
    area_levels,
    feature_scale,
    flat_areas,
    initialization,
    probing,
    validation,
)
from repinv.search import restorer as restorers
from repinv.search.feature_layout import Reading
from repinv.search.problem import Problem
from repinv.search.restorer import Restorer
from repinv.search.schedule import Stage
from repinv.search.schedules import PRIORS, SEEDS, gathering, stages
from repinv.solvers.lbfgs import LBFGS
from repinv.solvers.rules import UpdateRule
from repinv.variables.base import Parametrization, is_centred
from repinv.variables.pixels import Pixels
from repinv.variables.transforms import Jitter


def posed(
    reading: Reading,
    encoder: Encoder,
    *,
    rescale: bool,
    n_preimages: int,
    mask: Array | None,
    filter_group: slice | Sequence[int] | None,
    neighbourhood: int | None,
    max_iter: int,
    solver: UpdateRule | tuple[Stage, ...] | None,
    parametrization: Parametrization | None,
    priors: tuple[Weighted, ...] | None,
    prior: str | Restorer | None,
    seeds: int | None,
    jitter: int,
    initial: Any,
    seed: int,
    tol: float,
    check_every: int,
) -> tuple[Problem, dict[str, Any], tuple[str, ...]]:
    """The problem of an inversion, the position where it starts, and notes for the user.

    Features of one image have been read; other parameters are those of `repinv.invert`, whose
    signature is the one place of their defaults.

    Raises
    ------
    TypeError, ValueError
        If the features are not the encoder's, or an option is impossible.
    """
    validation.check_counts(n_preimages=n_preimages, max_iter=max_iter, check_every=check_every)
    validation.check_counts(least=0, jitter=jitter)
    if not (solver is None or isinstance(solver, tuple) or hasattr(solver, "update")):
        raise TypeError(f"solver must be a rule, such as repinv.Adam(), or stages; got {solver!r}.")
    restorer = restorers.chosen(prior, encoder)
    count = seeds if seeds is not None else 1 if restorer is None else SEEDS
    validation.check_counts(seeds=count)
    target, image_shape, notes = reading.features[0, ...], reading.size, reading.notes
    restorers.check_use(restorer, count, image_shape[0], initial is not None)
    if hasattr(initial, "invert"):
        initial = validation.inverted(initial, target, encoder, image_shape)
    memory.check_fits(
        *image_shape[1:], image_shape[0], n_preimages * count, n_features=int(np.prod(target.shape))
    )
    mask = reading.mask(mask, encoder)
    target = encoder.asarray(target)
    weight = validation.weight(target, encoder, image_shape, mask, filter_group, neighbourhood)
    gray = flat_areas.blank_gray(encoder, target[None, ...], _one(weight, encoder), image_shape)
    if gray is not None:
        z = encoder.asarray(np.repeat(flat_areas.constant(gray, image_shape), n_preimages, axis=0))
        loss = SquaredError(target[None, ...], _one(weight, encoder))
        return _blank(encoder, loss, z, gray, notes)
    number, is_fixed = feature_scale.factor(target, encoder, image_shape, weight)
    if number != 1 and rescale:
        if not is_fixed:
            raise feature_scale.unscalable(number, encoder)
        target = target / number
        weight = validation.weight(target, encoder, image_shape, mask, filter_group, neighbourhood)
    if number != 1:
        note = feature_scale.scaled(number) if rescale else feature_scale.told(number, is_fixed)
        notes = (*notes, note)
    target, weight = target[None, ...], _one(weight, encoder)
    noise = initialization.noise(seed, n_preimages * count, image_shape)
    level = probing.MIDDLE
    if parametrization is None:
        one, scale = noise[:1], 1.0
        if initial is None:
            level = probing.gray(encoder, one)
            scale = probing.faint_scale(encoder, one, level)
        parametrization = initialization.parametrization(encoder, one, scale, level)
    if jitter:
        parametrization = Jitter(parametrization, jitter, seed)
    if solver is None:
        solver = stages(encoder) if count == 1 else gathering(encoder, restorer is not None)
    problem = Problem(
        encoder,
        SquaredError(target, weight),
        parametrization,
        PRIORS if priors is None else tuple(priors),
        solver if isinstance(solver, tuple) else (Stage(1.0, solver),),
        int(max_iter),
        tol,
        int(check_every),
        count,
        restorer,
    )
    if initial is None:
        z = initialization.about(level, parametrization, encoder.asarray(noise))
    else:
        x = validation.initial(initial, image_shape)
        start = encoder.asarray(np.repeat(x, n_preimages, axis=0))
        z = parametrization.inverse(start)
    position: dict[str, Any] = {"stage": 0, "iteration": 0, "z": z, "state": None}
    if initial is not None:
        position["start"] = start
    if weight is None and not jitter and is_centred(parametrization):
        position |= _flat(problem, position["z"], noise if initial is None else None, seed)
    return problem, position, notes


def _flat(problem: Problem, z: Array, noise: np.ndarray | None, seed: int) -> dict[str, Any]:
    """What of a position is another one where features say that the image has flat areas."""
    encoder, target = problem.encoder, problem.loss.target[0, ...]  # type: ignore[attr-defined]
    image_shape = tuple(z.shape[1:])
    areas = flat_areas.numbered(encoder, target, image_shape)
    if areas is not None:
        return {"areas": encoder.asarray(areas)}
    found = flat_areas.areas(encoder, target, image_shape)
    if found is None:
        return {}
    if noise is None:
        return {"areas": encoder.asarray(found.joined)}
    flat = encoder.asarray(found.flat)
    if not found.is_graphic:
        return {"areas": flat, "plain": z, "flat": flat}
    x = encoder.asarray(area_levels.start(encoder, problem.loss, found.flat, noise, seed))
    return {
        "areas": encoder.asarray(found.joined),
        "z": problem.parametrization.inverse(x),
        "plain": z,
        "flat": flat,
    }


def _blank(
    encoder: Encoder, loss: SquaredError, z: Array, gray: float, notes: tuple[str, ...]
) -> tuple[Problem, dict[str, Any], tuple[str, ...]]:
    """The problem of a blank target: it is solved by a constant image, and takes no evaluation."""
    problem = Problem(encoder, loss, Pixels(), (), (Stage(1.0, LBFGS()),), 0, 0.0, 1)
    note = (
        f"the target is blank: its features are those of a constant image, here of gray {gray:.3g}"
    )
    position = {"stage": 0, "iteration": 0, "z": z, "state": None}
    return problem, position, (*notes, note)


def _one(weight: Array | None, encoder: Encoder) -> Array | None:
    """Weights (*F) as those of one problem, (1, *F)."""
    return None if weight is None else encoder.asarray(weight)[None, ...]
