"""What a learned prior gains by having seen more photographs.

    python benchmarks/learning_curve.py PHOTOGRAPHS [FOLDER] [--views N ...] [--seeds N ...]
                                        [--scenes N] [--steps N] [--limit N]
                                        [--checkpoint FOLDER] [--json FILE]

Prints Markdown: restorers of bilinear HOG, learned from fewer and more of a folder's photographs
with as many scenes and steps, and what they do on photographs that none of them has seen. On one
thread; a checkpoint keeps scenes and the state of training.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import inversions  # sets one thread, and so comes before NumPy
import numpy as np
import restored
from report import Report

import repinv
import repinv_cnn
from repinv import metrics

VIEWS, SCENES, STEPS = (14, 60, 150, 467), 1000, 1500
ENCODER = repinv.HOG.vlfeat(bilinear_orientations=True)


def scored(
    photographs: list[np.ndarray], method: str, restorer: repinv.Restorer | None
) -> np.ndarray:
    """Means of feature error in percent, NCC and SSIM."""
    rows = []
    for number, photograph in enumerate(photographs):
        target = ENCODER.encode(photograph[None, None])[0]
        image = restored.inverted(ENCODER, target, photograph.shape, number, method, restorer)
        features = ENCODER.encode(image[None, None].astype(np.float32))
        error = 100 * float(metrics.feature_error(features, target[None])[0])
        rows.append((error, metrics.ncc(image, photograph), metrics.ssim(image, photograph)))
    return np.mean(rows, axis=0)


def main() -> None:
    """Learn, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("learn_from", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=inversions.FOLDER)
    parser.add_argument("--views", type=int, nargs="+", default=VIEWS)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1), help="of trainings")
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    paths = inversions.paths(given.learn_from)
    photographs = inversions.photographs(given.folder, given.limit)
    report = Report(
        "A learned prior by how many photographs it saw",
        f"Restorers of bilinear HOG, {given.scenes} scenes of 128x128 pixels and {given.steps} "
        "steps of training each. Restored: what the network makes of a rough pre-image. Fitted: "
        f"the run with it, {restored.EVALUATIONS} evaluations in all. Means.",
    )
    report.table(
        f"{len(photographs)} photographs that none has seen",
        "restored: NCC", "restored: SSIM", "fitted: NCC", "fitted: SSIM", "error, %",
    )  # fmt: skip
    error, ncc, ssim = scored(photographs, restored.PLAIN, None)
    report.row("plain", "", "", f"{ncc:.3f}", f"{ssim:.3f}", f"{error:.3g}")
    for views, seed in itertools.product(given.views, given.seeds):
        # Views of one photograph follow each other: every n-th is of another.
        chosen = np.linspace(0, len(paths) - 1, views).round().astype(int)
        restorer = repinv_cnn.learn_restorer(
            [paths[k] for k in chosen], ENCODER, count=given.scenes, steps=given.steps, seed=seed,
            checkpoint=given.checkpoint and given.checkpoint / f"{views}_{seed}", progress=False,
        )  # fmt: skip
        _, alone_ncc, alone_ssim = scored(photographs, restored.ALONE, restorer)
        error, ncc, ssim = scored(photographs, restored.LEARNED, restorer)
        cells = (f"{value:.3f}" for value in (alone_ncc, alone_ssim, ncc, ssim))
        report.row(f"{views} views, seed {seed}", *cells, f"{error:.3g}")
    report.write(given.json)


if __name__ == "__main__":
    main()
