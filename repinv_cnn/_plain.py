"""A cut module as one plain function: the same computation, without what modules do around calls.

On small images that takes as long as some of the convolutions.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, TypeGuard

import torch
from torch import Tensor, fx, nn


class Plain:
    """The function of a traced module, its weights at hand and its convolutions called directly.

    Parameters
    ----------
    cut : GraphModule
        Frozen: weights are taken as they are now.
    """

    def __init__(self, cut: fx.GraphModule) -> None:
        self._cut = cut
        self._held = SimpleNamespace()
        graph = copy.deepcopy(cut.graph)
        for node in graph.nodes:
            if node.op == "get_attr":
                node.target = self._hold(operator.attrgetter(str(node.target))(cut))
            elif node.op == "call_module":
                module = cut.get_submodule(str(node.target))
                if _is_bare(module):
                    self._call_directly(graph, node, module)
                else:
                    node.target = self._hold(module)
        code = graph.python_code("self")
        names: dict[str, Any] = dict(code.globals)
        exec(code.src, names)
        self._function: Callable[[Any, Tensor], Sequence[Tensor]] = names["forward"]

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """The outputs of the layers."""
        return self._function(self._held, x)

    def __reduce__(self) -> tuple[type[Plain], tuple[fx.GraphModule]]:
        """Written code is not pickled, but written again."""
        return Plain, (self._cut,)

    def _hold(self, value: Any) -> str:
        """Keep a weight or a module under a name of its own."""
        name = f"held_{len(vars(self._held))}"
        setattr(self._held, name, value)
        return name

    def _call_directly(self, graph: fx.Graph, node: fx.Node, convolution: nn.Conv2d) -> None:
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


def _is_bare(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a call of a module is one of torch.conv2d and nothing else."""
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    return type(module) is nn.Conv2d and module.padding_mode == "zeros" and not any(hooks)
