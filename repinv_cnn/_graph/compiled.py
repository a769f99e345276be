"""A cut module as one plain function: the same computation, without what modules do around calls.

On small images that takes as long as some of the convolutions.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, fx, nn

from repinv_cnn._graph.extraction import activations
from repinv_cnn._graph.surrogates import RELU, Kinked, surrogate
from repinv_cnn._graph.tape import Pullback, Tape, UntapedError, pulled


class Plain:
    """The function of a traced module, its weights at hand and its convolutions called directly.

    Parameters
    ----------
    cut : GraphModule
        Frozen: weights are taken as they are now.
    width : float
        Of the surrogate slopes of activations; 0 leaves them exact.
    """

    def __init__(self, cut: fx.GraphModule, width: float = 0.0) -> None:
        self._cut, self._width = cut, width
        self._held = SimpleNamespace()
        graph = copy.deepcopy(cut.graph)
        found = activations(cut, graph)
        for node in graph.nodes:
            if node.op == "get_attr":
                node.target = self._hold(operator.attrgetter(str(node.target))(cut))
            elif node.op == "call_module":
                module = cut.get_submodule(str(node.target))
                if _is_bare(module, nn.Conv2d) and module.padding_mode == "zeros":
                    self._call_directly(graph, node, module)
                else:
                    node.target = self._hold(module)
        for node, activation in found:
            if activation == RELU or width:
                self._activate(graph, node, activation)
        self._tape: Tape | None = Tape(graph, self._held)
        code = graph.python_code("self")
        names: dict[str, Any] = dict(code.globals)
        exec(code.src, names)
        self._function: Callable[[Any, Tensor], Sequence[Tensor]] = names["forward"]

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """The outputs of the layers."""
        return self._function(self._held, x)

    def vjp(self, x: Tensor) -> tuple[Sequence[Tensor], Pullback]:
        """The outputs of the layers, and their pullback."""
        if self._tape is not None:
            try:
                return self._tape.vjp(x)
            except UntapedError:
                self._tape = None
        return pulled(self, x)

    def __reduce__(self) -> tuple[type[Plain], tuple[fx.GraphModule, float]]:
        """Written code is not pickled, but written again."""
        return Plain, (self._cut, self._width)

    def _hold(self, value: Any) -> str:
        """Keep a weight or a module under a name of its own."""
        name = f"held_{len(vars(self._held))}"
        setattr(self._held, name, value)
        return name

    def _activate(self, graph: fx.Graph, node: fx.Node, activation: Kinked) -> None:
        """Make a node call an activation, with its surrogate slope where one is wanted."""
        (x,) = node.all_input_nodes
        node.op, node.target, node.args, node.kwargs = "call_function", torch.relu, (x,), {}
        if self._width:
            with graph.inserting_before(node):
                held = graph.create_node("get_attr", self._hold(activation))
            node.target, node.args = surrogate, (x, self._width, held)

    def _call_directly(self, graph: fx.Graph, node: fx.Node, convolution: nn.Module) -> None:
        """Make a node call torch's function, with the weights of its module."""
        with graph.inserting_before(node):
            weight, bias = (
                None if values is None else graph.create_node("get_attr", self._hold(values))
                for values in (convolution.weight, convolution.bias)
            )
        options = ("stride", "padding", "dilation", "groups")
        (x,) = node.all_input_nodes
        node.op, node.target, node.kwargs = "call_function", torch.conv2d, {}
        node.args = (x, weight, bias, *(getattr(convolution, name) for name in options))


def _is_bare(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a call of a module is one of the function of its kind and nothing else."""
    return type(module) is kind and not (module._forward_hooks or module._forward_pre_hooks)
