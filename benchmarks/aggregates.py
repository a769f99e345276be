"""Invert VLAD and Fisher vectors of photographs that their vocabularies were not learned from.

Prints, for each kind of code: relative feature error (median and largest), SSIM and NCC to the
photograph after affine intensity matching (medians), seconds. Codes have 64 words in 4x4 cells; a
bag of 256 soft words in the same cells is the measure of what should be seen.

    python benchmarks/aggregates.py [FOLDER] [--learn-from FOLDER] [--skip N] [--limit N]
                                    [--evaluations N] [--only WORD] [--json FILE]
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from report import Report

import repinv
from repinv import metrics

EVALUATIONS, GRID, WORDS, SOFT_WORDS = 800, (4, 4), 64, 256
#: Temperature of Fisher vectors beside that of the mixture itself.
HIGHER = 20.0
#: Photographs that vocabularies are learned from, and descriptors of each for a mixture.
LEARNED, OF_EACH = 60, 400
LOCALS = {
    "DSIFT.natural(5)": repinv.DSIFT.natural(5),
    "DSIFT.vlfeat(5, 4, fast=True)": repinv.DSIFT.vlfeat(5, 4, fast=True),
}


def cases(learned: list[np.ndarray], word: str) -> Iterator[tuple[str, repinv.Encoder]]:
    """Names and encoders whose names contain a word."""
    for of, local in LOCALS.items():
        names = [
            *(f"VLAD, {kind}, power {p}, {of}" for kind in ("hard", "soft") for p in ("1", "½")),
            *(f"Fisher, T = {t:g}, power {p}, {of}" for t in (1, HIGHER) for p in ("1", "½")),
        ]
        bag, vlads, fishers = f"{SOFT_WORDS} soft words, {of}", names[:4], names[4:]
        powers = (1.0, 0.5)
        if word in bag:
            yield bag, repinv.BoVW.fit(learned, local, SOFT_WORDS, grid=GRID, progress=False)
        if any(word in name for name in vlads):
            vlad = repinv.VLAD.fit(learned, local, WORDS, grid=GRID, progress=False)
            made = [
                dataclasses.replace(vlad, assignment=kind, power=power)
                for kind in ("hard", "soft")
                for power in powers
            ]
            yield from (pair for pair in zip(vlads, made, strict=True) if word in pair[0])
        if any(word in name for name in fishers):
            fisher = repinv.FisherVector.fit(
                learned, local, WORDS, grid=GRID, descriptors_per_image=OF_EACH, progress=False
            )
            warmer = [
                dataclasses.replace(fisher, temperature=temperature, power=power)
                for temperature in (1.0, HIGHER)
                for power in powers
            ]
            yield from (pair for pair in zip(fishers, warmer, strict=True) if word in pair[0])


def scored(photograph: np.ndarray, encoder: repinv.Encoder, evaluations: int) -> list[float]:
    """Error in percent, SSIM, NCC and seconds of one inversion."""
    features = encoder.encode(photograph[None, None])[0]
    began = time.perf_counter()
    result = repinv.invert(features, encoder, shape=photograph.shape, max_iter=evaluations)
    seconds = time.perf_counter() - began
    likeness = (measure(result.image, photograph) for measure in (metrics.ssim, metrics.ncc))
    return [100 * float(result.error[0]), *map(float, likeness), seconds]


def main() -> None:
    """Invert and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=inversions.FOLDER)
    parser.add_argument("--learn-from", type=Path, default=inversions.FOLDER.parent / "photographs")
    parser.add_argument("--skip", type=int, default=0, help="photographs left out at first")
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    parser.add_argument("--only", default="", help="a word that names of cases contain")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    last = options.skip + options.limit
    images = inversions.photographs(options.folder, last)[options.skip :]
    learned = inversions.photographs(options.learn_from, LEARNED)
    report = Report(
        "VLAD and Fisher vectors",
        f"Codes of {WORDS} words in 4x4 cells, learned from {len(learned)} photographs and "
        f"inverted on others with {options.evaluations} evaluations on one thread, beside a bag of "
        f"{SOFT_WORDS} soft words in the same cells.",
    )
    columns = ("error: median", "largest", "SSIM", "NCC", "seconds")
    report.table(f"{len(images)} photographs: medians", *columns)
    for name, encoder in cases(learned, options.only):
        found = np.array([scored(image, encoder, options.evaluations) for image in images])
        error, ssim, ncc, seconds = np.median(found, axis=0)
        report.row(
            name,
            f"{error:.3g} %",
            f"{found[:, 0].max():.3g} %",
            f"{ssim:.3f}",
            f"{ncc:.3f}",
            f"{seconds:.1f}",
        )
    report.write(options.json)


if __name__ == "__main__":
    main()
