"""Convolutions of frozen weights, and their adjoints; those of images phase by phase."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

#: Channels of what are images, and weights of their phases, in units of those of the convolution,
#: up to which the adjoint of a convolution with a stride is faster phase by phase.
_IMAGES, _PADDED = 4, 1.5


class Convolution:
    """One convolution, and its pullback.

    Parameters
    ----------
    weight, bias : Tensor
    stride, padding, dilation : tuple of int
    groups : int
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
    ) -> None:
        self._weight = weight
        self._arguments: tuple[Any, ...] = weight, bias, stride, padding, dilation, groups
        self._options = stride, padding, dilation, False, (0, 0), groups, (True, False, False)
        self._phases: Phases | None = None
        is_plain = set(dilation) == {1} and groups == 1 and len(set(stride)) == 1
        if is_plain and weight.shape[1] <= _IMAGES and stride[0] > 1:
            phases = Phases(weight, stride[0], padding)
            self._phases = phases if phases.weight.numel() <= _PADDED * weight.numel() else None

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maps, and what the pullback needs."""
        return torch.conv2d(x, *self._arguments), x

    def pull(self, v: Tensor, x: Tensor) -> tuple[Tensor]:
        """The cotangent of x."""
        if self._phases is not None:
            return (self._phases(v, x),)
        pulled = torch.ops.aten.convolution_backward(v, x, self._weight, None, *self._options)
        return (pulled[0],)


class Phases:
    """The adjoint of a convolution with a stride, as one without: two to five times as fast.

    For the few channels of an image torch's own takes up to ten times as long as the convolution.
    Pixels that lie a stride apart are of one phase. Each phase is given by a convolution of the
    cotangent with every stride-th weight, turned round, and phases are channels until the end.

    Parameters
    ----------
    weight : Tensor
    stride : int
    padding : tuple of int
    """

    def __init__(self, weight: Tensor, stride: int, padding: tuple[int, ...]) -> None:
        outputs, inputs = weight.shape[:2]
        self._stride, self._padding = stride, padding
        taps = [-(-size // stride) for size in weight.shape[2:]]
        rest = [stride * tap - size for tap, size in zip(taps, weight.shape[2:], strict=True)]
        padded = functional.pad(weight, (0, rest[1], 0, rest[0]))
        parts = padded.reshape(outputs, inputs, taps[0], stride, taps[1], stride)
        turned = parts.flip(2, 4).permute(1, 3, 5, 0, 2, 4).reshape(-1, outputs, *taps)
        self.weight = turned.contiguous(memory_format=torch.channels_last)
        self._around = tuple(tap - 1 for tap in taps)

    def __call__(self, v: Tensor, x: Tensor) -> Tensor:
        """The cotangent of x."""
        phases = torch.conv2d(v, self.weight, padding=self._around)
        pixels = functional.pixel_shuffle(phases, self._stride)
        (top, left), (height, width) = self._padding, x.shape[2:]
        below, right = height + top - pixels.shape[2], width + left - pixels.shape[3]
        return functional.pad(pixels, (-left, right, -top, below))
