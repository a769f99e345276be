"""Codes of local descriptors → codes of cells: means over grids, maxima, or every place."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

import numpy as np

from repinv.encoders._kernels.jit import jit
from repinv.encoders._parts import validation

#: Cells down and across; several of these are a spatial pyramid.
Grid: TypeAlias = tuple[int, int]


def grid(value: Any) -> Grid | tuple[Grid, ...]:
    """A checked grid, or several."""
    if isinstance(value, tuple | list) and value and isinstance(value[0], tuple | list):
        return tuple(validation.pair(f"grid[{i}]", one) for i, one in enumerate(value))
    return validation.pair("grid", value)


def grids(value: Any) -> tuple[Grid, ...]:
    """A checked grid, or several, as several."""
    return value if isinstance(value[0], tuple) else (value,)


def of_size(cell_size: int, image_shape: tuple[int, ...]) -> Grid:
    """The grid of an image (C, H, W) whose cells come nearest to a size in pixels."""
    down, across = (max(1, round(size / cell_size)) for size in image_shape[1:])
    return down, across


@jit
def _add_means(codes, cell, weight, pooled):  # type: ignore[no-untyped-def]
    """pooled[cell] += weight·codes, for each descriptor and each of its cells."""
    for i in range(cell.shape[0]):
        for j in range(cell.shape[1]):
            w, row = weight[i, j], pooled[cell[i, j]]
            if w == 0:
                continue
            for k in range(row.size):
                row[k] += w * codes[i, k]


@jit
def _pull_means(from_pooled, cell, weight, grad):  # type: ignore[no-untyped-def]
    """Adjoint of `_add_means`."""
    for i in range(cell.shape[0]):
        grad[i, :] = 0
        for j in range(cell.shape[1]):
            w, row = weight[i, j], from_pooled[cell[i, j]]
            if w == 0:
                continue
            for k in range(row.size):
                grad[i, k] += w * row[k]


@jit
def _add_largest(codes, first, cell, pooled, chosen):  # type: ignore[no-untyped-def]
    """The largest code of each cell and the descriptor that has it; ties to the first."""
    for i in range(cell.shape[0]):
        for j in range(cell.shape[1]):
            c = cell[i, j]
            for k in range(pooled.shape[1]):
                if chosen[c, k] < 0 or codes[i, k] > pooled[c, k]:
                    pooled[c, k], chosen[c, k] = codes[i, k], first + i


@jit
def _pull_largest(from_pooled, first, cell, chosen, grad):  # type: ignore[no-untyped-def]
    """Each descriptor takes the cotangents of what it was the largest in."""
    for i in range(cell.shape[0]):
        grad[i, :] = 0
        for j in range(cell.shape[1]):
            c = cell[i, j]
            for k in range(grad.shape[1]):
                if chosen[c, k] == first + i:
                    grad[i, k] += from_pooled[c, k]


@dataclasses.dataclass(frozen=True)
class Everywhere:
    """No pooling: the codes themselves, one row a descriptor."""

    count: int

    def start(self, size: int, dtype: Any) -> tuple[np.ndarray, ...]:
        """What `add` writes to; the pooled codes come first."""
        return (np.empty((self.count, size), dtype),)

    def add(self, rows: slice, codes: np.ndarray, pooled: tuple[np.ndarray, ...]) -> None:
        """Take in the codes of some descriptors."""
        pooled[0][rows] = codes

    def pull(
        self, rows: slice, from_pooled: np.ndarray, pooled: tuple[np.ndarray, ...]
    ) -> np.ndarray:
        """Cotangent of the codes of some descriptors."""
        return np.array(from_pooled[rows])


@dataclasses.dataclass(frozen=True)
class Mean:
    """Weighted means over cells: a cell's weights sum to one, or are none at all.

    Parameters
    ----------
    cell : ndarray, shape (F, J), int64
        The cells of each descriptor.
    weight : ndarray, shape (F, J), floating
        Its shares in them.
    count : int
        Number of cells.
    """

    cell: np.ndarray
    weight: np.ndarray
    count: int

    def start(self, size: int, dtype: Any) -> tuple[np.ndarray, ...]:
        """What `add` adds to."""
        return (np.zeros((self.count, size), dtype),)

    def add(self, rows: slice, codes: np.ndarray, pooled: tuple[np.ndarray, ...]) -> None:
        """Take in the codes of some descriptors."""
        _add_means(codes, self.cell[rows], self.weight[rows], pooled[0])

    def pull(
        self, rows: slice, from_pooled: np.ndarray, pooled: tuple[np.ndarray, ...]
    ) -> np.ndarray:
        """Cotangent of the codes of some descriptors."""
        grad = np.empty((rows.stop - rows.start, from_pooled.shape[1]), from_pooled.dtype)
        _pull_means(from_pooled, self.cell[rows], self.weight[rows], grad)
        return grad


@dataclasses.dataclass(frozen=True)
class Largest:
    """The largest code of each word among the descriptors of a cell; zero where there are none."""

    cell: np.ndarray  # (F, J) int64
    count: int

    def start(self, size: int, dtype: Any) -> tuple[np.ndarray, ...]:
        """The largest codes, and the descriptors that have them."""
        return np.zeros((self.count, size), dtype), np.full((self.count, size), -1, np.int64)

    def add(self, rows: slice, codes: np.ndarray, pooled: tuple[np.ndarray, ...]) -> None:
        """Take in the codes of some descriptors."""
        _add_largest(codes, rows.start, self.cell[rows], *pooled)

    def pull(
        self, rows: slice, from_pooled: np.ndarray, pooled: tuple[np.ndarray, ...]
    ) -> np.ndarray:
        """Cotangent of the codes of some descriptors."""
        grad = np.empty((rows.stop - rows.start, from_pooled.shape[1]), from_pooled.dtype)
        _pull_largest(from_pooled, rows.start, self.cell[rows], pooled[1], grad)
        return grad


def mean(
    frames: np.ndarray,
    size: tuple[int, int],
    cells: tuple[Grid, ...],
    interpolate: bool,
    dtype: Any,
) -> Mean:
    """Means over the cells of grids that divide an image of `size` evenly.

    Parameters
    ----------
    frames : ndarray, shape (F, 2)
        Centres (y, x) of the descriptors.
    size : tuple of int
        (H, W).
    cells : tuple of (int, int)
        Cells down and across; the cells of one grid follow those of the one before.
    interpolate : bool
        Share a descriptor linearly between the four nearest cell centres; beyond the outermost
        centres it counts whole. Otherwise it counts in the cell that it lies in.
    dtype : dtype
        Of the weights.
    """
    numbers, weights, first = [], [], 0
    for rows, columns in cells:
        down = _axis(frames[:, 0], size[0], rows, interpolate)
        across = _axis(frames[:, 1], size[1], columns, interpolate)
        for row, share in down:
            for column, other in across:
                numbers.append(first + row * columns + column)
                weights.append(share * other)
        first += rows * columns
    cell, weight = np.stack(numbers, axis=1), np.stack(weights, axis=1)
    total = np.bincount(cell.ravel(), weights=weight.ravel(), minlength=first)
    weight /= np.where(total > 0, total, 1)[cell]
    return Mean(cell, weight.astype(dtype), first)


def _axis(
    position: np.ndarray, size: int, cells: int, interpolate: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cells along an axis that positions belong to, and their shares."""
    scaled = (position + 0.5) * (cells / size)
    if not interpolate or cells == 1:
        inside = np.clip(np.floor(scaled).astype(np.int64), 0, cells - 1)
        return [(inside, np.ones(len(position)))]
    between = np.clip(scaled - 0.5, 0, cells - 1)
    lower = np.minimum(np.floor(between).astype(np.int64), cells - 2)
    return [(lower, 1 - (between - lower)), (lower + 1, between - lower)]


def largest(frames: np.ndarray, size: tuple[int, int], cells: tuple[Grid, ...]) -> Largest:
    """Maxima over the cells of grids; a descriptor belongs to the cell that it lies in."""
    boxes = mean(frames, size, cells, False, np.float32)
    return Largest(boxes.cell, boxes.count)
