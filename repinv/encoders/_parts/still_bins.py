"""Where features that are zero prove that an image has no gradient.

Features are sums of positive votes: one that is zero has no vote. An axis of an image is described
by the pixels that vote for each of its cells, a matrix (cells, pixels) of zeros and ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Bins(NamedTuple):
    """Which of the orientation bins a gradient across votes for, and which one down, (bins,)."""

    across: np.ndarray
    down: np.ndarray


def axis_bins(count: int, directed: bool, shift: float, shared: bool) -> Bins:
    """`Bins` that divide a turn, half of one unless `directed`.

    An angle lies at θ·count/turn − `shift` between the centres of bins, and votes for the nearest
    one, or where votes are `shared` for the two about it.
    """
    turn = 2 * np.pi if directed else np.pi

    def voted(angles: tuple[float, ...]) -> np.ndarray:
        found = np.zeros(count, bool)
        for angle in angles:
            position = angle % turn * count / turn - shift
            # Of two bins at the same distance either may be meant.
            near = (np.floor(position + 0.5 - 1e-6), np.floor(position + 0.5 + 1e-6))
            both = (np.floor(position + 1e-6), np.ceil(position - 1e-6))
            for k in both if shared else near:
                found[int(k) % count] = True
        return found

    return Bins(voted((0.0, np.pi)), voted((np.pi / 2, 3 * np.pi / 2)))


def without_votes(
    silent: np.ndarray, bins: Bins, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Pixels (2, H, W) without a gradient across, and without one down.

    Parameters
    ----------
    silent : ndarray of bool, shape (bins, rows of cells, columns of cells)
    bins : Bins
    rows, columns : ndarray, shapes (rows of cells, H) and (columns of cells, W)
        Which pixels vote for which cells.

    Notes
    -----
    Where all bins are zero but those of gradients down, there is none across: as far as features
    show, edges are horizontal there.
    """
    still = np.ones((2, rows.shape[1], columns.shape[1]), bool)
    for one, is_across, is_down in zip(silent, bins.across, bins.down, strict=True):
        none = rows.T @ one.astype(np.float32) @ columns > 0
        if not is_down:
            still[0] &= none
        if not is_across:
            still[1] &= none
    return still
