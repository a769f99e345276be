"""Learns the restorers that ship, and prints their checksums.

Run as ``python scripts/learn_restorers.py [--only NAME] [--scenes FOLDER]``; a folder keeps the
pre-images that they are learned from, for another try at the training. Made of the photographs
of `learn_vocabularies.py`. The checksums belong into ``repinv/search/restorer.py``.
"""

from __future__ import annotations

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[threads] = "1"  # sums in another order would give other weights

import argparse
import hashlib
import pathlib
import time

import learn_vocabularies as photographs
import numpy as np
import skimage
import torch

import repinv
from repinv_cnn.restoration.learn_restorer import Scenes, scenes, trained

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "repinv" / "restorers"
#: Encoders, the evaluations that the starts of their scenes get, scenes, and steps of training.
ENCODERS = (
    (repinv.HOG.vlfeat(bilinear_orientations=True), (200, 400), 1600, 3000),
    (repinv.HOG.vlfeat(), (200,), 1600, 2000),
    (repinv.DSIFT.natural(5), (400,), 1600, 2000),
    (repinv.BoVW.pretrained(1024, grid=(8, 8)), (200,), 700, 2000),
)


def main() -> None:
    """Learn, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[str(encoder.restorer) for encoder, *_ in ENCODERS])
    parser.add_argument("--scenes", type=pathlib.Path, help="folder that keeps pre-images")
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER)
    parser.add_argument("--count", type=int, help="scenes, if others than those that ship had")
    parser.add_argument("--steps", type=int, help="of training, likewise")
    given = parser.parse_args()
    torch.set_num_threads(1)
    images = [
        skimage.util.img_as_float32(photographs.pixels(name))
        for name in photographs.SCIKIT_IMAGE + photographs.SCIKIT_LEARN
    ]
    for encoder, evaluations, count, steps in ENCODERS:
        name = str(encoder.restorer)
        if given.only not in (None, name):
            continue
        began = time.perf_counter()
        kept = given.scenes and given.scenes / f"{name}.npz"
        if kept and kept.exists():
            with np.load(kept) as file:
                found = Scenes(file["photographs"], file["preimages"])
        else:
            found = scenes(images, encoder, given.count or count, evaluations=evaluations)
            if kept:
                np.savez(kept, photographs=found.photographs, preimages=found.preimages)
        inverted = time.perf_counter()
        path = given.out / f"{name}.npz"
        trained(found, name, given.steps or steps).save(path)
        content = path.read_bytes()
        print(
            f'    "{name}": "{hashlib.sha256(content).hexdigest()}",  # {len(content)} bytes, '
            f"{inverted - began:.0f} s of inverting, {time.perf_counter() - inverted:.0f} s of "
            "training"
        )


if __name__ == "__main__":
    main()
