"""Layers of OpenCV's HOG: blocks under a Gaussian, gathered in windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import repinv
from repinv_cnn.nets.hog_per_block import OpenCVClipped
from repinv_cnn.nets.orientation_votes import OrientedVotes, RootPixels, Shared, squares_in
from repinv_cnn.nets.window_pooling import Windows, triangle


def layers(hog: repinv.HOG) -> tuple[torch.nn.Module, ...]:
    """Layers of a HOG of windows."""
    flavour: Any = hog.flavour
    low, high = hog.value_range
    scale = 1.0 if flavour.gamma_correction else high - low
    rule = Shared(flavour.nbins, 0.5, flavour.signed_gradient, flavour.softness)
    return (
        RootPixels(hog.value_range) if flavour.gamma_correction else torch.nn.Identity(),
        ReflectedVotes(OrientedVotes(rule, scale, 0.0, squares_in(torch.float32)), flavour.padding),
        BlockWindows(flavour),
        NormalizedWindows(flavour),
    )


class ReflectedVotes(torch.nn.Module):
    """Votes of an image with a margin in which it is reflected.

    Parameters
    ----------
    votes : OrientedVotes
    padding : (int, int)
        Width and height of the margin.
    """

    def __init__(self, votes: OrientedVotes, padding: tuple[int, int]) -> None:
        super().__init__()
        self.votes, self.padding = votes, padding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Votes of images (N, C, H, W), the margin included."""
        # One pixel more than asked: the image gradient at the margin's edge looks past it.
        across, down = (pad + 1 for pad in self.padding)
        votes: torch.Tensor = self.votes(F.pad(x, (across, across, down, down), mode="reflect"))
        return votes[..., 1:-1, 1:-1]


def _steps(flavour: Any) -> tuple[int, int]:
    """Pixels (x, y) between places where some block may begin."""
    across, down = (
        math.gcd(*pair) for pair in zip(flavour.win_stride, flavour.block_stride, strict=True)
    )
    return across, down


class BlockWindows(torch.nn.Module):
    """Histograms of the cells of blocks, wherever one may begin.

    Parameters
    ----------
    flavour : dataclass
        Of `repinv.HOG.opencv`. Pairs are (x, y).
    """

    def __init__(self, flavour: Any) -> None:
        super().__init__()
        columns, rows = (
            _block(block, cell, flavour.sigma)
            for block, cell in zip(flavour.block_size, flavour.cell_size, strict=True)
        )
        across, down = _steps(flavour)
        self.windows = Windows(rows, columns, (down, across))

    def forward(self, votes: torch.Tensor) -> torch.Tensor:
        """Votes (N, bins, H, W) → blocks (N, bins, cells_y, cells_x, y, x)."""
        blocks: torch.Tensor = self.windows(votes)
        return blocks


def _block(block: int, cell: int, sigma: float) -> np.ndarray:
    """Weights (cells, block) of pixels: bilinear, under a Gaussian centred on a pixel."""
    inside = np.arange(block)
    gauss = np.exp(-((inside - block / 2) ** 2) / (2 * sigma**2))
    centres = np.arange(block // cell)[:, None]
    weights: np.ndarray = triangle((inside + 0.5) / cell - 0.5 - centres, 1.0) * gauss
    return weights


class NormalizedWindows(torch.nn.Module):
    """Blocks divided by their norms, and those of each window one after the other.

    Parameters
    ----------
    flavour : dataclass
        Of `repinv.HOG.opencv`.
    """

    def __init__(self, flavour: Any) -> None:
        super().__init__()
        self.flavour, self.norm = flavour, OpenCVClipped(flavour.threshold)

    def forward(self, blocks: torch.Tensor) -> torch.Tensor:
        """Blocks (N, bins, cells_y, cells_x, y, x) → features (N, length)."""
        rows, columns = (self._starts(axis, blocks.shape[-axis - 1]) for axis in (1, 0))
        features: torch.Tensor = self.norm(blocks.permute(0, 4, 5, 3, 2, 1).flatten(-3))
        # Windows (y, x), and then blocks (x, y) of each.
        y = torch.tensor(rows, device=blocks.device)[:, None, None, :]
        x = torch.tensor(columns, device=blocks.device)[None, :, :, None]
        return features[:, y, x].flatten(1)

    def _starts(self, axis: int, places: int) -> list[list[int]]:
        """Places along x (0) or y (1) of the blocks of each window that fits."""
        own = self.flavour
        step = _steps(own)[axis]
        inside = range(0, own.win_size[axis] - own.block_size[axis] + 1, own.block_stride[axis])
        extent = (places - 1) * step  # where the last block may begin
        windows = range(0, extent - inside[-1] + 1, own.win_stride[axis])
        return [[(window + block) // step for block in inside] for window in windows]
