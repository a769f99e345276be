"""Layers of MaskFeat's HOG: votes of every colour channel, sums over cells, and their norm."""

from __future__ import annotations

import math
from typing import Any

import torch

import repinv
from repinv_cnn.nets.orientation_votes import FLAT


def layers(hog: repinv.HOG) -> tuple[torch.nn.Module, ...]:
    """Layers of a HOG of every channel by itself."""
    flavour: Any = hog.flavour
    low, high = hog.value_range
    return (
        torch.nn.Identity(),
        ChannelVotes(flavour.nbins, high - low, flavour.softness, flavour.gaussian_window),
        torch.nn.AvgPool2d(flavour.pool, divisor_override=1),
        UnitCells(flavour.nbins),
    )


class ChannelVotes(torch.nn.Module):
    """Votes of the Sobel derivatives of every channel for bins of half a turn.

    Parameters
    ----------
    bins : int
    scale : float
        Of pixel values.
    softness : float
        0 for the bin that an angle lies in, 1 for linear interpolation between two.
    window : int
        Side of the Gaussian that weights votes, repeated over the image; 0 for none.
    """

    kernels: torch.Tensor

    def __init__(self, bins: int, scale: float, softness: float, window: int) -> None:
        super().__init__()
        self.bins, self.scale, self.softness, self.window = bins, scale, softness, window
        sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=torch.float64)
        kernels = torch.stack([sobel, sobel.T])[:, None].repeat(3, 1, 1, 1)
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, H, W) → votes (N, 3 · bins, H, W)."""
        padded = torch.nn.functional.pad(self.scale * x, (1, 1, 1, 1), mode="reflect")
        slopes = torch.nn.functional.conv2d(padded, self.kernels.to(x.dtype), groups=3)
        across, down = slopes[:, ::2], slopes[:, 1::2]
        is_flat = torch.hypot(across, down) < FLAT
        across, down = (torch.where(is_flat, 0.0, a) for a in (across, down))
        # The slopes of a root and of an angle at zero are no numbers, and would spread.
        safe = torch.where(is_flat, 1.0, down)
        magnitude = torch.where(is_flat, 0.0, torch.hypot(across, safe))
        position = torch.atan2(across, safe) / math.pi * self.bins
        votes = magnitude * self._weights(*x.shape[-2:]).to(x)
        shares = torch.stack([self._share(position, k) for k in range(self.bins)], dim=2)
        return (votes[:, :, None] * shares).flatten(1, 2)

    def _share(self, position: torch.Tensor, k: int) -> torch.Tensor:
        """The share of every pixel's vote that bin k has."""
        if self.softness == 0:
            return (position.floor().remainder(self.bins) == k).to(position.dtype)
        # Distance from the bin's centre, around half a turn.
        away = (position - k - 0.5 + self.bins / 2).remainder(self.bins) - self.bins / 2
        return (0.5 + (0.5 - away.abs()) / self.softness).clamp(0, 1)

    def _weights(self, height: int, width: int) -> torch.Tensor:
        """Weights of votes, (H, W)."""
        if self.window == 0:
            return torch.ones(height, width, dtype=torch.float64)
        place = torch.arange(self.window, dtype=torch.float64) - (self.window - 1) / 2
        line = torch.exp(-0.5 * (place / (self.window // 2)) ** 2)
        line = line / line.sum()
        rows, columns = (line.repeat(-(-size // self.window))[:size] for size in (height, width))
        return torch.outer(rows, columns)


class UnitCells(torch.nn.Module):
    """Cells of unit norm.

    Parameters
    ----------
    bins : int
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """Sums (N, 3 · bins, y, x) → features (N, 3, bins, y, x)."""
        split = cells.reshape(len(cells), 3, self.bins, *cells.shape[2:])
        return torch.nn.functional.normalize(split, dim=2)
