"""Do the defaults transfer? One setting for every flavour, size and kind of photograph.

Prints a row for each: relative feature error, NCC and SSIM after affine intensity matching, the
standard deviation of the pre-image, and seconds. The photographs ship inside scikit-image.

    python benchmarks/transfer.py [--max-iter N] [--json FILE]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage
from report import Report
from skimage.transform import resize

import repinv
from repinv import metrics


def flavours(side: int) -> dict[str, repinv.HOG]:
    """Every named flavour, for images of `side` pixels."""
    return {
        "skimage": repinv.HOG.skimage(),
        "skimage, 8 orientations, 1x1 blocks": repinv.HOG.skimage(8, (8, 8), (1, 1)),
        "vlfeat uoctti": repinv.HOG.vlfeat(),
        "vlfeat uoctti, bilinear": repinv.HOG.vlfeat(bilinear_orientations=True),
        "vlfeat dalal-triggs": repinv.HOG.vlfeat(variant="dalal-triggs"),
        "opencv": repinv.HOG.opencv(win_size=(side, side)),
        "dpm": repinv.HOG.dpm(),
    }


def photograph(name: str, side: int) -> np.ndarray:
    """A photograph of scikit-image's, gray, (side, side) in [0, 1]."""
    image = skimage.util.img_as_float32(getattr(skimage.data, name)())
    image = skimage.color.rgb2gray(image) if image.ndim == 3 else image
    crop = min(image.shape)
    return resize(image[:crop, :crop], (side, side), anti_aliasing=True).astype(np.float32)


def cases() -> Iterator[tuple[str, str, int, np.ndarray]]:
    """(flavour, kind of photograph, side, photograph): one of the three varies at a time."""
    camera = photograph("camera", 256)
    for flavour in flavours(256):
        yield flavour, "camera", 256, camera
        yield flavour, "astronaut", 256, photograph("astronaut", 256)
    for flavour in ("vlfeat uoctti, bilinear", "vlfeat uoctti", "skimage", "opencv"):
        for side in (64, 128, 512, 1024):
            yield flavour, "camera", side, photograph("camera", side)
        yield flavour, "camera, dark", 256, 0.1 * camera
        yield flavour, "camera, bright", 256, 0.9 + 0.1 * camera
        yield flavour, "camera, low contrast", 256, 0.48 + 0.04 * camera


def main() -> None:
    """Invert every case and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-iter", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = Report(
        "HOG's flavours, other sizes and other light",
        "Every flavour of HOG inverted by the defaults, from photographs of several sizes, and in "
        "poor light.",
    )
    columns = ("photograph", "side", "error", "NCC", "SSIM", "deviation of pixels", "seconds")
    report.table(f"{options.max_iter} evaluations", *columns)
    for flavour, kind, side, image in cases():
        encoder = flavours(side)[flavour]
        if encoder.channels not in (None, 1):
            raise SystemExit(f"{flavour} takes {encoder.channels} channels, not gray images")
        features = encoder.encode(image[None, None])[0]
        began = time.perf_counter()
        result = repinv.invert(features, encoder, shape=image.shape, max_iter=options.max_iter)
        seconds = time.perf_counter() - began
        report.row(
            flavour,
            kind,
            str(side),
            f"{100 * float(result.error[0]):.4f} %",
            f"{metrics.ncc(result.image, image):.3f}",
            f"{metrics.ssim(result.image, image):.3f}",
            f"{result.image.std():.3f}",
            f"{seconds:.2f}",
        )
    report.write(options.json)


if __name__ == "__main__":
    main()
