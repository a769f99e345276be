"""Pooling of maps by fixed windows, as convolutions of each map by itself."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def triangle(taps: np.ndarray, width: float) -> np.ndarray:
    """A peak of 1 at 0 that falls to 0 at ±`width`."""
    weights: np.ndarray = np.maximum(0, 1 - np.abs(taps) / width)
    return weights


class Windows(torch.nn.Module):
    """Weighted sums over windows that repeat along both axes.

    Parameters
    ----------
    rows, columns : ndarray, shape (bins, taps)
        Windows along y and x; the outer products of theirs are those in the plane.
    stride, dilation : (int, int)
        Pixels between repetitions, and between taps; (y, x).

    Notes
    -----
    Maps (N, T, H, W) give (N, T, bins_y, bins_x, y, x). Each map is convolved by itself, first
    down, then across. On CUDA such convolutions are torch's own, which keep float32, whereas
    cuDNN's round it to TF32 unless told not to.
    """

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        stride: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        # In float64, so that both precisions are served; they are no part of what is saved.
        self.register_buffer("rows", torch.tensor(rows, dtype=torch.float64), persistent=False)
        self.register_buffer(
            "columns", torch.tensor(columns, dtype=torch.float64), persistent=False
        )
        self.stride, self.dilation = stride, dilation

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Pool maps (N, T, H, W) to (N, T, bins_y, bins_x, y, x)."""
        given = maps.shape[1]
        for axis, weights in ((0, self.rows), (1, self.columns)):
            count = maps.shape[1]
            shape = (len(weights), 1, -1, 1) if axis == 0 else (len(weights), 1, 1, -1)
            filters = weights.to(maps.dtype).reshape(shape).repeat(count, 1, 1, 1)
            stride, dilation = [1, 1], [1, 1]
            stride[axis], dilation[axis] = self.stride[axis], self.dilation[axis]
            maps = F.conv2d(maps, filters, stride=stride, dilation=dilation, groups=count)
        bins = len(self.rows), len(self.columns)
        return maps.reshape(len(maps), given, *bins, *maps.shape[2:])


def covered(maps: torch.Tensor, first: tuple[int, int], last: tuple[int, int]) -> torch.Tensor:
    """Pixels `first` to `last` (exclusive) along (y, x) of maps, whose border goes on beyond it."""
    height, width = maps.shape[2:]
    (top, left), (bottom, right) = first, last
    inner = maps[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    margins = (
        max(-left, 0),
        max(right - width, 0),
        max(-top, 0),
        max(bottom - height, 0),
    )
    return F.pad(inner, margins, mode="replicate") if any(margins) else inner
