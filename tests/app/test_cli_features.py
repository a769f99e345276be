"""Files of features on the command line: flat, stacks, layouts, scales; and large images."""

import json
import re

import numpy as np
import pytest
import scipy.io
import skimage
from PIL import Image
from skimage.feature import hog as skimage_hog

import repinv
from repinv import DSIFT, HOG
from repinv.app.commands import estimate
from repinv.io import files

CAMERA = (skimage.data.camera()[::8, ::8] / 255).astype(np.float32)
COINS = (skimage.data.coins()[:256:4, :256:4] / 255).astype(np.float32)
HOGB = HOG.vlfeat(bilinear_orientations=True)
EXPRESSION = "hog.vlfeat(bilinear_orientations=True)"


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def short(run):
    """Runs a short inversion of a file of features of 64x64 pixels, and returns its report."""

    def short(source, *args, encoder=EXPRESSION, shape="64x64"):
        sized = ("--shape", shape) if shape else ()
        status, out, err = run(
            "invert", source, "-e", encoder, "--max-iter", 20, "--json", *sized, *args
        )
        assert status == 0, err
        return json.loads(out)

    return short


def test_a_figure_is_drawn_of_flat_features(short, tmp_path):
    np.save(tmp_path / "f.npy", skimage_hog(CAMERA))
    figure = tmp_path / "figure.png"
    report = short(tmp_path / "f.npy", "--figure", figure, encoder="hog.skimage")
    assert report["files"] == [str(figure)]
    assert size_of(figure)[0] > 500


@pytest.mark.parametrize(
    "hog",
    [HOG.skimage(), HOGB, HOG.dpm(), HOG.opencv((64, 64))],
    ids=["skimage", "vlfeat", "dpm", "cv"],
)
def test_flat_features_are_drawn_as_those_of_a_call_are(hog):
    features = hog(CAMERA)
    drawn = hog.glyph(features.ravel(), shape=(64, 64))
    np.testing.assert_array_equal(drawn, hog.glyph(features))
    with pytest.raises(ValueError, match=r"are not of an image of \(80, 80\)"):
        hog.glyph(features.ravel(), shape=(80, 80))


def test_flat_features_without_a_shape_say_what_to_give():
    with pytest.raises(ValueError, match=r"glyph\(features, shape=\(H, W\)\)"):
        HOG.skimage().glyph(skimage_hog(CAMERA))


def test_rows_of_features_are_inverted_each(short, tmp_path):
    rows = np.stack([HOGB(CAMERA).ravel(), HOGB(COINS).ravel(), HOGB(CAMERA.T).ravel()])
    np.save(tmp_path / "rows.npy", rows)
    out, figure = tmp_path / "image.png", tmp_path / "figure.png"
    report = short(tmp_path / "rows.npy", "--out", out, "--figure", figure)
    assert report["images"] == 3
    assert len(report["errors"]) == 3
    names = [tmp_path / f"image-{k}.png" for k in (1, 2, 3)]
    assert report["files"] == [*map(str, names), str(figure)]
    expected = repinv.invert(rows, HOGB, shape=(64, 64), max_iter=20).images
    for name, image in zip(names, expected, strict=True):
        np.testing.assert_allclose(files.read(name) / 65535, image, atol=1e-4)
    assert size_of(figure)[1] > 800


def test_rows_of_features_are_summed_up_in_words(run, tmp_path):
    np.savetxt(tmp_path / "rows.csv", [HOGB(CAMERA).ravel(), HOGB(COINS).ravel()], delimiter=",")
    status, out, _ = run(
        "invert", tmp_path / "rows.csv", "-e", EXPRESSION, "--shape", "64x64", "--max-iter", 9
    )
    assert status == 0
    assert re.search(r"relative feature errors [0-9.]+ % to [0-9.]+ % of 2 images", out)


def test_a_whole_result_of_a_stack_is_refused_before_the_work(run, tmp_path):
    np.save(tmp_path / "rows.npy", np.stack([HOGB(CAMERA)] * 2))
    status, _, err = run(
        "invert", tmp_path / "rows.npy", "-e", EXPRESSION, "--out", tmp_path / "r.npz"
    )
    assert status == 1
    assert "holds those of 2" in err


def test_features_of_matlab_are_inverted(short, tmp_path):
    last = np.moveaxis(HOGB(CAMERA), 0, -1)
    scipy.io.savemat(tmp_path / "f.mat", {"hog": last, "label": 3.0})
    named = short(f"{tmp_path / 'f.mat'}:hog", shape=None)
    assert any("channels last" in note for note in named["notes"])
    np.save(tmp_path / "flat.npy", last.ravel())
    flat = short(tmp_path / "flat.npy", "--layout", "channels_last")
    np.save(tmp_path / "own.npy", HOGB(CAMERA))
    assert flat["error"] == short(tmp_path / "own.npy")["error"]


def test_features_at_another_scale_are_told_and_scaled(short, tmp_path):
    sift = DSIFT.vlfeat(step=4, size=4, fast=True)
    np.save(tmp_path / "f.npy", np.minimum(512 * sift(CAMERA), 255).astype(np.uint8))
    expression = "dsift.vlfeat(step=4, size=4, fast=True)"
    told = short(tmp_path / "f.npy", encoder=expression)
    assert any("--rescale" in note for note in told["notes"])
    assert told["error"] > 0.9
    assert short(tmp_path / "f.npy", "--rescale", encoder=expression)["error"] < 0.3


def test_comparing_takes_them_too(run, tmp_path):
    np.save(tmp_path / "f.npy", 255 * np.moveaxis(HOGB(CAMERA), 0, -1))
    args = ("--shape", "64x64", "--max-iter", 20, "--json", "--layout", "channels_last")
    status, out, err = run("compare", tmp_path / "f.npy", "-e", EXPRESSION, "--rescale", *args)
    assert status == 0, err
    assert json.loads(out)[0]["error"] < 0.3


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--layout", "channels_last"), "--layout goes with features"),
        (("--rescale",), "--rescale goes with features"),
        (("--shape", "64x64"), "--shape goes with features"),
    ],
)
@pytest.mark.parametrize("command", ["invert", "compare"])
def test_options_of_features_are_refused_with_an_image(run, photograph, command, args, words):
    status, _, err = run(command, photograph, "-e", "hog.vlfeat", *args)
    assert status == 2
    assert words in err


def test_the_size_of_features_is_theirs(run, tmp_path):
    np.save(tmp_path / "f.npy", HOGB(CAMERA))
    status, _, err = run("invert", tmp_path / "f.npy", "-e", EXPRESSION, "--size", 32)
    assert status == 2
    assert "--size goes with an image" in err


@pytest.mark.parametrize("name", ["f.pkl", "f.joblib"])
def test_a_pickle_is_not_tried_as_an_image(run, tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04N.")
    status, _, err = run("invert", tmp_path / name, "-e", EXPRESSION)
    assert status == 1
    assert "is a pickle, which could run code" in err
    assert "image" not in err.partition("is refused")[0]


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.jpg"
    Image.fromarray(np.tile(skimage.data.camera(), (1, 2))).save(path)
    return path


@pytest.mark.parametrize("command", ["invert", "caricature", "compare"])
def test_a_large_image_can_be_made_smaller(run, large, command):
    status, out, err = run(
        command, large, "-e", EXPRESSION, "--size", 96, "--max-iter", 3, "--json"
    )
    assert status == 0, err
    if command != "compare":
        assert json.loads(out)["shape"] == [48, 96]


def test_what_a_large_image_takes_is_said_before_it_starts(run, large, monkeypatch):
    monkeypatch.setattr(estimate, "LARGE", 2**18)
    args = ("invert", large, "-e", EXPRESSION, "--max-iter", 4)
    status, _, err = run(*args)
    assert status == 0
    assert re.search(
        r"512x1024 pixels: about [0-9.]+ GiB of memory and [0-9.]+ (seconds|minutes) for 4 eval",
        err,
    )
    monkeypatch.setattr(estimate, "_OFFERED", 512)
    assert "--size 512 makes the image smaller" in run(*args)[2]
    assert run(*args, "--quiet")[2] == ""
    assert json.loads(run(*args, "--json")[1])


def test_small_images_are_not_announced(run, photograph):
    assert run("invert", photograph, "-e", EXPRESSION, "--max-iter", 3)[2] == ""


def test_the_time_that_is_said_is_the_time_that_it_takes():
    image = np.tile(skimage.data.camera() / 255, (2, 2)).astype(np.float32)
    told = 10 * estimate.evaluation_seconds(HOGB, (1, *image.shape))
    taken = repinv.invert(HOGB(image), HOGB, shape=image.shape, max_iter=10).seconds
    assert told / 3 < taken < 3 * told
