"""The graph of a module up to its layers: traced, and its batch norms folded."""

from __future__ import annotations

import copy
import difflib
import functools
import operator
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from repinv_cnn._in_place import out_of_place

#: Modules that do something else in training than afterwards.
_TRAINED = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


#: Wrappers of a model that compute what the model computes, and where they hold it.
_WRAPPERS = ("module", "_orig_mod")


def unwrapped(module: nn.Module) -> nn.Module:
    """The model itself, out of `DataParallel`, `DistributedDataParallel` or ``torch.compile``.

    Raises
    ------
    TypeError
        If it is compiled to TorchScript, whose layers Python does not see.
    """
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while isinstance(module, parallel) or type(module).__name__ == "OptimizedModule":
        module = next(module._modules[name] for name in _WRAPPERS if name in module._modules)  # type: ignore[assignment]
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise TypeError(
            "TorchEncoder needs a model whose layers are called by Python; this one holds "
            "TorchScript (torch.jit.script or torch.jit.trace). Pass the nn.Module that it was "
            "made of; load_state_dict(scripted.state_dict()) fills that with its weights."
        )
    return module


def without_wrappers(name: str, module: nn.Module) -> str:
    """The name of a layer in an unwrapped model, also if it was read from the wrapped one."""
    layers = dict(module.named_modules())
    first, _, rest = name.partition(".")
    return rest if first in _WRAPPERS and first not in layers and rest else name


def frozen(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose weights need no gradient.

    Raises
    ------
    ValueError
        If a parameter, or a statistic of a batch norm, is NaN or infinite.
    """
    if module.training and any(isinstance(part, _TRAINED) for part in module.modules()):
        warnings.warn(
            "the module is in training mode, where dropout and batch norms depend on the batch; "
            "the encoder works with a copy in evaluation mode. Call module.eval() before you "
            "compute features of your own.",
            stacklevel=4,
        )
    # Other buffers may be infinite, as causal masks are.
    statistics = [
        (name, values)
        for name, values in module.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    ]
    for name, values in [*module.named_parameters(), *statistics]:
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            raise ValueError(
                f"the weights must be finite; {name} holds NaN or infinity. "
                "Load the checkpoint again, or take one from before training diverged."
            )
    return copy.deepcopy(module).eval().requires_grad_(False)


def sharing(module: nn.Module) -> nn.Module:
    """A copy of a module that holds the same weights, without a second copy of them."""
    tensors = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(values): values for values in tensors})


def laid_out(module: nn.Module) -> nn.Module:
    """The module with its weights of four dimensions in channels-last layout."""
    for part in module.modules():
        for name, values in part._parameters.items():
            if values is not None and values.ndim == 4:
                moved = values.detach().contiguous(memory_format=torch.channels_last)
                part._parameters[name] = nn.Parameter(moved, requires_grad=False)
    return module


def has_hooks(module: nn.Module) -> bool:
    """Whether a part of a module runs hooks of its owner's: these are run, not traced."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(part, kind, None) for part in module.modules() for kind in kinds)


def check_names(module: nn.Module, names: Sequence[str]) -> None:
    """Raise ValueError unless each name is that of a layer, offering those that are near."""
    layers = {name: part for name, part in module.named_modules() if name}
    for name in names:
        base, _, call = name.partition(":")
        if base in layers and (not call or call.isdecimal()):
            if type(layers[base]).forward is nn.Module.forward:  # it has none of its own
                first = next((name for name, _ in layers[base].named_children()), "…")
                raise ValueError(
                    f"layer {base!r} is a list of layers that is never called. "
                    f"Name one of its own, such as {base}.{first}."
                )
            continue
        near = difflib.get_close_matches(base, layers, n=4, cutoff=0.5)
        begun = [known for known in layers if known.startswith(base + ".")] if base else []
        offered = near or begun[:4] or list(layers)[:8]
        raise ValueError(
            f"the module has no layer {name!r}. Near it are {', '.join(offered)}; "
            "dict(module.named_modules()) lists all."
        )


def check_calls(base: str, call: str, count: int) -> None:
    """Raise ValueError unless a layer that is called so often has this call, or needs none."""
    if not count:
        raise ValueError(f"layer {base!r} is not called in a forward pass. Name another one.")
    if not call and count > 1:
        raise ValueError(
            f"layer {base!r} is called {count} times in one forward pass. "
            f"Say which: {base}:0 to {base}:{count - 1}."
        )
    if call and int(call) >= count:
        raise ValueError(
            f"layer {base!r} is called {count} time(s) in one forward pass; "
            f"there is no call {call}."
        )


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
    whole = {name.partition(":")[0] for name in names}
    try:
        graph = _Tracer(whole).trace(module)
    except Exception:  # whatever a module does with a stand-in for a tensor
        return None
    if sum(node.op == "placeholder" and not node.args for node in graph.nodes) != 1:
        return None
    found = []
    for name in names:
        base, _, call = name.partition(":")
        nodes = [n for n in graph.nodes if n.op == "call_module" and n.target == base]
        if not nodes:
            return None  # the module itself may know better
        check_calls(base, call, len(nodes))
        found.append(nodes[int(call or 0)])
    cut = fx.GraphModule(module, _up_to(found, graph))
    try:
        # Layers that were kept whole are opened: batch norms inside of them are folded too.
        cut = fx.GraphModule(cut, _Tracer().trace(cut))
    except Exception:  # a layer kept whole that cannot be traced
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


def unrectified(cut: fx.GraphModule) -> fx.GraphModule | None:
    """A cut module without the rectifiers that end it; None unless one ends each of its outputs.

    Maxima and other layouts of rectified values are the rectified ones of what is not.
    """
    opened = fx.GraphModule(cut, copy.deepcopy(cut.graph))
    is_one = functools.partial(_is_one, dict(opened.named_modules()))
    output = next(iter(reversed(opened.graph.nodes)))
    for node in output.args[0]:
        # What is computed on may be given by position or by name.
        while is_one(node, _COMMUTES) and len(node.users) == 1:
            node = node.all_input_nodes[0]
        if not is_one(node, _RECTIFIES) or len(node.users) != 1:
            return None
        node.replace_all_uses_with(node.all_input_nodes[0])
        opened.graph.erase_node(node)
    opened.recompile()
    return opened


def rectifiers(cut: fx.GraphModule, graph: fx.Graph) -> list[fx.Node]:
    """The nodes of a cut module's graph, or of a copy of it, that rectify."""
    modules = dict(cut.named_modules())
    return [node for node in graph.nodes if _is_one(modules, node, _RECTIFIES)]


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
