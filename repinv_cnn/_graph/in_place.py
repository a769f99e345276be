"""Operations of a graph that work in place, replaced by those that return a new tensor.

What follows such an operation in the module sees its result wherever it looks at the tensor that
was changed; in the graph it is given the result. Where other tensors may share the memory of the
changed one (views), a graph does not show which tensors share memory, and the module itself is
run.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

#: Operators that change their first operand, and those that do not.
_OPERATORS: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
#: Functions and methods whose name with a final underscore works in place.
_ELEMENTWISE = frozenset(
    (
        "abs", "add", "addcdiv", "addcmul", "celu", "clamp", "clamp_max", "clamp_min", "div", "elu",
        "exp", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log", "mish", "mul", "neg",
        "pow", "relu", "relu6", "rsqrt", "selu", "sigmoid", "silu", "sqrt", "sub", "tanh",
        "threshold",
    )
)  # fmt: skip
#: Modules, functions and methods whose result is a tensor of its own, that shares no memory.
_FRESH_MODULES = (
    nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.Linear, nn.LayerNorm, nn.GroupNorm,
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LocalResponseNorm,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softmax,
)  # fmt: skip
_FRESH = frozenset(
    [
        operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, operator.pow,
        operator.matmul, torch.add, torch.sub, torch.mul, torch.div, torch.cat, torch.stack,
        torch.matmul, torch.clone, torch.conv2d, functional.conv2d, functional.linear,
        functional.batch_norm, functional.layer_norm, functional.relu, functional.leaky_relu,
        functional.silu, functional.gelu, functional.hardswish, functional.softmax,
        functional.max_pool2d, functional.avg_pool2d, functional.interpolate, torch.mean, torch.sum,
        functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d, functional.group_norm,
        functional.scaled_dot_product_attention, getattr,
    ]
)  # fmt: skip
#: Methods of the same kind, beside those in `_ELEMENTWISE`.
_FRESH_METHODS = frozenset(("mean", "sum", "size", "dim", "softmax", "amax", "matmul", "clone"))


def out_of_place(cut: fx.GraphModule) -> bool:
    """Replace what works in place; False where it is not known that results stay as they are."""
    modules = dict(cut.named_modules())
    for node in list(cut.graph.nodes):
        if node.op == "call_module" and _returns_its_input(modules[str(node.target)]):
            node.replace_all_uses_with(node.all_input_nodes[0])
            cut.graph.erase_node(node)
    order = {node: number for number, node in enumerate(cut.graph.nodes)}
    fresh: set[fx.Node] = set()
    copied: dict[str, nn.Module] = {}
    for node in cut.graph.nodes:
        changed = _changed(node, modules)
        if changed is None:
            if _is_fresh(node, modules):
                fresh.add(node)
            continue
        earlier = [user for user in changed.users if order[user] < order[node]]
        if changed not in fresh or not fresh.issuperset(earlier) or not _replace(node, modules):
            return False
        if node.op == "call_module":
            copied[str(node.target)] = modules[str(node.target)]
        for user in list(changed.users):
            if order[user] > order[node]:
                user.replace_input_with(changed, node)
        fresh.add(node)
    for module in copied.values():
        module.inplace = False  # type: ignore[assignment]
    cut.recompile()
    return True


def _changed(node: fx.Node, modules: dict[str, nn.Module]) -> fx.Node | None:
    """The node whose value a node changes; None of those that change none."""
    inputs = node.all_input_nodes
    if node.op == "call_module":
        module = modules[str(node.target)]
        return inputs[0] if getattr(module, "inplace", False) is True else None
    if node.op not in ("call_function", "call_method"):
        return None
    name = _name(node.target)
    is_named = name.endswith("_") and not name.startswith("_")
    if node.target in _OPERATORS or node.target is operator.setitem or is_named:
        return inputs[0]
    if "out" in node.kwargs:
        given = node.kwargs["out"]
        return given if isinstance(given, fx.Node) else inputs[0]
    if node.op == "call_function" and _options(node).get("inplace") is True:
        return inputs[0]
    return None


def _returns_its_input(module: nn.Module) -> bool:
    """Whether a module in evaluation mode returns the very tensor that it is given."""
    return type(module) is nn.Identity or isinstance(module, nn.modules.dropout._DropoutNd)


def _name(target: Any) -> str:
    """The name of a function or a method."""
    return target if isinstance(target, str) else getattr(target, "__name__", "")


@functools.lru_cache(maxsize=256)
def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of a function; None of those that are not written in Python."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _options(node: fx.Node) -> dict[str, Any]:
    """Arguments of a function by name, also where they are given by position."""
    signature = _signature(node.target)
    if signature is None:
        return dict(node.kwargs)
    try:
        return dict(signature.bind(*node.args, **node.kwargs).arguments)
    except TypeError:
        return dict(node.kwargs)


def _is_fresh(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a node's value is a tensor of its own; the input is the encoder's own copy."""
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], _FRESH_MODULES)
    if node.op == "call_function":
        return node.target in _FRESH or _name(node.target) in _ELEMENTWISE
    if node.op == "call_method":
        return str(node.target) in _ELEMENTWISE | _FRESH_METHODS
    return node.op == "placeholder"


def _replace(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Let a node return a new tensor; False where there is no such operation."""
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], _FRESH_MODULES)
    if node.target is operator.setitem:
        return False
    name = _name(node.target)
    if "out" in node.kwargs:
        node.kwargs = {key: value for key, value in node.kwargs.items() if key != "out"}
        return name in _ELEMENTWISE
    if node.target in _OPERATORS:
        node.target = _OPERATORS[node.target]
    elif name.endswith("_"):
        if name[:-1] not in _ELEMENTWISE:
            return False
        plain = getattr(torch, name[:-1], None) or getattr(functional, name[:-1], None)
        node.target = name[:-1] if node.op == "call_method" else plain  # type: ignore[assignment]
        if not node.target or (node.op == "call_method" and not hasattr(torch.Tensor, name[:-1])):
            return False
    else:
        options = _options(node)
        if not isinstance(next(iter(options.values())), fx.Node):
            return False
        node.args, node.kwargs = (), {**options, "inplace": False}
    return True
