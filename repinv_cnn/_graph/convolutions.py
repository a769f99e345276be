"""Convolutions of frozen weights, and their adjoints, by whichever kernel is the fastest here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

#: Places of the output from which oneDNN convolves one image faster than torch does without it, by
#: 1.1 to 2.9 times; with fewer, 30 µs that each of its calls takes outweigh that.
_MANY_PLACES = 768
_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
#: Weights up to which a second copy is kept, turned round: 1 MiB of them.
_COPIED = 1 << 18
#: Channels of what are images, and weights of their phases, in units of those of the convolution,
#: up to which the adjoint of a convolution with a stride is faster phase by phase.
_IMAGES, _PADDED = 4, 1.5


def convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: Any,
    dilation: tuple[int, ...],
    groups: int,
) -> Tensor:
    """torch.conv2d, by oneDNN also where torch holds one image to be too small for that."""
    if (
        _has_many_places(x, stride)
        and _suits_onednn(weight, padding)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    ):
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, dilation, groups)
    return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _has_many_places(x: Tensor, stride: tuple[int, ...]) -> bool:
    """Whether these are the maps of one image, large enough for oneDNN."""
    count, _, height, width = x.shape
    return count == 1 and height * width >= _MANY_PLACES * stride[0] * stride[1]


def _suits_onednn(weight: Tensor, padding: Any) -> bool:
    """Whether oneDNN takes a convolution, and gains by not writing out the windows."""
    return (
        weight.is_cpu
        and weight.dtype is torch.float32
        and weight.shape[1] > 1
        and weight.shape[-1] * weight.shape[-2] > 1
        and not isinstance(padding, str)
        and _ONEDNN
    )


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
        self._arguments = weight, bias, stride, padding, dilation, groups
        self._options = stride, padding, dilation, False, (0, 0), groups, (True, False, False)
        around = [
            step * (size - 1) - before
            for step, size, before in zip(dilation, weight.shape[2:], padding, strict=True)
        ]
        # On one image the adjoint is faster as a convolution, by the weights turned round.
        self._turned: tuple[Any, ...] | None = None
        is_one = set(stride) == {1} and groups == 1 and min(around) >= 0
        if is_one and weight.is_cpu and weight.numel() <= _COPIED:
            turned = weight.flip(2, 3).transpose(0, 1)
            turned = turned.contiguous(memory_format=torch.channels_last)
            self._turned = turned, None, stride, tuple(around), dilation, groups
        self._phases: Phases | None = None
        is_plain = set(dilation) == {1} and groups == 1 and len(set(stride)) == 1
        if is_plain and weight.shape[1] <= _IMAGES and stride[0] > 1:
            phases = Phases(weight, stride[0], padding)
            self._phases = phases if phases.weight.numel() <= _PADDED * weight.numel() else None

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maps, and what the pullback needs."""
        return convolved(x, *self._arguments), x

    def pull(self, v: Tensor, x: Tensor) -> tuple[Tensor]:
        """The cotangent of x."""
        if self._turned is not None and v.shape[0] == 1:
            return (convolved(v, *self._turned),)
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
        phases = convolved(v, self.weight, None, (1, 1), self._around, (1, 1), 1)
        pixels = functional.pixel_shuffle(phases, self._stride)
        (top, left), (height, width) = self._padding, x.shape[2:]
        below, right = height + top - pixels.shape[2], width + left - pixels.shape[3]
        return functional.pad(pixels, (-left, right, -top, below))
