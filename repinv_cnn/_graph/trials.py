"""A module tried on images: which shapes its layers give, and whether its ways agree."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from repinv_cnn._graph import errors, layer_names
from repinv_cnn._graph.agreement import LOCK, Ways
from repinv_cnn._graph.layer_names import LayerName
from repinv_cnn._graph.tokens import Choice

#: Of the outputs of the layers for one image.
Shapes: TypeAlias = tuple[tuple[int, ...], ...]
#: Sides of square images that are tried where nobody said which the module takes.
_SIDES = (64, 224, 32, 128, 16, 256, 8)


@dataclass(frozen=True, eq=False)
class Trials:
    """What was found by running a module on images of some shapes.

    Parameters
    ----------
    ways : Ways
    names : tuple of str
        Of the layers.
    prepare : callable or None
        Images in [0, 1] to the module's input.
    channels : int
        Of the images.
    device : device
    dtype : dtype
    choice : Choice or None
        What is taken of outputs that are tokens.
    """

    ways: Ways
    names: tuple[str, ...]
    prepare: Callable[[Tensor], Tensor] | None
    channels: int
    device: torch.device
    dtype: torch.dtype
    choice: Choice | None = None
    _shapes: dict[tuple[int, ...], Shapes] = field(init=False, repr=False, default_factory=dict)

    def shapes(self, image_shape: tuple[int, ...]) -> Shapes:
        """Shapes of the layers' features for one image (C, H, W).

        Raises
        ------
        TypeError, ValueError
            If the module takes no such images, or a layer returns no tensor of features.
        """
        if image_shape not in self._shapes:
            if len(image_shape) != 3 or image_shape[0] != self.channels:
                raise ValueError(
                    f"the encoder takes images (C, H, W) of {self.channels} channel(s); got "
                    f"{image_shape}. For gray images set Preprocess(to_rgb=True)."
                )
            with LOCK:
                if image_shape not in self._shapes:
                    self._shapes[image_shape] = self._found(image_shape)
        return self._shapes[image_shape]

    def some_shape(self) -> tuple[int, ...] | None:
        """The shape (C, H, W) of an image that the module takes, or None if none is found."""
        for shape in self._shapes:
            return shape
        for side in _SIDES:
            shape = (self.channels, side, side)
            with contextlib.suppress(ValueError):
                self.shapes(shape)
                return shape
        return None

    def sample(self) -> Tensor:
        """An input of the module."""
        shape = self.some_shape()
        if shape is None:
            raise ValueError("the module takes none of the square images that were tried.")
        return self.noise(shape, 1)

    def noise(self, image_shape: tuple[int, ...], count: int) -> Tensor:
        """Random images as the module takes them, before any layout of memory."""
        generator = torch.Generator().manual_seed(0)
        x = torch.rand((count, *image_shape), generator=generator, dtype=self.dtype)
        x = x.to(self.device)
        with torch.no_grad():
            return x if self.prepare is None else self.prepare(x)

    def _found(self, image_shape: tuple[int, ...]) -> Shapes:
        """Shapes found by running the module, whose ways are compared meanwhile."""
        try:
            outputs = self._tried_on(image_shape)
        except errors.REFUSED as error:
            why = errors.misfit(self._on_meta, self.names, image_shape, error)
            raise ValueError(why) from None
        for name, output in zip(self.names, outputs, strict=True):
            errors.check_output(name, output)
        self.ways.check(self.noise(image_shape, 1))
        shapes = tuple(tuple(output.shape[1:]) for output in outputs)
        if self.choice is None:
            return shapes
        return tuple(self.choice.shape(shape, image_shape) for shape in shapes)

    def _tried_on(self, image_shape: tuple[int, ...]) -> Sequence[Tensor]:
        """Outputs of the layers for two images: on the meta device, or else of real ones.

        What looks at values, or makes tensors of its own, does not run on the meta device.
        """
        with contextlib.suppress(Exception):
            return self._on_meta(image_shape)
        maps, layers = self.noise(image_shape, 2), self.ways.reference
        with torch.no_grad():
            if not self.ways.is_traced:
                layers.check_calls(maps)
            return layers(maps)

    def _on_meta(self, image_shape: tuple[int, ...]) -> Sequence[Tensor]:
        """Outputs of the layers for two images, on the meta device: nothing is computed."""
        x = torch.zeros((2, *image_shape), dtype=self.dtype, device="meta")
        layers = self.ways.dry
        with torch.no_grad():
            maps = x if self.prepare is None else self.prepare(x)
            if not self.ways.is_traced:
                layers.check_calls(maps, "meta")
            outputs = layers.on("meta", maps)
        # Where nothing is computed, torch 2.6 gives maps of no pixels where it should refuse.
        if any(isinstance(output, Tensor) and not output.numel() for output in outputs):
            raise RuntimeError("the layer's map has no pixels")
        return outputs


def length(shapes: Shapes) -> int:
    """Numbers of all features together."""
    return sum(map(math.prod, shapes))


def descriptor_axis(shape: tuple[int, ...], image_shape: tuple[int, ...]) -> int | None:
    """Axis of the channels of features; None where they are not channels at positions.

    Maps are taken for (C, h, w), as torch has them, unless only the first two axes have the
    proportions of the image, as those of Swin's blocks (h, w, C) do. Of two axes the second is
    taken for the channels, as of tokens (tokens, C).
    """
    if len(shape) == 2:
        return 1
    if len(shape) != 3:
        return None
    first, last = (_has_proportions(places, image_shape) for places in (shape[1:], shape[:2]))
    return 2 if last and not first else 0


def _has_proportions(places: tuple[int, ...], image_shape: tuple[int, ...]) -> bool:
    """Whether a grid may be that of an image, whose sides are divided by one stride."""
    (h, w), (height, width) = places, image_shape[1:]
    # Strides (up to rounding to whole positions and to borders) must have a value in common.
    low = max(height / (h + 1), width / (w + 1))
    high = min(height / max(h - 1, 0.5), width / max(w - 1, 0.5))
    return low <= high


class LayerInfo(NamedTuple):
    """A layer as a module calls it.

    Attributes
    ----------
    name : str
        As `TorchEncoder` takes it: 'layer', 'layer:k' for one of several calls, or 'layer[item]'
        for a part of a list or a dict.
    kind : str
        Class of the layer.
    shape : tuple of int or str
        Of its output for one image, or the type of an output that is no tensor.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | str


def called(module: nn.Module, x: Tensor) -> list[LayerInfo]:
    """The layers that one forward pass calls, in the order in which they return.

    Parameters
    ----------
    module : nn.Module
        Gets hooks, which are removed again.
    x : Tensor
        An input.
    """
    found: list[tuple[str, str, Mapping[Any, tuple[int, ...] | str]]] = []

    def noting(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(part: nn.Module, _: Any, output: Any) -> None:
            shapes = {items: tuple(o.shape[1:]) for items, o in layer_names.tensors(output)}
            found.append((name, type(part).__name__, shapes or {(): type(output).__name__}))

        return note

    handles = [part.register_forward_hook(noting(name)) for name, part in _named(module)]
    try:
        with torch.no_grad():
            module(x)
    finally:
        for handle in handles:
            handle.remove()
    counts, seen = Counter(module for module, *_ in found), Counter[str]()
    layers = []
    for name, kind, shapes in found:
        call = None if counts[name] == 1 else seen[name]
        seen[name] += 1
        layers += [
            LayerInfo(str(LayerName(name, call, items)), kind, shape)
            for items, shape in shapes.items()
        ]
    return layers


def _named(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The submodules, without the module itself."""
    return [(name, part) for name, part in module.named_modules() if name]
