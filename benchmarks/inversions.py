"""One inversion by the authors' method and by ours, interleaved in one process, on one thread.

What `invert_hog.py` and `invert_dsift.py` have in common: the photographs, the measures, the table.
"""

from __future__ import annotations

import os

for _name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from skimage.color import rgb2gray

import repinv
from repinv import files, metrics
from repinv.image import as_unit
from repinv.solvers import Snapshot
from repinv.tasks import mahendran

BUDGETS = (50, 100, 200, 400, 800)
EVERY = 10
FOLDER = Path(__file__).resolve().parents[2] / "shared" / "images"


def photographs(folder: Path, limit: int | None) -> list[np.ndarray]:
    """The photographs of a folder, gray, (H, W) float32 in [0, 1]."""
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpeg", ".jpg", ".png"))
    if not paths:
        raise SystemExit(f"no photographs in {folder}; name a folder that holds some.")
    images = [as_unit(files.read(path)) for path in paths[:limit]]
    return [(rgb2gray(i) if i.ndim == 3 else i).astype(np.float32) for i in images]


def inverted(
    method: str,
    photograph: np.ndarray,
    encoder: repinv.Encoder,
    max_iter: int,
    callback: Any = None,
) -> tuple[repinv.Result, float]:
    """One inversion, and its seconds from features to images."""
    features = encoder.encode(photograph[None, None])[0]
    ours = {"shape": photograph.shape, "max_iter": max_iter}
    options = mahendran(photograph.shape, max_iter) if method == "authors" else ours
    began = time.perf_counter()
    result = repinv.invert(
        features,
        encoder,
        callback=callback,
        check_every=EVERY,
        **options,
    )
    return result, time.perf_counter() - began


def progress_of(
    method: str, photograph: np.ndarray, encoder: repinv.Encoder, result: repinv.Result
) -> dict[int, float]:
    """Least errors so far under the true encoder, after every ten evaluations; not timed."""
    if method == "authors" or encoder.softened(1.0) is None:
        # The run evaluates the true encoder all along.
        least = np.minimum.accumulate(result.trace["data"][:, 0])
        return {n: float(least[n - 1]) for n in range(EVERY, len(least) + 1, EVERY)}
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
    rows: dict[str, list[dict[str, float]]] = {"authors": [], "ours": []}
    for method in rows:
        inverted(method, photographs[0], encoder, 30)  # compile
    for index, photograph in enumerate(photographs):
        for method, found in rows.items():
            result, seconds = inverted(method, photograph, encoder, BUDGETS[-1])
            features = reference(result.image)[None]
            target = targets[index][None]
            seen = progress_of(method, photograph, encoder, result)
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
            for budget in BUDGETS[:-1]:
                row[f"after {budget}"] = seen[budget]
            found.append({k: float(v) for k, v in row.items()} | {"seen": seen})  # type: ignore[dict-item]
        theirs = rows["authors"][-1]["error"]
        below = [n for n, e in rows["ours"][-1]["seen"].items() if e <= theirs]  # type: ignore[attr-defined]
        rows["ours"][-1]["evaluations"] = min(below, default=BUDGETS[-1])
        print(".", end="", flush=True)
    print()
    return {
        method: {k: np.array([row[k] for row in found]) for k in found[0] if k != "seen"}
        for method, found in rows.items()
    }


def table(name: str, figures: dict[str, dict[str, np.ndarray]]) -> list[str]:
    """Lines of Markdown."""
    authors, ours = figures["authors"], figures["ours"]
    percent = ["error", *(f"after {budget}" for budget in BUDGETS[:-1])]
    lines = [
        f"\n{name}, {len(ours['error'])} photographs: mean ± standard deviation (median)",
        "| | authors | ours | ratio |",
        "|---|---|---|---|",
    ]
    for key in (*percent, "unit", "ncc", "ssim", "std", "seconds"):
        a, b = authors[key], ours[key]
        if key in ("ncc", "ssim", "std"):
            ratio, median = b.mean() / a.mean(), np.median(b / a)
        else:
            ratio, median = a.mean() / b.mean(), np.median(a / b)
        cells = [_cell(values, percent=key in percent) for values in (a, b)]
        lines.append(f"| {key} | {cells[0]} | {cells[1]} | {ratio:.2f} ({median:.2f}) |")
    n = ours["evaluations"]
    below = int((ours["ssim"] < authors["ssim"]).sum())
    lines += [
        f"evaluations to the authors' final error: mean {n.mean():.0f}, median {np.median(n):.0f}, "
        f"largest {n.max():.0f} (looked at every {EVERY})",
        f"photographs whose SSIM falls below the authors': {below} of {len(n)}",
    ]
    return lines


def _cell(values: np.ndarray, *, percent: bool) -> str:
    """Mean, standard deviation and median in a table."""
    factor, digits, unit = (100, 4, " %") if percent else (1, 3, "")
    mean, spread, median = (factor * f(values) for f in (np.mean, np.std, np.median))
    return f"{mean:.{digits}f} ± {spread:.{digits}f}{unit} ({median:.{digits}f})"


#: What is inverted: a name, an encoder, and the same features without code of repinv.
Case = tuple[str, repinv.Encoder, Callable[[np.ndarray], np.ndarray]]


def run(description: str, cases: list[Case]) -> None:
    """Invert the photographs of a folder in every case, and print."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    images = photographs(options.folder, options.limit)
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    print(f"{platform.machine()}, {versions}, one thread")
    found = {}
    for name, encoder, reference in cases:
        found[name] = measured(images, encoder, reference)
        print("\n".join(table(name, found[name])), flush=True)
    if options.json:
        plain = {
            name: {m: {k: v.tolist() for k, v in f.items()} for m, f in figures.items()}
            for name, figures in found.items()
        }
        options.json.write_text(json.dumps(plain, indent=1))
