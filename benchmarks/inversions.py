"""One inversion by the authors' method and by ours, interleaved in one process, on one thread.

What `invert_hog.py` and `invert_dsift.py` have in common: the photographs, the measures, the table.
"""

from __future__ import annotations

import os
import sys

for _name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from report import Report
from skimage.color import rgb2gray

import repinv
from repinv import metrics
from repinv.io import files
from repinv.io.image import as_unit
from repinv.search.schedules import averaging
from repinv.solvers.minimize import Snapshot
from repinv.tasks.mahendran import mahendran

BUDGETS = (50, 100, 200, 400, 800)
EVERY = 10
LABELS = {
    "error": f"error after {BUDGETS[-1]}",
    "unit": "in the paper's unit",
    "ncc": "NCC",
    "ssim": "SSIM",
    "std": "contrast (deviation of pixels)",
}
ABOUT = (
    f" All get {BUDGETS[-1]} evaluations, in turns, on one thread; the error of every finished "
    "image is scored anew by code that shares nothing with repinv. 'Ratio' is theirs over ours, or "
    "ours over theirs where more is better, of means (and the median of those of photographs). "
    "'Two starts' is seeds=2: the evaluations of both starts and of what is made of their average "
    "come to as many."
)
FOLDER = Path(__file__).resolve().parents[2] / "shared" / "images"


def paths(folder: Path) -> list[Path]:
    """The files of photographs in a folder, of which there must be one."""
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpeg", ".jpg", ".png"))
    if not found:
        raise SystemExit(f"no photographs in {folder}; name a folder that holds some.")
    return found


def photographs(folder: Path, limit: int | None) -> list[np.ndarray]:
    """The photographs of a folder, gray, (H, W) float32 in [0, 1]."""
    images = [as_unit(files.read(path)) for path in paths(folder)[:limit]]
    return [(rgb2gray(i) if i.ndim == 3 else i).astype(np.float32) for i in images]


def gathered(encoder: repinv.Encoder, starts: int, evaluations: int) -> int:
    """The max_iter of `invert` with several starts for which all take so many evaluations."""
    stages = averaging(encoder)
    first = [stage.averages_starts for stage in stages].index(True)
    apart = sum(stage.share for stage in stages[:first])
    together = sum(stage.share for stage in stages[first:])
    return round(evaluations * (apart + together) / (starts * apart + together))


def inverted(
    method: str,
    photograph: np.ndarray,
    encoder: repinv.Encoder,
    max_iter: int,
    callback: Any = None,
) -> tuple[repinv.Result, float]:
    """One inversion, and its seconds from features to images."""
    features = encoder.encode(photograph[None, None])[0]
    options: dict[str, Any] = {"shape": photograph.shape, "max_iter": max_iter}
    if method == "authors":
        options = mahendran(photograph.shape, max_iter)
    elif method == "two starts":
        options |= {"seeds": 2, "max_iter": gathered(encoder, 2, max_iter)}
    elif method == "learned prior":
        options["prior"] = "learned"
    began = time.perf_counter()
    result = repinv.invert(
        features,
        encoder,
        callback=callback,
        check_every=EVERY,
        **options,
    )
    return result, time.perf_counter() - began


def watched_every(method: str, encoder: repinv.Encoder) -> int:
    """Evaluations between looks: 1 where the run is of the true encoder all along."""
    return 1 if method == "authors" or encoder.softened(1.0) is None else EVERY


def progress_of(
    method: str, photograph: np.ndarray, encoder: repinv.Encoder, result: repinv.Result
) -> dict[int, float]:
    """Least errors so far under the true encoder, after every `watched_every`; not timed."""
    if watched_every(method, encoder) == 1:
        least = np.minimum.accumulate(result.trace["data"][:, 0])
        return dict(enumerate(map(float, least), start=1))
    target = encoder.encode(photograph[None, None])
    seen: dict[int, float] = {}

    def watch(snapshot: Snapshot) -> None:
        features = encoder.encode(snapshot.parametrization.image(snapshot.z))
        seen[snapshot.iteration] = float(metrics.feature_error(features, target)[0])

    inverted(method, photograph, encoder, result.iterations, watch)
    return seen


def measured(
    photographs: list[np.ndarray],
    encoder: repinv.Encoder,
    reference: Callable[[np.ndarray], np.ndarray],
) -> dict[str, dict[str, np.ndarray]]:
    """Every figure of both methods, an entry a photograph; errors are those of the reference."""
    targets = np.stack([reference(photograph) for photograph in photographs])
    rows: dict[str, list[dict[str, float]]] = {"authors": [], "ours": [], "two starts": []}
    for method in rows:
        inverted(method, photographs[0], encoder, 30)  # compile
    for index, photograph in enumerate(photographs):
        for method, found in rows.items():
            result, seconds = inverted(method, photograph, encoder, BUDGETS[-1])
            features = reference(result.image)[None]
            target = targets[index][None]
            row = {
                "error": metrics.feature_error(features, target)[0],
                "unit": metrics.pairwise_error(features, target, targets)[0]
                if len(targets) > 1
                else np.nan,
                "ncc": metrics.ncc(result.image, photograph),
                "ssim": metrics.ssim(result.image, photograph),
                "std": float(result.image.std()),
                "seconds": seconds,
            }
            if method != "two starts":
                seen = progress_of(method, photograph, encoder, result)
                row |= {f"after {budget}": seen[budget] for budget in BUDGETS[:-1]}
            if method == "ours":
                theirs = rows["authors"][-1]["error"]
                below = [n for n, e in seen.items() if e <= theirs]
                row["evaluations"] = min(below, default=BUDGETS[-1])
            found.append({k: float(v) for k, v in row.items()})
        print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return {
        method: {k: np.array([row[k] for row in found]) for k in found[0]}
        for method, found in rows.items()
    }


def tabulate(
    report: Report, name: str, figures: dict[str, dict[str, np.ndarray]], every: int
) -> None:
    """Add one encoder's table to a report; ours was looked at after `every` evaluations."""
    authors, ours, two = figures["authors"], figures["ours"], figures["two starts"]
    percent = ["error", *(f"after {budget}" for budget in BUDGETS[:-1])]
    title = f"{name}, {len(ours['error'])} photographs: mean ± standard deviation (median)"
    report.table(title, "authors", "ours", "ratio", "ours, two starts")
    for key in (*percent, "unit", "ncc", "ssim", "std", "seconds"):
        a, b = authors[key], ours[key]
        if key in ("ncc", "ssim", "std"):
            ratio, median = b.mean() / a.mean(), np.median(b / a)
        else:
            ratio, median = a.mean() / b.mean(), np.median(a / b)
        cells = [_cell(values, percent=key in percent) for values in (a, b)]
        last = _cell(two[key], percent=key in percent) if key in two else ""
        report.row(LABELS.get(key, key), *cells, f"{ratio:.2f} ({median:.2f})", last)
    n = ours["evaluations"]
    below = [int((one["ssim"] < authors["ssim"]).sum()) for one in (ours, two)]
    report.note(
        f"Evaluations to the authors' final error: mean {n.mean():.0f}, median {np.median(n):.0f}, "
        f"largest {n.max():.0f} (looked at every {every})."
    )
    report.note(
        f"Photographs whose SSIM falls below the authors': {below[0]} of {len(n)}; with two "
        f"starts {below[1]}."
    )


def _cell(values: np.ndarray, *, percent: bool) -> str:
    """Mean, standard deviation and median in a table."""
    factor, digits, unit = (100, 4, " %") if percent else (1, 3, "")
    mean, spread, median = (factor * f(values) for f in (np.mean, np.std, np.median))
    return f"{mean:.{digits}f} ± {spread:.{digits}f}{unit} ({median:.{digits}f})"


#: What is inverted: a name, an encoder, and the same features without code of repinv.
Case = tuple[str, repinv.Encoder, Callable[[np.ndarray], np.ndarray]]


def run(title: str, about: str, cases: list[Case]) -> None:
    """Invert the photographs of a folder in every case, and print."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    images = photographs(options.folder, options.limit)
    report = Report(title, about + ABOUT)
    for name, encoder, reference in cases:
        figures = measured(images, encoder, reference)
        tabulate(report, name, figures, watched_every("ours", encoder))
    report.write(options.json)
