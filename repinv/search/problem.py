"""Everything that a run depends on but its state: encoder, loss, variables, priors, stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.encoders.straight_through import StraightThrough
from repinv.energy.energy import Energy, Weighted
from repinv.energy.losses import Loss, SquaredError
from repinv.energy.reference_priors import Pull
from repinv.io import serialization
from repinv.search.restoration.restorer import Restorer
from repinv.search.schedule import Stage
from repinv.search.state import RunState
from repinv.solvers.minimize import to_host
from repinv.solvers.rules import UpdateRule
from repinv.variables.base import Parametrization, is_centred
from repinv.variables.levelled import Levelled
from repinv.variables.transforms import untransformed

#: Iterations below which a stage goes on with the variables of the one before it, since a rule
#: learns the curvature of new ones anew.
WORTHWHILE = 30
#: Least contrast of the mean of channels, over that of all, at which it is restored; and what keeps
#: a blank image from dividing by zero.
_LEAST_GRAY, _TINY = 0.2, 1e-12


@dataclasses.dataclass(frozen=True)
class Problem:
    """Everything that a run depends on but its state; plain enough to be written to a file."""

    encoder: Encoder
    loss: Loss
    parametrization: Parametrization
    priors: tuple[Weighted, ...]
    stages: tuple[Stage, ...]
    max_iter: int
    tol: float
    check_every: int
    starts: int = 1
    restorer: Restorer | None = None

    def lengths(self) -> list[int]:
        """Iterations of each stage; they add up to `max_iter`."""
        total = sum(stage.share for stage in self.stages)
        ends = np.cumsum([stage.share / total for stage in self.stages])
        return [int(n) for n in np.diff(np.rint(ends * self.max_iter), prepend=0)]

    def averages(self, stage: int) -> bool:
        """Whether a stage begins with the averages of starts, or with what they are restored to."""
        is_wanted = self.starts > 1 or self.restorer is not None
        return is_wanted and self.stages[stage].averages_starts

    def restoring(self) -> Callable[[Array, Array], Array] | None:
        """What restores the mean and spread of starts, (N, C, H, W); None without a restorer.

        Of several channels their mean is restored, at the contrast of all of them, and what each
        differs from it by stays as it is.
        """
        if self.restorer is None:
            return None
        target, restorer = self.loss.target, self.restorer  # type: ignore[attr-defined]

        def restored(mean: Array, spread: Array) -> Array:
            size = (int(mean.shape[2]), int(mean.shape[3]))
            vectors = self.encoder.asarray(restorer.vectors(self.encoder, target, size))
            if mean.shape[1] == 1:
                return restorer(mean, spread, vectors)
            xp = array_namespace(mean)
            gray, of_gray = (xp.mean(a, axis=1, keepdims=True) for a in (mean, spread))
            deviations = [xp.std(a, axis=(1, 2, 3), keepdims=True) for a in (gray, mean)]
            # Of colours alone nothing is left in their mean that could be restored.
            factor = xp.clip(deviations[0] / (deviations[1] + _TINY), _LEAST_GRAY, 1.0)
            return mean + restorer(gray / factor, of_gray / factor, vectors) * factor - gray

        return restored

    def begins_anew(self, stage: int) -> bool:
        """Whether a stage may optimize changes of the image that it begins with."""
        wanted = self.stages[stage].sensitivity_radius > 0 and self.lengths()[stage] >= WORTHWHILE
        return wanted and is_centred(self.parametrization)

    def base(self, stage: int) -> Parametrization:
        """The parametrization of a stage, before changes are weighted and areas kept flat."""
        base: Any = self.parametrization
        if not self.stages[stage].transforms:
            base = untransformed(base)
        exponent = self.stages[stage].exponent
        return base.with_exponent(exponent) if exponent > 0 else base  # type: ignore[no-any-return]

    def space(self, state: RunState) -> Parametrization:
        """What the variables of a state stand for."""
        space: Any = self.base(state.stage)
        if state.around is not None:
            space = space.about(state.around, state.weights)
        return space if state.areas is None else Levelled(space, state.areas)

    def rule(self, stage: int) -> UpdateRule:
        """The update rule of a stage."""
        rule = self.stages[stage].rule
        adapted = getattr(rule, "for_stage", None)
        if adapted is None or len(self.stages) == 1:
            return rule
        return adapted(self.lengths()[stage])  # type: ignore[no-any-return]

    def stage_encoder(self, stage: Stage) -> Encoder:
        """The encoder that a stage inverts."""
        soft = self._softened(stage)
        found = soft or self._unrectified(stage) or self.encoder
        found = (
            found.with_surrogate_slopes(stage.surrogate_width)
            if stage.surrogate_width > 0
            else None
        ) or found
        is_through = stage.straight_through and soft is not None
        return StraightThrough(self.encoder, found) if is_through else found

    def _softened(self, stage: Stage) -> Encoder | None:
        """The smoothed version of the encoder, if there is one and the stage takes it."""
        if stage.softness <= 0:
            return None
        is_compared = isinstance(self.loss, SquaredError) and not stage.straight_through
        take = self.encoder.compared if is_compared else self.encoder.softened
        return take(stage.softness)

    def _unrectified(self, stage: Stage) -> Encoder | None:
        """The encoder of pre-activations, if there is one and the stage takes it."""
        if not stage.pre_activations or self.loss.of_pre_activations() is None:
            return None
        return self.encoder.pre_activations if self._softened(stage) is None else None

    def energy(self, state: RunState) -> Energy:
        """The energy of a state's stage."""
        stage = self.stages[state.stage]
        priors = tuple(
            dataclasses.replace(term, weight=term.weight * stage.priors)
            for term in self.priors
            if term.weight * stage.priors != 0 and term.name not in stage.without
        )
        if stage.pull and state.reference is not None:
            priors += (Weighted("pull", stage.pull, Pull(state.reference)),)
        return Energy(self.stage_encoder(stage), self._loss(stage), self.space(state), priors)

    def _loss(self, stage: Stage) -> Loss:
        """The loss of the features that a stage compares."""
        if self._unrectified(stage) is not None:
            return self.loss.of_pre_activations() or self.loss
        is_soft = self._softened(stage) is not None and not stage.straight_through
        if not is_soft or not isinstance(self.loss, SquaredError):
            return self.loss
        target = self.encoder.softened_features(self.loss.target, stage.softness)
        return dataclasses.replace(self.loss, target=target)

    def described(self) -> dict[str, Any] | str:
        """The problem as a file holds it, or why it cannot be written to one."""
        fields = {
            field.name: moved(getattr(self, field.name), to_host)
            for field in dataclasses.fields(self)
            if field.name != "encoder"
        }
        try:
            encoder = serialization.describe(self.encoder)
        except TypeError:
            encoder = None  # then it is given again to `repinv.resume`
        try:
            rest = {name: serialization.describe(value) for name, value in fields.items()}
        except TypeError as error:
            return str(error)
        return {"encoder": encoder} | rest

    @classmethod
    def restored(cls, described: dict[str, Any], encoder: Encoder) -> Problem:
        """The problem that `described` was called on, with an encoder."""
        rest = {
            name: moved(serialization.restore(value), encoder.asarray)
            for name, value in described.items()
            if name != "encoder"
        }
        return cls(encoder=encoder, **rest)


def moved(value: Any, move: Callable[[Array], Array]) -> Any:
    """A dataclass or a tuple with the arrays in it moved, such as to another device."""
    if isinstance(value, tuple):
        return tuple(moved(item, move) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Encoder):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **{k: moved(v, move) for k, v in fields.items()})
    return move(value) if is_array_api_obj(value) else value


def check_state(problem: Problem, state: RunState) -> None:
    """Raise ValueError if a state that was read from a file cannot be one of this run."""
    lengths = problem.lengths()
    if not (0 <= state.stage < len(lengths) and 0 <= state.iteration <= lengths[state.stage]):
        raise ValueError(f"the run has no iteration {state.iteration} in a stage {state.stage}.")
    _check_images(problem, state)
    expected = tuple(problem.encoder.feature_shape(tuple(state.z.shape[1:])))
    for name, values in vars(problem.loss).items():
        if hasattr(values, "shape") and tuple(values.shape[1:]) != expected:
            raise ValueError(f"the run's {name} is {values.shape}; its image gives {expected}.")
    if state.rule_state is not None:
        shapes = [
            {name: getattr(value, "shape", None) for name, value in found.items()}
            for found in (problem.rule(state.stage).init(state.z), state.rule_state)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError("the run's state is not that of its rule.")
    done = sum(lengths[: state.stage]) + state.iteration
    held = {np.shape(values) for values in state.trace.values()}
    if done and not (held == {(done, state.z.shape[0])} and {"energy", "data"} <= set(state.trace)):
        raise ValueError(f"the run's trace does not hold its {done} iterations.")


def _check_images(problem: Problem, state: RunState) -> None:
    """Raise ValueError unless a state's arrays are of the size of its variables."""
    shape, before = tuple(state.z.shape), range(1, state.stage + 1)
    if state.around is not None and (
        tuple(state.around.shape) != shape
        or state.weights is None
        or tuple(state.weights.shape) != (shape[0], 1, *shape[2:])
        or not any(problem.begins_anew(k) for k in before)
    ):
        raise ValueError("the run's image is not one that its variables could change.")
    if state.areas is not None and tuple(state.areas.shape) != shape[-2:]:
        raise ValueError("the run's flat areas are not of its image's size.")
    if state.initial is not None and tuple(state.initial.shape) != shape:
        raise ValueError("the image that the run started from is not of its image's size.")
    if state.noise is not None and tuple(state.noise.shape) != shape:
        raise ValueError("the run's noise is not of its image's size.")
    if state.free_start is not None and tuple(state.free_start.shape[1:]) != shape[1:]:
        raise ValueError("the run's start without flat areas is not of its image's size.")
    if state.reference is not None and (
        tuple(state.reference.shape) != shape or not any(problem.averages(k) for k in before)
    ):
        raise ValueError("the run's reference is not an average of its starts.")
