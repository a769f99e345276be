"""The layers of a module, computed by running the module itself, as torch runs it."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from repinv_cnn._graph import errors, layer_names
from repinv_cnn._graph.layer_names import LayerName
from repinv_cnn._graph.preparation import check_calls
from repinv_cnn._graph.surrogates import RELU, Kinked, of_call, surrogate
from repinv_cnn._graph.tape import Pullback, pulled

#: What may as well be done before rectification as after it.
_COMMUTES = (
    functional.max_pool2d, functional.adaptive_max_pool2d, torch.max_pool2d, torch.flatten,
    torch.Tensor.flatten, functional.dropout,
)  # fmt: skip
#: What autograd says of operations in place that it cannot differentiate.
_UNDIFFERENTIABLE = ("inplace operation", "in-place operation", "automatic differentiation")
#: The runs that are under way in each thread, innermost last.
_RUNS = threading.local()


class Layers:
    """Outputs of layers of a frozen module, which is run until all of them were called.

    Parameters
    ----------
    module : nn.Module
        Gets a hook on each layer.
    names : sequence of str
        'layer', 'layer:k' for its call number k, or 'layer[item]' for a part of a list or a dict.

    Notes
    -----
    What a run needs is held by the run and not by the module, so that threads may share one.
    Rectifiers are found as they are called, whoever calls them, and those in place stay in place.
    """

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        self.module = module
        self._wanted = [layer_names.of(name) for name in names]
        self._key = _Key()
        self._width, self._is_before = 0.0, False
        for base in {name.module for name in self._wanted}:
            module.get_submodule(base).register_forward_hook(_Tap(self._key, base))

    def of(self, module: nn.Module) -> Layers:
        """The layers of a copy of the module, such as one with another layout of weights."""
        found = copy.copy(self)
        found.module = module
        return found

    def variant(self, width: float, is_before: bool) -> Layers:
        """The same layers with surrogate slopes, or before the ReLU that ends each.

        Parameters
        ----------
        width : float
            Of the surrogate slopes of activations; 0 for their own.
        is_before : bool
            Whether outputs are those before a final ReLU.
        """
        found = copy.copy(self)
        found._width, found._is_before = width, is_before
        return found

    def __call__(self, x: Tensor) -> list[Tensor]:
        """The outputs of the layers."""
        return self._run(x).outputs(self._wanted)

    def vjp(self, x: Tensor) -> tuple[Sequence[Tensor], Pullback]:
        """The outputs of the layers, and their pullback by autograd.

        Raises
        ------
        ValueError
            If autograd does not differentiate the module; the pullback raises it too.
        """
        with _differentiating():
            outputs, pull = pulled(self, x)

        def pullback(v: Sequence[Tensor]) -> Tensor:
            with _differentiating():
                return pull(v)

        return outputs, pullback

    def rectifies(self, x: Tensor) -> tuple[bool, bool]:
        """Whether activations with surrogate slopes are met, and whether ReLU ends each layer."""
        with torch.no_grad():
            run = self.variant(0.0, True)._run(x)
        return run.has_kinks, all(name in run.ends for name in self._wanted)

    def are_logits(self, sample: Callable[[], Tensor]) -> bool:
        """Whether the one layer is the last linear one, and has the shape of the module's output.

        Parameters
        ----------
        sample : callable
            Gives an input of the module, for the one run that this takes.
        """
        linear = [name for name, part in self.module.named_modules() if type(part) is nn.Linear]
        if not linear or self._wanted != [LayerName(linear[-1])]:
            return False
        x = sample()
        with torch.no_grad():
            output = self.module(x)
            return isinstance(output, Tensor) and output.shape == self(x)[0].shape

    def check_calls(self, x: Tensor, device: str | None = None) -> None:
        """Run the whole module, to count how often each layer is called.

        Parameters
        ----------
        x : Tensor
            On `device`, where one is given.
        device : str, optional
            To move all weights to, such as "meta", where nothing is computed.

        Raises
        ------
        ValueError
            If a layer is never called, or often and its name does not say which call is meant.
        """
        run = _Run(self._key, (), 0.0, False)
        with _under_way(run):
            try:
                self._forward(x, device)
            except Exception:
                # What comes after the layers may need larger images, or other inputs.
                if not all(run.calls[name.module] for name in self._wanted):
                    raise
        for name in self._wanted:
            check_calls(name, run.calls[name.module])

    def on(self, device: str, x: Tensor) -> list[Tensor]:
        """The outputs with all weights moved to a device meanwhile; for one thread at a time."""
        return self._run(x, device).outputs(self._wanted)

    def _run(self, x: Tensor, device: str | None = None) -> _Run:
        """Run the module until its layers were called."""
        run = _Run(self._key, self._wanted, self._width, self._is_before)
        mode = run if run.is_needed else contextlib.nullcontext()
        with _under_way(run), contextlib.suppress(_ReachedError), mode:
            self._forward(x, device)
        return run

    def _forward(self, x: Tensor, device: str | None) -> None:
        """Run the module, which may work in place, on a copy of its input."""
        if device is None:
            self.module(x.clone())
            return
        tensors = [*self.module.named_parameters(), *self.module.named_buffers()]
        weights = {name: values.to(device) for name, values in tensors}
        torch.func.functional_call(self.module, weights, (x.clone(),))


class _Key:
    """Tells the runs of one module from those of another, in copies of it and after pickling."""

    def __deepcopy__(self, _: Any) -> _Key:
        return self


class _ReachedError(BaseException):
    """Raised by the hook of the last layer, to leave the rest of a forward pass undone."""


class _Tap:
    """Hands the output of a layer to the run that is under way."""

    def __init__(self, key: _Key, base: str) -> None:
        self._key, self._base = key, base

    def __call__(self, _: nn.Module, __: Any, output: Any) -> None:
        for run in reversed(getattr(_RUNS, "runs", ())):
            if run.key is self._key:
                run.take(self._base, output)
                return


@contextlib.contextmanager
def _differentiating() -> Iterator[None]:
    """Says what to do where autograd refuses what a module does in place."""
    try:
        yield
    except RuntimeError as error:
        why = errors.first_line(error)
        if not any(words in why for words in _UNDIFFERENTIABLE):
            raise
        raise ValueError(
            f"torch cannot differentiate this module up to the layer: {why} Let the operation in "
            "place return a new tensor, or name an earlier layer."
        ) from None


@contextlib.contextmanager
def _under_way(run: _Run) -> Iterator[None]:
    """A run as the innermost one of this thread."""
    if not hasattr(_RUNS, "runs"):
        _RUNS.runs = []
    _RUNS.runs.append(run)
    try:
        yield
    finally:
        _RUNS.runs.pop()


class _Run(TorchFunctionMode):
    """One forward pass: what layers gave, and what activations were given.

    Parameters
    ----------
    key : _Key
    wanted : sequence of LayerName
    width : float
    is_before : bool
    """

    def __init__(
        self, key: _Key, wanted: Sequence[LayerName], width: float, is_before: bool
    ) -> None:
        super().__init__()
        self.key, self._wanted, self._width, self._is_before = key, wanted, width, is_before
        self.is_needed = width > 0 or is_before
        self.has_kinks = False
        self.ends: dict[LayerName, Tensor] = {}
        self._found: dict[LayerName, Any] = {}
        self.calls: Counter[str] = Counter()
        # By what rectifiers gave: what they were given, and the versions of both.
        self._before: Any = WeakTensorKeyDictionary()

    def take(self, base: str, output: Any) -> None:
        """Take note of the output of a layer."""
        key = base, self.calls[base]
        self.calls[base] += 1
        names = [name for name in self._wanted if name.key == key]
        if not names:
            return
        is_last = len(self._found) + len(names) == len(self._wanted)
        for name in names:
            part = name.part(output)
            before = self._given(part)
            if before is not None:
                self.ends[name] = before
            # What comes after may work in place on what is kept.
            self._found[name] = part if is_last or not isinstance(part, Tensor) else part.clone()
        if is_last:
            raise _ReachedError

    def outputs(self, wanted: Sequence[LayerName]) -> list[Tensor]:
        """What the layers gave, in their order."""
        missing = [name.module for name in wanted if name not in self._found]
        if missing:
            raise ValueError(
                f"layer {missing[0]!r} was not called in this forward pass. Name another one."
            )
        if self._is_before:
            return [self.ends.get(name, self._found[name]) for name in wanted]
        return [self._found[name] for name in wanted]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        called = of_call(func, args, kwargs)
        if called is not None:
            self.has_kinks = True
            output = self._activate(*called)
        else:
            output = func(*args, **kwargs)
        if self._is_before and func in _COMMUTES and isinstance(output, Tensor):
            x = args[0] if args else kwargs.get("input")
            before = self._given(x)
            if before is not None:
                self._keep(output, self._again(called, func, before, args[1:], kwargs))
        return output

    def _again(
        self, called: Any, func: Any, x: Tensor, rest: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """What was called, of x in place of its first argument."""
        if called is not None:
            return self._activate(called[0], x, False)
        return func(x, *rest, **{k: value for k, value in options.items() if k != "input"})

    def _activate(self, activation: Kinked, x: Tensor, in_place: bool) -> Tensor:
        """An activation, with the surrogate slope where one is wanted."""
        before = x.clone() if in_place and self.is_needed else x
        y = surrogate(before, self._width, activation) if self._width else activation(before)
        if in_place:
            y = x.copy_(y)
        if self._is_before and activation == RELU:
            self._keep(y, before)
        return y

    def _keep(self, output: Tensor, before: Tensor) -> None:
        """Remember what stands before rectification, until one of them is changed or dropped."""
        self._before[output] = before, output._version, before._version

    def _given(self, output: Any) -> Tensor | None:
        """What a rectified tensor was before; None of others."""
        if not isinstance(output, Tensor) or output not in self._before:
            return None
        before, *versions = self._before[output]
        same = [output._version, before._version] == versions
        return before if same else None
