"""Convolutions of frozen weights, and their adjoints, by whichever kernel is the fastest here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: Places of the output from which oneDNN convolves one image faster than torch does without it, by
#: 1.1 to 2.9 times; with fewer, 30 µs that each of its calls takes outweigh that.
_MANY_PLACES = 768
_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
#: Weights up to which a second copy is kept, turned round: 1 MiB of them.
_COPIED = 1 << 18


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

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maps, and what the pullback needs."""
        return convolved(x, *self._arguments), x

    def pull(self, v: Tensor, x: Tensor) -> tuple[Tensor]:
        """The cotangent of x."""
        if self._turned is not None and v.shape[0] == 1:
            return (convolved(v, *self._turned),)
        pulled = torch.ops.aten.convolution_backward(v, x, self._weight, None, *self._options)
        return (pulled[0],)
