"""How much of an image's descriptors each word has in each cell, and what they sum to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from repinv.encoders.words.pooling import Mean


def _by_cell(cells: Mean, rows: slice) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each cell that some descriptors belong to: its number, which these are, and their weights.

    A descriptor has a weight in a cell once at most.
    """
    cell, weight = cells.cell[rows], cells.weight[rows]
    counts = weight > 0
    for number in np.unique(cell[counts]):
        inside, at = np.nonzero((cell == number) & counts)
        yield int(number), inside, weight[inside, at][:, None]


def add_moments(
    x: np.ndarray,
    codes: np.ndarray,
    cells: Mean,
    rows: slice,
    mass: np.ndarray,
    sums: np.ndarray,
) -> None:
    """mass[c, k] += Σ w q_k and sums[c, k] += Σ w q_k x, over the descriptors of some rows."""
    for c, inside, weight in _by_cell(cells, rows):
        share = weight * codes[inside]
        mass[c] += share.sum(axis=0)
        sums[c] += share.T @ x[inside]


def pull_moments(
    x: np.ndarray,
    codes: np.ndarray,
    cells: Mean,
    rows: slice,
    from_mass: np.ndarray,
    from_sums: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Cotangents of the codes and of x at some rows, the other being fixed."""
    from_codes, grad = np.zeros_like(codes), np.zeros(x.shape, x.dtype)
    for c, inside, weight in _by_cell(cells, rows):
        from_codes[inside] += weight * (x[inside] @ from_sums[c].T + from_mass[c])
        grad[inside] += (weight * codes[inside]) @ from_sums[c]
    return from_codes, grad
