"""The graph of a module up to its layers: traced, and its batch norms folded."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from repinv_cnn._graph import layer_names, surrogates
from repinv_cnn._graph.in_place import out_of_place
from repinv_cnn._graph.layer_names import LayerName
from repinv_cnn._graph.preparation import check_calls, has_hooks
from repinv_cnn._graph.surrogates import Kinked


class _Proxy(fx.Proxy):
    """A stand-in for a tensor that takes note of what works in place: fx takes `+=` for `+`."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.iadd, other)

    def __isub__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.isub, other)

    def __imul__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.imul, other)

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.itruediv, other)

    def _in_place(self, operation: Callable[..., Any], other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operation, (self, other), {})


class _Tracer(fx.Tracer):
    """Traces with the named layers whole, so that each is one node."""

    def __init__(self, whole: Collection[str] = ()) -> None:
        super().__init__()
        self._whole = whole

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node of the graph."""
        return module_qualified_name in self._whole or super().is_leaf_module(
            m, module_qualified_name
        )

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """What stands for the output of a node."""
        return _Proxy(node, self)


def traced(module: nn.Module, names: Sequence[str]) -> fx.GraphModule | None:
    """The graph of a frozen module up to its layers, batch norms folded; None if it has none.

    Modules whose course depends on values or on shapes cannot be traced; nor are those with hooks,
    or whose operations in place change what other tensors share.

    Parameters
    ----------
    module : nn.Module
        Will be changed.
    names : sequence of str
    """
    if has_hooks(module):
        return None
    wanted = [layer_names.of(name) for name in names]
    whole = {name.module for name in wanted}
    try:
        graph = _Tracer(whole).trace(module)
    except Exception:  # whatever a module does with a stand-in for a tensor
        return None
    if sum(node.op == "placeholder" and not node.args for node in graph.nodes) != 1:
        return None
    found = []
    for name in wanted:
        nodes = [n for n in graph.nodes if n.op == "call_module" and n.target == name.module]
        if not nodes:
            return None  # the module itself may be able to
        check_calls(name, len(nodes))
        found.append(_part(nodes[name.call or 0], name, graph))
    cut = fx.GraphModule(module, _up_to(found, graph))
    try:
        # Layers that were kept whole are unrectified: batch norms inside of them are folded too.
        cut = fx.GraphModule(cut, _Tracer().trace(cut))
    except Exception:  # a layer kept whole that cannot be traced
        if any(name.items for name in wanted):
            return None
        cut.recompile()
    if not out_of_place(cut):
        return None
    for node in list(cut.graph.nodes):
        if _is_copy(node):
            node.replace_all_uses_with(node.args[0])
            cut.graph.erase_node(node)
    cut.graph.eliminate_dead_code()
    cut.delete_all_unused_submodules()
    cut.recompile()
    return _folded(cut)


def _part(node: fx.Node, name: LayerName, graph: fx.Graph) -> fx.Node:
    """What gives the part of a node's output that is named."""
    for item in name.items:
        with graph.inserting_after(node):
            node = graph.call_function(operator.getitem, (node, item))
    return node


def _up_to(found: list[fx.Node], graph: fx.Graph) -> fx.Graph:
    """A graph that returns copies of what nodes give, each taken at once, and does no more."""
    copies = []
    for node in found:
        with graph.inserting_after(node):
            copies.append(graph.call_function(torch.clone, (node,)))
    after = False
    for node in reversed(list(graph.nodes)):
        after = after or node in copies
        if not after:
            graph.erase_node(node)
    graph.output(tuple(copies))
    graph.lint()
    return graph


def _is_copy(node: fx.Node) -> bool:
    """Whether a node copies an output."""
    return node.target is torch.clone and all(user.op == "output" for user in node.users)


#: What rectifies, and what may as well be done before as after it: as modules, functions, methods.
_RECTIFIES = (nn.ReLU, torch.relu, functional.relu, "relu")
_COMMUTES = (
    nn.MaxPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Identity, nn.modules.dropout._DropoutNd,
    functional.max_pool2d, torch.max_pool2d, torch.flatten, functional.dropout, "flatten",
)  # fmt: skip


def pre_activations(cut: fx.GraphModule) -> fx.GraphModule | None:
    """A cut module without the rectifiers that end it; None unless one ends each of its outputs.

    Maxima and other layouts of rectified values are the rectified ones of what is not.
    """
    unrectified = fx.GraphModule(cut, copy.deepcopy(cut.graph))
    is_one = functools.partial(_is_one, dict(unrectified.named_modules()))
    output = next(iter(reversed(unrectified.graph.nodes)))
    for node in output.args[0]:
        # What is computed on may be given by position or by name.
        while is_one(node, _COMMUTES) and len(node.users) == 1:
            node = node.all_input_nodes[0]
        if not is_one(node, _RECTIFIES) or len(node.users) != 1:
            return None
        node.replace_all_uses_with(node.all_input_nodes[0])
        unrectified.graph.erase_node(node)
    unrectified.recompile()
    return unrectified


def activations(cut: fx.GraphModule, graph: fx.Graph) -> list[tuple[fx.Node, Kinked]]:
    """The nodes of a cut module's graph, or of a copy of it, that have surrogate slopes."""
    modules = dict(cut.named_modules())
    found = []
    for node in graph.nodes:
        activation = None
        if node.op == "call_module":
            activation = surrogates.of_module(modules[str(node.target)])
        elif node.op.startswith("call") and len(node.all_input_nodes) == 1:
            called = surrogates.of_call(node.target, node.args, node.kwargs)
            activation = called[0] if called else None
        if activation is not None:
            found.append((node, activation))
    return found


def _is_one(modules: dict[str, nn.Module], node: fx.Node, kinds: tuple[Any, ...]) -> bool:
    """Whether a node calls a module, a function or a method of given kinds."""
    if node.op != "call_module":
        return node.op.startswith("call") and node.target in kinds
    classes = tuple(kind for kind in kinds if isinstance(kind, type))
    return isinstance(modules[str(node.target)], classes)


def _folded(cut: fx.GraphModule) -> fx.GraphModule:
    """The same with each batch norm joined with the convolution that alone feeds it."""
    modules = dict(cut.named_modules())
    for node in cut.graph.nodes:
        before = node.args[0] if node.args else None
        if not (node.op == "call_module" and isinstance(before, fx.Node)):
            continue
        norm, convolution = modules[node.target], modules.get(str(before.target))
        if (
            type(norm) is nn.BatchNorm2d
            and type(convolution) is nn.Conv2d
            and before.op == "call_module"
            and len(before.users) == 1
            and norm.track_running_stats
            and sum(n.target == before.target for n in cut.graph.nodes) == 1
        ):
            cut.add_submodule(str(before.target), fuse_conv_bn_eval(convolution, norm))
            node.replace_all_uses_with(before)
            cut.graph.erase_node(node)
    cut.recompile()
    cut.delete_all_unused_submodules()
    return cut
