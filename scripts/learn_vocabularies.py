"""Learns the vocabularies that `repinv.BoVW.pretrained` loads, and prints how well they fit.

Run as ``python scripts/learn_vocabularies.py [FOLDER]``; without a folder, the files of the
package are written anew. The same versions of NumPy, scikit-image, scikit-learn and repinv give
the same words, up to rounding that differs between processors. After a change, the checksums that
are printed belong into ``repinv/encoders/words/pretrained.py``, and the figures into the README
beside the vocabularies.

The photographs ship inside the wheels of scikit-image and scikit-learn; nothing is downloaded.
Those are taken whose licence their library states. The camera man is held out: he is what the
demonstration and the tests invert, and what the words are tried on that they were not learned from.
"""

from __future__ import annotations

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[threads] = "1"  # sums in another order would give other words

import argparse
import pathlib
from collections.abc import Iterator

import numba
import numpy as np
import skimage
import sklearn
from scipy.spatial.distance import cdist
from sklearn.datasets import load_sample_image

import repinv
from repinv.encoders.words import pretrained
from repinv.io import shipped

SCIKIT_IMAGE = ("astronaut", "brick", "chelsea", "coffee", "coins", "grass", "gravel", "rocket")
SCIKIT_LEARN = ("china", "flower")
HELD_OUT = "camera"

SEED = 0
#: Photographs are taken at full, half and quarter size, in tiles of so many pixels a side; what
#: the edges leave over is taken if it has half of them.
DIVISORS, SIDE = (1, 2, 4), 128
#: Of every tile, so many descriptors are drawn in each pass: k-means then sees many photographs
#: in every batch. Past 30 passes the error falls by less than one per cent.
PER_TILE, PASSES = 100, 30


def pixels(name: str) -> np.ndarray:
    """A photograph that ships with a library, as it ships."""
    if name in SCIKIT_LEARN:
        return np.asarray(load_sample_image(f"{name}.jpg"))
    return np.asarray(getattr(skimage.data, name)())


def photograph(name: str) -> np.ndarray:
    """A photograph that ships with a library, gray, in [0, 1]."""
    found = pixels(name)
    gray = skimage.color.rgb2gray(found) if found.ndim == 3 else skimage.util.img_as_float(found)
    return gray.astype(np.float32)


def sizes(image: np.ndarray) -> Iterator[np.ndarray]:
    """An image at all sizes."""
    for divisor in DIVISORS:
        yield skimage.transform.downscale_local_mean(image, (divisor, divisor))


def tiles(image: np.ndarray) -> Iterator[np.ndarray]:
    """Tiles of an image at all sizes."""
    for sized in sizes(image):
        rows, columns = (range(0, length - SIDE // 2 + 1, SIDE) for length in sized.shape)
        for y in rows:
            for x in columns:
                yield sized[y : y + SIDE, x : x + SIDE]


def stream(images: list[np.ndarray]) -> Iterator[np.ndarray]:
    """All tiles of some images in as many orders as there are passes, half of them mirrored."""
    rng = np.random.default_rng(SEED)
    found = [tile for image in images for tile in tiles(image)]
    for _ in range(PASSES):
        for index in rng.permutation(len(found)):
            mirrored = rng.random() < 0.5
            yield found[index][:, ::-1] if mirrored else found[index]


def quantization_error(images: list[np.ndarray], words: np.ndarray) -> float:
    """Mean squared distance of the descriptors of images, at all sizes, to their nearest words."""
    nearest = []
    for image in images:
        for sized in sizes(image):
            descriptors = pretrained.LOCAL(sized)
            descriptors = descriptors[np.any(descriptors != 0, axis=1)]
            nearest.append(cdist(descriptors, words, "sqeuclidean").min(axis=1))
    return float(np.concatenate(nearest).mean())


def main(folder: pathlib.Path) -> None:
    """Learn the vocabularies, write them to a folder, and print what their README says."""
    images = [photograph(name) for name in SCIKIT_IMAGE + SCIKIT_LEARN]
    held_out = [photograph(HELD_OUT)]
    for module in (repinv, np, skimage, sklearn, numba):
        print(f"{module.__name__} {module.__version__}", end="  ")
    print(f"seed {SEED}")
    for n_words in pretrained.CHECKSUMS:
        bovw = repinv.BoVW.fit(
            stream(images),
            pretrained.LOCAL,
            n_words,
            seed=SEED,
            descriptors_per_image=PER_TILE,
            progress=False,
            descriptors=False,
        )
        exact, kept = bovw.vocabulary, bovw.vocabulary.astype(np.float16)
        path = folder / pretrained.file_name(n_words)
        np.save(path, kept)
        learned = quantization_error(images, kept.astype(np.float32))
        other = quantization_error(held_out, kept.astype(np.float32))
        rounding = other - quantization_error(held_out, exact)
        print(f"{path}: {path.stat().st_size} bytes")
        print(f"  quantization error {learned:.4f}; of the camera man {other:.4f}")
        print(f"  which rounding to half precision changes by {rounding:.0e}")
        print(f"  SHA-256 {shipped.checksum(path.read_bytes())}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    package = pathlib.Path(pretrained.__file__).with_name("vocabularies")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=package)
    main(parser.parse_args().folder)
