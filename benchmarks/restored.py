"""Pre-images with a prior that was learned from photographs, and without, on photographs.

    python benchmarks/restored.py [FOLDER] [--limit N] [--every K] [--only NAME ...] [--more]
                                  [--json FILE] [--sheet PNG]

Prints Markdown: for each representation the plain run, the run with `prior="learned"` of as many
evaluations, the same from four starts, and what the network makes of the rough pre-image without
any fit of the features; with `--more` also four starts and five times the evaluations. On one
thread, in turns. `--sheet` writes what was found: a row a photograph.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import inversions  # sets one thread, and so comes before NumPy
import numpy as np
import unsigned
from report import Report

import repinv
from repinv import metrics
from repinv.io import files
from repinv.plot.figures import matched
from repinv.search.schedules import ROUGH

ENCODERS: dict[str, repinv.Encoder] = {
    "HOG bilinear": repinv.HOG.vlfeat(bilinear_orientations=True),
    "HOG hard": repinv.HOG.vlfeat(),
    "HOG.dpm()": repinv.HOG.dpm(),
    "dense SIFT": repinv.DSIFT.natural(5),
    "words 16x16 soft": repinv.BoVW.pretrained(
        1024, grid=(16, 16), assignment=repinv.SoftAssignment(0.02)
    ),
    "HOG.skimage()": repinv.HOG.skimage(),
    "HOG.skimage(9, (8, 8), (2, 2))": repinv.HOG.skimage(9, (8, 8), (2, 2)),
    "HOG.opencv((256, 256))": repinv.HOG.opencv((256, 256)),
}
EVALUATIONS = 800
PLAIN, LEARNED, FOUR = "plain", "learned prior", "learned prior, 4 starts"
MORE = "learned prior, 4 starts, 5 times the evaluations"
ALONE = "restored, features not fitted"
COLUMNS = (
    "error, %", "median", "NCC", "SSIM", "coherence", "local NCC", "low contrast",
    "high frequencies", "better on", "seconds",
)  # fmt: skip


def inverted(
    encoder: repinv.Encoder,
    features: np.ndarray,
    shape: tuple[int, ...],
    seed: int,
    method: str,
    restorer: repinv.Restorer | None = None,
) -> np.ndarray:
    """The image of one method, with the restorer that ships or another."""
    options: dict[str, Any] = {"shape": shape, "seed": seed, "max_iter": EVALUATIONS}
    if method == ALONE:
        options["max_iter"] = round(ROUGH * EVALUATIONS)
        rough = repinv.invert(features, encoder, **options).image[None, None, None]
        restorer = restorer or repinv.Restorer.pretrained(encoder)
        vectors = restorer.vectors(encoder, features[None], (shape[0], shape[1]))
        return _within(np.asarray(restorer(*restorer.averaged(rough), vectors))[0, 0])
    if method != PLAIN:
        options["prior"] = restorer or "learned"
    elif encoder.restorer == "hog-unsigned":
        options["polarity"] = "structures"  # or else a network decides
    if method in (FOUR, MORE):
        whole = EVALUATIONS * (5 if method == MORE else 1)
        options |= {"seeds": 4, "max_iter": round(whole / (4 * ROUGH + 1 - ROUGH))}
    return repinv.invert(features, encoder, **options).image


def _within(image: np.ndarray) -> np.ndarray:
    """An image of any contrast, from black to white."""
    return np.asarray((image - image.min()) / max(float(np.ptp(image)), 1e-12), np.float32)


def measured(
    report: Report, name: str, photographs: list[np.ndarray], more: bool
) -> dict[str, list[np.ndarray]]:
    """Add the table of an encoder, and return the images."""
    encoder = ENCODERS[name]
    methods = (PLAIN, LEARNED, FOUR, *([MORE] if more else []), ALONE)
    found: dict[str, list[list[float]]] = {method: [] for method in methods}
    images: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    is_signed = encoder.restorer != "hog-unsigned"
    targets = [encoder.encode(x[None, None])[0] for x in photographs]
    for method in methods:
        inverted(encoder, targets[0], photographs[0].shape, 0, method)  # compile
    for number, (photograph, target) in enumerate(zip(photographs, targets, strict=True)):
        for method in methods:
            began = time.process_time()
            image = inverted(encoder, target, photograph.shape, number, method)
            seconds = time.process_time() - began
            features = encoder.encode(image[None, None].astype(np.float32))
            error = float(metrics.feature_error(features, target[None])[0])
            likeness = (metrics.ncc(image, photograph), metrics.ssim(image, photograph))
            row = [error, *likeness, *unsigned.likeness(image, photograph), seconds]
            found[method].append([float(value) for value in row])
            images[method].append(image)
    report.table(f"{name}, {len(photographs)} photographs", *COLUMNS)
    judged = 2 if is_signed else 4  # SSIM, or local NCC
    plain = np.array(found[PLAIN])[:, judged]
    for method in methods:
        values = np.array(found[method])
        better = "" if method == PLAIN else f"{np.sum(values[:, judged] > plain)}"
        report.row(
            method, f"{100 * values[:, 0].mean():.3g}", f"{100 * np.median(values[:, 0]):.3g}",
            *(f"{value:.3f}" for value in values[:, 1:6].mean(axis=0)),
            f"{np.median(values[:, 6]):.2f}", better, f"{np.median(values[:, 7]):.2f}",
        )  # fmt: skip
    gain = np.array(found[LEARNED])[:, judged] - plain
    worst = ", ".join(f"{number} ({gain[number]:+.3f})" for number in np.argsort(gain)[:3])
    report.note(
        f"'Better' by {'SSIM' if is_signed else 'local NCC'}, to the plain run. The learned prior "
        f"hurts on {np.sum(gain < 0)} of {len(gain)}; least gain on photographs {worst}."
    )
    return images


def sheet(path: Path, photographs: list[np.ndarray], images: dict[str, list[np.ndarray]]) -> None:
    """Photographs and what was found, at the mean and deviation of the photograph."""
    rows = []
    for number, photograph in enumerate(photographs):
        found = (matched(several[number], photograph, "contrast")[0] for several in images.values())
        rows.append(np.hstack([photograph, *found]))
    files.write(path, np.vstack(rows).astype(np.float32))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=inversions.FOLDER)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--every", type=int, default=1, metavar="K")
    parser.add_argument("--only", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--more", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    photographs = inversions.photographs(given.folder, given.limit)[:: given.every]
    report = Report(
        "A prior that was learned from photographs",
        f"{EVALUATIONS} evaluations in all, or five times as many where it says so; the last row "
        f"is {round(ROUGH * EVALUATIONS)} and the network. Coherence, local NCC, low contrast and "
        "high frequencies as the table of HOG without signs measures them; means, and medians "
        "where it says so and of high frequencies and seconds.",
    )
    for name in given.only:
        images = measured(report, name, photographs, given.more)
        if given.sheet:
            sheet(given.sheet.with_stem(f"{given.sheet.stem}-{name}"), photographs, images)
    report.write(given.json)


if __name__ == "__main__":
    main()
