"""Scenes without end, of few photographs: pieces at all scales and turns, and collages of them.

A collage is a picture of dead leaves: shapes that lie over each other, each filled with another
piece. It has the edges, corners and junctions of photographs, where none of them has them, so that
what learns from it learns these, and not the photographs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import skimage
from scipy import ndimage, special

#: Share of the scenes that are collages, the most shapes in one, and how many of these are faint.
COLLAGES, SHAPES, FAINT = 0.2, 9, 0.35
#: Standard deviation below which a scene shows nothing.
FLAT = 0.03
#: How much smaller than its photograph, and how much larger, a piece is at most.
SMALLEST, LARGEST = 5.0, 1.65
#: Deviations of the turn in degrees, of the logarithm of how much longer one axis becomes than the
#: other, and of the logarithm of the exponent of intensities.
TURN, STRETCH, GAMMA = 12.0, 0.24, 0.25


def scene(photographs: Sequence[np.ndarray], side: int, rng: np.random.Generator) -> np.ndarray:
    """A piece of a photograph, or a collage.

    Parameters
    ----------
    photographs : sequence of ndarray, shape (H, W) or (H, W, 3)
        In [0, 1].
    side : int
    rng : Generator

    Returns
    -------
    scene : ndarray, shape (side, side), float32
        In [0, 1].
    """
    while True:
        found = _piece(photographs, side, rng)
        if rng.random() < COLLAGES:
            for _ in range(int(rng.integers(1, SHAPES + 1))):
                shape = _shape(side, rng)
                found = found + shape * (_filling(photographs, side, rng) - found)
        if found.std() >= FLAT:
            return np.asarray(np.clip(found, 0, 1), dtype=np.float32)


def _piece(photographs: Sequence[np.ndarray], side: int, rng: np.random.Generator) -> np.ndarray:
    """A part of a photograph, turned, stretched, perhaps mirrored, at other intensities."""
    photograph = _gray(photographs[int(rng.integers(len(photographs)))], rng)
    angle = math.radians(rng.normal(0, TURN) if rng.random() < 0.7 else rng.uniform(0, 360))
    stretch = math.exp(rng.normal(0, STRETCH) / 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn * [stretch, (1 if rng.random() < 0.5 else -1) / stretch]
    reach = np.abs(matrix).sum(axis=1) * side / 2
    most = math.log(min(SMALLEST, float(np.min(np.array(photograph.shape) / 2 / reach))))
    least = -math.log(LARGEST) if rng.random() < 0.3 else 0.0
    scale = math.exp(rng.uniform(min(least, most), most))
    if scale > 1:
        photograph = ndimage.gaussian_filter(photograph, (scale - 1) / 2)
    room = np.array(photograph.shape) / 2 - scale * reach
    centre = (np.array(photograph.shape) - 1) / 2 + rng.uniform(-1, 1, 2) * np.maximum(room, 0)
    found = ndimage.affine_transform(
        photograph,
        scale * matrix,
        centre - scale * matrix @ np.full(2, (side - 1) / 2),
        (side, side),
        order=1 if scale > 1.3 else 3,
        mode="mirror",
    )
    return np.asarray(np.clip(found, 0, 1) ** math.exp(rng.normal(0, GAMMA)))


def _gray(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A photograph in gray; a coloured one as if seen through some filter, half of the time."""
    if photograph.ndim == 2:
        return photograph
    if rng.random() < 0.5:
        return np.asarray(skimage.color.rgb2gray(photograph))
    return np.asarray(photograph @ rng.dirichlet(np.ones(3)).astype(photograph.dtype))


def _filling(photographs: Sequence[np.ndarray], side: int, rng: np.random.Generator) -> np.ndarray:
    """A piece at another brightness and contrast; some are nearly flat."""
    piece = _piece(photographs, side, rng)
    contrast = rng.uniform(0, 0.3) if rng.random() < FAINT else rng.uniform(0.4, 1.2)
    level = rng.uniform(0.05, 0.95)
    return np.asarray(np.clip(contrast * (piece - piece.mean()) + level, 0, 1))


def _shape(side: int, rng: np.random.Generator) -> np.ndarray:
    """How much of each pixel a shape covers: a blob, or a polygon, which may have no end."""
    y, x = np.mgrid[:side, :side] - side * rng.uniform(-0.1, 1.1, (2, 1, 1))
    size = side * math.exp(rng.uniform(math.log(0.06), math.log(0.6)))
    angle, longer = rng.uniform(0, 2 * math.pi), math.exp(rng.normal(0, 0.4))
    u = (x * math.cos(angle) + y * math.sin(angle)) / (size * longer)
    v = (y * math.cos(angle) - x * math.sin(angle)) / (size / longer)
    if rng.random() < 0.5:
        towards = np.arctan2(v, u)
        edge = 1 + sum(
            rng.normal(0, 0.25) / wave * np.cos(wave * towards + rng.uniform(0, 2 * math.pi))
            for wave in range(2, 7)
        )
        beyond = np.hypot(u, v) - edge
    else:
        sides = rng.uniform(0, 2 * math.pi, int(rng.integers(3, 7)))
        beyond = np.max(
            [u * math.cos(a) + v * math.sin(a) - rng.uniform(0.5, 1) for a in sides], axis=0
        )
    softness = math.exp(rng.uniform(math.log(0.4), math.log(2.5)))  # of the edge, in pixels
    return np.asarray(special.expit(-2 * size / softness * beyond))
