"""What restorers are trained with: scenes, rough pre-images of them, and their features."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import skimage
from tqdm.auto import tqdm

import repinv
from repinv import Restorer
from repinv_cnn.restoration.collages import scene

#: Starts of each scene, and the evaluations that each of them gets: those of the rough part of a
#: run with a restorer.
STARTS, EVALUATIONS = 2, 100
#: Scenes that a file of a checkpoint holds.
_CHUNK = 100
#: Photographs that are kept in memory once they are read.
_KEPT = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """What could be photographs, and pre-images of their features.

    Parameters
    ----------
    scenes : ndarray, shape (M, S, S), float16
        In [0, 1].
    preimages : ndarray, shape (M, K, S, S), float16
        From K starts.
    vectors : ndarray, shape (M, D, S / 8, S / 8), float16
        Their features on the grid of the network; NaN where there is none.
    """

    scenes: np.ndarray
    preimages: np.ndarray
    vectors: np.ndarray


class Photographs(Sequence[np.ndarray]):
    """Photographs in memory, or in files that are read when they are needed.

    Parameters
    ----------
    given : sequence of array or path
        Arrays (H, W) or (H, W, 3) of uint8, uint16, or floats in [0, 1].
    side : int
        What they have to have along each axis.
    """

    def __init__(self, given: Sequence[Any], side: int) -> None:
        self.given, self.side = list(given), side
        self._read = functools.lru_cache(_KEPT)(self._of_file)
        for number, one in enumerate(self.given):
            if not isinstance(one, str | os.PathLike):
                self._check(one, f"photograph {number}")

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: Any) -> Any:
        one = self.given[index]
        found = self._read(os.fspath(one)) if isinstance(one, str | os.PathLike) else one
        return skimage.util.img_as_float32(found)

    def _of_file(self, path: str) -> np.ndarray:
        found = np.asarray(iio.imread(path))
        found = found[..., :3] if found.shape[2:] == (4,) else found
        self._check(found, path)
        return found

    def _check(self, photograph: Any, name: str) -> None:
        """Raise ValueError if nothing can be learned from a photograph."""
        given = np.asarray(photograph)
        if given.dtype not in (np.uint8, np.uint16) and given.dtype.kind != "f":
            raise ValueError(
                f"expected pixels of uint8, uint16, or floats in [0, 1]; {name} is of "
                f"{given.dtype}, which does not say what white is."
            )
        shape = given.shape
        if given.ndim < 2 or shape[2:] not in ((), (3,)) or min(shape[:2]) < self.side:
            raise ValueError(
                f"expected photographs (H, W) or (H, W, 3) of {self.side} pixels a side or more; "
                f"{name} is {shape}."
            )
        pixels = skimage.util.img_as_float32(given)
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise ValueError(
                f"expected pixels in [0, 1]; {name} has {pixels.min():.4g} to {pixels.max():.4g}."
            )


def pairs(
    photographs: Sequence[np.ndarray],
    encoder: repinv.Encoder,
    count: int,
    side: int,
    *,
    starts: int = STARTS,
    evaluations: int = EVALUATIONS,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Pairs:
    """Scenes, inverted from several starts.

    Parameters
    ----------
    photographs : sequence of ndarray, shape (H, W) or (H, W, 3)
        In [0, 1], at least `side` pixels high and wide.
    encoder : Encoder
        Of gray images.
    count, side : int
        How many scenes, and how large.
    starts, evaluations : int
        Of each scene.
    seed : int
        Of the scenes; each has a random stream of its own, so that any part of them can be made
        again.
    checkpoint : Path, optional
        A folder that keeps what was made, and from which it is read.
    progress : bool
    """
    found = []
    if checkpoint:
        checkpoint.mkdir(parents=True, exist_ok=True)
    with tqdm(total=count, disable=not progress, unit="scene") as bar:
        for low in range(0, count, _CHUNK):
            high = min(low + _CHUNK, count)
            file = checkpoint and checkpoint / f"pairs_{low:06d}_{high:06d}.npz"
            if file and file.exists():
                with np.load(file) as kept:
                    found.append(Pairs(**kept))
                bar.update(high - low)
                continue
            several = []
            for index in range(low, high):
                rng = np.random.default_rng((seed, index))
                several.append(_pair(photographs, encoder, side, starts, evaluations, rng))
                bar.update()
            found.append(joined(several, np.stack))
            if file:
                _write(file, found[-1])
    return joined(found)


def _pair(
    photographs: Sequence[np.ndarray],
    encoder: repinv.Encoder,
    side: int,
    starts: int,
    evaluations: int,
    rng: np.random.Generator,
) -> Pairs:
    """One scene, in half precision."""
    image = scene(photographs, side, rng)
    features = encoder.encode(encoder.asarray(image[None, None]))
    result = repinv.invert(
        features[0],
        encoder,
        shape=image.shape,
        layout=encoder.layout,
        max_iter=evaluations,
        seed=int(rng.integers(1 << 30)),
        n_preimages=starts,
    )
    vectors = Restorer.on_grid(encoder, features, image.shape)[0]
    return Pairs(*(np.asarray(a, np.float16) for a in (image, result.images, vectors)))


def joined(several: list[Pairs], join: Any = np.concatenate) -> Pairs:
    """Several as one."""
    return Pairs(
        *(join([getattr(one, f.name) for one in several]) for f in dataclasses.fields(Pairs))
    )


def _write(file: Path, content: Pairs) -> None:
    """A file that appears whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, **vars(content))
    part.replace(file)
