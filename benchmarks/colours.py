"""HOG of colour photographs, inverted in natural colours, in faint ones and with a learned prior.

    python benchmarks/colours.py [FOLDER] [--every K] [--json FILE] [--sheet PNG]

HOG takes at every pixel the channel of the largest gradient, and does not say which that was. By
default colours are faint where an encoder does not tell channels apart; `Decorrelated()` lets them
vary as those of photographs do. `--sheet` writes the images, a row a photograph.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import inversions  # sets one thread, and so comes before NumPy
import numpy as np
import unsigned
from report import Report
from skimage.util import img_as_float32, img_as_ubyte

import repinv
from repinv import metrics
from repinv.io import files
from repinv.plot.figures import matched
from repinv.search import initialization, polarity

ENCODERS: dict[str, repinv.Encoder] = {
    "HOG.vlfeat, bilinear": repinv.HOG.vlfeat(bilinear_orientations=True),
    "HOG.vlfeat()": repinv.HOG.vlfeat(),
    "HOG.dpm()": repinv.HOG.dpm(),
    "HOG.opencv((256, 256))": repinv.HOG.opencv((256, 256)),
    "HOG.vlfeat, dalal-triggs": repinv.HOG.vlfeat(variant="dalal-triggs"),
}
EVALUATIONS = 400
COLUMNS = (
    "error, %", "NCC", "SSIM", "coherence", "local NCC", "low contrast", "high frequencies",
    "colour", "seconds",
)  # fmt: skip


def methods(
    encoder: repinv.Encoder, image_shape: tuple[int, int, int]
) -> dict[str, dict[str, object]]:
    """Options of the ways to invert an encoder."""
    natural = repinv.Decorrelated(repinv.Spectral(start_scale=1e-4))
    first: dict[str, dict[str, object]] = {"natural colours": {"parametrization": natural}}
    if polarity.is_blind(encoder, initialization.noise(0, 1, image_shape)):
        first = {"polarity='structures'": {"polarity": "structures"}}
    found = {**first, "default": {}}
    if encoder.restorer == "hog":
        found["learned prior"] = {"prior": "learned"}
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=inversions.FOLDER)
    parser.add_argument("--every", type=int, default=1, metavar="K")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    images = [files.read(path) for path in inversions.paths(given.folder)]
    photographs = [image[..., :3] for image in images if image.ndim == 3][:: given.every]
    report = Report(
        "HOG of colour photographs",
        f"Pre-images of {EVALUATIONS} evaluations. NCC, SSIM and what follows compare the means of "
        "the channels, as the tables of HOG with and without signs do; colour is the deviation of "
        "what channels differ by, over that of their mean. Means, and medians of high frequencies "
        "and seconds.",
    )
    sheet = [[img_as_float32(x)] for x in photographs]
    for name, encoder in ENCODERS.items():
        report.table(f"{name}, {len(photographs)} photographs", *COLUMNS)
        is_of_bytes = "opencv" in name
        given_as = [img_as_ubyte(x) if is_of_bytes else img_as_float32(x) for x in photographs]
        for method, options in methods(encoder, (3, *photographs[0].shape[:2])).items():
            rows = []
            for number, x in enumerate(given_as):
                began = time.process_time()
                result = repinv.invert(
                    encoder(x), encoder, shape=x.shape, max_iter=EVALUATIONS, seed=number,
                    **options,  # type: ignore[arg-type]
                )  # fmt: skip
                seconds = time.process_time() - began
                found, photograph = img_as_float32(result.image), img_as_float32(x)
                gray, wanted = (a.mean(axis=-1) for a in (found, photograph))
                rows.append(
                    [
                        100 * float(result.error[0]), metrics.ncc(gray, wanted),
                        metrics.ssim(gray, wanted), *unsigned.likeness(gray, wanted),
                        (found - gray[..., None]).std() / gray.std(), seconds,
                    ]
                )  # fmt: skip
                sheet[number].append(matched(found, photograph, "contrast")[0])
            means, medians = np.mean(rows, axis=0), np.median(rows, axis=0)
            values = [*means[:6], medians[6], means[7], medians[8]]
            report.row(method, *(f"{value:.3g}" for value in values))
    if given.sheet:
        files.write(given.sheet, np.vstack([np.hstack(row) for row in sheet]).astype(np.float32))
    report.write(given.json)


if __name__ == "__main__":
    main()
