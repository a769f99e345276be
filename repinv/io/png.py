"""PNG with 16 bits a channel in colour, which the imaging libraries at hand reduce to 8."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Number of channels by PNG colour type, for those that Pillow reduces to 8 bits.
_CHANNELS = {2: 3, 4: 2, 6: 4}


def is_deep_colour(data: bytes) -> bool:
    """Whether these are the first bytes of a PNG that `decode` takes and Pillow would round."""
    if not data.startswith(_SIGNATURE) or len(data) < 33:
        return False
    depth, colour, _, _, interlaced = data[24:29]
    return depth == 16 and colour in _CHANNELS and not interlaced


def size(data: bytes) -> tuple[int, int]:
    """Height and width that the header of a PNG states."""
    width, height = struct.unpack(">II", data[16:24])
    return height, width


def encode(image: np.ndarray) -> bytes:
    """A PNG of an image of shape (H, W, 3), uint16."""
    height, width, _ = image.shape
    rows = image.astype(">u2").view(np.uint8).reshape(height, -1)
    # Filter 2 ('up') stores the difference to the row above, which compresses better.
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    lines = np.concatenate([np.full((height, 1), 2, np.uint8), rows - above], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")]
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def decode(data: bytes) -> np.ndarray:
    """Pixels of a PNG for which `is_deep_colour` holds, shape (H, W, C), uint16.

    Raises
    ------
    ValueError
        If the file is truncated or damaged.
    """
    height, width = size(data)
    channels = _CHANNELS[data[25]]
    n_bytes = 2 * channels
    n_expected = height * (1 + width * n_bytes)
    # The limit keeps a small file from unpacking to more than its header promises.
    stream = zlib.decompressobj().decompress(_compressed(data), n_expected)
    if len(stream) != n_expected:
        raise ValueError(f"{len(stream)} bytes of pixels where its header promises {n_expected}")
    lines = np.frombuffer(stream, np.uint8).reshape(height, -1)
    filters, residual = lines[:, 0], lines[:, 1:].reshape(height, width, n_bytes)
    if filters.max() > 4:
        raise ValueError(f"unknown row filter {filters.max()}")
    return _unfiltered(filters, residual).view(">u2").astype(np.uint16)


def _compressed(data: bytes) -> bytes:
    """The image data of a PNG, its chunks joined and their checksums verified."""
    start = len(_SIGNATURE)
    body: list[bytes] = []
    while True:
        if start + 12 > len(data):
            raise ValueError("it ends in the middle")
        (length,) = struct.unpack(">I", data[start : start + 4])
        name, stop = data[start + 4 : start + 8], start + 8 + length
        if stop + 4 > len(data):
            raise ValueError("it ends in the middle")
        if zlib.crc32(data[start + 4 : stop]) != struct.unpack(">I", data[stop : stop + 4])[0]:
            raise ValueError(f"the checksum of its {name!r} part is wrong")
        if name == b"IEND":
            return b"".join(body)
        if name == b"IDAT":
            body.append(data[start + 8 : stop])
        start = stop + 4


def _unfiltered(filters: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Undo the row filters of (H, W, bytes a pixel).

    A pixel depends on those to its left, above, and above left: all pixels of one anti-diagonal
    are independent, and are computed together.
    """
    height, width, n_bytes = residual.shape
    pixels = np.zeros((height + 1, width + 1, n_bytes), np.int16)
    for diagonal in range(height + width - 1):
        y = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        x = diagonal - y
        left, above, corner = pixels[y + 1, x], pixels[y, x + 1], pixels[y, x]
        across, down = np.abs(above - corner), np.abs(left - corner)
        both = np.abs(left + above - 2 * corner)
        paeth = np.where(
            (across <= down) & (across <= both), left, np.where(down <= both, above, corner)
        )
        choices = [np.zeros_like(left), left, above, (left + above) >> 1, paeth]
        predicted = np.choose(filters[y, None], choices)
        pixels[y + 1, x + 1] = (residual[y, x] + predicted) & 255
    return pixels[1:, 1:].astype(np.uint8)
