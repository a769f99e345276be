"""A module cut at layers: a private copy, frozen, that computes up to them and nothing after."""

from __future__ import annotations

import copy
import difflib
import functools
import operator
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

#: Maps images to the outputs of the layers asked for, in their order.
Cut: TypeAlias = Callable[[Tensor], list[Tensor]]
#: Modules that do something else in training than afterwards.
_TRAINED = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def frozen(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose weights ask for no gradient, nothing of it in place.

    Raises
    ------
    ValueError
        If a weight is NaN or infinite.
    """
    if module.training and any(isinstance(part, _TRAINED) for part in module.modules()):
        warnings.warn(
            "the module is in training mode, where dropout and batch norms depend on the batch; "
            "the encoder works with a copy in evaluation mode. Call module.eval() before you "
            "compute features of your own.",
            stacklevel=4,
        )
    for name, values in [*module.named_parameters(), *module.named_buffers()]:
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            raise ValueError(
                f"the weights must be finite; {name} holds NaN or infinity. "
                "Load the checkpoint again, or take one from before training diverged."
            )
    copied = copy.deepcopy(module).eval().requires_grad_(False)
    for part in copied.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    return copied


def check_names(module: nn.Module, names: Sequence[str]) -> None:
    """Raise ValueError unless each name is that of a layer, offering those that are near."""
    layers = {name: part for name, part in module.named_modules() if name}
    for name in names:
        base, _, call = name.partition(":")
        if base in layers and (not call or call.isdecimal()):
            if isinstance(layers[base], nn.ModuleList | nn.ModuleDict):
                first = next((name for name, _ in layers[base].named_children()), "…")
                raise ValueError(
                    f"layer {base!r} is a list that is never called. "
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


def count_calls(module: nn.Module, names: Sequence[str], forward: Callable[[], object]) -> None:
    """Raise ValueError where a layer of a name is called never, or more than once unasked.

    Parameters
    ----------
    module : nn.Module
    names : sequence of str
        'layer', or 'layer:k' for its call number k.
    forward : callable
        Runs the module, all of it.
    """
    calls: Counter[str] = Counter()
    hooks = []
    layers = dict(module.named_modules())
    for base in {name.partition(":")[0] for name in names}:

        def count(*_: Any, base: str = base) -> None:
            calls[base] += 1

        hooks.append(layers[base].register_forward_hook(count))
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    for name in names:
        base, _, call = name.partition(":")
        _check_calls(base, call, calls[base])


def _check_calls(base: str, call: str, count: int) -> None:
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


class _Tracer(fx.Tracer):
    """Traces with the named layers whole, so that each is one node."""

    def __init__(self, whole: set[str]) -> None:
        super().__init__()
        self._whole = whole

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node of the graph."""
        return module_qualified_name in self._whole or super().is_leaf_module(
            m, module_qualified_name
        )


def traced(module: nn.Module, names: Sequence[str]) -> nn.Module | None:
    """The graph of a frozen module up to its layers, batch norms folded; None if it has none.

    Modules whose course depends on values, or on shapes, cannot be traced.
    """
    whole = {name.partition(":")[0] for name in names}
    try:
        graph = _Tracer(whole).trace(module)
    except Exception:  # whatever a module does with a stand-in for a tensor
        return None
    if sum(node.op == "placeholder" and not node.args for node in graph.nodes) != 1:
        return None
    if any(node.op == "call_method" and node.target.endswith("_") for node in graph.nodes):
        return None  # in place: to leave out what seems unused would change the rest
    found = []
    for name in names:
        base, _, call = name.partition(":")
        nodes = [n for n in graph.nodes if n.op == "call_module" and n.target == base]
        if not nodes:
            return None  # the module itself may know better
        _check_calls(base, call, len(nodes))
        found.append(nodes[int(call or 0)])
    _nothing_in_place(graph)
    for node in list(graph.nodes):
        if node.op == "output":
            graph.erase_node(node)
    graph.output(tuple(found))
    cut = fx.GraphModule(module, graph)
    cut.graph.eliminate_dead_code()
    cut.recompile()
    cut.delete_all_unused_submodules()
    try:
        # Layers that were kept whole are opened: batch norms inside of them are folded too.
        return _folded(fx.GraphModule(cut, fx.Tracer().trace(cut)))
    except Exception:  # a layer kept whole that cannot be traced
        return cut


#: What rectifies, and what may as well be done before as after it: as modules, functions, methods.
_RECTIFIES = (nn.ReLU, torch.relu, functional.relu, "relu")
_COMMUTES = (
    nn.MaxPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Identity, nn.modules.dropout._DropoutNd,
    functional.max_pool2d, torch.max_pool2d, torch.flatten, functional.dropout, "flatten",
)  # fmt: skip


def unrectified(cut: nn.Module) -> nn.Module | None:
    """A cut module without the rectifiers that end it; None unless one ends each of its outputs.

    Maxima and other layouts of rectified values are the rectified ones of what is not.
    """
    if not isinstance(cut, fx.GraphModule):
        return None
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
            isinstance(norm, nn.BatchNorm2d)
            and isinstance(convolution, nn.Conv2d)
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


def _nothing_in_place(graph: fx.Graph) -> None:
    """Operators and functions that would change their first argument, made to return a new one."""
    fresh = {operator.iadd: operator.add, operator.imul: operator.mul, operator.isub: operator.sub}
    for node in graph.nodes:
        if node.op == "call_function" and node.target in fresh:
            node.target = fresh[node.target]
        if node.kwargs.get("inplace") is True:
            node.kwargs = node.kwargs | {"inplace": False}


class _ReachedError(Exception):
    """Raised by the hook of the last layer, to leave the rest of a forward pass undone."""


class Hooked(nn.Module):
    """A frozen module, run by itself until all its layers were called.

    Parameters
    ----------
    module : nn.Module
    names : sequence of str
    """

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module: nn.Module = module
        self.names = tuple(names)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The outputs of the layers."""
        wanted = [
            (base, int(call or 0)) for base, _, call in (n.partition(":") for n in self.names)
        ]
        found: dict[tuple[str, int], Any] = {}
        calls: Counter[str] = Counter()
        hooks = []
        for base in {base for base, _ in wanted}:

            def keep(_: nn.Module, __: Any, output: Any, base: str = base) -> None:
                key = base, calls[base]
                calls[base] += 1
                if key not in wanted:
                    return
                # What comes after may work in place on what is kept.
                last = len(found) + 1 == len(set(wanted))
                found[key] = output if last or not isinstance(output, Tensor) else output.clone()
                if last:
                    raise _ReachedError

            hooks.append(self.module.get_submodule(base).register_forward_hook(keep))
        try:
            self.module(x)
        except _ReachedError:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return [found[key] for key in wanted]
