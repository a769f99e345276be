"""Everything that a run depends on but its state: encoder, loss, variables, priors, stages."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from repinv.encoders.base import Encoder, StraightThrough
from repinv.energy.energy import Energy, Weighted
from repinv.energy.losses import OPENED, Loss
from repinv.energy.reference_priors import CellEnergy, Pull
from repinv.search.restorer import Restorer
from repinv.search.schedule import Stage
from repinv.solvers.rules import Adam, UpdateRule
from repinv.variables.base import Parametrization, is_centred
from repinv.variables.levelled import Levelled

#: Iterations below which a stage turns what the one before it turned: curvature is learned anew.
WORTHWHILE = 30
#: What a position in a run holds beside its variables, and stages hand on to each other.
HANDED_ON = ("around", "weights", "reference", "log_energy", "areas", "plain", "flat", "start")


@dataclasses.dataclass(frozen=True)
class Problem:
    """Everything that a run depends on but its position; plain enough to be written to a file."""

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

    def gathers(self, stage: int) -> bool:
        """Whether a stage begins with the averages of several starts."""
        return self.starts > 1 and self.stages[stage].gathers

    def begins_anew(self, stage: int) -> bool:
        """Whether a stage turns changes of the image that it begins with, if places differ."""
        wanted = self.stages[stage].local > 0 and self.lengths()[stage] >= WORTHWHILE
        return wanted and is_centred(self.parametrization)

    def space(self, position: dict[str, Any]) -> Parametrization:
        """What the variables at a position in the run stand for."""
        space = self.parametrization
        if position.get("around") is not None:
            changes = position["around"], position["weights"]
            space = space.about(*changes)  # type: ignore[attr-defined]
        areas = position.get("areas")
        return space if areas is None else Levelled(space, areas)

    def stage_encoder(self, stage: Stage) -> Encoder:
        """The encoder that a stage inverts."""
        soft = self._softened(stage)
        found = soft or self._opened(stage) or self.encoder
        found = (found.relaxed(stage.relaxed) if stage.relaxed > 0 else None) or found
        is_through = stage.straight_through and soft is not None
        return StraightThrough(self.encoder, found) if is_through else found

    def _softened(self, stage: Stage) -> Encoder | None:
        """The encoder with its hard decisions blurred, if it makes any and the stage blurs them."""
        return self.encoder.softened(stage.softness) if stage.softness > 0 else None

    def _opened(self, stage: Stage) -> Encoder | None:
        """The encoder without the rectifier that ends it, if the stage is to do without it."""
        wanted = stage.opened and type(self.loss) in OPENED and self._softened(stage) is None
        return self.encoder.unrectified if wanted else None

    def objective(self, stage: Stage, position: dict[str, Any]) -> Energy:
        """The energy of one stage, at a position in it."""
        priors = tuple(
            dataclasses.replace(term, weight=term.weight * stage.priors)
            for term in self.priors
            if term.weight * stage.priors != 0 and term.name not in stage.without
        )
        if stage.pull and position.get("reference") is not None:
            priors += (Weighted("pull", stage.pull, Pull(position["reference"])),)
        if stage.cells and position.get("log_energy") is not None:
            cells = CellEnergy(position["log_energy"], self.restorer.cell)  # type: ignore[union-attr]
            priors += (Weighted("cells", stage.cells, cells),)
        space = self.space(position)
        encoder, loss = self.stage_encoder(stage), self.loss
        if self._opened(stage) is not None:
            fields = {f.name: getattr(loss, f.name) for f in dataclasses.fields(loss)}  # type: ignore[arg-type]
            loss = OPENED[type(loss)](**fields)
        return Energy(encoder, loss, space, priors)

    def rule(self, stage: Stage, length: int) -> UpdateRule:
        """The rule of one stage; Adam's step falls to zero at its end."""
        if isinstance(stage.rule, Adam) and len(self.stages) > 1:
            return dataclasses.replace(stage.rule, decay_over=length)
        return stage.rule


def check_position(
    problem: Problem, position: dict[str, Any], trace: dict[str, np.ndarray]
) -> None:
    """Raise ValueError if a position that was read from a file cannot be one of this run."""
    lengths, z = problem.lengths(), position["z"]
    stage, iteration = position["stage"], position["iteration"]
    if not (0 <= stage < len(lengths) and 0 <= iteration <= lengths[stage]):
        raise ValueError(f"the run has no iteration {iteration} in a stage {stage}.")
    around, weights = position.get("around"), position.get("weights")
    if (around is not None) and (
        around.shape != z.shape
        or weights is None
        or tuple(weights.shape) != (z.shape[0], 1, *z.shape[2:])
        or not any(problem.begins_anew(k) for k in range(1, stage + 1))
    ):
        raise ValueError("the run's image is not one that its variables could change.")
    areas = position.get("areas")
    if areas is not None and areas.shape != z.shape[-2:]:
        raise ValueError("the run's flat areas are not of its image's size.")
    start = position.get("start")
    if start is not None and start.shape != z.shape:
        raise ValueError("the image that the run started from is not of its image's size.")
    plain = position.get("plain")
    if plain is not None and tuple(plain.shape[1:]) != tuple(z.shape[1:]):
        raise ValueError("the run's plain start is not of its image's size.")
    reference = position.get("reference")
    if reference is not None and (
        reference.shape != z.shape or not any(problem.gathers(k) for k in range(1, stage + 1))
    ):
        raise ValueError("the run's reference is not an average of its starts.")
    expected = tuple(problem.encoder.feature_shape(tuple(z.shape[1:])))
    for name, values in vars(problem.loss).items():
        if hasattr(values, "shape") and tuple(values.shape[1:]) != expected:
            raise ValueError(f"the run's {name} is {values.shape}; its image gives {expected}.")
    if position["state"] is not None:
        rule = problem.rule(problem.stages[stage], lengths[stage])
        shapes = [
            {name: getattr(value, "shape", None) for name, value in state.items()}
            for state in (rule.init(z), position["state"])
        ]
        if shapes[0] != shapes[1]:
            raise ValueError("the run's state is not that of its rule.")
    done = sum(lengths[:stage]) + iteration
    held = {np.shape(values) for values in trace.values()}
    if done and not (held == {(done, z.shape[0])} and {"energy", "data"} <= set(trace)):
        raise ValueError(f"the run's trace does not hold its {done} iterations.")
