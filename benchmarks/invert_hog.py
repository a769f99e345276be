"""Invert HOG by the authors' method and by ours, interleaved in one process, on one thread.

Prints a table: relative feature error and the paper's unit, NCC and SSIM to the photograph after
affine intensity matching, seconds, errors after 50 … 800 evaluations, and their ratios. Every
error of a finished image is re-scored by `reference_hog`, which shares no code with repinv.

    python benchmarks/invert_hog.py [FOLDER OF PHOTOGRAPHS] [--limit N] [--json FILE]
"""

from __future__ import annotations

import functools

import inversions
from reference_hog import vlfeat_hog

import repinv

CASES: list[inversions.Case] = [
    (name, repinv.HOG.vlfeat(bilinear_orientations=bilinear), reference)
    for name, bilinear, reference in (
        ("HOG (uoctti, hard)", False, functools.partial(vlfeat_hog, bilinear=False)),
        ("HOGb (uoctti, bilinear)", True, functools.partial(vlfeat_hog, bilinear=True)),
    )
]

if __name__ == "__main__":
    inversions.run(
        "HOG: the authors' method and ours",
        "HOG with hard and with bilinear orientations, inverted by the authors' method "
        "(momentum in pixels) and by repinv's default.",
        CASES,
    )
