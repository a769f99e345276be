"""Makes tests/golden/colmap.npz: frames and descriptors that COLMAP's SIFT gives on the CPU.

    python scripts/golden_colmap.py

Needs pycolmap; made with version 4.2.1. Photographs are those inside scikit-image, which the tests
crop likewise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import skimage.data

OUT = Path(__file__).resolve().parents[1] / "tests" / "golden" / "colmap.npz"
#: Photograph and the corner of the crop, and options of the extraction; see `case`.
SIDE = 120
CASES: dict[str, tuple[str, tuple[int, int], dict[str, Any]]] = {
    "default": ("camera", (100, 160), {}),
    "coins": ("coins", (60, 90), {}),
    "l2": ("camera", (30, 180), {"normalization": "L2"}),
    "not_doubled": ("camera", (200, 100), {"first_octave": 0, "peak_threshold": 0.003}),
    "resolution": ("coins", (150, 200), {"octave_resolution": 4, "num_octaves": 3}),
}


def extracted(image: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Frames (K, 6) and descriptors (K, 128) of an 8-bit gray image."""
    held = pycolmap.FeatureExtractionOptions()
    for name, value in options.items():
        is_name = name == "normalization"
        setattr(held.sift, name, getattr(pycolmap.Normalization, value) if is_name else value)
    extractor = pycolmap.FeatureExtractor.create(held, device=pycolmap.Device.cpu)
    keypoints, descriptors = extractor.extract_from_uint8_array(np.ascontiguousarray(image))
    names = ("x", "y", "a11", "a12", "a21", "a22")
    frames = np.array([[getattr(k, name) for name in names] for k in keypoints], np.float32)
    return frames, np.array(descriptors.data, np.uint8)


def main() -> None:
    """Extract and write."""
    arrays = {}
    for name, (photograph, (top, left), options) in CASES.items():
        image = getattr(skimage.data, photograph)()[top : top + SIDE, left : left + SIDE]
        frames, descriptors = extracted(image, **options)
        arrays[f"{name}__frames"], arrays[f"{name}__descriptors"] = frames, descriptors
        print(f"{name}: {len(frames)} frames")
    np.savez_compressed(OUT, **arrays)
    print(f"wrote {OUT}, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
