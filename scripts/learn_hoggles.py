"""Learns the dictionaries and the inverter that ship, and prints their checksums.

Run as ``python scripts/learn_hoggles.py [FOLDER]``; without a folder, the files of the package are
written anew. Made of the photographs of `learn_vocabularies.py`. The checksums belong into
``repinv/encoders/sparse/hoggle.py`` and ``repinv/inverters/ridge.py``, and the figures into the
READMEs beside the files.
"""

from __future__ import annotations

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[threads] = "1"  # sums in another order would give other numbers

import argparse
import itertools
import pathlib
import time

import learn_vocabularies as photographs
import numpy as np

import repinv
from repinv import metrics
from repinv.inverters import Ridge
from repinv.io import serialization, shipped

PACKAGE = pathlib.Path(repinv.__file__).parent
DICTIONARIES = PACKAGE / "encoders" / "sparse" / "dictionaries"
INVERTERS = PACKAGE / "inverters" / "dictionaries"
ATOMS = (256, 1024)
#: Tiles that are looked at, and windows drawn from each.
TILES, PER_TILE = 500, 40


def save(value: object, kind: str, path: pathlib.Path) -> None:
    """Write what it is made of, its arrays in half precision."""
    described = serialization.describe(value)
    for field in described["fields"].values():
        if isinstance(field, dict) and "array" in field:
            field["array"] = field["array"].astype(np.float16)
    serialization.save(path, {"kind": kind, kind: described}, {})
    content = path.read_bytes()
    print(f"{path.name}: {len(content)} bytes, SHA-256 {shipped.checksum(content)}")


def report(seconds: float, shown: np.ndarray, held_out: np.ndarray) -> None:
    """Print how long it took, and how near to a photograph it comes."""
    print(
        f"  {seconds:.0f} s; of the camera man, held out: NCC "
        f"{metrics.ncc(shown, held_out):.3f}, SSIM {metrics.ssim(shown, held_out):.3f}"
    )


def main() -> None:
    """Learn, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", nargs="?", type=pathlib.Path, help="by default the folders of the package"
    )
    parser.add_argument("--atoms", type=int, nargs="*", default=ATOMS)
    parser.add_argument("--no-ridge", dest="ridge", action="store_false")
    given = parser.parse_args()
    images = [
        photographs.photograph(name) for name in photographs.SCIKIT_IMAGE + photographs.SCIKIT_LEARN
    ]
    held_out = photographs.photograph(photographs.HELD_OUT)[::2, ::2]
    if given.ridge:
        began = time.perf_counter()
        stream = itertools.islice(photographs.stream(images), TILES)
        ridge = Ridge.fit(stream, repinv.HOG.vlfeat(), windows_per_image=PER_TILE, progress=False)
        seconds = time.perf_counter() - began
        save(ridge, "inverter", (given.folder or INVERTERS) / "ridge_5.npz")
        shown = ridge.invert(ridge.encoder(held_out), held_out.shape).image
        report(seconds, shown, held_out)
    for count in given.atoms:
        began = time.perf_counter()
        stream = itertools.islice(photographs.stream(images), TILES)
        hoggle = repinv.HOGgle.fit(
            stream, n_atoms=count, windows_per_image=PER_TILE, progress=False
        )
        seconds = time.perf_counter() - began
        save(hoggle, "encoder", (given.folder or DICTIONARIES) / f"hoggle_{count}.npz")
        shown = hoggle.decode(hoggle(held_out), held_out.shape)
        report(seconds, shown, held_out)


if __name__ == "__main__":
    main()
