"""Makes dsift.npz from the reference packs, which hold what the libraries themselves returned.

Run as ``python tests/golden/make_dsift.py REFERENCE_FOLDER``. Versions: VLFeat 0.9.21, stock and
with atan2f and sqrtf in place of its approximations ("exactmath"); kornia 0.9.0, torch 2.13.0.
"""

import json
import pathlib
import sys

import numpy as np

CASES = (
    *("vlfeat_dsift_008", "vlfeat_dsift_exactmath_004", "vlfeat_dsift_exactmath_015"),
    *("vlfeat_dsift_exactmath_016", "kornia_dsift_004", "kornia_dsift_009"),
)


def main(folder: str) -> None:
    """Pick the cases."""
    reference = pathlib.Path(folder)
    manifest = json.loads((reference / "manifest.json").read_text())
    inputs = np.load(reference / "inputs.npz")
    picked, arrays = [], {}
    for case in manifest["cases"]:
        if case["id"] not in CASES:
            continue
        picked.append({key: case[key] for key in ("id", "library", "params", "input")})
        picked[-1]["outputs"] = {}
        for name, output in case["outputs"].items():
            key = f"{case['id']}__{name}"
            arrays[key] = np.load(reference / output["file"])[output["key"]]
            picked[-1]["outputs"][name] = key
        arrays[f"input__{case['input']}"] = inputs[case["input"]]
    arrays["cases"] = np.array(json.dumps(picked))
    np.savez_compressed(pathlib.Path(__file__).with_name("dsift.npz"), **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
