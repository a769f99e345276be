"""Invert bags of 1024 or 256 visual words on dense SIFT of step 5, on one thread.

Prints, for each kind of bag: relative feature error, NCC and SSIM to the photograph after affine
intensity matching, seconds; and what one evaluation (features and pullback) takes at 256x256.
Every error of a finished image is re-scored by `reference_bovw`, which shares no code with repinv.
With --figure it draws instead what survives of one photograph as the grid goes 16x16 to 1x1.

    python benchmarks/invert_bovw.py [FOLDER OF PHOTOGRAPHS] [--limit N] [--json FILE]
                                      [--authors] [--only CASE ...]
    python benchmarks/invert_bovw.py [FOLDER OF PHOTOGRAPHS] --figure FILE
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import inversions
import numpy as np
from reference_bovw import bag_of_words
from report import Report

import repinv
from repinv import metrics

EVALUATIONS = 800
LONGER = 3 * EVALUATIONS
#: What the command line takes for `--encoder bovw`: words, cells along a side, evaluations.
COMMAND = "256 words, cells of 8 pixels, as repinv invert --encoder bovw"
#: Name, method, words, cells along a side, temperature (0 is hard), evaluations.
CASES = (
    (COMMAND, "ours", 256, 32, 0.02, 120),
    ("soft, 16x16", "ours", 1024, 16, 0.02, EVALUATIONS),
    ("soft, 8x8", "ours", 1024, 8, 0.02, EVALUATIONS),
    ("nearly hard, 16x16", "ours", 1024, 16, 0.005, EVALUATIONS),
    ("hard, 16x16", "ours", 1024, 16, 0.0, EVALUATIONS),
    (f"soft, 16x16, {LONGER} evaluations", "ours", 1024, 16, 0.02, LONGER),
    (f"soft, 8x8, {LONGER} evaluations", "ours", 1024, 8, 0.02, LONGER),
    (f"soft, 16x16, learned prior, {LONGER} evaluations", "learned prior", 1024, 16, 0.02, LONGER),
)


def encoder_of(words: int, grid: int, temperature: float) -> repinv.BoVW:
    """The shipped vocabulary of so many words, by the settings of a case."""
    soft = repinv.SoftAssignment(temperature) if temperature else repinv.HardAssignment()
    return repinv.BoVW.pretrained(words, assignment=soft, grid=(grid, grid))


def scored(
    method: str,
    photograph: np.ndarray,
    words: int,
    grid: int,
    temperature: float,
    evaluations: int,
) -> tuple[repinv.Result, dict[str, float]]:
    """One inversion and its figures."""
    encoder = encoder_of(words, grid, temperature)
    result, seconds = inversions.inverted(method, photograph, encoder, evaluations)
    target, found = (
        bag_of_words(image, encoder.vocabulary, grid=grid, temperature=temperature)[None]
        for image in (photograph, result.image)
    )
    return result, {
        "error": float(metrics.feature_error(found, target)[0]),
        "ssim": float(metrics.ssim(result.image, photograph)),
        "ncc": float(metrics.ncc(result.image, photograph)),
        "seconds": seconds,
    }


def evaluation(photograph: np.ndarray) -> tuple[float, float]:
    """Least milliseconds of an evaluation of the first case, and of its local encoder's alone."""
    encoder, x = encoder_of(1024, 16, 0.02), photograph[None, None]
    taken = []
    for one in (encoder, encoder.local):
        times = []
        for _ in range(15):
            began = time.perf_counter()
            features, pullback = one.vjp(x)
            pullback(features)
            times.append(time.perf_counter() - began)
        taken.append(1e3 * min(times))
    return taken[0], taken[1]


def draw(photograph: np.ndarray, path: Path) -> None:
    """What survives of one photograph in ever fewer cells."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    grids = (16, 8, 4, 2, 1)
    figure, axes = plt.subplots(1, 1 + len(grids), figsize=(3 * (1 + len(grids)), 3.5))
    axes[0].imshow(photograph, cmap="gray", vmin=0, vmax=1)
    axes[0].set_title("photograph")
    for axis, grid in zip(axes[1:], grids, strict=True):
        result, row = scored("ours", photograph, 1024, grid, 0.02, EVALUATIONS)
        axis.imshow(result.image, cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{grid}x{grid} cells\nerror {100 * row['error']:.2g} %")
        print(f"{grid}x{grid}", row, flush=True)
    for axis in axes:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=100, bbox_inches="tight")


def main() -> None:
    """Invert and print, or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=inversions.FOLDER)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--authors", action="store_true", help="the authors' method beside ours")
    parser.add_argument("--only", nargs="+", choices=[case[0] for case in CASES])
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    images = inversions.photographs(options.folder, options.limit)
    if options.figure:
        draw(images[0], options.figure)
        return
    whole, local = evaluation(images[0])
    report = Report(
        "Bags of visual words",
        "Bags of the 1024 words that ship, on dense SIFT of step 5, inverted with "
        f"{EVALUATIONS} evaluations where nothing else is said, on one thread: soft assignment at "
        "a temperature of .02, nearly hard at .005, and hard. With a learned prior the evaluations "
        "of four starts and of what is made of their average come to as many. The error of every "
        "finished image is scored anew by code that shares nothing with repinv.",
    )
    columns = ("error: mean ± standard deviation", "its median", "SSIM", "NCC", "seconds")
    report.table(f"{len(images)} photographs", *columns)
    report.note(
        f"An evaluation at {images[0].shape[0]}x{images[0].shape[1]} takes {whole:.1f} ms, "
        f"{local:.1f} ms of them in the local encoder."
    )
    for name, default, *case in CASES:
        if options.only is not None and name not in options.only:
            continue
        for method in ("authors", default) if options.authors else (default,):
            rows = [scored(method, image, *case)[1] for image in images]
            label = f"{name}, {method}" if options.authors else name
            error = 100 * np.array([row["error"] for row in rows])
            means = [np.mean([row[key] for row in rows]) for key in ("ssim", "ncc", "seconds")]
            report.row(
                label,
                f"{error.mean():.3f} ± {error.std():.3f} %",
                f"{np.median(error):.3f} %",
                *(f"{mean:.{digits}f}" for mean, digits in zip(means, (3, 3, 1), strict=True)),
            )
    report.write(options.json)


if __name__ == "__main__":
    main()
