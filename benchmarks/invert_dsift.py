"""Invert the paper's dense SIFT by the authors' method and by ours, on one thread.

Prints what `invert_hog.py` does. Every error of a finished image is re-scored by
`reference_dsift`, which shares no code with repinv.

    python benchmarks/invert_dsift.py [FOLDER OF PHOTOGRAPHS] [--limit N] [--json FILE]
"""

from __future__ import annotations

import inversions
from reference_dsift import natural_dsift

import repinv

CASES: list[inversions.Case] = [("DSIFT.natural(5)", repinv.DSIFT.natural(5), natural_dsift)]

if __name__ == "__main__":
    inversions.run(
        "Dense SIFT: the authors' method and ours",
        "The paper's dense SIFT, inverted by the authors' method "
        "(momentum in pixels) and by repinv's default.",
        CASES,
    )
