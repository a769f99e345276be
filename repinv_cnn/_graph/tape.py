"""A pullback step by step and by hand: what torch's autograd does, at less expense.

On small images autograd takes longer between two operations than some of these do. Convolutions,
activations and sums are pulled back here directly, any other operation by autograd, each by itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, fx
from torch.nn import functional

from repinv_cnn._graph.convolutions import Convolution
from repinv_cnn._graph.surrogates import Kinked, surrogate

#: Maps cotangents of outputs to that of the input.
Pullback: TypeAlias = Callable[[Sequence[Tensor]], Tensor]


def pulled(function: Callable[[Tensor], Sequence[Tensor]], x: Tensor) -> tuple[Any, Pullback]:
    """Outputs of a function, and their pullback, by autograd."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        outputs = function(leaf)

    # Others do not depend on x.
    seen = [k for k, output in enumerate(outputs) if output.requires_grad]

    def pullback(v: Sequence[Tensor]) -> Tensor:
        if not seen:
            return torch.zeros_like(x)
        parts, cotangents = [outputs[k] for k in seen], [v[k] for k in seen]
        # Kept, so that a pullback can be called again; it goes with this function.
        (grad,) = torch.autograd.grad(parts, leaf, cotangents, retain_graph=True)
        return grad

    return [output.detach() for output in outputs], pullback


class UntapedError(Exception):
    """Raised where an operation is none that a tape can hold."""


class Tape:
    """The steps of a graph.

    Parameters
    ----------
    graph : Graph
        Of one input; what it returns are tensors.
    held : object
        Its weights and modules by name.
    """

    def __init__(self, graph: fx.Graph, held: object) -> None:
        slots: dict[fx.Node, int] = {}
        varying: set[fx.Node] = set()
        last: dict[int, int] = {}
        self._constants: list[Any] = []
        self._steps: list[_Entry] = []
        for node in graph.nodes:
            if node.op == "output":
                self._outputs = [slots[output] for output in node.args[0]]
                break
            slots[node] = len(slots)
            self._constants.append(_constant(node, held))
            if len(slots) == 1 or not varying.isdisjoint(node.all_input_nodes):
                varying.add(node)
            if node.op.startswith("call"):
                step, inputs = _step(node, held, varying)
                entry = _Entry(step, [slots[given] for given in inputs], slots[node], [])
                last.update(dict.fromkeys(entry.inputs, len(self._steps)))
                self._steps.append(entry)
        for slot, number in last.items():
            if slot not in self._outputs:
                self._steps[number].done.append(slot)

    def vjp(self, x: Tensor) -> tuple[list[Tensor], Pullback]:
        """The outputs, and their pullback.

        Raises
        ------
        UntapedError
        """
        values = [x, *self._constants[1:]]
        count = len(values)
        taken = []
        with torch.no_grad():
            for entry in self._steps:
                values[entry.output], kept = entry.step(*[values[slot] for slot in entry.inputs])
                for slot in entry.done:
                    values[slot] = None
                taken.append((entry, kept))

        def pullback(v: Sequence[Tensor]) -> Tensor:
            grads: list[Tensor | None] = [None] * count
            for slot, cotangent in zip(self._outputs, v, strict=True):
                grads[slot] = _sum(grads[slot], cotangent)
            with torch.no_grad():
                for entry, kept in reversed(taken):
                    grad, grads[entry.output] = grads[entry.output], None
                    if grad is None:
                        continue
                    for slot, part in zip(entry.inputs, entry.step.pull(grad, kept), strict=True):
                        grads[slot] = _sum(grads[slot], part)
            return torch.zeros_like(x) if grads[0] is None else grads[0]

        return [values[slot] for slot in self._outputs], pullback


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """a + b, None being zero; neither is written to, for either may be another's too."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


class _Step(Protocol):
    """An operation with its pullback."""

    def __call__(self, *inputs: Any) -> tuple[Any, Any]:
        """What it computes, and what its pullback needs."""
        ...

    def pull(self, v: Tensor, kept: Any, /) -> Sequence[Tensor | None]:
        """Cotangents of the inputs; None of what is no function of the image."""
        ...


class _Entry(NamedTuple):
    """A step, in which slots its values are, and which of them no later one needs."""

    step: _Step
    inputs: list[int]
    output: int
    done: list[int]


#: Arguments of a convolution that `Plain` calls directly: all of them, by position.
_CONVOLUTION = 7


def _constant(node: fx.Node, held: object) -> Any:
    """What a node is that is a weight, or an input with a default; None of others."""
    if node.op == "get_attr":
        return getattr(held, str(node.target))
    return node.args[0] if node.op == "placeholder" and node.args else None


def _step(node: fx.Node, held: object, varying: set[fx.Node]) -> tuple[_Step, Sequence[fx.Node]]:
    """What a node computes, and of which nodes; some of these vary with the image."""
    target: Any = node.target
    args: tuple[Any, ...] = node.args
    options: dict[str, Any] = node.kwargs
    inputs = node.all_input_nodes
    if target is torch.conv2d and len(args) == _CONVOLUTION and not isinstance(args[4], str):
        weights = (None if a is None else getattr(held, str(a.target)) for a in args[1:3])
        return Convolution(*weights, *args[3:]), args[:1]  # type: ignore[arg-type]
    if target is torch.relu:
        return _Rectifier(), inputs
    if target is surrogate:
        return _Surrogate(args[1], getattr(held, str(args[2].target))), args[:1]
    if target in (operator.add, torch.add) and not options and inputs == [*args]:
        return _Sum(), inputs
    if target is operator.getitem and len(inputs) == 1 and _is_basic(args[1]):
        return _Part(args[1]), inputs
    if target is functional.pad and len(inputs) == 1 and len(args) == 2 and _is_zero(**options):
        return _Padding(args[1]), inputs
    return _Other(node, held, varying), inputs


class _Rectifier:
    """max(x, 0)."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = torch.relu(x)
        return y, y

    def pull(self, v: Tensor, y: Tensor) -> tuple[Tensor]:
        return (torch.ops.aten.threshold_backward(v, y, 0),)


class _Surrogate(NamedTuple):
    """An activation, pulled back with a surrogate slope."""

    width: float
    activation: Kinked

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.activation(x), x

    def pull(self, v: Tensor, x: Tensor) -> tuple[Tensor]:
        return (self.activation.pull(v, x, self.width),)


class _Sum:
    """x + y."""

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, None]:
        if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
            raise UntapedError
        if x.shape != y.shape or x.dtype != y.dtype:
            raise UntapedError
        return x + y, None

    def pull(self, v: Tensor, _: None) -> tuple[Tensor, Tensor]:
        return v, v


class _Part(NamedTuple):
    """x[taken]."""

    taken: tuple[Any, ...]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[self.taken], x

    def pull(self, v: Tensor, x: Tensor) -> tuple[Tensor]:
        grad = torch.zeros_like(x)
        grad[self.taken] = v
        return (grad,)


def _is_basic(index: Any) -> bool:
    """Whether an index takes a part of a tensor, no value of it twice."""
    kinds = int, slice, type(None), type(...)
    return isinstance(index, tuple) and all(isinstance(part, kinds) for part in index)


class _Padding(NamedTuple):
    """Zeros around x."""

    pad: Sequence[int]

    def __call__(self, x: Tensor) -> tuple[Tensor, None]:
        return functional.pad(x, self.pad), None

    def pull(self, v: Tensor, _: None) -> tuple[Tensor]:
        return (functional.pad(v, [-width for width in self.pad]),)


def _is_zero(mode: str = "constant", value: float | None = None) -> bool:
    """Whether these options of a padding say zeros."""
    return mode == "constant" and not value


class _Other:
    """Any other operation, pulled back by autograd."""

    def __init__(self, node: fx.Node, held: object, varying: set[fx.Node]) -> None:
        self._node, self._held = node, held
        self._varies = [given in varying for given in node.all_input_nodes]

    def __call__(self, *inputs: Any) -> tuple[Any, Any]:
        leaves = [
            value.detach().requires_grad_() if varies and _is_map(value) else None
            for value, varies in zip(inputs, self._varies, strict=True)
        ]
        given = [
            value if leaf is None else leaf for value, leaf in zip(inputs, leaves, strict=True)
        ]
        with torch.enable_grad():
            output = self._called(dict(zip(self._node.all_input_nodes, given, strict=True)))
        if isinstance(output, Tensor):
            return output.detach(), (output, leaves)
        if isinstance(output, int | float | torch.Size):
            return output, (None, leaves)
        raise UntapedError

    def pull(self, v: Tensor, kept: Any) -> list[Tensor | None]:
        output, leaves = kept
        asked = [leaf for leaf in leaves if leaf is not None]
        if not (asked and output.requires_grad):
            return [None] * len(leaves)
        grads = torch.autograd.grad(output, asked, v, retain_graph=True, allow_unused=True)
        found = iter(grads)
        return [None if leaf is None else next(found) for leaf in leaves]

    def _called(self, values: dict[fx.Node, Any]) -> Any:
        """What the node computes of the values of its inputs."""
        node = self._node
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        is_module = node.op == "call_module"
        function: Any = getattr(self._held, str(node.target)) if is_module else node.target
        return function(*args, **kwargs)


def _is_map(value: Any) -> bool:
    """Whether a value is one to be pulled back to."""
    return isinstance(value, Tensor) and value.is_floating_point()
