"""Rectifiers whose pullback is that of a bend: units that are nearly on are heard too.

A unit of a network that is off passes nothing back, and an inversion waits for units that it cannot
wake; one that is barely on passes everything, up to the next step that switches it off. Pulled back
as if it bent over a range of what it is given, a rectifier tells what lies beyond it; features stay
what they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def relaxed_relu(x: Tensor, width: float) -> Tensor:
    """max(x, 0), pulled back with the slope of a smooth one.

    That is ½(1 + x/√(x² + s²)), the derivative of ½(x + √(x² + s²)) ('squareplus', Barron,
    arXiv:2112.11687, 2021), s being `width` times the root mean square of x in each image.
    """
    found: Tensor = _Relaxed.apply(x, width)  # type: ignore[no-untyped-call]
    return found


class _Relaxed(torch.autograd.Function):
    """The rectifier and its pullback."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: float) -> Tensor:
        """max(x, 0)."""
        ctx.save_for_backward(x)
        ctx.width = width
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *v: Tensor) -> tuple[Tensor, None]:
        """v times the slope."""
        (x,) = ctx.saved_tensors
        norm = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)
        # In few operations: on small images they take longer than what they compute.
        square = norm.square_().mul_(4 * ctx.width**2 * len(x) / x.numel()).add_(_LEAST)
        slope = torch.addcmul(square, x, x, value=4).rsqrt_().mul_(x).add_(0.5)
        return slope.mul_(v[0]), None


#: Of 4s², so that where x is zero everywhere half of v is passed, not nothing that is a number.
_LEAST = 1e-30
