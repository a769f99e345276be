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


def test_options_of_an_expression_count_for_detected_keypoints(run, camera):
    wrong = run("invert", camera, "-e", "sift.opencv(n_layers=4)")
    assert wrong[0] != 0
    assert "no option 'n_layers'" in wrong[2]
    short(run, camera, "-e", "sift.opencv(n_octave_layers=4, rootsift=True)")
