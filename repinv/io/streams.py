"""Images to learn from, one after the other: of iterables, arrays on disk, files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np

from repinv.io import files
from repinv.io.image import as_unit, to_gray

#: Images as they are given: any iterable of arrays or of paths, generators and memory maps among
#: them; or the path of an image, or of a folder, with those below it.
Images: TypeAlias = Iterable[Any] | str | os.PathLike[str]
#: Endings of image files.
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".webp")


def image_paths(folder: Path) -> list[Path]:
    """Images of a folder and those below it, by name.

    Raises
    ------
    ValueError
        If there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(
            f"expected images ({', '.join(s[1:] for s in SUFFIXES)}) in {folder}; there are none."
        )
    return found


class PixelConvention(Protocol):
    """How images are given to an encoder; `repinv.Encoder` says what each attribute means."""

    channels: int | None
    any_channels: bool
    channel_axis: int
    unit_pixels: ClassVar[bool]
    value_range: tuple[float, float]


def stream(given: Images, encoder: PixelConvention | None = None) -> Iterator[np.ndarray]:
    """Images one after the other; what is on disk is read when its turn comes.

    Parameters
    ----------
    given : iterable of array or path, array (N, H, W) or (N, H, W, C), or path
        An array of two axes, or whose third has three or four entries, is one image.
    encoder : Encoder, optional
        Files become gray or RGB, as it takes them, with the pixel values of its `value_range`; by
        default they are in [0, 1]. Arrays are taken as they are.

    Raises
    ------
    OSError, ValueError
        If there is no such file or folder, or a file is no image.

    Examples
    --------
    >>> import numpy as np
    >>> [image.shape for image in stream(np.zeros((3, 8, 9)))]
    [(8, 9), (8, 9), (8, 9)]
    >>> [image.shape for image in stream(np.zeros((8, 9, 3)))]
    [(8, 9, 3)]
    """
    for one in _listed(given):
        if isinstance(one, str | os.PathLike):
            yield _read(Path(one), encoder)
        else:
            yield one


def total(given: Images) -> int | None:
    """How many images there are, where that is known without reading them."""
    found = _listed(given)
    return len(found) if isinstance(found, Sized) else None


def _listed(given: Images) -> Iterable[Any]:
    """Arrays and paths, one for each image."""
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        if not path.exists():
            raise FileNotFoundError(
                f"expected a folder of images, or an image; there is no {path}. Check the name."
            )
        return image_paths(path) if path.is_dir() else [path]
    shape: tuple[int, ...] = tuple(getattr(given, "shape", ()))
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] in (3, 4) and min(shape[:2]) > 4):
        return [given]
    if not isinstance(given, Iterable):
        raise TypeError(
            f"expected images: an iterable of arrays or paths, or a folder; got "
            f"{type(given).__name__}."
        )
    return given


def _read(path: Path, encoder: PixelConvention | None) -> np.ndarray:
    """The image of a file, as an encoder takes it."""
    image = as_unit(files.read(path))
    if encoder is None:
        return image
    if encoder.channels == 1 or (encoder.channels is None and not encoder.any_channels):
        image = to_gray(image)
    elif image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=-1)
    if image.ndim == 3:
        image = np.moveaxis(image, -1, encoder.channel_axis)
    low, high = (0.0, 1.0) if encoder.unit_pixels else encoder.value_range
    return image * np.float32(high - low) + np.float32(low)
