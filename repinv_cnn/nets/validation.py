"""What modules accept: batches of images as floating tensors, and the precision they compute in."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from repinv import Encoder


def encoder_of(value: Any, kind: Any, name: str) -> None:
    """Check what a module is made of.

    Raises
    ------
    TypeError
        If it is no encoder of the kind that the module `name` takes.
    """
    if not isinstance(value, kind):
        got = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        example = "an encoder" if kind is Encoder else f"one made by repinv.{kind.__name__}"
        raise TypeError(
            f"{name} takes a repinv.{kind.__name__}; got {got}. Give {example}, such as "
            "repinv.HOG.vlfeat() or repinv.DSIFT.vlfeat()."
        )


def check_batch(x: Any, encoder: Encoder, name: str) -> None:
    """Check a batch (N, C, H, W).

    Raises
    ------
    TypeError
        If it is no floating tensor.
    ValueError
        If it does not have four axes, or the encoder does not take images of its shape.
    """
    if not isinstance(x, torch.Tensor):
        raise TypeError(
            f"{name} takes tensors; got {type(x).__name__}. Convert it with torch.as_tensor."
        )
    if not x.is_floating_point():
        raise TypeError(
            f"{name} takes floating tensors with values in [0, 1]; got {x.dtype}. "
            "Convert and scale it, as with x.float() / 255 for 8-bit pixels."
        )
    if x.ndim != 4:
        raise ValueError(
            f"{name} takes batches (N, C, H, W); got shape {tuple(x.shape)}. Add the missing axes."
        )
    encoder.feature_shape(tuple(x.shape[1:]))


def working(dtype: torch.dtype) -> torch.dtype:
    """The precision that is computed in: float64 for float64, float32 for all others."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def exact(x: torch.Tensor) -> contextlib.AbstractContextManager[Any]:
    """A context in which automatic mixed precision leaves a tensor's device alone."""
    if torch.amp.is_autocast_available(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return contextlib.nullcontext()
