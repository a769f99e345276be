"""A network of the user's, named by where Python imports it from."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from repinv_cnn.networks import load
from repinv_cnn.preprocess import Preprocess
from repinv_cnn.torch_encoder import TorchEncoder


def from_module(
    target: str,
    layer: str | Sequence[str] | Mapping[str, float],
    *,
    weights: str | Path | None = None,
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
    scale: float = 1.0,
    order: str = "RGB",
    tokens: str | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> TorchEncoder:
    """A layer of your own network, named by where Python imports it from.

    Meant for the command line, where it is ``cnn.module(...)``; in Python, give the module itself
    to `TorchEncoder`.

    Parameters
    ----------
    target : str
        "package.models:build": a module, and in it a torch module, or a class or function without
        arguments that returns one. Importing runs the code of that module. The folder where the
        command is run is searched too.
    layer : str, sequence of str, or mapping of str to float
        Names of the module; `TorchEncoder.layers` lists them.
    weights : str or path, optional
        A file of a state dictionary (.safetensors, .pt or .pth), which is never unpickled.
    mean, std, scale, order : optional
        As for `Preprocess`; by default those of ImageNet.
    tokens, device, dtype : optional
        As for `TorchEncoder`.

    Returns
    -------
    encoder : TorchEncoder
        In evaluation mode.

    Raises
    ------
    ValueError, TypeError
        If the name does not lead to a torch module.
    FileNotFoundError
        If there is no such file of weights.

    See Also
    --------
    repinv_cnn.TorchEncoder : The output of a layer of a torch model, as a differentiable image
        representation.
    repinv_cnn.from_torchvision : A layer of one of torchvision's classification networks.

    Examples
    --------
    >>> import repinv_cnn
    >>> repinv_cnn.from_module("repinv_cnn:digits_network", "conv1", mean=(0.5,), std=(1.0,))
    TorchEncoder(DigitNet, 'conv1'): images of 1 channel on cpu
    """
    module = _made(target)
    if weights is not None:
        load(module, Path(weights))
    preprocess = Preprocess(tuple(mean), tuple(std), scale=scale, order=order)
    return TorchEncoder(module.eval(), layer, preprocess, device=device, dtype=dtype, tokens=tokens)


def _made(target: str) -> nn.Module:
    """The torch module that a name stands for."""
    place, colon, path = str(target).partition(":")
    if not (place and colon and path):
        raise ValueError(
            f"a network is named as 'package.models:build', a module and a name in it; got "
            f"{target!r}."
        )
    with _here():
        try:
            found: Any = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise  # one that this module imports
            raise ValueError(
                f"Python finds no module {place!r}. Install its package, or run the command in "
                "the folder that holds it."
            ) from None
        for name in path.split("."):
            if not hasattr(found, name):
                raise ValueError(f"module {place!r} has no {path!r}.")
            found = getattr(found, name)
        if not isinstance(found, nn.Module) and callable(found):
            found = found()
    if not isinstance(found, nn.Module):
        raise TypeError(f"{target!r} must give a torch.nn.Module; it gave {type(found).__name__}.")
    return found


@contextlib.contextmanager
def _here() -> Iterator[None]:
    """The current folder among those that Python imports from, after all others."""
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
