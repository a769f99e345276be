"""Features of any encoder that has cells, blocks or descriptors on a grid, as one map."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from repinv._core import positions
from repinv.encoders.base import Encoder
from repinv.encoders.hog.hog import HOG
from repinv.encoders.hog.per_block import BoxHOG
from repinv.encoders.hog.per_window import WindowHOG
from repinv.encoders.sparse.cell_windows import Lattice

#: Features F of one image → (rows, columns, D).
ToCells: TypeAlias = Callable[[np.ndarray], np.ndarray]


def view(encoder: Encoder, image_shape: tuple[int, ...]) -> tuple[Lattice, ToCells]:
    """Where the cells of an image (C, H, W) lie, and how its features become a map of them.

    Cells are what the encoder has on a rectangular grid: HOG's cells or blocks, descriptors of
    dense SIFT, cells of a bag of words.

    Raises
    ------
    TypeError
        If it has no such grid.
    """
    for found in (_descriptors, _grid, _blocks, _window):
        one = found(encoder, image_shape)
        if one is not None:
            return one
    raise TypeError(
        f"expected an encoder with cells on one grid; the features of {type(encoder).__name__} "
        f"have the shape {encoder.feature_shape(image_shape)}. Use HOG of one window, DSIFT of one "
        "size, or words on a grid of 2x2 cells or more."
    )


def _descriptors(encoder: Encoder, image_shape: tuple[int, ...]) -> tuple[Lattice, ToCells] | None:
    """Local descriptors, if their centres form one grid in the order of its rows."""
    axis = encoder.descriptor_axis
    if axis is None:
        return None
    frames = encoder.frames(image_shape)
    rows, columns = (np.unique(np.round(frames[:, i], 6)) for i in (0, 1))
    grid = positions.grid(rows, columns)
    if grid.shape != frames.shape or not np.allclose(grid, frames, atol=1e-4):
        return None
    steps = [np.diff(places) for places in (rows, columns)]
    if any(len(step) and np.ptp(step) > 1e-3 for step in steps):
        return None
    means = [float(step.mean()) if len(step) else math.nan for step in steps]
    square = next((m for m in means if not math.isnan(m)), float(max(image_shape[1:])))
    spacing = tuple(square if math.isnan(m) else m for m in means)
    lattice = Lattice(
        len(rows),
        len(columns),
        (float(rows[0]), float(columns[0])),
        spacing,  # type: ignore[arg-type]
    )

    def cells(features: np.ndarray) -> np.ndarray:
        last = np.moveaxis(features, axis, -1)
        return last.reshape(len(rows), len(columns), last.shape[-1])

    return lattice, cells


def _grid(encoder: Encoder, image_shape: tuple[int, ...]) -> tuple[Lattice, ToCells] | None:
    """Bags of words and their kin, whose cells divide the image evenly."""
    grid = getattr(encoder, "grid", None)
    if not (isinstance(grid, tuple) and len(grid) == 2 and isinstance(grid[0], int)):
        return None
    if min(grid) < 2:
        return None
    spacing = image_shape[1] / grid[0], image_shape[2] / grid[1]
    lattice = Lattice(*grid, (spacing[0] / 2 - 0.5, spacing[1] / 2 - 0.5), spacing)
    return lattice, lambda features: features.reshape(*grid, -1)


def _blocks(encoder: Encoder, image_shape: tuple[int, ...]) -> tuple[Lattice, ToCells] | None:
    """scikit-image's blocks."""
    flavour = encoder.flavour if isinstance(encoder, HOG) else None
    if not isinstance(flavour, BoxHOG):
        return None
    rows, columns = encoder.feature_shape(image_shape)[:2]
    pairs = zip(flavour.cells_per_block, flavour.pixels_per_cell, strict=True)
    origin = tuple(cells * pixels / 2 - 0.5 for cells, pixels in pairs)
    spacing = tuple(float(pixels) for pixels in flavour.pixels_per_cell)
    lattice = Lattice(rows, columns, origin, spacing)  # type: ignore[arg-type]
    return lattice, lambda features: features.reshape(rows, columns, -1)


def _window(encoder: Encoder, image_shape: tuple[int, ...]) -> tuple[Lattice, ToCells] | None:
    """OpenCV's blocks of one window, which run down the columns."""
    flavour = encoder.flavour if isinstance(encoder, HOG) else None
    if not isinstance(flavour, WindowHOG):
        return None
    blocks = flavour.window_shape()
    if math.prod(encoder.feature_shape(image_shape)) != math.prod(blocks):
        return None
    size, stride = flavour.block_size[::-1], flavour.block_stride[::-1]
    lattice = Lattice(
        blocks[1],
        blocks[0],
        (size[0] / 2 - 0.5, size[1] / 2 - 0.5),
        (float(stride[0]), float(stride[1])),
    )

    def cells(features: np.ndarray) -> np.ndarray:
        upright = np.swapaxes(features.reshape(*blocks[:2], -1), 0, 1)
        return np.ascontiguousarray(upright)

    return lattice, cells
