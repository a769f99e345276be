"""HOGgles, the other learned inverters, and pre-images, side by side on one thread.

Prints Markdown: for each representation every method's relative feature error, the paper's unit
(100 is the root mean squared distance of two photographs' features), NCC and SSIM to the
photograph, on how many photographs it comes nearer than the plain pre-image, and seconds. Inverters
are learned from the photographs inside scikit-image and scikit-learn that
`scripts/learn_vocabularies.py` lists. Errors of HOG are also compared on HOGgles' own 27 channels,
without the four of texture.

    python benchmarks/hoggles.py [FOLDER OF PHOTOGRAPHS] [--limit N] [--only NAME] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inversions  # sets one thread, and so comes before NumPy
import numpy as np
from report import Report

import repinv
from repinv import inverters, metrics

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import learn_vocabularies

ENCODERS = {
    "HOGb": repinv.HOG.vlfeat(bilinear_orientations=True),
    "HOG": repinv.HOG.vlfeat(),
    "DSIFT": repinv.DSIFT.natural(5),
}
#: Evaluations of a plain run and one with a learned prior; and of four starts and what is made of
#: their average, and of a plain run that is as long.
PLAIN, SEVERAL = 800, 4400
#: Starts that are averaged.
SEEDS = 4
#: Channels of HOG that HOGgles invert.
CHANNELS = 27
#: Tiles, and windows of each, that inverters are learned from; atoms where no dictionary ships.
TILES, PER_TILE, ATOMS = 500, 40, 256

COLUMNS = ("error, %", "the paper's unit", "NCC", "SSIM", "SSIM better on", "seconds")

Invert = Callable[[np.ndarray, tuple[int, int]], repinv.Result]


def methods(name: str, encoder: repinv.Encoder) -> dict[str, Invert]:
    """All ways to invert an encoder, the plain pre-image first."""

    def run(**options: Any) -> Invert:
        return lambda features, shape: repinv.invert(features, encoder, shape=shape, **options)

    images = [
        learn_vocabularies.photograph(one)
        for one in learn_vocabularies.SCIKIT_IMAGE + learn_vocabularies.SCIKIT_LEARN
    ]

    def tiles() -> Any:
        return itertools.islice(learn_vocabularies.stream(images), TILES)

    few = {"windows_per_image": PER_TILE, "progress": False}
    if name == "HOG":
        paired = inverters.PairedDictionary.pretrained(1024)
        ridge = inverters.Ridge.pretrained()
    else:
        paired = inverters.PairedDictionary.fit(tiles(), encoder, n_atoms=ATOMS, **few)
        ridge = inverters.Ridge.fit(tiles(), encoder, **few)
    learned = {
        f"HOGgle, {len(paired.atoms)} atoms": paired,
        "ridge regression": ridge,
        "exemplar LDA": inverters.ExemplarLDA.fit(tiles(), encoder, **few),
        "nearest patches": inverters.NearestPatches.fit(tiles(), encoder, **few),
        "direct optimization": inverters.DirectOptimization.fit(tiles(), encoder, progress=False),
    }
    alone = inversions.gathered(encoder, SEEDS, SEVERAL)
    return {
        "pre-image": run(max_iter=PLAIN),
        f"pre-image, {SEVERAL:,} evaluations": run(max_iter=SEVERAL),
        "pre-image, 4 seeds": run(max_iter=alone, seeds=SEEDS),
        "pre-image, learned prior": run(max_iter=PLAIN, prior="learned"),
        **{label: inverter.invert for label, inverter in learned.items()},
    }


def measured(
    encoder: repinv.Encoder, ways: dict[str, Invert], photographs: list[np.ndarray]
) -> dict[str, dict[str, list[float]]]:
    """Every figure of every method, an entry a photograph; methods are interleaved."""
    targets = np.stack([encoder.encode(photograph[None, None])[0] for photograph in photographs])
    found: dict[str, dict[str, list[float]]] = {label: {} for label in ways}
    for invert in ways.values():
        invert(targets[0], photographs[0].shape)  # compile
    for index, photograph in enumerate(photographs):
        for label, invert in ways.items():
            began = time.perf_counter()
            result = invert(targets[index], photograph.shape)
            seconds = time.perf_counter() - began
            features = encoder.encode(result.image[None, None].astype(np.float32))
            target = targets[index][None]
            row = {
                "error": metrics.feature_error(features, target)[0],
                "unit": metrics.pairwise_error(features, target, targets)[0],
                "ncc": metrics.ncc(result.image, photograph),
                "ssim": metrics.ssim(result.image, photograph),
                "seconds": seconds,
            }
            if isinstance(encoder, repinv.HOG):
                shown, wanted = features[:, :CHANNELS], target[:, :CHANNELS]
                row["error of 27 channels"] = metrics.feature_error(shown, wanted)[0]
            for key, value in row.items():
                found[label].setdefault(key, []).append(float(value))
        print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return found


def tabulate(report: Report, name: str, found: dict[str, dict[str, list[float]]]) -> None:
    """Add one encoder's table to a report."""
    first = found["pre-image"]
    count = len(first["error"])
    report.table(f"{name}, {count} photographs: mean ± standard deviation (median)", *COLUMNS)
    for label, figures in found.items():
        values = {key: np.array(one) for key, one in figures.items()}
        better = np.mean(values["ssim"] > np.array(first["ssim"]))
        report.row(
            label,
            _cell(100 * values["error"], 4),
            f"{values['unit'].mean():.1f} ± {values['unit'].std():.1f}",
            f"{values['ncc'].mean():.4f}",
            f"{values['ssim'].mean():.4f}",
            "" if figures is first else f"{better:.0%}",
            f"{np.median(values['seconds']):.2f}",
        )
    if "error of 27 channels" in first:
        ours = np.mean(first["error of 27 channels"])
        for label, figures in found.items():
            if label.startswith("HOGgle"):
                theirs = np.mean(figures["error of 27 channels"])
                report.note(
                    f"On the 27 channels: {label} {theirs:.3f}, pre-image {ours:.6f}, "
                    f"{theirs / ours:.0f} times less."
                )


def _cell(values: np.ndarray, digits: int) -> str:
    return f"{values.mean():.{digits}g} ± {values.std():.2g} ({np.median(values):.{digits}g})"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=inversions.FOLDER)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--only", choices=ENCODERS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    photographs = inversions.photographs(given.folder, given.limit)
    report = Report(
        "Learned inverters and pre-images",
        "HOG with hard and with bilinear orientations (HOGb), and dense SIFT, inverted by what "
        f"is learned from photographs, by the energy with {PLAIN} evaluations, alone and with a "
        f"learned prior, and by it with {SEVERAL:,} in all for one start or several; in turns, on "
        "one thread. In the paper's unit, 100 is the root mean squared distance of two "
        "photographs' features.",
    )
    for name, encoder in ENCODERS.items():
        if given.only in (None, name):
            tabulate(report, name, measured(encoder, methods(name, encoder), photographs))
    report.write(given.json)


if __name__ == "__main__":
    main()
