"""Maps of cells: windows of them, the pixels that they lie over, and images put together again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates
from skimage.transform import resize

from repinv.encoders.base import Encoder

#: Samples of a patch along a cell, and cells that a patch shows around its window.
SAMPLES, MARGIN = 4, 1
#: Standard deviation of the weight of a patch about its centre, in cells: nine pixels of ihog's.
_SIGMA = 9 / 8
#: Norm below which a window counts as constant, relative to its largest entry.
_CONSTANT = 1e-6


@dataclass(frozen=True)
class Lattice:
    """Where the cells of an image lie.

    Parameters
    ----------
    rows, columns : int
    origin, spacing : (float, float)
        (y, x) of the first cell's centre, and the distances of the centres, in pixels.
    """

    rows: int
    columns: int
    origin: tuple[float, float]
    spacing: tuple[float, float]

    def windows(self, side: int) -> tuple[int, int]:
        """Windows of side × side cells, down and across; none if the map is smaller."""
        return max(self.rows - side + 1, 0), max(self.columns - side + 1, 0)


def lattice(encoder: Encoder, image_shape: tuple[int, ...]) -> Lattice:
    """The cells of an encoder whose local descriptors form one rectangular map.

    Raises
    ------
    TypeError
        If the features are not such a map.
    """
    shape = list(encoder.feature_shape(image_shape))
    axis = encoder.descriptor_axis
    if axis is None or len(shape) != 3:
        raise TypeError(
            f"expected an encoder of one map of cells; the features of {type(encoder).__name__} "
            f"have the shape {tuple(shape)}. Use one such as repinv.HOG.vlfeat()."
        )
    del shape[axis]
    rows, columns = shape
    frames = encoder.frames(image_shape).reshape(rows, columns, 2)
    origin = frames[0, 0]
    far = frames[-1, -1] - origin
    across = [far[i] / (n - 1) if n > 1 else None for i, n in enumerate((rows, columns))]
    # A map of one cell along an axis has no spacing there; cells are square.
    known = [s for s in across if s] or [float(max(image_shape[1:]))]
    spacing = tuple(float(s or known[0]) for s in across)
    return Lattice(rows, columns, (float(origin[0]), float(origin[1])), spacing)  # type: ignore[arg-type]


def windows(cells: np.ndarray, side: int) -> np.ndarray:
    """Windows of a map (rows, columns, D) as rows (M, side² · D)."""
    view = np.lib.stride_tricks.sliding_window_view(cells, (side, side), axis=(0, 1))
    return np.ascontiguousarray(np.moveaxis(view, 2, -1)).reshape(-1, side**2 * cells.shape[2])


def pull_windows(grad: np.ndarray, side: int, shape: tuple[int, ...]) -> np.ndarray:
    """Adjoint of `windows`."""
    rows, columns, width = shape
    down, across = rows - side + 1, columns - side + 1
    parts = grad.reshape(down, across, side, side, width)
    cells = np.zeros(shape, grad.dtype)
    for y in range(side):
        for x in range(side):
            cells[y : y + down, x : x + across] += parts[:, :, y, x]
    return cells


def standardized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows without their mean and of unit norm, constant ones zero; and 1/norm, or 0."""
    largest = np.max(np.abs(x), axis=1, keepdims=True)
    scale = np.where(largest > 0, largest, 1)
    centred = x / scale
    centred = centred - centred.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.sum(centred * centred, axis=1, keepdims=True))
    varies = norm > _CONSTANT * math.sqrt(x.shape[1])
    inverse = np.where(varies, 1 / np.where(varies, norm, 1), 0).astype(x.dtype)
    return centred * inverse, inverse / scale


def pull_standardized(grad: np.ndarray, unit: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """The transposed derivative of `standardized` times the rows of `grad`."""
    along = np.sum(grad * unit, axis=1, keepdims=True)
    pulled: np.ndarray = (grad - along * unit) * inverse
    pulled -= pulled.mean(axis=1, keepdims=True)
    return pulled


def patch_side(side: int) -> int:
    """Samples along the patch that lies under a window of side × side cells."""
    return SAMPLES * (side + 2 * MARGIN)


def patches(image: np.ndarray, cells: Lattice, side: int, chosen: np.ndarray) -> np.ndarray:
    """What an image (H, W) shows under some windows and around them, as rows (M, patch²).

    Parameters
    ----------
    image : ndarray, shape (H, W)
    cells : Lattice
    side : int
        Of windows, in cells.
    chosen : ndarray of int, shape (M, 2)
        Row and column of the first cell of each window.
    """
    # A canvas of SAMPLES a cell that begins MARGIN cells before the first; edges are repeated.
    count = [SAMPLES * (n + 2 * MARGIN) for n in (cells.rows, cells.columns)]
    step = [s / SAMPLES for s in cells.spacing]
    first = [o - (MARGIN + 0.5) * s for o, s in zip(cells.origin, cells.spacing, strict=True)]
    size = [max(1, round(n / s)) for n, s in zip(image.shape, step, strict=True)]
    small = resize(image, size, order=1, mode="edge", anti_aliasing=True)
    places = []
    for axis in (0, 1):
        pixels = first[axis] + (np.arange(count[axis]) + 0.5) * step[axis]
        places.append((pixels + 0.5) * size[axis] / image.shape[axis] - 0.5)
    canvas = map_coordinates(
        small, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest"
    ).astype(image.dtype)
    view = np.lib.stride_tricks.sliding_window_view(canvas, (patch_side(side),) * 2)
    parts: np.ndarray = view[SAMPLES * chosen[:, 0], SAMPLES * chosen[:, 1]]
    return np.asarray(np.reshape(parts, (len(chosen), -1)))


def together(patches: np.ndarray, cells: Lattice, side: int, size: tuple[int, int]) -> np.ndarray:
    """An image (H, W) of overlapping patches (M, patch²), one a window, Gaussian-weighted."""
    down, across = cells.windows(side)
    wide = side + 2 * MARGIN
    parts = patches.reshape(down, across, wide, SAMPLES, wide, SAMPLES)
    offsets = (np.arange(SAMPLES * wide) + 0.5) / SAMPLES - wide / 2
    bell = np.exp(-0.5 * (offsets / _SIGMA) ** 2).reshape(wide, SAMPLES)
    shape = (cells.rows + 2 * MARGIN, SAMPLES, cells.columns + 2 * MARGIN, SAMPLES)
    total, weight = np.zeros(shape), np.zeros(shape)
    for y in range(wide):
        for x in range(wide):
            share = bell[y][:, None, None] * bell[x]
            here = slice(y, y + down), slice(None), slice(x, x + across), slice(None)
            total[here] += share * parts[:, :, y, :, x].swapaxes(1, 2)
            weight[here] += share
    canvas = (total / weight).reshape(shape[0] * SAMPLES, shape[2] * SAMPLES)
    places = [
        ((np.arange(n) - o) / s + MARGIN + 0.5) * SAMPLES - 0.5
        for n, o, s in zip(size, cells.origin, cells.spacing, strict=True)
    ]
    grid = np.meshgrid(*places, indexing="ij")
    return np.asarray(map_coordinates(canvas, grid, order=3, mode="nearest"))


def within(image: np.ndarray) -> np.ndarray:
    """An image brought into [0, 1] from its least to its largest value; constant ones are gray."""
    low, high = float(image.min()), float(image.max())
    if not high > low:
        return np.full_like(image, 0.5)
    return np.asarray((image - low) / (high - low))
