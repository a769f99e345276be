"""The state of a run: how far it has come, and all that its later steps need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from repinv._core.typing import Array
from repinv.solvers.minimize import to_host
from repinv.solvers.rules import State

#: Arrays of a state by their names in files, beside the variables; what version 0.1 called them.
_IN_FILES = {
    "around": "around",
    "weights": "weights",
    "reference": "reference",
    "areas": "areas",
    "plain": "free_start",
    "flat": "proven_areas",
    "start": "initial",
    "noise": "noise",
}


@dataclasses.dataclass(frozen=True, eq=False)
class RunState:
    """How far a run has come.

    Attributes
    ----------
    z : array, shape (N, ...)
        Where the next evaluation is; after the last one, the best variables.
    stage, iteration : int
        Number of the stage, and of evaluations done in it.
    rule_state : dict or None
        What the update rule remembers; None where it begins.
    seen : ndarray, shape (N,), or None
        Best energies at the last check, for the tolerance.
    around, weights : array, shape (N, C, H, W) and (N, 1, H, W), or None
        Image whose changes are optimized, and their weights (`repinv.Local`).
    reference : array, shape (N, C, H, W), or None
        Average of several starts, restored or not, that images are pulled to.
    areas : array, shape (H, W), or None
        Areas that are kept flat, numbered from 1 (`Levelled`).
    proven_areas : array, shape (H, W), or None
        Those of them that the features prove to be flat.
    free_start : array, shape (N, ...), or None
        Variables to start from where no areas are kept flat.
    initial : array, shape (N, C, H, W), or None
        Image that the run started from, which counts as found.
    noise : array, shape (N, C, H, W), or None
        White noise, from which a later stage adds texture.
    trace : dict of str to ndarray, shape (evaluations, N)
        Terms of the energy so far.
    seconds : float
        Time taken so far.
    notes : tuple of str
        For the user.
    """

    z: Array
    stage: int = 0
    iteration: int = 0
    rule_state: State | None = None
    seen: np.ndarray | None = None
    around: Array | None = None
    weights: Array | None = None
    reference: Array | None = None
    areas: Array | None = None
    proven_areas: Array | None = None
    free_start: Array | None = None
    initial: Array | None = None
    noise: Array | None = None
    trace: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def replace(self, **changes: Any) -> RunState:
        """The state with other values."""
        return dataclasses.replace(self, **changes)

    def next_stage(self, **changes: Any) -> RunState:
        """The state at the beginning of the next stage, whose rule begins anew."""
        begin = {"stage": self.stage + 1, "iteration": 0, "rule_state": None, "seen": None}
        return dataclasses.replace(self, **begin | changes)

    def packed(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as the header and the arrays of a file."""
        rule = self.rule_state or {}
        numbers = {name: value for name, value in rule.items() if isinstance(value, int | float)}
        header = {
            "position": {
                "stage": self.stage,
                "iteration": self.iteration,
                "state": None if self.rule_state is None else numbers,
            },
            "seconds": self.seconds,
            "notes": list(self.notes),
        }
        found = {name: getattr(self, field) for name, field in _IN_FILES.items()}
        arrays = {name: to_host(values) for name, values in found.items() if values is not None}
        arrays["z"] = to_host(self.z)
        if self.seen is not None:
            arrays["seen"] = self.seen
        arrays |= {f"state/{k}": to_host(v) for k, v in rule.items() if k not in numbers}
        return header, arrays | {f"trace/{k}": v for k, v in self.trace.items()}

    @classmethod
    def unpacked(
        cls,
        header: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        asarray: Callable[[np.ndarray], Array],
    ) -> RunState:
        """The state that `packed` was called on, its arrays moved by `asarray`.

        Raises
        ------
        KeyError, TypeError
            If something is missing.
        """
        position, rule_state = header["position"], header["position"]["state"]
        if rule_state is not None:
            moved = {k: asarray(values) for k, values in _under("state/", arrays).items()}
            rule_state = dict(rule_state) | moved
        found = {field: asarray(arrays[k]) for k, field in _IN_FILES.items() if k in arrays}
        return cls(
            z=asarray(arrays["z"]),
            stage=position["stage"],
            iteration=position["iteration"],
            rule_state=rule_state,
            seen=arrays.get("seen"),
            trace=_under("trace/", arrays),
            seconds=float(header["seconds"]),
            notes=tuple(header["notes"]),
            **found,
        )


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays whose name begins with a prefix, by the rest of their name."""
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }
