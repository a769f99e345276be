"""HOG against what the mirrored libraries returned: golden cases, and whole packs if at hand."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import numpy as np
import pytest

from repinv import HOG

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "hog.npz"
BESIDE = pathlib.Path(__file__).parents[3] / ".." / "shared"
REFERENCE = pathlib.Path(os.environ.get("REPINV_SHARED", BESIDE)) / "reference"

needs_reference = pytest.mark.skipif(
    not (REFERENCE / "manifest.json").exists(),
    reason="the reference packs (shared/reference beside the checkout) are missing",
)


def encoder_of(library: str, params: dict[str, Any]) -> HOG:
    """The flavour that mirrors a case."""
    if library == "vlfeat_hog":
        variant = {"VlHogVariantUoctti": "uoctti", "VlHogVariantDalalTriggs": "dalal-triggs"}
        return HOG.vlfeat(
            params["cellSize"],
            variant[params["variant"]],
            params["numOrientations"],
            params["bilinearOrientation"],
        )
    if library == "ihog":
        return HOG.dpm(params["sbin"], bool(params["normalize"]), params["truncator"])
    if library == "skimage":
        return HOG.skimage(**params)
    return HOG.opencv(
        params["winSize_wh"],
        params["blockSize_wh"],
        params["blockStride_wh"],
        params["cellSize_wh"],
        params["nbins"],
        params["winSigma"],
        params["L2HysThreshold"],
        params["gammaCorrection"],
        params["signedGradient"],
        params["winStride"],
        params["padding"],
    )


def tolerance(library: str, floor: float) -> float:
    """The case's own floor where the library is approximate; rounding elsewhere.

    Where ties make VLFeat's floor large, following its float32 reaches 1e-4.
    """
    if library == "vlfeat_hog":
        return min(floor, 1e-4) + 2e-6
    return {"ihog": 1e-10, "skimage": 1e-6, "opencv": min(5e-4, floor + 1e-6)}[library]


def largest_difference(
    library: str, params: dict[str, Any], image: np.ndarray, expected: np.ndarray
) -> float:
    """Between a call with the image and what the library gave, shape and dtype included."""
    if library == "ihog":
        image = image.astype(np.float64)
    features = encoder_of(library, params)(image)
    if library == "opencv":
        expected = expected.ravel()
    assert features.shape == expected.shape
    assert features.dtype == expected.dtype
    return float(np.abs(features - expected).max())


with np.load(GOLDEN) as _golden:
    CASES = json.loads(str(_golden["cases"]))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_golden_case_is_reproduced(case: dict[str, Any]) -> None:
    with np.load(GOLDEN) as golden:
        image = golden[f"input__{case['input']}"]
        outputs = {name: golden[key] for name, key in case["outputs"].items()}
    glyphs = outputs.pop("glyphs", None)
    (expected,) = outputs.values()
    difference = largest_difference(case["library"], case["params"], image, expected)
    assert difference <= tolerance(case["library"], case["floor"])
    if glyphs is not None:
        picture = encoder_of(case["library"], case["params"]).glyph(expected)
        np.testing.assert_allclose(picture, glyphs, atol=1e-6)


@needs_reference
@pytest.mark.parametrize("library", ["vlfeat_hog", "ihog", "skimage", "opencv"])
def test_every_case_of_the_pack_is_reproduced(library: str) -> None:
    manifest = json.loads((REFERENCE / "manifest.json").read_text())
    failures = []
    with np.load(REFERENCE / "inputs.npz") as inputs:
        for case in manifest["cases"]:
            if case["library"] != library:
                continue
            name = {"ihog": "feat", "opencv": "descriptor"}.get(library, "hog")
            output = case["outputs"][name]
            with np.load(REFERENCE / output["file"]) as pack:
                expected = pack[output["key"]]
            difference = largest_difference(
                library, case["params"], inputs[case["input"]], expected
            )
            bound = tolerance(library, case["float64_restatement"]["max_abs_diff"])
            if difference > bound:
                failures.append(f"{case['id']}: {difference:.3g} > {bound:.3g}")
    assert not failures


@pytest.mark.parametrize("bilinear", [False, True])
def test_float64_agrees_with_vlfeat_where_float32_decides_ties(bilinear: bool) -> None:
    case = "vlfeat_hog_039" if bilinear else "vlfeat_hog_016"
    params = next(c for c in CASES if c["id"] == case)["params"]
    with np.load(GOLDEN) as golden:
        image = golden["input__chelsea_97x131"].astype(np.float64)
        expected = golden[f"{case}__hog"]
    features = encoder_of("vlfeat_hog", params)(image)
    assert features.dtype == np.float64
    assert np.abs(features - expected).max() <= 1e-4


@pytest.mark.skipif(
    not (REFERENCE / "maskfeat_hog.npz").exists(),
    reason="the reference packs (shared/reference beside the checkout) are missing",
)
@pytest.mark.parametrize("number", range(7))
def test_maskfeat_gives_what_slowfast_gave(number: int) -> None:
    with np.load(REFERENCE / "maskfeat_hog.npz") as pack:
        case = json.loads(pack["cases"].tobytes())[number]
        image, expected = pack[case["input"]], pack[case["output"]]
    hog = HOG.maskfeat(case["nbins"], case["pool"], case["gaussian_window"] or None)
    np.testing.assert_allclose(hog(image), expected, rtol=0, atol=1e-5)
