"""What encoders do not see: how far features move under changes that a photograph would settle.

    python benchmarks/blindness.py [--json FILE]

Each change is made to scikit-image's photographs, 256x256: the negative, half of the contrast,
another brightness, the left side for the right, red for blue, and the four quarters in another
order. The table has the relative squared distance of features, in units of that between the
photograph and the same turned by half a turn, which has the same statistics and another content: 0
is blind, 1 sees the change as it sees another image. The median over the photographs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from report import Report

import repinv
from repinv.io import sample_images

SIDE = 256
#: Images (C, H, W) in [0, 1] to others.
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "negative": lambda x: 1 - x,
    "half the contrast": lambda x: 0.25 + x / 2,
    "darker": lambda x: 0.75 * x,
    "mirrored": lambda x: x[..., ::-1],
    "red for blue": lambda x: x[::-1],
    "quarters": lambda x: np.roll(x, (SIDE // 2, SIDE // 2), axis=(-2, -1)),
}
#: Encoders, and whether they are given colour.
ENCODERS: dict[str, tuple[repinv.Encoder, bool]] = {
    "HOG.skimage()": (repinv.HOG.skimage(), False),
    "HOG.skimage(channel_axis=-1)": (repinv.HOG.skimage(channel_axis=-1), True),
    "HOG.opencv(win_size=(256, 256))": (repinv.HOG.opencv(win_size=(SIDE, SIDE)), False),
    "HOG.vlfeat()": (repinv.HOG.vlfeat(), False),
    "HOG.maskfeat()": (repinv.HOG.maskfeat(), True),
    "DSIFT.vlfeat(4, 4)": (repinv.DSIFT.vlfeat(step=4, size=4), False),
    "DAISY.skimage()": (repinv.DAISY.skimage(), False),
    "256 words, 16x16 cells": (
        repinv.BoVW.pretrained(256, assignment="soft", grid=(16, 16)), False
    ),
    "256 words, one cell": (repinv.BoVW.pretrained(256, assignment="soft", grid=(1, 1)), False),
}  # fmt: skip


def apart(encoder: repinv.Encoder, x: np.ndarray, y: np.ndarray) -> float:
    """Relative squared distance of the features of two images (C, H, W)."""
    a, b = (
        np.asarray(encoder.encode(encoder.asarray(np.ascontiguousarray(image[None]))))
        for image in (x, y)
    )
    return float(np.sum((a - b) ** 2) / np.sum(a**2))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    report = Report(
        "What encoders do not see",
        "How far features move when a photograph is changed, in units of how far they move when it "
        "is turned by half a turn. 0 is blind; where it is blind, pre-images differ in just that.",
    )
    report.table("", *CHANGES)
    for name, (encoder, is_colour) in ENCODERS.items():
        photographs = sample_images.photographs((3 if is_colour else 1, SIDE, SIDE), whole=True)
        cells = []
        for change in CHANGES.values():
            if change is CHANGES["red for blue"] and not is_colour:
                cells.append("")
                continue
            found = [
                apart(encoder, x, change(x)) / apart(encoder, x, x[..., ::-1, ::-1])
                for x in photographs
            ]
            cells.append(f"{np.median(found):.3f}")
        report.row(name, *cells)
    report.write(options.json)


if __name__ == "__main__":
    main()
