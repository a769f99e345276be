"""Changes of images pushed forward to changes of features, by torch's forward mode."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad


def pushed(function: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[Tensor], Tensor] | None:
    """The product of the Jacobian of a function at `x` with a tangent of the shape of `x`.

    None where the function has an operation that torch has no forward mode of.
    """

    def pushforward(v: Tensor) -> Tensor:
        # Without gradients, functions that users wrote without a forward mode would drop tangents.
        with torch.enable_grad(), forward_ad.dual_level():
            output = function(forward_ad.make_dual(x, v))  # type: ignore[no-untyped-call]
            value, tangent = forward_ad.unpack_dual(output)  # type: ignore[no-untyped-call]
            return torch.zeros_like(value) if tangent is None else tangent.detach()

    try:
        with warnings.catch_warnings():
            # The first use loads torch.jit, which warns of itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            pushforward(torch.zeros_like(x))
    except (NotImplementedError, RuntimeError):
        return None
    return pushforward
