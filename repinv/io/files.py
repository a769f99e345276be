"""Images on disk, and all bytes of a file: read defensively, written whole or not at all."""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from repinv.io import atomic, png
from repinv.io.image import as_unit

#: Images of more pixels than this (8192 x 8192) are refused before they are unpacked.
MAX_PIXELS = 2**26
#: Files of more bytes than this are refused before they are read.
MAX_BYTES = 2**31
#: What `write` writes, by the ending of the name.
IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".npy")

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM", "WEBP")


def read(path: str | os.PathLike[str]) -> np.ndarray:
    """Pixels of an image file, as they are stored.

    Parameters
    ----------
    path : path
        PNG, JPEG, TIFF, BMP, GIF, PPM or WebP; of several frames, the first.

    Returns
    -------
    image : ndarray, shape (H, W) or (H, W, 3), bool, uint8, uint16 or floating
        An EXIF orientation is applied. Palettes and other colour spaces become RGB. An alpha
        channel is composited on white, as a page would show it.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is truncated, no image, or of more than `MAX_PIXELS` pixels.
    """
    path = Path(path)
    return decoded(contents(path), str(path))


def decoded(data: bytes, name: str) -> np.ndarray:
    """Pixels of an image whose file came as bytes, such as an upload.

    Parameters
    ----------
    data : bytes
        Of a file as `read` takes it.
    name : str
        What messages call it.

    Returns
    -------
    image : ndarray
        As `read` returns it.

    Raises
    ------
    ValueError
        As `read` does.
    """
    try:
        pixels = _decoded(data)
    except MemoryError as error:
        raise ValueError(
            f"{name} needs more memory than there is. Make the image smaller."
        ) from error
    # Decoders meet damage in many places and raise what they happen to raise there.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"expected an image (PNG, JPEG, TIFF, BMP, GIF, PPM or WebP); {name} cannot be read "
            f"as one: {reason.rstrip('.')}. Save it again, or give another file."
        ) from error
    return pixels


def write(path: str | os.PathLike[str], image: Any) -> None:
    """Write an image in [0, 1]; the file appears whole or not at all.

    Parameters
    ----------
    path : path
        .png, .tif and .tiff hold 16 bits a channel, .jpg and .jpeg 8 and lossy, .npy the very
        numbers.
    image : array, shape (H, W) or (H, W, 3), floating, in [0, 1]

    Raises
    ------
    ValueError
        If the name ends otherwise, or the image is none.
    OSError
        If the file cannot be written.
    """
    check_writable(path, IMAGE_SUFFIXES)
    write_bytes(path, _encoded(image, Path(path).suffix.lower()))


def quantized(image: Any, path: str | os.PathLike[str]) -> np.ndarray:
    """The image that `write` leaves in a file of this name, without writing it.

    Parameters
    ----------
    image : array, shape (H, W) or (H, W, 3), floating, in [0, 1]
    path : path
        Only its ending is looked at.

    Returns
    -------
    image : ndarray of the same shape and dtype, in [0, 1]
    """
    suffix = Path(path).suffix.lower()
    data = _encoded(image, suffix)
    if suffix == ".npy":
        return as_unit(image)
    return as_unit(_decoded(data)).astype(as_unit(image).dtype)


def check_writable(path: str | os.PathLike[str], suffixes: tuple[str, ...]) -> None:
    """Raise unless a file of this name can be written: said before the work, not after it.

    Parameters
    ----------
    path : path
    suffixes : tuple of str
        The endings that the writer knows.

    Raises
    ------
    ValueError
        If the name ends otherwise.
    OSError
        If there is no such folder, no permission, or a folder of this name.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise ValueError(
            f"expected a name that ends in one of {', '.join(suffixes)}; got {str(path)!r}."
        )
    if path.is_dir():
        raise IsADirectoryError(f"expected the name of a file; {path} is a folder.")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"cannot overwrite {path}: it is read-only. Give another name.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {path}: there is no folder {path.parent}. Create it."
        )
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise PermissionError(
            f"cannot write into {path.parent}: {error.strerror}. Give another folder."
        ) from error


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a file in one step: whoever reads it sees the old bytes or the new ones."""
    with atomic.replaced(path) as stream:
        stream.write(data)


def contents(path: Path) -> bytes:
    """All bytes of a file that exists and is not too large."""
    if not path.exists():
        raise FileNotFoundError(f"expected a file; there is no {path}. Check the name.")
    if path.is_dir():
        raise IsADirectoryError(f"expected a file; {path} is a folder. Give one file in it.")
    n_bytes = path.stat().st_size
    if n_bytes > MAX_BYTES:
        raise ValueError(
            f"expected a file of at most {MAX_BYTES >> 20} MiB; {path} has {n_bytes >> 20} MiB."
        )
    if n_bytes == 0:
        raise ValueError(f"expected data; {path} is an empty file.")
    try:
        return path.read_bytes()
    except PermissionError as error:
        raise PermissionError(f"cannot read {path}: {error.strerror}.") from error


def _encoded(image: Any, suffix: str) -> bytes:
    """The bytes of an image file of this kind."""
    pixels = as_unit(image)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        raise ValueError(f"expected an image (H, W) or (H, W, 3) to write; got {pixels.shape}.")
    stream = io.BytesIO()
    if suffix == ".npy":
        np.save(stream, pixels, allow_pickle=False)
        return stream.getvalue()
    if suffix in (".jpg", ".jpeg"):
        from PIL import Image

        bytes_ = np.rint(pixels.astype(np.float64) * 255).astype(np.uint8)
        Image.fromarray(bytes_).save(stream, "JPEG", quality=95, subsampling=0)
        return stream.getvalue()
    words = np.rint(pixels.astype(np.float64) * 65535).astype(np.uint16)
    if suffix in (".tif", ".tiff"):
        import tifffile

        photometric = "minisblack" if words.ndim == 2 else "rgb"
        tifffile.imwrite(stream, words, photometric=photometric, compression="zlib")
        return stream.getvalue()
    if words.ndim == 3:
        return png.encode(words)
    from PIL import Image

    Image.fromarray(words).save(stream, "PNG")
    return stream.getvalue()


def _decoded(data: bytes) -> np.ndarray:
    """Pixels (H, W) or (H, W, 3) of the bytes of an image file."""
    from PIL import Image, ImageOps

    if png.is_deep_colour(data):
        _check_size(*png.size(data))
        return _on_white(png.decode(data))
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        deep = _decoded_tiff(data)
        if deep is not None:
            return deep
    with warnings.catch_warnings():
        # Pillow warns of large images where `_check_size` decides.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(data), formats=_FORMATS) as file:
            _check_size(file.height, file.width)
            upright = ImageOps.exif_transpose(file)
            if upright.mode == "P" or "transparency" in upright.info:
                upright = upright.convert("RGBA")
            elif upright.mode in ("PA", "La", "RGBa", "RGBX"):
                upright = upright.convert("RGBA" if upright.mode != "RGBX" else "RGB")
            elif upright.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
                upright = upright.convert("RGB")
            return _on_white(np.array(upright))


def _decoded_tiff(data: bytes) -> np.ndarray | None:
    """First page of a TIFF of more than 8 bits a channel; None for others, which Pillow reads.

    Pillow knows every 8-bit kind of TIFF, orientation included, but rounds deep colour to 8 bits.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        if page.dtype is None or page.dtype.kind not in "uf" or page.dtype.itemsize == 1:
            return None
        _check_size(page.imagelength, page.imagewidth)
        pixels = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind == "u":
            pixels = np.iinfo(pixels.dtype).max - pixels
        orientation = page.tags.get("Orientation")
    return _on_white(_upright(pixels, 1 if orientation is None else int(orientation.value)))


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an orientation, numbered 1 to 8 as TIFF and EXIF do."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _on_white(pixels: np.ndarray) -> np.ndarray:
    """Composite (H, W, 2) or (H, W, 4) on white; drop a channel axis of length one."""
    if pixels.ndim == 2:
        return pixels
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 2, 3, 4):
        raise ValueError(f"it holds an array of shape {pixels.shape}")
    if pixels.shape[-1] in (2, 4):
        white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
        opacity = pixels[..., -1:] / white
        colour = pixels[..., :-1] * opacity + white * (1 - opacity)
        pixels = (np.rint(colour) if pixels.dtype.kind == "u" else colour).astype(pixels.dtype)
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _check_size(height: int, width: int) -> None:
    """Raise ValueError before more pixels are unpacked than anyone inverts."""
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"it states {height} x {width} pixels, and at most {MAX_PIXELS} are taken; crop it"
        )
