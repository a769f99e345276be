"""Learns the restorers that ship, and prints their checksums.

Run as ``python scripts/learn_restorers.py PHOTOGRAPHS [--only NAME] [--checkpoint FOLDER]``. Those
that ship were learned of 467 views, 256 pixels a side, of photographs under free licences; the
README beside the weights lists where these are from. A checkpoint keeps scenes and the state of
training: a run that was interrupted goes on from there. The checksums belong into
``repinv/search/restoration/restorer.py``.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import time

import numpy as np

import repinv
from repinv_cnn.restoration import learn_restorer, pairs

FOLDER = pathlib.Path(repinv.__file__).parent / "search" / "restoration" / "weights"
SUFFIXES = (".jpeg", ".jpg", ".png")
SIDE = 128
#: Encoders and scenes of each that a restorer is learned of, and steps of training.
FAMILIES: dict[str, tuple[tuple[tuple[repinv.Encoder, int], ...], int]] = {
    "hog": (
        ((repinv.HOG.vlfeat(bilinear_orientations=True), 1500), (repinv.HOG.vlfeat(), 1000)),
        4000,
    ),
    "hog-unsigned": (
        ((repinv.HOG.skimage(), 1500), (repinv.HOG.skimage(9, (8, 8), (2, 2)), 1000)),
        4000,
    ),
    "dsift": (((repinv.DSIFT.natural(5), 1500),), 2500),
    "bovw": (((repinv.BoVW.pretrained(1024, grid=(8, 8)), 500),), 2000),
}


def main() -> None:
    """Learn, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=pathlib.Path)
    parser.add_argument("--only", choices=FAMILIES)
    parser.add_argument("--checkpoint", type=pathlib.Path, help="folder that keeps the state")
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER)
    parser.add_argument("--limit", type=int, help="photographs to learn from; all by default")
    parser.add_argument("--steps", type=int, help="of training, if others than those that ship had")
    given = parser.parse_args()
    files = sorted(f for f in given.photographs.iterdir() if f.suffix.lower() in SUFFIXES)
    # Views of one photograph follow each other: every n-th is of another.
    chosen = np.linspace(0, len(files) - 1, given.limit or len(files)).round().astype(int)
    photographs = pairs.Photographs([files[k] for k in chosen], SIDE)
    for name, (encoders, steps) in FAMILIES.items():
        if given.only not in (None, name):
            continue
        began = time.perf_counter()
        place = given.checkpoint and given.checkpoint / name
        found = pairs.joined(
            [
                pairs.pairs(
                    photographs, encoder, count, SIDE, seed=number,
                    checkpoint=place and place / str(number),
                )
                for number, (encoder, count) in enumerate(encoders)
            ]
        )  # fmt: skip
        inverted = time.perf_counter()
        is_blind = learn_restorer.does_not_tell_light_from_dark(encoders[0][0], found.scenes[:4])
        restorer = learn_restorer.trained(
            found, name, given.steps or steps, is_blind=is_blind, checkpoint=place
        )
        path = given.out / f"{name}.npz"
        restorer.save(path)
        content = path.read_bytes()
        print(
            f'    "{name}": "{hashlib.sha256(content).hexdigest()}",  # {len(content)} bytes, '
            f"{inverted - began:.0f} s of inverting, {time.perf_counter() - inverted:.0f} s of "
            "training"
        )


if __name__ == "__main__":
    main()
