"""What HOG, dense SIFT and bags of words keep of one photograph: prints and draws the ladder.

Every rung is inverted from its code alone. Prints bytes of the code (float32), relative feature
error, SSIM and NCC to the photograph after affine intensity matching, and seconds; and of a FOLDER
the medians over its first photographs, since one photograph flatters. Vocabularies other than the
shipped ones are learned on the way, from the photographs inside scikit-image's and scikit-learn's
wheels.

    python benchmarks/ladder.py [FOLDER] [--limit N] [--photograph FILE] [--figure FILE]
                               [--evaluations N] [--only WORD] [--json FILE]
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from report import Report
from skimage.color import rgb2gray
from skimage.data import camera
from skimage.transform import downscale_local_mean, resize

import repinv
from repinv import metrics
from repinv.io import files
from repinv.io.image import as_unit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import learn_vocabularies as learning

#: An encoder, or how it is made for a photograph.
Rung: TypeAlias = repinv.Encoder | Callable[[np.ndarray], repinv.Encoder]
SIDE, BINS = 256, 5
#: Rungs that are drawn, in the order of the figure.
DRAWN = (
    "HOG, bilinear",
    "HOG without signs",
    "DSIFT, step 5",
    "SIFT at keypoints",
    "1024 words, 16x16",
    "1024 words, 8x8",
    "1024 words, 4x4",
    "1024 words, 1x1",
    "1024 words, hard, 16x16",
    "64 words, 16x16",
    "VLAD of 64, 4x4",
    "Fisher of 64, 4x4",
)


def tiles() -> list[np.ndarray]:
    """What vocabularies are learned from."""
    names = (*learning.SCIKIT_IMAGE, *learning.SCIKIT_LEARN)
    return [tile for name in names for tile in learning.tiles(learning.photograph(name))]


def at_keypoints(image: np.ndarray) -> repinv.Encoder:
    """SIFT at the keypoints that OpenCV finds in an image by default."""
    import cv2

    peer: Any = cv2.SIFT_create()  # type: ignore[attr-defined]
    return repinv.SIFT.opencv(peer.detect(np.rint(255 * image).astype(np.uint8), None))


def rungs() -> Iterator[tuple[str, Rung]]:
    """Names and encoders, from what keeps most to what keeps least."""
    yield "HOG, bilinear", repinv.HOG.vlfeat(bilinear_orientations=True)
    yield "HOG, hard", repinv.HOG.vlfeat()
    yield "HOG without signs", repinv.HOG.skimage()
    yield "SIFT at keypoints", at_keypoints
    local = repinv.DSIFT.vlfeat(step=BINS, size=BINS, fast=True)
    yield "DSIFT, step 5", local
    yield "DSIFT of the paper", repinv.DSIFT.natural(BINS)
    for cells in (16, 8, 4, 1):
        grid = (cells, cells)
        yield f"1024 words, {cells}x{cells}", repinv.BoVW.pretrained(1024, grid=grid)
    hard = repinv.BoVW.pretrained(1024, assignment="hard", grid=(16, 16))
    yield "1024 words, hard, 16x16", hard
    yield "256 words, 16x16", repinv.BoVW.pretrained(256, grid=(16, 16))
    learned = tiles()
    for count in (4096, 64):
        options = {"progress": False, "descriptors": False, "grid": (16, 16)}
        bag = repinv.BoVW.fit(learned, local, count, **options)  # type: ignore[arg-type]
        yield f"{count} words, 16x16", bag
    options = {"progress": False, "descriptors": False, "grid": (4, 4), "power": 1.0}
    yield "VLAD of 64, 4x4", repinv.VLAD.fit(learned, local, 64, **options)  # type: ignore[arg-type]
    options |= {"descriptors_per_image": 200, "sample_size": 30_000}
    fisher = repinv.FisherVector.fit(learned, local, 64, **options)  # type: ignore[arg-type]
    yield "Fisher of 64, 4x4", fisher


def climbed(image: np.ndarray, rung: Rung, evaluations: int) -> tuple[np.ndarray, list[float]]:
    """What is found of a photograph, and bytes, error, SSIM, NCC and seconds."""
    encoder = rung if isinstance(rung, repinv.Encoder) else rung(image)
    features = encoder.encode(image[None, None])[0]
    began = time.perf_counter()
    result = repinv.invert(features, encoder, shape=image.shape, max_iter=evaluations)
    seconds = time.perf_counter() - began
    likeness = [float(measure(result.image, image)) for measure in (metrics.ssim, metrics.ncc)]
    return result.image, [4 * features.size, float(result.error[0]), *likeness, seconds]


def cells(size: float, error: float, ssim: float, ncc: float, seconds: float) -> tuple[str, ...]:
    """The figures of a row."""
    return f"{size:,.0f}", f"{100 * error:.3g} %", f"{ssim:.2f}", f"{ncc:.2f}", f"{seconds:.1f}"


def photograph(path: Path | None) -> np.ndarray:
    """A gray photograph of 256x256 pixels: the camera man, unless a file is given."""
    if path is None:
        return downscale_local_mean(as_unit(camera()), (2, 2)).astype(np.float32)
    image = as_unit(files.read(path))
    gray = rgb2gray(image) if image.ndim == 3 else image
    return resize(gray, (SIDE, SIDE), anti_aliasing=True).astype(np.float32)


def shown(picture: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A picture at the mean and the contrast of the photograph, which most codes leave open."""
    relative = (picture - picture.mean()) / max(float(picture.std()), 1e-6)
    return np.clip(image.mean() + image.std() * relative, 0, 1)


def draw(image: np.ndarray, found: dict[str, tuple[np.ndarray, str]], path: Path) -> None:
    """The photograph and the rungs that are drawn, with what each keeps of it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = [("photograph", image, ""), *((n, *found[n]) for n in DRAWN if n in found)]
    columns = (len(panels) + 1) // 2
    figure, axes = plt.subplots(2, columns, figsize=(2.3 * columns, 5.6), facecolor="white")
    for axis in axes.flat:
        axis.axis("off")
    for axis, (name, picture, below) in zip(axes.flat, panels, strict=False):
        axis.imshow(shown(picture, image), cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{name}\n{below}", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main() -> None:
    """Climb, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="of photographs for the medians")
    parser.add_argument("--limit", type=int, default=12, help="photographs of the folder")
    parser.add_argument("--photograph", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--evaluations", type=int, default=400)
    parser.add_argument("--only", default="", help="a word that names of rungs contain")
    options = parser.parse_args()
    image = photograph(options.photograph)
    paths = [] if options.folder is None else inversions.paths(options.folder)
    others = [photograph(path) for path in paths[: options.limit]]
    beside = f" Beside it: medians of {len(others)} other photographs." if others else ""
    report = Report(
        "The ladder of codes",
        "Codes of one photograph, 256x256, from what keeps most of it to what keeps least, each "
        f"inverted alone with {options.evaluations} evaluations on one thread. Codes are of "
        f"float32; the photograph itself takes {image.size:,} bytes.{beside}",
    )
    columns = ["bytes", "error", "SSIM", "NCC", "seconds"]
    medians = [f"{name}: median" for name in columns[1:]] if others else []
    report.table("", *columns, *medians)
    found = {}
    for name, rung in rungs():
        if options.only not in name:
            continue
        picture, figures = climbed(image, rung, options.evaluations)
        rest = [climbed(other, rung, options.evaluations)[1] for other in others]
        more = cells(*np.median(rest, axis=0))[1:] if others else ()
        report.row(name, *cells(*figures), *more)
        found[name] = picture, f"{figures[0] / 1024:,.0f} KiB, SSIM {figures[2]:.2f}"
    report.write(options.json)
    if options.figure:
        draw(image, found, options.figure)


if __name__ == "__main__":
    main()
