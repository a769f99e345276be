"""Steps of a run, recorded once and repeated by a GPU as one piece.

Between two evaluations of a small network a GPU waits: to launch the two hundred kernels of a step
one by one takes longer than to run them. A recording (a CUDA graph) launches all of them at once.
"""

from __future__ import annotations

import contextlib
import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

#: Of a rule: tensors, and numbers.
State: TypeAlias = dict[str, Any]
#: Maps (z, state, iteration) to those after one step, and values (N,) to be noted by name.
Step: TypeAlias = Callable[[Tensor, State, int], tuple[Tensor, State, dict[str, Tensor]]]
#: What is raised where a step cannot be recorded: it reads a value, or there is no memory for it.
_REFUSED = (RuntimeError, MemoryError, TypeError)
#: Which numbers count steps, of states that hold such names: found once, for later runs.
_COUNTERS: dict[frozenset[str], set[str]] = {}
#: Share of a device's memory that may lie unused before a step is recorded.
_CACHED = 0.25


class Replayed:
    """A step that is taken as it is two or three times, and from then on replayed.

    Parameters
    ----------
    step : callable
        Of tensors on one CUDA device. It may count steps by numbers in its state. Whatever else
        changes from step to step is a tensor; a step of which that is not so is never recorded.

    Notes
    -----
    The first step of a run may differ from others; the second shows which numbers count, unless
    that is known. The next one is recorded too, and what the recording finds is compared with it: a
    recording that finds anything else is dropped, and every step taken as it is.

    What a call returns is overwritten by the next one. Numbers that count steps become tensors of
    shape (1,).
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._taken = 0
        self._tried = False
        self._recorded: _Recording | None = None

    def __call__(
        self, z: Tensor, state: State, iteration: int
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        """One step."""
        if self._recorded is not None:
            return self._recorded.replayed()
        counters = _COUNTERS.get(frozenset(state))
        held = None
        if self._taken > 0 and counters is not None and not self._tried:
            self._tried = True
            with contextlib.suppress(*_REFUSED):
                # Before the step, which may write to what it is given.
                held = z.clone(), _held(state, counters, z)
        self._taken += 1
        before, found = _numbers(state), self._step(z, state, iteration)
        if self._taken == 2 and counters is None:
            changed = {name for name, value in before.items() if found[1][name] != value}
            _COUNTERS[frozenset(state)] = changed
        if held is not None:
            recording = _recording(self._step, *held, iteration)
            if recording is not None and _is_near(recording.replayed()[0], found[0]):
                self._recorded = recording
        return found


def _recording(step: Step, z: Tensor, state: State, iteration: int) -> _Recording | None:
    """A step, recorded; None where that cannot be."""
    for _ in range(2):
        try:
            return _Recording(step, z, state, iteration)
        except (MemoryError, torch.OutOfMemoryError):
            # What torch keeps for later, of earlier recordings too, is not freed meanwhile.
            torch.cuda.empty_cache()
        except _REFUSED:
            break
    return None


class _Recording:
    """One step in place: `z` and `state` hold what goes in, and then what comes out."""

    def __init__(self, step: Step, z: Tensor, state: State, iteration: int) -> None:
        self._z, self._state = z, state
        self._names: list[str]
        self._noted: Tensor
        self._record(step, iteration)

    def _record(self, step: Step, iteration: int) -> None:
        """Record the step."""
        self._graph = torch.cuda.CUDAGraph()
        inputs = _Inputs()
        # By hand: torch.cuda.graph empties the cache of memory, which the next step fills again.
        torch.cuda.synchronize(self._z.device)
        _make_room(self._z.device)
        stream = torch.cuda.Stream(self._z.device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream), _no_collection():
            self._graph.capture_begin(capture_error_mode="thread_local")
            try:
                with inputs:
                    self._names, self._noted = self._in_place(step, iteration)
            except BaseException:
                with warnings.catch_warnings(), contextlib.suppress(RuntimeError):
                    warnings.simplefilter("ignore")  # that nothing was recorded
                    self._graph.capture_end()
                self._graph.reset()
                raise
            self._graph.capture_end()
        self._constants = inputs.alive()

    def _in_place(self, step: Step, iteration: int) -> tuple[list[str], Tensor]:
        """Take the step in place; the terms that it notes, by name."""
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


def _make_room(device: torch.device) -> None:
    """Give back what torch keeps of earlier recordings, where that is much."""
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if cached > _CACHED * torch.cuda.get_device_properties(device).total_memory:
        torch.cuda.empty_cache()


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No collection of garbage, in which recordings may lie: to drop one would end another."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _overwrite(moves: list[tuple[Tensor, Tensor]]) -> None:
    """Copy the second of each pair to the first; none of them is read after it was written to."""
    written = {kept.untyped_storage().data_ptr() for kept, _ in moves}
    fresh = [
        new.clone() if new.untyped_storage().data_ptr() in written else new for _, new in moves
    ]
    for (kept, _), new in zip(moves, fresh, strict=True):
        kept.copy_(new)


def _held(state: State, counters: set[str], like: Tensor) -> State:
    """A copy of a state, in which what counts steps are tensors too."""

    def held(name: str, value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.clone()
        if name in counters:
            return torch.full((1,), value, dtype=torch.int64, device=like.device)
        return value

    return {name: held(name, value) for name, value in state.items()}


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
        kwargs = kwargs or {}
        for value in (*args, *kwargs.values()):
            for item in value if isinstance(value, list | tuple) else (value,):
                if isinstance(item, Tensor):
                    self._seen[id(item)] = weakref.ref(item)
        return func(*args, **kwargs)

    def alive(self) -> list[Tensor]:
        """Those that are still there: constants, which a recording reads wherever they were."""
        found = [seen() for seen in self._seen.values()]
        self._seen.clear()
        return [value for value in found if value is not None]
