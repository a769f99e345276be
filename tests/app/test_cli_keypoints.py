"""Keypoints on the command line: of a file, or detected in the photograph."""

import json

import numpy as np
import pytest
import skimage

import repinv
from repinv.io import files

CAMERA = skimage.data.camera()[::4, ::4]
SIFT = repinv.SIFT.detect(CAMERA)


@pytest.fixture
def camera(tmp_path):
    files.write(tmp_path / "camera.png", CAMERA / np.float32(255))
    return tmp_path / "camera.png"


def short(run, *args):
    status, out, err = run("invert", *args, "--max-iter", 20, "--json")
    assert status == 0, err
    return json.loads(out)


def test_keypoints_are_detected_in_the_photograph_or_read(run, camera, tmp_path):
    detected = short(run, camera, "-e", "sift.opencv")
    np.savez(tmp_path / "points.npz", keypoints=SIFT.keypoints)
    given = short(run, camera, "-e", "sift.opencv()", "--keypoints", tmp_path / "points.npz")
    assert detected["error"] == pytest.approx(given["error"], rel=1e-3)
    assert detected["error"] < 0.5


def test_descriptors_are_inverted_with_their_keypoints(run, camera, tmp_path):
    np.save(tmp_path / "descriptors.npy", SIFT(CAMERA))
    np.savez(tmp_path / "points.npz", keypoints=SIFT.keypoints)
    args = ("-e", "sift.opencv", "--shape", "128x128")
    report = short(run, tmp_path / "descriptors.npy", *args, "--keypoints", tmp_path / "points.npz")
    assert report["shape"] == [128, 128]
    status, _, err = run("invert", tmp_path / "descriptors.npy", *args)
    assert status != 0
    assert "Give them by --keypoints FILE.npz" in err


def test_keypoints_of_other_encoders_are_refused(run, camera, tmp_path):
    status, _, err = run("invert", camera, "-e", "hog.vlfeat", "--keypoints", tmp_path / "p.npz")
    assert status != 0
    assert "--keypoints are those of sift.opencv" in err
    status, _, err = run("compare", camera, "-e", "hog.vlfeat", "--keypoints", tmp_path / "p.npz")
    assert status != 0
    assert "--keypoints are those of sift.opencv" in err


def test_options_of_an_expression_count_for_detected_keypoints(run, camera):
    wrong = run("invert", camera, "-e", "sift.opencv(n_layers=4)")
    assert wrong[0] != 0
    assert "no option 'n_layers'" in wrong[2]
    short(run, camera, "-e", "sift.opencv(n_octave_layers=4, rootsift=True)")


def test_frames_of_colmap_are_read(run, camera, tmp_path):
    k = SIFT.keypoints
    frames = np.stack([k[:, 0] + 0.5, k[:, 1] + 0.5, k[:, 2] / 2, np.radians(k[:, 3])], axis=-1)
    np.savez(tmp_path / "frames.npz", frames=frames)
    expression = "sift.colmap(normalization='l2')"
    report = short(run, camera, "-e", expression, "--keypoints", tmp_path / "frames.npz")
    assert report["error"] < 0.5
    status, _, err = run("invert", camera, "-e", expression)
    assert status != 0
    assert "keypoints of sift.colmap(normalization='l2') are not detected. Give them by" in err


def test_comparisons_detect_keypoints_in_the_photograph_or_read_them(run, camera, tmp_path):
    np.savez(tmp_path / "points.npz", keypoints=SIFT.keypoints)
    both = ("compare", camera, "-e", "sift.opencv", "-e", "hog.vlfeat", "--max-iter", 10, "--json")
    rows = []
    for extra in ((), ("--keypoints", tmp_path / "points.npz")):
        status, out, err = run(*both, *extra)
        assert status == 0, err
        rows.append({row["name"]: row["error"] for row in json.loads(out)})
    assert rows[0].keys() == {"sift.opencv", "hog.vlfeat"}
    assert rows[0]["sift.opencv"] == pytest.approx(rows[1]["sift.opencv"], rel=1e-3)
    np.save(tmp_path / "descriptors.npy", SIFT(CAMERA))
    status, _, err = run("compare", tmp_path / "descriptors.npy", "-e", "sift.opencv")
    assert status != 0
    assert "Give them by --keypoints FILE.npz" in err


def test_caricatures_and_distortions_detect_keypoints(run, camera):
    status, out, err = run(
        "caricature", camera, "--size", 96, "-e", "sift.opencv", "--max-iter", 5, "--json"
    )
    assert status == 0, err
    assert json.loads(out)["response"] >= 1
    few = ("--largest", 1, "--smallest", 0, "--max-iter", 12, "--json")
    status, out, err = run("distort", camera, "--size", 64, "-e", "sift.opencv", *few)
    assert status == 0, err
    assert json.loads(out)["eigenvalues"][0] > 0
    assert "rounds features" in " ".join(json.loads(out)["notes"])


def test_maximize_has_no_photograph_to_detect_keypoints_in(run):
    status, _, err = run("maximize", "-e", "sift.opencv", "-c", 3, "--shape", "64x64")
    assert status != 0
    assert "write sift.opencv(keypoints='FILE.npz')" in err
    assert "here there is none" in err
