"""Windows of cells and the gray patches under them, which paired dictionaries are learned from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from repinv.encoders.base import Encoder
from repinv.encoders.sparse import cell_windows


def stream(
    images: Iterable[Any], local: Encoder, side: int, most: int, seed: int
) -> Iterator[np.ndarray]:
    """Patches and windows of images, each without its mean and of unit norm, side by side."""
    for number, image in enumerate(images):
        rng = np.random.default_rng((seed, number))
        yield of_image(np.asarray(image), local, side, most, rng)


def of_image(
    image: np.ndarray, local: Encoder, side: int, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Rows (M, p² + side² · D) of one gray image: a patch, and the window of cells in it."""
    if image.ndim != 2:
        raise ValueError(f"expected gray images (H, W); got shape {image.shape}. Make them gray.")
    gray = image.astype(np.result_type(image.dtype, np.float32), copy=False)
    cells = cell_windows.lattice(local, (1, *image.shape))
    features = np.moveaxis(local(image), local.descriptor_axis or 0, -1)
    down, across = cells.windows(side)
    chosen = rng.permutation(down * across)[:most]
    found = cell_windows.windows(features, side)[chosen] if len(chosen) else np.empty((0, 1))
    if not len(chosen):
        return found
    places = np.stack(np.divmod(chosen, across), axis=1)
    below, _ = cell_windows.standardized(cell_windows.patches(gray, cells, side, places))
    above, _ = cell_windows.standardized(found)
    varies = np.any(above != 0, axis=1) & np.any(below != 0, axis=1)
    return np.concatenate([below[varies], above[varies]], axis=1)
