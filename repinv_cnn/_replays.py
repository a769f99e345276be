"""Steps of a run, recorded once and repeated by a GPU as one piece.

Between two evaluations of a small network a GPU waits: to launch the two hundred kernels of a step
one by one takes longer than to run them. A recording (a CUDA graph) launches all of them at once.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree

#: Of a rule: tensors, and numbers.
State: TypeAlias = dict[str, Any]
#: Maps (z, state, iteration) to those after one step, and values (N,) to be noted by name.
Step: TypeAlias = Callable[[Tensor, State, int], tuple[Tensor, State, dict[str, Tensor]]]
#: What is raised where a step cannot be recorded: it reads a value, or there is no memory for it.
_REFUSED = (RuntimeError, MemoryError, TypeError)


class Replayed:
    """A step that is taken as it is thrice, and from then on replayed.

    Parameters
    ----------
    step : callable
        Of tensors on one CUDA device. It may count steps by numbers in its state. Whatever else
        changes from step to step is a tensor; a step of which that is not so is never recorded.

    Notes
    -----
    The third step is compared with what the recording finds: one that finds anything else is
    dropped, and the step taken as it is.

    What a call returns is overwritten by the next one. Numbers that count steps become tensors of
    shape (1,).
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._taken = 0
        self._counters: set[str] = set()
        self._recorded: _Recording | None = None

    def __call__(
        self, z: Tensor, state: State, iteration: int
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        """One step."""
        if self._recorded is not None:
            return self._recorded.replayed()
        recording = None
        if self._taken == 2:
            with contextlib.suppress(*_REFUSED):
                recording = _Recording(self._step, z, state, iteration, self._counters)
        self._taken += 1
        before, found = _numbers(state), self._step(z, state, iteration)
        self._counters = {name for name, value in before.items() if found[1][name] != value}
        if recording is not None and _is_near(recording.replayed()[0], found[0]):
            self._recorded = recording
        return found


class _Recording:
    """One step in place: of tensors that hold what goes in, and then what comes out."""

    def __init__(
        self, step: Step, z: Tensor, state: State, iteration: int, counters: set[str]
    ) -> None:
        self._z = z.clone()
        self._state = {name: _held(value, name in counters, z) for name, value in state.items()}
        self._names: list[str]
        self._noted: Tensor
        self._record(step, iteration)

    def _record(self, step: Step, iteration: int) -> None:
        """Record the step."""
        self._graph = torch.cuda.CUDAGraph()
        inputs = _Inputs()
        # The context of a recording that fails leaves its stream behind as the current one.
        with (
            torch.cuda.stream(torch.cuda.current_stream(self._z.device)),
            torch.cuda.graph(self._graph, capture_error_mode="thread_local"),
            inputs,
        ):
            self._names, self._noted = self._in_place(step, iteration)
        self._constants = inputs.alive()

    def _in_place(self, step: Step, iteration: int) -> tuple[list[str], Tensor]:
        """Take the step in place; what it notes, by name."""
        next_z, next_state, terms = step(self._z, self._state, iteration)
        if _numbers(next_state) != _numbers(self._state):
            raise TypeError
        kept = {name: value for name, value in self._state.items() if isinstance(value, Tensor)}
        moves = [(self._z, next_z), *((value, next_state[name]) for name, value in kept.items())]
        _overwrite([(old, new) for old, new in moves if new is not old])
        return list(terms), torch.stack([*terms.values()])

    def replayed(self) -> tuple[Tensor, State, dict[str, Tensor]]:
        """The next step."""
        self._graph.replay()
        noted = self._noted.clone()
        return self._z, self._state, dict(zip(self._names, noted, strict=True))


def _is_near(found: Tensor, expected: Tensor) -> bool:
    """Whether what was recorded gives what the step gives, up to the rounding of some kernels."""
    apart, length = (torch.linalg.vector_norm(x) for x in (found - expected, expected))
    return bool(apart <= 1e-3 * length)


def _overwrite(moves: list[tuple[Tensor, Tensor]]) -> None:
    """Copy the second of each pair to the first; none of them is read after it was written to."""
    written = {kept.untyped_storage().data_ptr() for kept, _ in moves}
    fresh = [
        new.clone() if new.untyped_storage().data_ptr() in written else new for _, new in moves
    ]
    for (kept, _), new in zip(moves, fresh, strict=True):
        kept.copy_(new)


def _held(value: Any, counts: bool, like: Tensor) -> Any:
    """A tensor of the recording's own; of a number, if it counts steps."""
    if isinstance(value, Tensor):
        return value.clone()
    return torch.full((1,), value, dtype=torch.int64, device=like.device) if counts else value


def _numbers(state: State) -> dict[str, Any]:
    """What is no tensor."""
    return {name: value for name, value in state.items() if not isinstance(value, Tensor)}


class _Inputs(TorchFunctionMode):
    """Takes note of the tensors that functions of torch are given."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, weakref.ref[Tensor]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        for value in _pytree.tree_leaves((args, kwargs)):
            if isinstance(value, Tensor):
                self._seen[id(value)] = weakref.ref(value)
        return func(*args, **(kwargs or {}))

    def alive(self) -> list[Tensor]:
        """Those that are still there: constants, which a recording reads wherever they were."""
        found = [seen() for seen in self._seen.values()]
        self._seen.clear()
        return [value for value in found if value is not None]
