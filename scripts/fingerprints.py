"""Print a checksum of what every family of encoders computes, to compare processes and machines.

    python scripts/fingerprints.py

A line for each: features and pullback of random images, and short inversions. The same seed gives
the same lines on one machine with one version of the packages, whether kernels were just compiled
or are read from the cache.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

import repinv

ENCODERS: dict[str, repinv.Encoder] = {
    "HOG.vlfeat": repinv.HOG.vlfeat(),
    "HOG.vlfeat, bilinear": repinv.HOG.vlfeat(bilinear_orientations=True),
    "HOG.vlfeat, softened": repinv.HOG.vlfeat().softened(0.3) or repinv.HOG.vlfeat(),
    "HOG.skimage": repinv.HOG.skimage(),
    "HOG.skimage, softened": repinv.HOG.skimage().softened(1.0) or repinv.HOG.skimage(),
    "HOG.opencv": repinv.HOG.opencv((64, 64)),
    "HOG.dpm": repinv.HOG.dpm(),
    "DSIFT.vlfeat": repinv.DSIFT.vlfeat(4, 3),
    "DSIFT.vlfeat, fast": repinv.DSIFT.vlfeat(4, 3, fast=True),
    "DSIFT.natural": repinv.DSIFT.natural(5),
    "DSIFT.kornia": repinv.DSIFT.kornia(stride=4),
    "BoVW, soft": repinv.BoVW.pretrained(256),
    "BoVW, hard": repinv.BoVW.pretrained(256, assignment="hard"),
    "HOGgle": repinv.HOGgle.pretrained(256),
}
INVERTED = ("HOG.vlfeat", "HOG.skimage", "DSIFT.natural", "BoVW, soft")
SIDE = 64


def checksum(values: Any) -> str:
    """Of the bytes of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x = rng.random((1, 1, SIDE, SIDE), dtype=np.float32)
    for name, encoder in ENCODERS.items():
        features, pullback = encoder.vjp(x)
        cotangent = rng.standard_normal(features.shape, dtype=np.float32)
        print(f"{name}: {checksum(features)} {checksum(pullback(cotangent))}", flush=True)
    for name in INVERTED:
        encoder = ENCODERS[name]
        result = repinv.invert(encoder.encode(x)[0], encoder, shape=(SIDE, SIDE), max_iter=30)
        print(f"invert {name}: {checksum(result.image)}", flush=True)
