"""Photographs that the page inverts: samples, files, uploads and arrays, of bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repinv.app.images import prepared
from repinv.io import files
from repinv.io.image import as_unit
from repinv.io.sample_images import NAMES

#: Longest side in pixels: by default, the least and the largest.
SIDE, LEAST, MOST = 256, 32, 512
#: Bytes of an upload at most.
MAX_UPLOAD = 32 * 2**20
#: The sample that is no photograph, but what the network of digits was trained on.
DIGIT = "digit"
#: Names of the samples.
SAMPLES = (*NAMES, DIGIT)


@dataclass(frozen=True, eq=False)
class Photograph:
    """An image in [0, 1], no larger than the page takes it.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), in [0, 1]
    name : str
        Of the file; or of the sample.
    origin : {"sample", "file", "array"}
        Where it comes from, which decides how Python gets it again.
    side : int
        The longest side that it was made smaller to.
    """

    pixels: np.ndarray
    name: str
    origin: str
    side: int

    def image(self, channels: int, shape: tuple[int, int] | None = None) -> np.ndarray:
        """It in gray, or in colour for 3 channels; at a shape (H, W) where one is given."""
        found = prepared(self.pixels, channels)
        if shape is None or found.shape[:2] == shape:
            return found
        from skimage.transform import resize

        resized: np.ndarray = np.clip(resize(found, shape, anti_aliasing=True), 0, 1)
        return resized.astype(found.dtype)


def sample(name: str, side: int = SIDE) -> Photograph:
    """A photograph of scikit-image's, or the drawing of a digit.

    Raises
    ------
    ValueError
        If there is no sample of this name.

    Examples
    --------
    >>> sample("chelsea", 64).pixels.shape
    (43, 64, 3)
    """
    if name not in SAMPLES:
        raise ValueError(f"expected one of {', '.join(SAMPLES)}; got {name!r}.")
    if name == DIGIT:
        from repinv.app.study.images import digit

        return Photograph(digit("3"), name, "sample", side)
    import skimage.data

    return Photograph(_bounded(getattr(skimage.data, name)(), side), name, "sample", side)


def from_file(path: str | Path, side: int = SIDE) -> Photograph:
    """The image of a file.

    Raises
    ------
    OSError, ValueError
        As `repinv.io.files.read` does.
    """
    path = Path(path).expanduser()
    return Photograph(_bounded(files.read(path), side), str(path), "file", side)


def from_upload(data: bytes, name: str, side: int = SIDE) -> Photograph:
    """The image of a file that was uploaded.

    Raises
    ------
    ValueError
        If it is too large, or no image.
    """
    name = Path(name).name or "upload"
    if len(data) > MAX_UPLOAD:
        raise ValueError(
            f"expected a file of at most {MAX_UPLOAD >> 20} MiB; {name} has {len(data) >> 20} MiB. "
            "Make the image smaller, or give its path."
        )
    return Photograph(_bounded(files.decoded(data, name), side), name, "file", side)


def from_array(image: Any, side: int = SIDE) -> Photograph:
    """An image that is an array.

    Raises
    ------
    TypeError, ValueError
        If it is no image in [0, 1], or of uint8 or uint16.
    """
    return Photograph(_bounded(image, side), "image", "array", side)


def _bounded(image: Any, side: int) -> np.ndarray:
    """Pixels in [0, 1], gray or RGB, made smaller to a longest side."""
    pixels = as_unit(image)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        raise ValueError(
            f"expected an image of shape (H, W) or (H, W, 3); got {pixels.shape}. "
            "Channels stand on the last axis."
        )
    if min(pixels.shape[:2]) < LEAST / 2:
        raise ValueError(
            f"expected at least {LEAST // 2} pixels a side; got "
            f"{pixels.shape[0]}x{pixels.shape[1]}. Give a larger image."
        )
    return prepared(pixels, pixels.shape[2] if pixels.ndim == 3 else 1, side)
