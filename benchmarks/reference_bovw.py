"""A bag of words over VLFeat's flat dense SIFT in plain NumPy, SciPy and float64.

It shares no code with repinv, so that no mistake of ours can flatter the benchmarks' errors.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def flat_dsift(
    image: np.ndarray, *, step: int = 5, size: int = 5, window: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors (F, 128) of one gray image (H, W), and their centres (F, 2), row by row."""
    gy, gx = np.gradient(np.asarray(image, np.float64))
    magnitude, angle = np.hypot(gx, gy), np.arctan2(gy, gx)
    distance = np.abs((angle - np.arange(8)[:, None, None] * np.pi / 4 + np.pi) % (2 * np.pi))
    votes = magnitude * np.maximum(0, 1 - np.abs(distance - np.pi) * 4 / np.pi)
    offsets = np.arange(1 - size, size)
    triangle = 1 - np.abs(offsets) / size
    for axis in (1, 2):
        votes = ndimage.correlate1d(votes, triangle, axis=axis, mode="nearest")
    bins = np.arange(4)
    spread = ((bins[:, None] - 1.5) * size + offsets) / (window * size)
    factor = np.exp(-0.5 * spread**2).mean(axis=1)
    along = [np.arange(0, length - 3 * size, step) for length in image.shape]
    rows, columns = (first[:, None] + bins * size for first in along)
    pooled = votes[:, rows[:, None, :, None], columns[None, :, None, :]]
    raw = np.einsum("kyxij,i,j->yxijk", pooled, factor, factor).reshape(-1, 128)
    for last in (False, True):
        raw /= np.sqrt((raw**2).sum(1, keepdims=True)) + 1.19209290e-07
        raw = raw if last else np.minimum(raw, 0.2)
    centres = np.stack(np.meshgrid(*along, indexing="ij"), -1).reshape(-1, 2) + 1.5 * size
    return raw, centres


def bag_of_words(
    image: np.ndarray, vocabulary: np.ndarray, *, grid: int, temperature: float
) -> np.ndarray:
    """Features (grid, grid, words): triangular means of softmax(−d²/T), T = 0 for the nearest."""
    x, centres = flat_dsift(image)
    words = np.asarray(vocabulary, np.float64)
    squared = (x**2).sum(1)[:, None] - 2 * x @ words.T + (words**2).sum(1)
    if temperature == 0:
        codes = np.eye(len(words))[squared.argmin(1)]
    else:
        codes = np.exp((squared.min(1, keepdims=True) - squared) / temperature)
        codes /= codes.sum(1, keepdims=True)
    shares = []
    for axis in (0, 1):
        # Between the centres of two cells the share falls linearly; beyond the last it is whole.
        place = (centres[:, axis] + 0.5) * grid / image.shape[axis] - 0.5
        place = np.clip(place, 0, grid - 1)
        shares.append(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(grid))))
    weights = np.einsum("fi,fj->ijf", *shares)
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    return np.tensordot(weights, codes, axes=1)
