"""Where dense descriptors lie, and the windows that their bins are pooled by, for each flavour."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import repinv
from repinv_cnn.nets.window_pooling import Windows, covered, triangle


def grid_layers(grid: Any) -> torch.nn.Module:
    """The pooling of a grid of `repinv.DSIFT`.

    Raises
    ------
    ValueError
        If the grid is of no flavour that is covered.
    """
    layer = _layers().get(type(grid))
    if layer is None:
        raise ValueError(
            "DSIFTNet covers the flavours vlfeat, phow, natural and kornia; got a grid of "
            f"{type(grid).__name__}. Use repinv_cnn.as_module for others."
        )
    return layer(grid)


@functools.cache
def _layers() -> dict[type, Callable[[Any], torch.nn.Module]]:
    """The pooling of each kind of grid."""
    examples: tuple[tuple[Any, Callable[[Any], torch.nn.Module]], ...] = (
        (repinv.DSIFT.vlfeat(), VLFeatWindows),
        (repinv.DSIFT.natural(), NaturalWindows),
        (repinv.DSIFT.kornia(), KorniaWindows),
    )
    return {type(dsift.flavour.grids[0]): layer for dsift, layer in examples}


def _spaced(first: float, step: int, count: int) -> torch.Tensor:
    """So many numbers from the first on, in float64."""
    return first + step * torch.arange(count, dtype=torch.float64)


class Smoothing(torch.nn.Module):
    """A Gaussian over the image, cut at 4 σ, the border's pixels repeated beyond it.

    Parameters
    ----------
    sigma : float
        Pixels; 0 for the image as it is.
    """

    taps: torch.Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.reach = math.ceil(4 * sigma)
        offsets = torch.arange(-self.reach, self.reach + 1, dtype=torch.float64)
        taps = torch.exp(-0.5 * (offsets / sigma) ** 2) if sigma > 0 else torch.ones_like(offsets)
        self.register_buffer("taps", taps / taps.sum(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Smooth gray images (N, 1, H, W)."""
        if self.reach == 0:
            return x
        padded = F.pad(x, (self.reach,) * 4, mode="replicate")
        # Products with a vector, since convolutions of one map are rounded on some devices.
        taps = self.taps.to(x.dtype)
        for axis in (2, 3):
            padded = padded.unfold(axis, len(taps), 1) @ taps
        return padded


class VLFeatWindows(torch.nn.Module):
    """VLFeat's: triangles about the centres of bins, and a Gaussian about that of the descriptor.

    Parameters
    ----------
    grid : dataclass
        Of `repinv.DSIFT.vlfeat` or one of `repinv.DSIFT.phow`.
    """

    def __init__(self, grid: Any) -> None:
        super().__init__()
        self.grid = grid
        rows, columns = (
            _vlfeat_windows(size, bins, grid.window_size, grid.flat)
            for size, bins in zip(grid.size, grid.bins, strict=True)
        )
        self.windows = Windows(rows, columns, grid.step)

    def _place(self, axis: int, size: int) -> tuple[int, int]:
        """Centre of the first bin of the first descriptor, and the number of descriptors."""
        grid = self.grid
        low, high = grid.margin, size - 1
        if grid.bounds is not None:
            low, high = grid.bounds[axis], grid.bounds[axis + 2]
        span = (grid.bins[axis] - 1) * grid.size[axis]
        return low, (high - low - span) // grid.step[axis] + 1

    def centres(self, axis: int, size: int) -> torch.Tensor:
        """Centres of descriptors along an axis."""
        grid, (low, count) = self.grid, self._place(axis, size)
        middle = (grid.bins[axis] - 1) * grid.size[axis] / 2
        return _spaced(low + middle, grid.step[axis], count)

    def forward(self, votes: torch.Tensor) -> torch.Tensor:
        """Votes (N, T, H, W) → (N, T, bins_y, bins_x, y, x)."""
        first, last = [], []
        for axis in (0, 1):
            low, count = self._place(axis, votes.shape[2 + axis])
            width = self.grid.size[axis]
            first.append(low + 1 - width)
            length = (self.grid.bins[axis] + 1) * width - 1
            last.append(first[-1] + (count - 1) * self.grid.step[axis] + length)
        pooled: torch.Tensor = self.windows(
            covered(votes, (first[0], first[1]), (last[0], last[1]))
        )
        return pooled


def _vlfeat_windows(size: int, bins: int, window_size: float, flat: bool) -> np.ndarray:
    """Weights (bins, taps) over all pixels that a descriptor sees along an axis."""
    taps = np.arange((bins + 1) * size - 1)
    centres = size - 1 + size * np.arange(bins)[:, None]
    bumps = triangle(taps - centres, size)
    middle = size - 1 + size * (bins - 1) / 2
    gauss = np.exp(-0.5 * ((taps - middle) / (window_size * size)) ** 2)
    if flat:
        inside = np.abs(taps - centres) < size
        gauss = (inside * gauss).sum(axis=1, keepdims=True) / inside.sum(axis=1, keepdims=True)
    weights: np.ndarray = bumps * gauss
    return weights


class NaturalWindows(torch.nn.Module):
    """Mahendran and Vedaldi's: four by four cells side by side, descriptors every three cells.

    Triangles are centred between two pixels; pixels at the border do not vote.

    Parameters
    ----------
    grid : dataclass
        Of `repinv.DSIFT.natural`.
    """

    def __init__(self, grid: Any) -> None:
        super().__init__()
        self.cell = grid.bin_size
        cells = np.arange(4)[:, None]
        taps = (np.arange(5 * self.cell) + 0.5) / self.cell
        gauss = np.exp(-0.5 * ((cells - 1.5) / 1.5) ** 2)
        weights = gauss * triangle(taps - 1 - cells, 1.0)
        self.windows = Windows(weights, weights, (3 * self.cell,) * 2)

    def centres(self, axis: int, size: int) -> torch.Tensor:
        """Centres of descriptors along an axis."""
        count = (size - 2 - 5 * self.cell) // (3 * self.cell) + 1
        return _spaced(2.5 * self.cell + 0.5, 3 * self.cell, count)

    def forward(self, votes: torch.Tensor) -> torch.Tensor:
        """Votes (N, T, H, W) → (N, T, 4, 4, y, x)."""
        pooled: torch.Tensor = self.windows(votes[..., 1:-1, 1:-1])
        return pooled


class KorniaWindows(torch.nn.Module):
    """kornia's: pooled by a triangle at every pixel, and bins read off as many pixels apart.

    There is nothing beyond the image, nor beyond the pooled map.

    Parameters
    ----------
    grid : dataclass
        Of `repinv.DSIFT.kornia`.
    """

    def __init__(self, grid: Any) -> None:
        super().__init__()
        self.grid = grid
        half = grid.kernel / 2
        weights = triangle(np.arange(grid.kernel) + 0.5 - half, half)[None]
        self.pool = Windows(weights, weights, (1, 1))
        bins = np.eye(grid.side)
        self.bins = Windows(bins, bins, (grid.stride,) * 2, (grid.kernel,) * 2)

    def centres(self, axis: int, size: int) -> torch.Tensor:
        """Centres of descriptors along an axis."""
        grid = self.grid
        even = int(grid.kernel % 2 == 0)
        span = (grid.side - 1) * grid.kernel
        count = (size + even + 2 * grid.padding - span - 1) // grid.stride + 1
        first = span / 2 - grid.padding - even / 2
        return _spaced(first, grid.stride, count)

    def forward(self, votes: torch.Tensor) -> torch.Tensor:
        """Votes (N, T, H, W) → (N, T, bins_y, bins_x, y, x)."""
        pooled = self.pool(F.pad(votes, (self.grid.kernel // 2,) * 4))[:, :, 0, 0]
        gathered: torch.Tensor = self.bins(F.pad(pooled, (self.grid.padding,) * 4))
        return gathered
