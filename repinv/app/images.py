"""Images as commands use them: read from files, encoded, and features drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from repinv.encoders.base import Encoder
from repinv.io import files
from repinv.io.image import as_batch, as_unit, to_gray
from repinv.io.streams import image_paths

#: Images of a folder that are read as references, at most.
MOST = 500


def channels_of(encoder: Encoder, *, color: bool) -> int:
    """Channels of the images of a run: the encoder's, or 3 for `color` and else 1."""
    channels = encoder.channels or (3 if color else 1)
    if channels not in (1, 3) or (color and channels == 1):
        raise ValueError(f"the encoder takes {channels} channel(s). Leave --color out.")
    return channels


def photograph(source: Path, channels: int, side: int | None = None) -> np.ndarray:
    """The image of a file in [0, 1], gray or RGB, made smaller where it is longer than `side`."""
    return prepared(as_unit(files.read(source)), channels, side)


def prepared(image: np.ndarray, channels: int, side: int | None = None) -> np.ndarray:
    """An image in [0, 1] made gray or RGB, and smaller where it is longer than `side`."""
    if channels == 1:
        image = to_gray(image)
    elif image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=-1)
    if side is None or max(image.shape[:2]) <= side:
        return image
    from skimage.transform import resize

    factor = side / max(image.shape[:2])
    shape = tuple(max(1, round(n * factor)) for n in image.shape[:2])
    smaller: np.ndarray = np.clip(resize(image, shape, anti_aliasing=True), 0, 1)
    return smaller.astype(image.dtype)


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
    from skimage.transform import resize

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


def encoded(encoder: Encoder, image: np.ndarray) -> np.ndarray:
    """Features of one image in [0, 1]."""
    x = as_batch(image, precision=encoder.precision, channels=encoder.channels)
    return np.asarray(encoder.encode(encoder.asarray(x))[0])


def glyph(
    encoder: Encoder, features: np.ndarray, shape: tuple[int, ...] | None = None
) -> np.ndarray | None:
    """A picture of the features of an image of a shape (H, W[, C]), for encoders that have one."""
    from repinv.plot.features import picture

    found = picture(encoder, features, shape=shape)
    return None if found is None else np.asarray(found.image)
