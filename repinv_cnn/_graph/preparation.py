"""The user's module, made ready: unwrapped, frozen, its layers found by their names."""

from __future__ import annotations

import copy
import difflib
import itertools
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from repinv_cnn._graph import errors, layer_names
from repinv_cnn._graph.layer_names import LayerName

#: Channels of a first convolution that are taken for an image's.
_MOST_BANDS = 4
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


def whole(module: nn.Module, layer: object) -> tuple[nn.Module, object]:
    """A module and a layer; what a module itself returns as a layer of one that holds it."""
    return (nn.Sequential(module).train(module.training), "0") if layer == "" else (module, layer)


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


def device_of(
    wanted: torch.device | str | None, weights: torch.Tensor | None = None
) -> torch.device:
    """The device that is wanted, by default that of weights.

    Raises
    ------
    ValueError
        If this machine has no such device, or torch none of that name.
    """
    if wanted is None:
        return torch.device("cpu") if weights is None else weights.device
    try:
        return torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device {str(wanted)!r} cannot be used: {errors.first_line(error)}. Leave device out "
            "to compute where the module's weights are."
        ) from None


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
        known = layer_names.parsed(name)
        base = name.partition(":")[0] if known is None else known.module
        if base in layers and known is not None:
            if type(layers[base]).forward is nn.Module.forward:  # it has none of its own
                first = next((name for name, _ in layers[base].named_children()), "…")
                raise ValueError(
                    f"layer {base!r} is a list of layers that is never called. "
                    f"Name one of its own, such as {base}.{first}."
                )
            continue
        near = difflib.get_close_matches(base, layers, n=4, cutoff=0.5)
        begun = [layer for layer in layers if layer.startswith(base + ".")] if base else []
        offered = near or begun[:4] or list(layers)[:8]
        raise ValueError(
            f"the module has no layer {name!r}. Near it are {', '.join(offered)}; "
            "dict(module.named_modules()) lists all."
        )


def check_calls(name: LayerName, count: int) -> None:
    """Raise ValueError unless a layer that is called so often has this call, or needs none."""
    base, call, _ = name
    if not count:
        raise ValueError(f"layer {base!r} is not called in a forward pass. Name another one.")
    if call is None and count > 1:
        raise ValueError(
            f"layer {base!r} is called {count} times in one forward pass. "
            f"Say which: {base}:0 to {base}:{count - 1}."
        )
    if call is not None and call >= count:
        raise ValueError(
            f"layer {base!r} is called {count} time(s) in one forward pass; "
            f"there is no call {call}."
        )


def names_of(layer: object, module: nn.Module) -> tuple[str, ...]:
    """Names of the layers asked for, checked."""
    names = (layer,) if isinstance(layer, str) else layer
    if not isinstance(names, Sequence | Mapping) or not all(isinstance(n, str) for n in names):
        first = ", ".join(name for name, _ in itertools.islice(module.named_modules(), 1, 6))
        raise TypeError(
            f"layer must be a name as in module.named_modules(), or several; got {layer!r}. "
            f"This module's begin with {first}."
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(f"layer must name one layer, or several that differ; got {tuple(names)}.")
    found = tuple(without_wrappers(name, module) for name in names)
    check_names(module, found)
    return found


def first_channels(module: nn.Module) -> int:
    """Channels that a module's first convolution takes, if these can be an image's; else 3."""
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    return first.in_channels if first is not None and first.in_channels <= _MOST_BANDS else 3
