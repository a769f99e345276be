"""Layers of HOG with one vector a cell: VLFeat's two variants, and voc-release's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import repinv
from repinv_cnn.nets.orientation_votes import (
    Nearest,
    OrientedVotes,
    Projections,
    Shared,
    clipped,
    squares_in,
)
from repinv_cnn.nets.window_pooling import Windows, covered, triangle


def layers(hog: repinv.HOG) -> tuple[torch.nn.Module, ...]:
    """Layers of a HOG of cells."""
    flavour: Any = hog.flavour
    bins = 2 * flavour.orientations
    dpm = flavour.layout == _layout(repinv.HOG.dpm())
    rule: Shared | Nearest | Projections
    if flavour.softness > 0:
        rule = Shared(bins, 0.0, True, flavour.softness)
    else:
        rule = Projections(bins) if dpm else Nearest(bins, 0.0, True)
    strength = squares_in(torch.float64 if dpm else torch.float32)
    low, high = hog.value_range
    normalize: torch.nn.Module
    if flavour.layout == _layout(repinv.HOG.vlfeat(variant="dalal-triggs")):
        normalize = FourNormalized(flavour.truncation, flavour.factor)
    else:
        normalize = MeanNormalized(flavour.truncation, flavour.factor, dpm)
    return (
        torch.nn.Identity(),
        OrientedVotes(rule, high - low, 0.0, strength),
        CellWindows(flavour.cell_size, not dpm),
        normalize,
    )


def _layout(hog: repinv.HOG) -> int:
    """The number of the layout of a flavour of cells."""
    flavour: Any = hog.flavour
    return int(flavour.layout)


def frames(hog: repinv.HOG, height: int, width: int) -> torch.Tensor:
    """Centres (y, x) of cells, row by row; voc-release's without the outer ring."""
    flavour: Any = hog.flavour
    cell, ring = flavour.cell_size, int(flavour.layout == _layout(repinv.HOG.dpm()))
    along = [
        (torch.arange(ring, _count(size, cell) - ring, dtype=torch.float64) + 0.5) * cell - 0.5
        for size in (height, width)
    ]
    return torch.cartesian_prod(*along)


def _count(size: int, cell: int) -> int:
    """Cells along an axis; the last one may hang over the edge by half."""
    return (size + cell // 2) // cell


class CellWindows(torch.nn.Module):
    """Histograms of cells: each pixel shared linearly by the cells whose centres are nearest.

    Parameters
    ----------
    cell_size : int
        Pixels.
    inner : bool
        Only pixels that are not at the border vote; else the last ones that are not vote for
        those beyond them too, as far as cells go.
    """

    def __init__(self, cell_size: int, inner: bool) -> None:
        super().__init__()
        self.cell, self.inner = cell_size, inner
        # The first tap lies half a cell before the cell; an odd one's last tap weighs nothing.
        taps = np.arange(2 * cell_size) - cell_size // 2
        weights = triangle((taps + 0.5) / cell_size - 0.5, 1.0)[None]
        self.windows = Windows(weights, weights, (cell_size, cell_size))

    def forward(self, votes: torch.Tensor) -> torch.Tensor:
        """Votes (N, bins, H, W) → cells (N, bins, y, x)."""
        height, width = votes.shape[2:]
        counts = [_count(size, self.cell) for size in (height, width)]
        ends = [count * self.cell - 1 for count in counts]
        if self.inner:
            ends = [height - 1, width - 1]
        inner = covered(votes[..., : height - 1, : width - 1], (1, 1), (ends[0], ends[1]))
        before = self.cell // 2 + 1
        beyond = [
            (count + 1) * self.cell - self.cell // 2 - end
            for count, end in zip(counts, ends, strict=True)
        ]
        padded = F.pad(inner, (before, beyond[1], before, beyond[0]))
        cells: torch.Tensor = self.windows(padded)
        return cells[:, :, 0, 0]


def _undirected(cells: torch.Tensor) -> torch.Tensor:
    """Directed histograms (N, 2n, y, x) without their directions (N, n, y, x)."""
    one, other = cells.chunk(2, dim=1)
    return one + other


def block_factors(undirected: torch.Tensor, constant: float) -> torch.Tensor:
    """1/√(energy + 1e-4) of the four 2x2 blocks that hold each cell (N, n, y, x) → (N, 4, y, x).

    Of the blocks to the upper left, upper right, lower left and lower right; cells past the border
    repeat the last one. A positive `constant` takes the place of all.
    """
    if constant > 0:
        return torch.full_like(undirected[:, :1], constant).expand(-1, 4, -1, -1)
    energy = F.pad(undirected.square().sum(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    factor = 1 / (4 * F.avg_pool2d(energy, 2, stride=1) + 1e-4).sqrt()
    upper, lower = factor[..., :-1, :], factor[..., 1:, :]
    four = (upper[..., :-1], upper[..., 1:], lower[..., :-1], lower[..., 1:])
    return torch.cat(four, dim=1)


class FourNormalized(torch.nn.Module):
    """Dalal and Triggs': the undirected histogram under each of the four factors, clipped."""

    def __init__(self, truncation: float, factor: float) -> None:
        super().__init__()
        self.truncation, self.factor = truncation, factor

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """Cells (N, 2n, y, x) → features (N, 4n, y, x)."""
        undirected = _undirected(cells)
        factors = block_factors(undirected, self.factor)
        return clipped(factors[:, :, None] * undirected[:, None], self.truncation).flatten(1, 2)


class MeanNormalized(torch.nn.Module):
    """Felzenszwalb's: half the sum under the four factors, and the texture under each.

    Parameters
    ----------
    truncation, factor : float
        Where entries are clipped; what takes the place of the factors if positive.
    dpm : bool
        voc-release's: texture sums over directed bins, in another order and times a rounded
        number; a channel of zeros; channels last, without the outer ring of cells.
    """

    def __init__(self, truncation: float, factor: float, dpm: bool) -> None:
        super().__init__()
        self.truncation, self.factor, self.dpm = truncation, factor, dpm

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """Cells (N, 2n, y, x) → features (N, 3n + 4, y, x), or (N, y, x, 3n + 5)."""
        undirected = _undirected(cells)
        factors = block_factors(undirected, self.factor)[:, :, None]
        directed = clipped(factors * cells[:, None], self.truncation)
        both = clipped(factors * undirected[:, None], self.truncation)
        means = torch.cat((directed, both), dim=2).sum(dim=1) / 2
        if not self.dpm:
            return torch.cat((means, both.sum(dim=2) / math.sqrt(18)), dim=1)
        texture = 0.2357 * directed.sum(dim=2)[:, [3, 1, 2, 0]]
        features = torch.cat((means, texture, torch.zeros_like(means[:, :1])), dim=1)
        return features[..., 1:-1, 1:-1].movedim(1, -1)
