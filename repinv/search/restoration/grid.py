"""Local features of an image, brought to the grid of a restorer's network."""

from __future__ import annotations

import numpy as np

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.search.restoration.network import COARSE, MIDDLE


def vectors(encoder: Encoder, features: Array, size: tuple[int, int]) -> np.ndarray:
    """Local features of images on the grid, (N, D, h, w); NaN where there is none.

    In units of the root mean square over each image: encoders that normalize blocks of other sizes
    give the same then.

    Raises
    ------
    ValueError
        If the encoder's features are not local.
    """
    found = encoder.local_features(features, (encoder.channels or 1, *size))
    if found is None:
        raise ValueError(
            f"features of {type(encoder).__name__} do not say where in the image they are from, "
            "which a restorer has to know. Leave prior out."
        )
    means = on_grid(*found, size)
    power = np.sqrt(np.nanmean(means * means, axis=(1, 2, 3), keepdims=True))
    return np.asarray(means / np.where(power > 0, power, 1))


def in_units(vectors: np.ndarray, offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Features on the grid (N, D, h, w) in units of their deviation, zero where there is none.

    Parameters
    ----------
    vectors : ndarray, shape (N, D, h, w)
        NaN where there is none.
    offset, scale : ndarray, shape (D,)
        Mean and deviation of each number.

    Returns
    -------
    vectors : ndarray, shape (N, D, h, w), float32
        The same in those units.
    """
    found = np.nan_to_num((vectors - offset[:, None, None]) / scale[:, None, None])
    return np.asarray(found, dtype=np.float32)


def on_grid(vectors: np.ndarray, positions: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Weighted means of vectors about each place of the grid.

    Weights fall linearly with the distance, to zero at the spacing of the grid, or of the vectors
    where these lie further apart. Vectors in the middle of a place are taken as they are.

    Parameters
    ----------
    vectors : ndarray, shape (N, M, D)
    positions : ndarray, shape (M, 2)
        Of the vectors: (y, x) in pixels.
    size : tuple of int
        (H, W) of the image.

    Returns
    -------
    means : ndarray, shape (N, D, h, w), float32
        NaN where there is none.
    """
    shape = [-(-side // COARSE) * COARSE // MIDDLE for side in size]
    reach = max(1.0, _spacing(positions) / MIDDLE)
    at = (positions - (MIDDLE - 1) / 2) / MIDDLE
    first = np.ceil(at - reach).astype(np.int64)
    total = np.zeros((shape[0] * shape[1], len(vectors) * vectors.shape[2]), np.float64)
    weights = np.zeros(len(total))
    rows = np.moveaxis(vectors, 1, 0).reshape(len(positions), -1)
    for step in np.ndindex(*[int(2 * reach) + 1] * 2):
        place = first + step
        weight = np.prod(np.clip(1 - np.abs(at - place) / reach, 0, None), axis=1)
        inside = np.all((place >= 0) & (place < shape), axis=1) & (weight > 1e-6)
        index = np.ravel_multi_index(tuple(place[inside].T), shape)
        np.add.at(total, index, weight[inside, None] * rows[inside])
        np.add.at(weights, index, weight[inside])
    means = total / np.where(weights > 0, weights, np.nan)[:, None]
    means = means.reshape(*shape, len(vectors), vectors.shape[2])
    return np.transpose(means, (2, 3, 0, 1)).astype(np.float32)


def _spacing(positions: np.ndarray) -> float:
    """Distance in pixels between neighbours, if positions lie on a grid; the longer of two."""
    steps = [np.diff(np.unique(positions[:, axis])) for axis in range(2)]
    return max((float(np.max(step)) for step in steps if len(step)), default=0.0)
