"""Movies of a run: the image at each check, as an animated GIF or an MP4."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from repinv.io import files
from repinv.io.image import from_batch
from repinv.solvers.minimize import Snapshot, to_host

MOVIE_SUFFIXES = (".gif", ".mp4")
#: Frames at most, frames a second, and the least side of a frame in pixels.
_FRAMES, _RATE, _SIDE = 100, 15, 256


class Movie:
    """Collects a frame at every check of a run: its `watch` is a callback of the tasks."""

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []

    def watch(self, snapshot: Snapshot) -> None:
        """Keep the best image so far."""
        space = snapshot.parametrization
        images = space.image(snapshot.z)  # type: ignore[attr-defined]
        best = from_batch(to_host(images[int(np.argmin(snapshot.value))]))
        self.frames.append(np.round(255 * np.clip(best, 0, 1)).astype(np.uint8))

    def write(self, path: Path, last: np.ndarray) -> None:
        """Write the frames, and the image that was returned, which stays for a second."""
        step = -(-len(self.frames) // _FRAMES) or 1
        frames = [*self.frames[::step], *[np.round(255 * last).astype(np.uint8)] * _RATE]
        shown = [_enlarged(frame) for frame in frames]
        content = _gif(shown) if path.suffix.lower() == ".gif" else _mp4(shown)
        files.write_bytes(path, content)


def check_movie(path: Path) -> None:
    """Raise before the work starts if a movie could not be written."""
    files.check_writable(path, MOVIE_SUFFIXES)
    if path.suffix.lower() == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError:
            raise ValueError(
                f"{path} needs imageio-ffmpeg, which is not installed. "
                "pip install imageio-ffmpeg, or write a .gif."
            ) from None


def _enlarged(frame: np.ndarray) -> np.ndarray:
    """A frame in RGB, enlarged until its pixels can be told apart."""
    rgb = np.repeat(frame[..., None], 3, axis=-1) if frame.ndim == 2 else frame
    factor = max(1, -(-_SIDE // min(rgb.shape[:2])))
    large = rgb.repeat(factor, axis=0).repeat(factor, axis=1)
    # Codecs need even sides.
    return large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2]


def _gif(frames: list[np.ndarray]) -> bytes:
    """An animated GIF that begins again."""
    from PIL import Image

    first, *rest = [Image.fromarray(frame) for frame in frames]
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=rest, duration=1000 // _RATE, loop=0)
    return stream.getvalue()


def _mp4(frames: list[Any]) -> bytes:
    """An MP4, which the codec writes to a temporary file."""
    import imageio.v2 as imageio

    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "movie.mp4")  # noqa: PTH118
        imageio.mimwrite(name, frames, fps=_RATE, macro_block_size=2)
        return Path(name).read_bytes()
