"""Dense SIFT against what the mirrored libraries returned: golden cases, whole packs if at hand."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from repinv import DSIFT

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "dsift.npz"
BESIDE = pathlib.Path(__file__).parents[3] / ".." / "shared"
REFERENCE = pathlib.Path(os.environ.get("REPINV_SHARED", BESIDE)) / "reference"
#: Stock VLFeat's arctangent is a polynomial with errors up to 0.01 rad.
TOLERANCE = {"vlfeat_dsift": 1.1e-2, "vlfeat_dsift_exactmath": 2e-5, "kornia_dsift": 2e-5}

needs_reference = pytest.mark.skipif(
    not (REFERENCE / "manifest.json").exists(),
    reason="the reference packs (shared/reference beside the checkout) are missing",
)


def vlfeat_of(params: dict[str, Any]) -> DSIFT:
    """The encoder of a case of VLFeat's, which names x first."""
    bounds = params["bounds_minX_minY_maxX_maxY"]
    return DSIFT.vlfeat(
        (params["stepY"], params["stepX"]),
        (params["binSizeY"], params["binSizeX"]),
        fast=params["flatWindow"],
        window_size=params["windowSize"],
        bounds=None if bounds is None else tuple(bounds[i] for i in (1, 0, 3, 2)),
        geometry=(params["numBinY"], params["numBinX"], params["numBinT"]),
    )


def assert_case_is_reproduced(
    library: str, params: dict[str, Any], image: np.ndarray, outputs: Mapping[str, np.ndarray]
) -> None:
    """Descriptors, shape and dtype included, and VLFeat's frames and norms."""
    if library == "kornia_dsift":
        options = {name: value for name, value in params.items() if name != "input_cast"}
        encoder, expected = DSIFT.kornia(**options), outputs["desc"]
        image = image.astype(params["input_cast"])
    else:
        encoder, expected = vlfeat_of(params), outputs["descriptors"]
        np.testing.assert_array_equal(
            encoder.frames((1, *image.shape)), outputs["frames"][:, 1::-1]
        )
        norms = outputs["frames"][:, 2]
        np.testing.assert_allclose(encoder.norms(image), norms, rtol=1e-5, atol=1e-5 * norms.max())
    features = encoder(image)
    assert (features.shape, features.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(features, expected, rtol=0, atol=TOLERANCE[library])


with np.load(GOLDEN) as _golden:
    CASES = json.loads(str(_golden["cases"]))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_golden_case_is_reproduced(case: dict[str, Any]) -> None:
    with np.load(GOLDEN) as golden:
        image = golden[f"input__{case['input']}"]
        outputs = {name: golden[key] for name, key in case["outputs"].items()}
    assert_case_is_reproduced(case["library"], case["params"], image, outputs)


@needs_reference
@pytest.mark.parametrize("library", list(TOLERANCE))
def test_every_case_of_the_pack_is_reproduced(library: str) -> None:
    manifest = json.loads((REFERENCE / "manifest.json").read_text())
    cases = [case for case in manifest["cases"] if case["library"] == library]
    assert len(cases) >= 10
    with np.load(REFERENCE / "inputs.npz") as inputs:
        for case in cases:
            outputs = {}
            for name, output in case["outputs"].items():
                with np.load(REFERENCE / output["file"]) as pack:
                    outputs[name] = pack[output["key"]]
            image = inputs[case["input"]]
            assert_case_is_reproduced(library, case["params"], image, outputs)
