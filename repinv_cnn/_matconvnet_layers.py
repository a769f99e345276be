"""MatConvNet's layers where they differ from torch's: padding, means, normalization."""

from __future__ import annotations

import torch
import torch.nn.functional as F

#: Pixels before and after: (top, bottom, left, right), as MatConvNet has them.
Margins = tuple[int, int, int, int]


def _padded(x: torch.Tensor, margins: Margins, value: float = 0.0) -> torch.Tensor:
    """Images (N, C, H, W) with a margin of one value."""
    top, bottom, left, right = margins
    return F.pad(x, (left, right, top, bottom), value=value) if any(margins) else x


class Convolution(torch.nn.Conv2d):
    """A convolution whose margin may be another on each side.

    Parameters
    ----------
    filters : Tensor, shape (K, C / groups, h, w)
    biases : Tensor, shape (K,), or None
    groups : int
    stride, dilation : (int, int)
    margins : (int, int, int, int)
        Of zeros.
    """

    def __init__(
        self,
        filters: torch.Tensor,
        biases: torch.Tensor | None,
        *,
        groups: int = 1,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        margins: Margins = (0, 0, 0, 0),
    ) -> None:
        count, depth, high, wide = filters.shape
        super().__init__(
            depth * groups,
            count,
            (high, wide),
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=biases is not None,
        )
        self.margins = margins
        with torch.no_grad():
            self.weight.copy_(filters)
            if self.bias is not None and biases is not None:
                self.bias.copy_(biases)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) → (N, K, y, x)."""
        return super().forward(_padded(x, self.margins))

    def extra_repr(self) -> str:
        """Sizes, for the module's text."""
        sizes: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{sizes}, margins={self.margins}"


class Pooling(torch.nn.Module):
    """The largest or the mean of what lies in a window and in the image.

    Parameters
    ----------
    window, stride : (int, int)
    margins : (int, int, int, int)
        How far windows may reach beyond the image.
    mean : bool
        Means of the positions inside the image; else the largest.
    """

    def __init__(
        self, window: tuple[int, int], stride: tuple[int, int], margins: Margins, mean: bool
    ) -> None:
        super().__init__()
        self.window, self.stride, self.margins, self.mean = window, stride, margins, mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) → (N, C, y, x)."""
        if not self.mean:
            lowest = _padded(x, self.margins, -torch.inf)
            return F.max_pool2d(lowest, self.window, self.stride)
        sums = F.avg_pool2d(_padded(x, self.margins), self.window, self.stride)
        if not any(self.margins):
            return sums
        inside = _padded(torch.ones_like(x[:1, :1]), self.margins)
        return sums / F.avg_pool2d(inside, self.window, self.stride)

    def extra_repr(self) -> str:
        """What is pooled, for the module's text."""
        kind = "mean" if self.mean else "largest"
        return f"{kind}, window={self.window}, stride={self.stride}, margins={self.margins}"


class ResponseNormalization(torch.nn.Module):
    """x_k / (κ + α Σ x_t²)^β, t from k − ⌊(N−1)/2⌋ to k + ⌈(N−1)/2⌉ as far as there are channels.

    torch's own divides α by N.

    Parameters
    ----------
    depth : int
        N.
    kappa, alpha, beta : float
    """

    def __init__(self, depth: int, kappa: float, alpha: float, beta: float) -> None:
        super().__init__()
        self.depth, self.kappa, self.alpha, self.beta = depth, kappa, alpha, beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W)."""
        before, after = (self.depth - 1) // 2, self.depth // 2
        squares = F.pad(x.square(), (0, 0, 0, 0, before, after))
        sums = squares.unfold(1, self.depth, 1).sum(dim=-1)
        return x / (self.kappa + self.alpha * sums) ** self.beta

    def extra_repr(self) -> str:
        """The parameters, for the module's text."""
        return f"{self.depth}, kappa={self.kappa}, alpha={self.alpha}, beta={self.beta}"
