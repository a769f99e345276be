"""What a user wants of an inversion as a problem and the state where its search starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.energy.energy import Weighted
from repinv.energy.losses import SquaredError
from repinv.search import (
    area_levels,
    feature_scale,
    flat_areas,
    initialization,
    polarity,
    probing,
    validation,
)
from repinv.search.feature_layout import Reading
from repinv.search.problem import Problem
from repinv.search.restoration import restorer as restorers
from repinv.search.restoration.restorer import Restorer
from repinv.search.schedule import Stage
from repinv.search.schedules import (
    PRIORS,
    ROBUST,
    VIEWED,
    averaging,
    graduated,
    restoring,
    restoring_polarity,
    stages,
    viewed,
)
from repinv.search.state import RunState
from repinv.solvers import memory
from repinv.solvers.lbfgs import LBFGS
from repinv.solvers.rules import UpdateRule
from repinv.variables.base import Parametrization, is_centred
from repinv.variables.pixels import Pixels
from repinv.variables.spectral import Spectral
from repinv.variables.transforms import Jitter, RandomView, transformed

#: Share of an image in sets of equal pixels from which it is a cut-out or a graphic: of 39
#: photographs none has more than .20; cut-outs, drawings on an even ground and checkerboards have
#: .34 and more. Under a steep spectrum these end at several times the error.
_MUCH_ALIKE = 0.27
#: A problem, and the state where its search starts.
Start: TypeAlias = tuple[Problem, RunState]


@dataclass(frozen=True, eq=False)
class InvertOptions:
    """The options of an inversion; the docstring of `repinv.invert` says what each means."""

    rescale: bool = False
    n_preimages: int = 1
    mask: Array | None = None
    filter_group: slice | Sequence[int] | None = None
    neighbourhood: int | None = None
    max_iter: int = 400
    solver: UpdateRule | tuple[Stage, ...] | None = None
    parametrization: Parametrization | None = None
    priors: tuple[Weighted, ...] | None = None
    prior: str | os.PathLike[str] | Restorer | None = None
    seeds: int | None = None
    transforms: str | Sequence[Jitter | RandomView] | None = None
    jitter: int = 0
    initial: Any = None
    polarity: Any = "auto"
    seed: int = 0
    tol: float = 0.0
    check_every: int = 10

    @property
    def changes(self) -> tuple[Jitter | RandomView, ...]:
        """Random changes of the image in every step, the first applied first."""
        found = ROBUST if isinstance(self.transforms, str) else tuple(self.transforms or ())
        return (Jitter(amount=self.jitter), *found) if self.jitter else found


@dataclass(frozen=True, eq=False)
class _Target:
    """Features of one image that are to be met, as the encoder's library holds them."""

    features: Array  # (*F)
    weight: Array | None  # (*F)
    image_shape: tuple[int, int, int]
    notes: tuple[str, ...]

    def loss(self, encoder: Encoder) -> SquaredError:
        """The squared distance to the target."""
        weight = None if self.weight is None else encoder.asarray(self.weight)[None, ...]
        return SquaredError(self.features[None, ...], weight)


def setup(reading: Reading, encoder: Encoder, options: InvertOptions) -> Start:
    """The problem of an inversion and the state where its search starts.

    Parameters
    ----------
    reading : Reading
        Features of one image.
    encoder : Encoder
    options : InvertOptions

    Raises
    ------
    TypeError, ValueError
        If the features are not the encoder's, or an option is impossible.
    """
    restorer, starts = _checked(reading, encoder, options)
    target = _target(reading, encoder, options)
    image_shape = target.image_shape
    loss = target.loss(encoder)
    gray = flat_areas.blank_gray(encoder, loss.target, loss.weight, image_shape)
    if gray is not None:
        return _blank(encoder, loss, image_shape, options.n_preimages, gray, target.notes)
    target = _scaled(target, reading, encoder, options)
    noise = initialization.noise(options.seed, options.n_preimages * starts, image_shape)
    space, level = _space(encoder, noise[:1], options)
    problem = Problem(
        encoder,
        target.loss(encoder),
        space,
        PRIORS if options.priors is None else tuple(options.priors),
        _stages(encoder, options, restorer, starts),
        int(options.max_iter),
        options.tol,
        int(options.check_every),
        starts,
        restorer,
    )
    image = _initial_image(options, reading, encoder)
    if options.changes and options.solver is None:
        target = replace(target, notes=(*target.notes, VIEWED))
    if image is None:
        z = initialization.about(level, space, encoder.asarray(noise))
        state = RunState(z, notes=target.notes)
    else:
        state = RunState(space.inverse(image), initial=image, notes=target.notes)
    alike = 0.0
    if target.weight is None and not options.changes and is_centred(space):
        drawn = noise if image is None else None
        state, alike = _with_flat_areas(problem, state, drawn, options.seed)
    may_swap = _may_swap(problem, state, options)
    if (may_swap or restorer is not None) and polarity.is_blind(encoder, noise[:1]):
        if may_swap and alike <= _MUCH_ALIKE:
            problem, state = _graduated(problem, state, noise, reading, options)
        else:
            # Restorers of such encoders choose what is light, and nothing else.
            usual = _stages(encoder, options, None, starts)
            problem = replace(problem, restorer=None, stages=usual)
            notes = (polarity.NOTE,) if may_swap else ()
            state = state.replace(notes=(*state.notes, *notes))
    if restorer is not None and not any(map(problem.averages, range(len(problem.stages)))):
        state = state.replace(notes=(*state.notes, restorers.UNUSED))
    return problem, state


def _checked(
    reading: Reading, encoder: Encoder, options: InvertOptions
) -> tuple[Restorer | None, int]:
    """The restorer and the number of starts of each image, once the options are possible."""
    validation.check_counts(
        n_preimages=options.n_preimages,
        max_iter=options.max_iter,
        check_every=options.check_every,
    )
    validation.check_counts(least=0, jitter=options.jitter)
    solver = options.solver
    if not (solver is None or isinstance(solver, tuple) or hasattr(solver, "update")):
        raise TypeError(f"solver must be a rule, such as repinv.Adam(), or stages; got {solver!r}.")
    staged = solver if isinstance(solver, tuple) else (Stage(1.0, solver),) if solver else ()
    rules = [stage.rule for stage in staged if stage.transforms]
    validation.transforms(options.transforms, rules if options.changes else [])
    validation.polarity(options.polarity, reading.size)
    restorer = restorers.chosen(options.prior, encoder)
    starts = 1 if options.seeds is None else options.seeds
    validation.check_counts(seeds=starts)
    validation.starts(starts, options.initial is not None)
    memory.check_fits(
        *reading.size[1:],
        reading.size[0],
        options.n_preimages * starts,
        n_features=int(np.prod(reading.features.shape[1:])),
    )
    return restorer, starts


def _target(reading: Reading, encoder: Encoder, options: InvertOptions) -> _Target:
    """The features to be met, and the weights of their squared differences."""
    features = encoder.asarray(reading.features[0, ...])
    weight = _weight(features, reading, encoder, options)
    return _Target(features, weight, reading.size, reading.notes)


def _weight(
    features: Array, reading: Reading, encoder: Encoder, options: InvertOptions
) -> Array | None:
    """Weights of the squared differences from features."""
    mask = reading.mask(options.mask, encoder)
    group, middle = options.filter_group, options.neighbourhood
    return validation.weight(features, encoder, reading.size, mask, group, middle)


def _scaled(target: _Target, reading: Reading, encoder: Encoder, options: InvertOptions) -> _Target:
    """The target at the encoder's scale, if the user wants that, and a note where it is another."""
    factor, is_fixed = feature_scale.factor(
        target.features, encoder, target.image_shape, target.weight
    )
    if factor == 1:
        return target
    if not options.rescale:
        note = feature_scale.told(factor, is_fixed)
        return _Target(target.features, target.weight, reading.size, (*target.notes, note))
    if not is_fixed:
        raise feature_scale.unscalable(factor, encoder)
    features = target.features / factor
    weight = _weight(features, reading, encoder, options)
    return _Target(features, weight, reading.size, (*target.notes, feature_scale.scaled(factor)))


def _space(
    encoder: Encoder, one: np.ndarray, options: InvertOptions
) -> tuple[Parametrization, float]:
    """The parametrization of a run, and the gray about which it starts."""
    space, level = options.parametrization, probing.MIDDLE
    if space is None:
        scale = 1.0
        if options.initial is None:
            level = probing.gray(encoder, one)
            scale = probing.start_scale(encoder, one, level)
        space = initialization.parametrization(encoder, one, scale, level)
    return transformed(space, options.changes, options.seed), level


def _stages(
    encoder: Encoder, options: InvertOptions, restorer: Restorer | None, starts: int
) -> tuple[Stage, ...]:
    """The stages of a run."""
    if isinstance(options.solver, tuple):
        return options.solver
    if options.solver is not None:
        return (Stage(1.0, options.solver),)
    if options.changes:
        return viewed(stages(encoder), options.parametrization is None)
    if restorer is not None:
        return restoring(encoder)
    return stages(encoder) if starts == 1 else averaging(encoder)


def _initial_image(options: InvertOptions, reading: Reading, encoder: Encoder) -> Array | None:
    """The images (N, C, H, W) that a run starts from, if the user gives one, or an inverter."""
    initial = options.initial
    if initial is None:
        return None
    if hasattr(initial, "invert"):
        features = reading.features[0, ...]
        initial = validation.inverted(initial, features, encoder, reading.size)
    x = validation.initial(initial, reading.size)
    return encoder.asarray(np.repeat(x, options.n_preimages, axis=0))


def _with_flat_areas(
    problem: Problem, state: RunState, noise: np.ndarray | None, seed: int
) -> tuple[RunState, float]:
    """The state with the areas kept flat that the features prove to be, if there are any.

    Returns
    -------
    state : RunState
    alike : float
        The share of the image in sets of equal pixels.
    """
    encoder, target = problem.encoder, problem.loss.target[0, ...]  # type: ignore[attr-defined]
    image_shape = tuple(state.z.shape[1:])
    areas = flat_areas.numbered(encoder, target, image_shape)
    if areas is not None:
        return state.replace(areas=encoder.asarray(areas)), float(np.mean(areas > 0))
    found = flat_areas.areas(encoder, target, image_shape)
    if found is None:
        return state, 0.0
    alike = float(np.mean(found.joined > 0))
    if noise is None:
        return state.replace(areas=encoder.asarray(found.joined)), alike
    proven = encoder.asarray(found.flat)
    if not found.is_graphic:
        return state.replace(areas=proven, free_start=state.z, proven_areas=proven), alike
    x = encoder.asarray(area_levels.start(encoder, problem.loss, found.flat, noise, seed))
    state = state.replace(
        z=problem.parametrization.inverse(x),
        areas=encoder.asarray(found.joined),
        free_start=state.z,
        proven_areas=proven,
    )
    return state, alike


def _may_swap(problem: Problem, state: RunState, options: InvertOptions) -> bool:
    """Whether nothing decides what is light and what is dark, as far as the options say.

    An image to start from does, and so do areas of most of an image that are kept flat. Without
    random changes, and with the solver and parametrization that are measured, so that stages may
    be added.
    """
    is_plain = options.solver is None and options.parametrization is None and not options.changes
    is_graphic = state.areas is not None and state.areas is not state.proven_areas
    is_off = options.polarity is None
    return is_plain and not is_graphic and not is_off and state.initial is None


def _graduated(
    problem: Problem,
    state: RunState,
    noise: np.ndarray,
    reading: Reading,
    options: InvertOptions,
) -> Start:
    """The problem and its start for an encoder that does not tell light from dark."""
    encoder, follows = problem.encoder, not isinstance(options.polarity, str)
    restorer = None
    if not follows and options.polarity == "auto":
        restorer = problem.restorer or restorers.chooser_of_polarity(encoder)
    if restorer is not None:
        found = restoring_polarity(encoder)
    else:
        usual = stages(encoder)
        if problem.starts > 1:
            usual = (replace(usual[0], averages_starts=True), *usual[1:])
        found = graduated(usual, encoder, follows)
    problem = replace(problem, restorer=restorer)
    space = initialization.in_natural_colours(
        Spectral(start_scale=polarity.START_SCALE), encoder, noise[:1]
    )
    problem = replace(problem, parametrization=space, stages=found)
    white, base = encoder.asarray(noise), problem.base(0)
    if follows:
        x = validation.initial(options.polarity, reading.size, "polarity")
        z = base.inverse(polarity.outline(encoder.asarray(np.repeat(x, len(noise), axis=0))))
    else:
        z = base.start(white)
    free = None if state.free_start is None else z
    notes = state.notes if follows else (*state.notes, polarity.NOTE)
    return problem, state.replace(z=z, noise=white, free_start=free, notes=notes)


def _blank(
    encoder: Encoder,
    loss: SquaredError,
    image_shape: tuple[int, int, int],
    n_preimages: int,
    gray: float,
    notes: tuple[str, ...],
) -> Start:
    """The problem of a blank target: a constant image solves it, without an evaluation."""
    z = encoder.asarray(np.repeat(flat_areas.constant(gray, image_shape), n_preimages, axis=0))
    problem = Problem(encoder, loss, Pixels(), (), (Stage(1.0, LBFGS()),), 0, 0.0, 1)
    note = (
        f"the target is blank: its features are those of a constant image, here of gray {gray:.3g}"
    )
    return problem, RunState(z, notes=(*notes, note))
