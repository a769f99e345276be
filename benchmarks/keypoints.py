"""SIFT at keypoints beside OpenCV and COLMAP: entries, speed, and what is found of photographs.

    python benchmarks/keypoints.py [FOLDER] [--limit N] [--inverted N] [--only-place]
                                   [--every N] [--json FILE] [--sheet PNG]

Entries are compared at OpenCV's own keypoints of photographs made gray and 8-bit, and where
pycolmap is installed at COLMAP's. Times are of one
thread, in turns. Then photographs are inverted from the descriptors of so many of their strongest
keypoints. `--only-place` forgets angles and scales: all keypoints are upright and of one size, and
so are the descriptors; `--every` keeps every n-th descriptor, as studies of privacy do.
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import importlib.metadata
import importlib.util
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from report import Report
from skimage.transform import resize

import repinv
from repinv import metrics

#: Keypoints that are inverted, the strongest of OpenCV's; None for all.
COUNTS = (50, 100, 200, 400, None)
#: Pixels and keypoints of the images that are timed, and how often.
SIDE, TIMED, ROUNDS = 512, 1000, 9
#: Size and packed octave of keypoints of which only the place is kept: octave −1, layer 2.
PLAIN = (4.0, 0.0, 255 | 2 << 8)
EVALUATIONS = 800


def as_bytes(image: np.ndarray) -> np.ndarray:
    """Pixels of 8 bits."""
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def by_colmap(images: list[np.ndarray], normalization: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frames (K, 6) and descriptors (K, 128) that COLMAP finds in 8-bit images on the CPU."""
    import pycolmap

    pycolmap.logging.minloglevel = 2
    options = pycolmap.FeatureExtractionOptions()
    options.sift.normalization = getattr(pycolmap.Normalization, normalization)
    extractor = pycolmap.FeatureExtractor.create(options, device=pycolmap.Device.cpu)
    names, found = ("x", "y", "a11", "a12", "a21", "a22"), []
    for image in images:
        keypoints, descriptors = extractor.extract_from_uint8_array(image)
        frames = np.array([[getattr(k, name) for name in names] for k in keypoints])
        found.append((frames, np.array(descriptors.data)))
    return found


def accuracy_of_colmap(report: Report, photographs: list[np.ndarray]) -> None:
    """Add the rows of entries against COLMAP's, in its order of frames and in another."""
    images = [as_bytes(photograph) for photograph in photographs]
    rng = np.random.default_rng(0)
    # In a process of its own: libraries inside pycolmap's wheel stand in the way of Pillow's.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        for normalization in ("L1_ROOT", "L2"):
            found = apart.submit(by_colmap, images, normalization).result()
            for name in ("in order", "shuffled"):
                differences = []
                for image, (frames, expected) in zip(images, found, strict=True):
                    order = np.arange(len(frames))
                    if name == "shuffled":
                        rng.shuffle(order)
                    sift = repinv.SIFT.colmap(frames[order], normalization=normalization.lower())
                    differences.append(np.abs(sift(image) - expected[order]))
                row(report, f"COLMAP, {normalization}, {name}", differences)
    report.note(
        f"COLMAP is pycolmap {importlib.metadata.version('pycolmap')} on the CPU. In the last row "
        "of an octave it repeats the descriptor before."
    )


def row(report: Report, name: str, differences: list[np.ndarray]) -> None:
    """Add a row of differences (K, 128), an array for each photograph."""
    found = np.concatenate(differences)
    report.row(
        f"{name}, {len(differences)} photographs", str(len(found)), str(found.size),
        f"{100 * np.mean(found == 0):.2f}", f"{100 * np.mean(found <= 1):.4f}",
        str(int((found > 4).sum())), str(int((found > 4).any(axis=1).sum())), f"{found.max():g}",
    )  # fmt: skip


def accuracy(report: Report, photographs: list[np.ndarray]) -> None:
    """Add the table of entries against OpenCV's and COLMAP's."""
    report.table(
        "entries beside cv2.SIFT_create().compute and pycolmap.FeatureExtractor",
        "keypoints", "entries", "equal, %", "within 1, %", "off by more than 4",
        "keypoints of these", "largest",
    )  # fmt: skip
    for name, options in (("default", {}), ("precise", {"enable_precise_upscale": True})):
        differences = []
        for image in map(as_bytes, photographs):
            peer: Any = cv2.SIFT_create(**options)  # type: ignore[attr-defined]
            keypoints, expected = peer.compute(image, peer.detect(image, None))
            got = repinv.SIFT.opencv(keypoints, **options)(image)
            differences.append(np.abs(got - expected))
        row(report, f"OpenCV, {name}", differences)
    if importlib.util.find_spec("pycolmap") is not None:
        accuracy_of_colmap(report, photographs)


def speed(report: Report, photograph: np.ndarray) -> None:
    """Add the table of times, the least of several rounds in turns."""
    image = as_bytes(resize(photograph, (SIDE, SIDE)))
    cv2.setNumThreads(1)
    peer: Any = cv2.SIFT_create(TIMED)  # type: ignore[attr-defined]
    keypoints = peer.detect(image, None)[:TIMED]
    sift = repinv.SIFT.opencv(keypoints)
    x = (image / np.float32(255))[None, None]
    cotangent = sift.encode(x)

    def both() -> None:
        sift.vjp(x)[1](cotangent)

    calls: dict[str, Callable[[], object]] = {
        "OpenCV's compute": lambda: peer.compute(image, keypoints),
        "features": lambda: sift.encode(x),
        "features and pullback": both,
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    least = {name: min(found) for name, found in seconds.items()}
    first = next(iter(least.values()))
    report.table(f"{len(keypoints)} keypoints, {SIDE}x{SIDE} pixels", "ms", "over OpenCV's")
    for name, found in least.items():
        report.row(name, f"{1e3 * found:.1f}", f"{found / first:.2f}")


def encoder_of(image: np.ndarray, count: int | None, only_place: bool, every: int) -> repinv.SIFT:
    """SIFT at the strongest keypoints of an image."""
    keypoints = repinv.SIFT.detect(image).keypoints
    if count is not None and len(keypoints) > count:
        # With a number of features, OpenCV keeps the strongest.
        keypoints = repinv.SIFT.detect(image, n_features=count).keypoints
    keypoints = keypoints[::every].copy()
    if only_place:
        keypoints[:, 2:] = PLAIN
        keypoints = np.unique(keypoints, axis=0)
    return repinv.SIFT.opencv(keypoints)


def inversions_of(
    report: Report, photographs: list[np.ndarray], only_place: bool, every: int
) -> list[list[np.ndarray]]:
    """Add the table of inversions; the images, a row for each photograph."""
    report.table(
        f"{len(photographs)} photographs, {EVALUATIONS} evaluations",
        "keypoints", "error, %", "largest error, %", "SSIM", "NCC",
        "SSIM where covered", "NCC where covered", "seconds, of dense SIFT's",
    )  # fmt: skip
    dense = repinv.DSIFT.vlfeat(5, 5, fast=True)
    usual = []
    for photograph in photographs:
        begin = time.process_time()
        repinv.invert(dense(photograph), dense, shape=photograph.shape, max_iter=EVALUATIONS)
        usual.append(time.process_time() - begin)
    rows: list[list[np.ndarray]] = [[photograph] for photograph in photographs]
    for count in COUNTS:
        found = []
        for row, photograph, least in zip(rows, photographs, usual, strict=True):
            image = as_bytes(photograph)
            sift = encoder_of(image, count, only_place, every)
            features, shape = sift(image), image.shape
            begin = time.process_time()
            result = repinv.invert(features, sift, shape=shape, max_iter=EVALUATIONS)
            seconds = time.process_time() - begin
            coverage = sift.coverage(shape)
            covered = coverage > np.median(coverage)
            row += [result.image, np.minimum(coverage / np.quantile(coverage, 0.98), 1)]
            found.append(
                [
                    len(features), 100 * float(result.error[0]),
                    metrics.ssim(result.image, photograph), metrics.ncc(result.image, photograph),
                    *where(result.image, photograph, covered), seconds / least,
                ]
            )  # fmt: skip
        median, most = np.median(found, axis=0), np.max(found, axis=0)
        report.row(
            "all" if count is None else str(count), f"{median[0]:g}", f"{median[1]:.4f}",
            f"{most[1]:.4f}", *(f"{value:.2f}" for value in median[2:6]), f"{median[6]:.1f}",
        )  # fmt: skip
    report.note("Medians, but for the largest error. Covered: coverage above its median.")
    return rows


def where(image: np.ndarray, photograph: np.ndarray, covered: np.ndarray) -> tuple[float, float]:
    """SSIM and NCC of covered pixels; for SSIM the others are made the photograph's own.

    The share of those, whose SSIM is 1, is taken out of its mean.
    """
    slope, offset = np.polyfit(image[covered], photograph[covered], 1)
    matched = np.where(covered, np.clip(slope * image + offset, 0, 1), photograph)
    share = covered.mean()
    ssim = (metrics.ssim(matched, photograph) - (1 - share)) / share
    return float(ssim), float(np.corrcoef(image[covered], photograph[covered])[0, 1])


def main() -> None:
    """Compare, invert, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=inversions.FOLDER)
    parser.add_argument("--limit", type=int, metavar="N")
    parser.add_argument("--inverted", type=int, default=12, metavar="N")
    parser.add_argument("--only-place", action="store_true")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sheet", type=Path, metavar="PNG")
    options = parser.parse_args()
    photographs = inversions.photographs(options.folder, options.limit)
    report = Report(
        "SIFT at keypoints",
        "Descriptors of cv2.SIFT, and of COLMAP, at their own keypoints of photographs. "
        "Inversions are of the strongest keypoints, by default options; seconds are over those of "
        "dense SIFT (DSIFT.vlfeat(5, 5, fast=True)) with as many evaluations, on one core.",
    )
    accuracy(report, photographs)
    speed(report, photographs[0])
    report.write(options.json)
    chosen = photographs[:: max(1, len(photographs) // options.inverted)][: options.inverted]
    rows = inversions_of(report, chosen, options.only_place, options.every)
    report.write(options.json)
    if options.sheet is not None:
        sheet = np.vstack([np.hstack(row) for row in rows])
        Image.fromarray(as_bytes(sheet)).save(options.sheet)


if __name__ == "__main__":
    main()
