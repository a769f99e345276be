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

from repinv_cnn._cut import rectifiers
from repinv_cnn._relaxed import relaxed_relu


class Plain:
    """The function of a traced module, its weights at hand and its convolutions called directly.

    Parameters
    ----------
    cut : GraphModule
        Frozen: weights are taken as they are now.
    relaxed : float
        Width of the bends that rectifiers are pulled back as; 0 leaves them sharp.
    """

    def __init__(self, cut: fx.GraphModule, relaxed: float = 0.0) -> None:
        self._cut, self._relaxed = cut, relaxed
        self._held = SimpleNamespace()
        graph = copy.deepcopy(cut.graph)
        for node in rectifiers(cut, graph) if relaxed else ():
            args = (node.all_input_nodes[0], relaxed)
            node.op, node.target, node.args, node.kwargs = "call_function", relaxed_relu, args, {}
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

    def __reduce__(self) -> tuple[type[Plain], tuple[fx.GraphModule, float]]:
        """Written code is not pickled, but written again."""
        return Plain, (self._cut, self._relaxed)

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
        node.op, node.target, node.kwargs = "call_function", _convolved, {}
        node.args = (x, weight, bias, *(getattr(convolution, name) for name in options))


#: Places of the output from which oneDNN convolves one image faster than torch does without it, by
#: 1.1 to 2.9 times; with fewer, 30 µs that each of its calls takes outweigh that.
_MANY_PLACES = 768
_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: Any,
    dilation: tuple[int, ...],
    groups: int,
) -> Tensor:
    """torch.conv2d, by oneDNN also where torch holds one image to be too small for that."""
    places = x.shape[-1] * x.shape[-2] // (stride[0] * stride[1])
    if len(x) == 1 and places >= _MANY_PLACES and _suits_onednn(x, weight, padding):
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, dilation, groups)
    return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _suits_onednn(x: Tensor, weight: Tensor, padding: Any) -> bool:
    """Whether oneDNN takes a convolution, and gains by not writing out the windows."""
    return (
        x.is_cpu
        and x.dtype is torch.float32
        and weight.shape[1] > 1
        and weight.shape[-1] * weight.shape[-2] > 1
        and not isinstance(padding, str)
        and not torch.is_autocast_enabled("cpu")
        and _ONEDNN
    )


def _is_bare(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a call of a module is one of torch.conv2d and nothing else."""
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    return type(module) is nn.Conv2d and module.padding_mode == "zeros" and not any(hooks)
