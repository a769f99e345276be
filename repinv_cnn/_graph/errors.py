"""What a layer of a torch model refuses, images or batches, and in which words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from repinv_cnn._graph import layer_names

#: What modules raise for images of a size that is not theirs.
REFUSED = (RuntimeError, AssertionError, IndexError, TypeError)
#: Sides of images that networks were made for, tried where one is refused.
_SIDES = (*range(1, 65), 96, 112, 128, 160, 192, 224, 227, 256, 299, 384, 448, 512)


def first_line(error: Exception) -> str:
    """What an error of torch says, without the trace that may follow."""
    return str(error).partition("\n")[0]


def misfit(
    tried: Callable[[tuple[int, ...]], object],
    names: Sequence[str],
    image_shape: tuple[int, ...],
    error: Exception,
) -> str:
    """Why images of a shape are refused, with the smallest square that is not."""
    channels, height, width = image_shape
    for side in _SIDES:
        with contextlib.suppress(*REFUSED):
            tried((channels, side, side))
            return (
                f"layer {', '.join(names)} needs images of other sizes, the smallest "
                f"square being {side}x{side} pixels; got {height}x{width}. "
                "Resize the image, or name an earlier layer."
            )
    return f"the module refuses images of {height}x{width} pixels: {first_line(error)}"


def too_large(tried: Callable[[Tensor], object], x: Tensor) -> str:
    """Which batch of such images fits on the device, found by trying."""
    size = len(x) // 2
    while size:
        with contextlib.suppress(torch.OutOfMemoryError):
            tried(x[:size])
            break
        size //= 2
    fits = f"a batch of {size} fits" if size else "not even one fits"
    return (
        f"{len(x)} image(s) of {x.shape[-2]}x{x.shape[-1]} pixels need more memory than "
        f"{x.device} has left; {fits}. Ask for fewer pre-images, a smaller image, or autocast."
    )


def check_output(name: str, output: Any) -> None:
    """Raise unless a layer's output for two images is a tensor with a row for each."""
    if not isinstance(output, Tensor):
        keys = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        parts = layer_names.examples(name, output)
        advice = f"Name one of its parts ({parts}), or a layer" if parts else "Name a layer"
        raise TypeError(
            f"layer {name!r} returns a {type(output).__name__}{keys}, not a tensor. "
            f"{advice} inside of it, or after it."
        )
    if output.ndim < 2 or len(output) != 2:
        raise ValueError(
            f"layer {name!r} gives {tuple(output.shape)} for a batch of 2; its first axis must be "
            "that of the batch. Name another layer."
        )
