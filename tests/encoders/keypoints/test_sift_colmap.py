"""SIFT.colmap against what COLMAP gave: scripts/golden_colmap.py."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data

import repinv
from repinv import SIFT

GOLDEN = dict(np.load(Path(__file__).parents[2] / "golden" / "colmap.npz"))
SIDE = 120
NAMES = ("x", "y", "a11", "a12", "a21", "a22")
#: Photograph, corner of the crop, options.
CASES = {
    "default": ("camera", (100, 160), {}),
    "coins": ("coins", (60, 90), {}),
    "l2": ("camera", (30, 180), {"normalization": "l2"}),
    "not_doubled": ("camera", (200, 100), {"first_octave": 0}),
    "resolution": ("coins", (150, 200), {"octave_resolution": 4, "num_octaves": 3}),
}


def case(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict]:
    """Image, frames, descriptors and options."""
    photograph, (top, left), options = CASES[name]
    image = getattr(skimage.data, photograph)()[top : top + SIDE, left : left + SIDE]
    return image, GOLDEN[f"{name}__frames"], GOLDEN[f"{name}__descriptors"], options


IMAGE, FRAMES, DESCRIPTORS, _ = case("default")
#: x, y, scale and orientation, as `pycolmap.Sift` gives them.
FOUR = np.stack(
    [
        FRAMES[:, 0],
        FRAMES[:, 1],
        np.hypot(FRAMES[:, 2], FRAMES[:, 4]),
        np.arctan2(FRAMES[:, 4], FRAMES[:, 2]),
    ],
    axis=-1,
)


@pytest.mark.parametrize("name", CASES)
def test_descriptors_are_those_of_colmap(name: str) -> None:
    image, frames, expected, options = case(name)
    sift = SIFT.colmap(frames, **options)
    exact = np.abs(sift(image / np.float32(255)) - expected)
    assert len(frames) > 30
    assert (exact == 0).mean() > 0.99
    assert exact.max() <= 1
    # Of 8-bit pixels faint gradients count that COLMAP drops.
    difference = np.abs(sift(image) - expected)
    assert (difference > 1).mean() < 0.005
    assert difference.max() <= 4


def test_frames_of_a_scale_and_an_angle_are_those_of_matrices() -> None:
    four, six = SIFT.colmap(FOUR), SIFT.colmap(FRAMES)
    np.testing.assert_allclose(four.keypoints, six.keypoints, rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(four.keypoints[:, 4], six.keypoints[:, 4])
    assert (four(IMAGE) != six(IMAGE)).mean() < 1e-3


def test_layers_are_found_of_some_frames_in_their_order() -> None:
    whole = SIFT.colmap(FRAMES).keypoints
    np.testing.assert_array_equal(SIFT.colmap(FRAMES[::2]).keypoints, whole[::2])


def test_layers_of_frames_in_another_order_are_the_nearest_ones() -> None:
    order = np.random.default_rng(0).permutation(len(FRAMES))
    shuffled, one_each = SIFT.colmap(FRAMES[order]), [SIFT.colmap(f[None]) for f in FRAMES[order]]
    np.testing.assert_array_equal(
        shuffled.keypoints, np.concatenate([one.keypoints for one in one_each])
    )
    same = (shuffled.keypoints == SIFT.colmap(FRAMES).keypoints[order])[:, 4]
    assert 0.85 < same.mean() < 1


def test_the_layer_is_the_nearest_that_there_is() -> None:
    scales = 1.6 * 2.0 ** (np.array([-9.0, 1.2, 3.9, 30.0]) / 3)
    for sigma, (octave, layer) in zip(scales, ((-1, 1), (0, 1), (1, 1), (2, 3)), strict=True):
        (keypoint,) = SIFT.colmap([[50.0, 60.0, sigma, 0.3]]).keypoints
        assert keypoint[4] == (octave & 255) | layer << 8


def test_the_norm_is_512_in_both_normalizations() -> None:
    for normalization in ("l1_root", "l2"):
        features = SIFT.colmap(FRAMES, normalization=normalization).softened(1)(IMAGE)
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 512, rtol=1e-4)


FORMS = {
    "objects": lambda f: [SimpleNamespace(**dict(zip(NAMES, row, strict=True))) for row in f],
    "mapping": lambda f: dict(zip(NAMES, f.T, strict=True)),
    "structured": lambda f: np.rec.fromarrays(f.T, names=",".join(NAMES)),
    "mappings": lambda f: [dict(zip(NAMES, row, strict=True)) for row in f.tolist()],
    "list": lambda f: f.tolist(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_frames_are_read_in_all_their_forms(form) -> None:
    assert SIFT.colmap(form(FRAMES)) == SIFT.colmap(FRAMES)


def test_frames_are_read_from_files(tmp_path) -> None:
    named = dict(zip(("x", "y", "scale", "orientation"), FOUR.T, strict=True))
    np.savez(tmp_path / "named.npz", **named)
    np.savez(tmp_path / "rows.npz", frames=FOUR)
    (tmp_path / "named.json").write_text(json.dumps({k: v.tolist() for k, v in named.items()}))
    for file in tmp_path.iterdir():
        assert SIFT.colmap(file) == SIFT.colmap(FOUR)


def test_an_encoder_is_written_and_read_again(tmp_path) -> None:
    encoder = SIFT.colmap(FRAMES, normalization="l2", octave_resolution=4)
    encoder.save(tmp_path / "sift.npz")
    assert SIFT.load(tmp_path / "sift.npz") == encoder != SIFT.colmap(FRAMES)


GOOD = [10.0, 12.0, 2.0, 0.3]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, "there are no frames"),
        (np.zeros((4, 2)), ValueError, r"\(K, 4\), for x, .* or \(K, 6\), for .*; got \(4, 2\)"),
        ([GOOD, [10, 12, 0, 0.3]], ValueError, "scales of frames must be positive; frame 1 has 0"),
        ([GOOD, [np.nan, 12, 2, 0.3]], ValueError, "x of frame 1 is nan"),
        ([[10, 12, 2, 0, 0, 2], [10, 12, 2, 1, 0, 2]], ValueError, "frame 1 is sheared: .*1 of 2"),
        ([[10, 12, 2, 0, 0, -2]], ValueError, "frame 0 is sheared"),
        ({"x": [1], "y": [2], "scale": [3]}, ValueError, "Add orientation"),
        ({"x": [1], "y": [2], "a11": [3], "a12": [0], "a21": [0]}, ValueError, "Add a22"),
        (object(), TypeError, "frames must be pycolmap's FeatureKeypoints"),
        ("points.txt", ValueError, "frames are read from .npz and .json files"),
    ],
)
def test_what_is_no_frames_is_refused(given, error, message: str) -> None:
    with pytest.raises(error, match=message):
        SIFT.colmap(given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalization": "L1"}, 'normalization must be "l1_root" or "l2"; got \'L1\''),
        ({"first_octave": -2}, "first_octave must be a whole number from -1 to 0"),
        ({"num_octaves": 0}, "num_octaves must be a whole number of at least 1"),
        ({"octave_resolution": 0}, "octave_resolution must be a whole number of at least 1"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SIFT.colmap([GOOD], **options)


def test_frames_outside_of_the_image_are_refused() -> None:
    SIFT.colmap([[120.0, 12.0, 2.0, 0.3]])(IMAGE)
    with pytest.raises(ValueError, match=r"keypoint 0 lies at x = 120.1, .* outside of an image"):
        SIFT.colmap([[120.6, 12.0, 2.0, 0.3]])(IMAGE)


def test_inversions_of_colmaps_own_descriptors_recover_the_photograph() -> None:
    sift = SIFT.colmap(FRAMES)
    result = repinv.invert(DESCRIPTORS, sift, shape=IMAGE.shape, max_iter=200)
    covered = sift.coverage(IMAGE.shape)
    covered = covered > np.median(covered)
    assert float(result.error[0]) < 0.01
    assert np.corrcoef(result.image[covered], IMAGE[covered])[0, 1] > 0.8
    unit = repinv.invert(DESCRIPTORS / 512, sift, shape=IMAGE.shape, max_iter=10, rescale=True)
    assert float(unit.error[0]) < 0.5
