"""Layers of scikit-image's HOG: means over cells, and norms of overlapping blocks of them."""

from __future__ import annotations

from typing import Any

import torch

import repinv
from repinv_cnn.nets.orientation_votes import (
    FLAT,
    Intervals,
    OrientedVotes,
    RootPixels,
    Shared,
    clipped,
    root,
)

#: scikit-image's epsilon.
_EPSILON = 1e-5


def layers(hog: repinv.HOG) -> tuple[torch.nn.Module, ...]:
    """Layers of a HOG of blocks."""
    flavour: Any = hog.flavour
    low, high = hog.value_range
    bins = flavour.orientations
    rule: Shared | Intervals = Intervals(bins)
    if flavour.softness > 0:
        rule = Shared(bins, 0.5, False, flavour.softness)
    return (
        RootPixels(hog.value_range) if flavour.transform_sqrt else torch.nn.Identity(),
        OrientedVotes(rule, 1.0 if flavour.transform_sqrt else high - low, 0.0, torch.hypot),
        torch.nn.AvgPool2d(flavour.pixels_per_cell),
        NormalizedBlocks(flavour.cells_per_block, _norm_of(flavour)),
    )


def _norm_of(flavour: Any) -> torch.nn.Module:
    """The layer of a flavour's norm."""
    norms: dict[str, torch.nn.Module] = {
        "L1": Absolute(False),
        "L1-sqrt": Absolute(True),
        "L2": Euclidean(),
        "L2-Hys": Clipped(),
    }
    for name, norm in norms.items():
        example: Any = repinv.HOG.skimage(block_norm=name).flavour
        if example.norm == flavour.norm:
            return norm
    raise ValueError(
        f"HOGNet covers the block norms {', '.join(norms)}; got another. Use repinv_cnn.as_module."
    )


class NormalizedBlocks(torch.nn.Module):
    """Blocks of cells side by side at every cell, each divided by a norm of its own.

    Parameters
    ----------
    cells_per_block : (int, int)
        (y, x).
    norm : Module
        Of blocks as vectors along the last axis.
    """

    def __init__(self, cells_per_block: tuple[int, int], norm: torch.nn.Module) -> None:
        super().__init__()
        self.cells_per_block, self.norm = cells_per_block, norm

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """Cells (N, bins, y, x) → features (N, y, x, cells_y, cells_x, bins)."""
        high, wide = self.cells_per_block
        blocks = cells.unfold(2, high, 1).unfold(3, wide, 1).movedim(1, -1)
        normalized: torch.Tensor = self.norm(blocks.flatten(-3))
        return normalized.reshape(blocks.shape)


class Absolute(torch.nn.Module):
    """v over the sum of its entries and an epsilon, or the root of this."""

    def __init__(self, rooted: bool) -> None:
        super().__init__()
        self.rooted = rooted

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Normalize along the last axis."""
        share = v / (v.abs().sum(dim=-1, keepdim=True) + _EPSILON)
        if not self.rooted:
            return share
        # Entries that are not above FLAT pass nothing.
        return root(share, FLAT**0.5)


class Euclidean(torch.nn.Module):
    """v over √(|v|² + ε²)."""

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Normalize along the last axis."""
        return v / (v.square().sum(dim=-1, keepdim=True) + _EPSILON**2).sqrt()


class Clipped(Euclidean):
    """The same, clipped at 0.2, and once more."""

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Normalize along the last axis."""
        return super().forward(clipped(super().forward(v), 0.2))


class OpenCVClipped(torch.nn.Module):
    """OpenCV's: v over |v| and a tenth of its entries' number, clipped, over its length and 1e-3.

    Parameters
    ----------
    threshold : float
        Where entries are clipped.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Normalize along the last axis."""
        first = clipped(v / (_length(v) + 0.1 * v.shape[-1]), self.threshold)
        return first / (_length(first) + 1e-3)


def _length(v: torch.Tensor) -> torch.Tensor:
    """|v| along the last axis, which passes nothing where it is zero."""
    return root(v.square().sum(dim=-1, keepdim=True))
