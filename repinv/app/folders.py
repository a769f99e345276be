"""Folders of images: which files are images, and images as references of a size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: References that are read of a folder, at most.
MOST = 500


def references(
    folder: Path, shape: tuple[int, int], channels: int
) -> tuple[np.ndarray, dict[Path, str]]:
    """The middles of images of a folder at one size, and what could not be read.

    Returns
    -------
    images : ndarray, shape (N, H, W) or (N, H, W, 3), in [0, 1]
    broken : dict of Path to str

    Raises
    ------
    ValueError
        If there are no images, or none can be read.
    """
    import numpy as np
    from skimage.transform import resize

    from repinv.app.commands.invert import photograph
    from repinv.io.streams import image_paths

    found, broken = [], {}
    for path in image_paths(folder)[:MOST]:
        try:
            image = photograph(path, channels)
        except (OSError, ValueError, TypeError) as error:
            broken[path] = str(error)
            continue
        height, width = image.shape[:2]
        factor = min(height / shape[0], width / shape[1])
        down, across = (max(1, int(n * factor)) for n in shape)
        y, x = (height - down) // 2, (width - across) // 2
        middle = image[y : y + down, x : x + across]
        found.append(resize(middle, shape, anti_aliasing=True).astype(np.float32))
    if not found:
        path, why = next(iter(broken.items()))
        raise ValueError(f"none of the images in {folder} can be read. {path}: {why}")
    return np.stack(found), broken
