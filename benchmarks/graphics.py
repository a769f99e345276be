"""Relative feature errors of inverted graphics: ten of them by every flavour of HOG and dense SIFT.

python benchmarks/graphics.py [--sizes 96 256] [--flavours NAME ...] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageDraw, ImageFont
from report import Report
from skimage import draw
from skimage.transform import resize

import repinv
from repinv.io import files

#: By the side of the images, which is OpenCV's window.
FLAVOURS: dict[str, Callable[[int], repinv.Encoder]] = {
    "HOG.skimage()": lambda n: repinv.HOG.skimage(),
    "HOG.skimage(9, (8, 8), (2, 2))": lambda n: repinv.HOG.skimage(9, (8, 8), (2, 2)),
    "HOG.vlfeat()": lambda n: repinv.HOG.vlfeat(),
    "HOG.vlfeat, bilinear": lambda n: repinv.HOG.vlfeat(bilinear_orientations=True),
    "HOG.vlfeat, dalal-triggs": lambda n: repinv.HOG.vlfeat(variant="dalal-triggs"),
    "HOG.opencv()": lambda n: repinv.HOG.opencv(win_size=(n // 8 * 8, n // 8 * 8)),
    "HOG.dpm()": lambda n: repinv.HOG.dpm(),
    "DSIFT.vlfeat()": lambda n: repinv.DSIFT.vlfeat(),
    "DSIFT.phow()": lambda n: repinv.DSIFT.phow(),
    "DSIFT.natural()": lambda n: repinv.DSIFT.natural(),
    "DSIFT.kornia()": lambda n: repinv.DSIFT.kornia(),
}


def graphics(n: int) -> dict[str, np.ndarray]:
    """Ten graphics (n, n), float32 in [0, 1], by name."""
    y, x = np.mgrid[:n, :n]
    found = {name: np.zeros((n, n), np.float32) for name in ("square", "discs", "triangle")}
    found["square"][n * 33 // 96 : n * 63 // 96, n * 33 // 96 : n * 63 // 96] = 1
    for row, column, radius, gray in ((0.36, 0.36, 0.2, 1.0), (0.68, 0.66, 0.17, 0.5)):
        inside = draw.disk((row * n, column * n), radius * n, shape=(n, n))
        found["discs"][inside] = gray
    corners = np.array([0.15, 0.8, 0.7]) * n, np.array([0.5, 0.15, 0.85]) * n
    found["triangle"][draw.polygon(*corners, (n, n))] = 1
    found["cross"] = np.zeros((n, n), np.float32)
    found["cross"][n // 2 - 1 : n // 2 + 1, n // 8 : -(n // 8)] = 1
    found["cross"][n // 8 : -(n // 8), n // 2 - 1 : n // 2 + 1] = 1
    page = Image.new("L", (n, n))
    font = ImageFont.load_default(24)
    ImageDraw.Draw(page).text((n / 2, n / 2), "Word", fill=255, font=font, anchor="mm")
    found["word"] = np.asarray(page, np.float32) / 255
    found["checkerboard"] = ((y // 16 + x // 16) % 2).astype(np.float32)
    found["with margin"] = np.full((n, n), 0.5, np.float32)
    inner = slice(n // 6, n - n // 6)
    found["with margin"][inner, inner] = found["checkerboard"][inner, inner]
    found["ramp"] = np.zeros((n, n), np.float32)
    found["ramp"][:, n // 2 :] = np.linspace(0.2, 1, n - n // 2)
    photograph = resize(skimage.data.camera()[20:340, 80:400] / 255, (n, n), anti_aliasing=True)
    inside = ((y - n / 2) / (0.4 * n)) ** 2 + ((x - n / 2) / (0.32 * n)) ** 2 <= 1
    found["cut-out"] = np.where(inside, photograph, 1).astype(np.float32)
    found["mask"] = np.zeros((n, n), np.float32)
    found["mask"][draw.ellipse(0.5 * n, 0.5 * n, 0.38 * n, 0.42 * n, shape=(n, n))] = 1
    for row, column, radius in ((0.4, 0.35, 0.1), (0.55, 0.65, 0.13), (0.7, 0.4, 0.06)):
        found["mask"][draw.disk((row * n, column * n), radius * n, shape=(n, n))] = 0
    return found


def main() -> None:
    """Print a table of each size; write the images where a folder is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 256])
    parser.add_argument("--flavours", nargs="+", choices=FLAVOURS, default=list(FLAVOURS))
    parser.add_argument("--graphics", nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = Report("Graphics", "Relative feature error in % of graphics inverted by default.")
    for n in options.sizes:
        images = graphics(n)
        names = options.graphics or list(images)
        report.table(f"{n}x{n} pixels, error in %", *names)
        below = 0
        for flavour in options.flavours:
            encoder = FLAVOURS[flavour](n)
            results = [
                repinv.invert(encoder(images[name]), encoder, shape=(n, n)) for name in names
            ]
            errors = [float(result.error[0]) for result in results]
            below += sum(error <= 0.05 for error in errors)
            report.row(flavour, *(f"{100 * error:.3g}" for error in errors))
            if options.out is not None:
                row = np.concatenate([result.image for result in results], axis=1)
                files.write(options.out / f"{flavour}-{n}.png", row)
        report.note(f"At most 5 %: {below} of {len(names) * len(options.flavours)}.")
    report.write(options.json)


if __name__ == "__main__":
    main()
