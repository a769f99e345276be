"""Codes of descriptors → codes of the cells of grids, in layers of torch."""

from __future__ import annotations

import torch

#: Codes of a smaller norm are zero.
_LEAST = 1e-12
#: Where a power is steeper, it passes nothing.
_STEEPEST = 1e5


def _shares(positions: torch.Tensor, size: int, cells: int, interpolate: bool) -> torch.Tensor:
    """Weights (cells, F) of positions in the cells that divide an axis evenly.

    Linear between the centres of two cells and whole beyond the outermost, or whole in the cell
    that a position lies in.
    """
    at = (positions + 0.5) * (cells / size)
    numbers = torch.arange(cells, dtype=at.dtype)[:, None]
    if interpolate and cells > 1:
        return (1 - ((at - 0.5).clamp(0, cells - 1) - numbers).abs()).clamp(min=0)
    return (at.floor().clamp(0, cells - 1) == numbers).to(at.dtype)


def _memberships(
    frames: torch.Tensor,
    size: tuple[int, int],
    grids: tuple[tuple[int, int], ...],
    interpolate: bool,
) -> torch.Tensor:
    """Weights (cells, F) of descriptors in the cells of grids, one grid after the other."""
    found = []
    for rows, columns in grids:
        down = _shares(frames[:, 0], size[0], rows, interpolate)
        across = _shares(frames[:, 1], size[1], columns, interpolate)
        found.append((down[:, None] * across).flatten(0, 1))
    return torch.cat(found)


class Mean(torch.nn.Module):
    """Weighted means over cells; those of cells without descriptors are zero.

    Parameters
    ----------
    interpolate : bool
        Share descriptors between the nearest cells.
    """

    def __init__(self, interpolate: bool) -> None:
        super().__init__()
        self.interpolate = interpolate

    def forward(
        self,
        codes: torch.Tensor,
        frames: torch.Tensor,
        size: tuple[int, int],
        grids: tuple[tuple[int, int], ...],
    ) -> torch.Tensor:
        """Codes (N, F, K) of descriptors at `frames` → codes (N, cells, K) of cells of `grids`."""
        weights = _memberships(frames, size, grids, self.interpolate)
        total = weights.sum(dim=1, keepdim=True)
        weights = weights / torch.where(total > 0, total, 1.0)
        return weights.to(codes.device, codes.dtype) @ codes


class Largest(torch.nn.Module):
    """The largest code of each word in a cell, zero where there are no descriptors.

    Of equal ones the first counts.
    """

    def forward(
        self,
        codes: torch.Tensor,
        frames: torch.Tensor,
        size: tuple[int, int],
        grids: tuple[tuple[int, int], ...],
    ) -> torch.Tensor:
        """Codes (N, F, K) of descriptors at `frames` → codes (N, cells, K) of cells of `grids`."""
        cells = []
        for weights in _memberships(frames, size, grids, False):
            members = weights.nonzero()[:, 0].to(codes.device)
            if len(members):
                cells.append(codes[:, members].max(dim=1).values)
            else:
                cells.append(torch.zeros_like(codes[:, 0]))
        return torch.stack(cells, dim=1)


class Powered(torch.nn.Module):
    """sign(z)·|z|^power; passes nothing where its slope exceeds 1e5.

    Parameters
    ----------
    power : float
    """

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Any tensor."""
        if self.power == 1:
            return z
        least = (_STEEPEST / self.power) ** (1 / (self.power - 1))
        size = z.abs()
        size = torch.where(size < least, size.detach(), size)
        return z.detach().sign() * size**self.power


class Unit(torch.nn.Module):
    """z over its norm along the last axis; zero where the norm is below 1e-12.

    Parameters
    ----------
    norm : {None, "l1", "l2"}
        None for z as it is.
    """

    def __init__(self, norm: str | None) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Normalize along the last axis."""
        if self.norm is None:
            return z
        power = 1 if self.norm == "l1" else 2
        total = z.abs().pow(power).sum(dim=-1, keepdim=True)
        empty = total < _LEAST**power
        size = torch.where(empty, torch.ones_like(total), total) ** (1 / power)
        return torch.where(empty, torch.zeros_like(z), z / size)
