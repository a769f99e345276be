"""Encoder expressions are parsed; nothing in them is ever run."""

import numpy as np
import pytest
import skimage.data

import repinv
from repinv.encoders import expressions


def test_a_flavour_alone_has_its_defaults():
    assert expressions.parse("hog.vlfeat") == repinv.HOG.vlfeat()
    assert expressions.parse(" hog.vlfeat() ") == repinv.HOG.vlfeat()


def test_options_are_passed_on_by_name_and_by_place():
    expected = repinv.HOG.vlfeat(4, bilinear_orientations=True)
    assert expressions.parse("hog.vlfeat(4, bilinear_orientations=True)") == expected
    expected = repinv.HOG.skimage(orientations=8, pixels_per_cell=(4, 6))
    assert expressions.parse("hog.skimage(orientations=8, pixels_per_cell=(4, 6))") == expected
    assert expressions.parse("hog.skimage(8, pixels_per_cell=[4, 6])") == expected
    expected = repinv.HOG.opencv(win_sigma=2.5, win_stride=(8, 8))
    assert expressions.parse("hog.opencv(win_sigma=2.5, win_stride=(8, 8))") == expected


def test_dense_sift_and_bags_of_words_are_made():
    expected = repinv.DSIFT.vlfeat((2, 3), size=5, fast=True, bounds=(0, 0, 40, 50))
    found = expressions.parse("dsift.vlfeat((2, 3), size=5, fast=True, bounds=[0, 0, 40, 50])")
    assert found == expected
    assert expressions.parse("dsift.phow(sizes=(4, 8))") == repinv.DSIFT.phow(sizes=(4, 8))
    assert expressions.parse("bovw") == repinv.BoVW.pretrained()
    expected = repinv.BoVW.pretrained(1024, grid=(16, 16), assignment="hard", norm="l2")
    written = "bovw(n_words=1024, grid=(16, 16), assignment='hard', norm='l2')"
    assert expressions.parse(written) == expected
    expected = repinv.BoVW.pretrained(grid=((1, 1), (2, 2)), power=1)
    assert expressions.parse("bovw(256, grid=((1, 1), (2, 2)), power=1)") == expected
    assert expressions.parse("bovw(cell_size=None)") == repinv.BoVW.pretrained(cell_size=None)


#: Flavours with no options but those that have defaults.
COMPLETE = [f for f in expressions.FLAVOURS if not f.endswith(".load") and f[:5] != "sift."]


@pytest.mark.parametrize("flavour", COMPLETE)
def test_every_flavour_can_be_made_and_listed(flavour):
    assert isinstance(expressions.parse(flavour), repinv.Encoder)
    defaults = expressions.options(flavour)
    assert defaults
    written = ", ".join(f"{name}={value!r}" for name, value in defaults.items())
    assert expressions.parse(f"{flavour}({written})") == expressions.parse(flavour)


def test_keypoints_are_named_by_their_file(tmp_path):
    file = tmp_path / "points.npz"
    np.savez(file, keypoints=np.array([[3.0, 4.0, 2.0, 0.0, 255.0]]))
    found = expressions.parse(f"sift.opencv(keypoints={str(file)!r}, rootsift=True)")
    assert found == repinv.SIFT.opencv(file, rootsift=True)
    assert len(expressions.files_in(f"sift.opencv({str(file)!r})")) == 1
    assert expressions.with_points("sift.opencv(rootsift=True)", file) == found
    with pytest.raises(ValueError, match=r"write sift.opencv\(keypoints='FILE.npz'\). They"):
        expressions.parse("sift.opencv")
    np.savez(file, frames=np.array([[3.0, 4.0, 2.0, 0.0]]))
    found = expressions.parse(f"sift.colmap({str(file)!r}, normalization='l2')")
    assert found == repinv.SIFT.colmap(file, normalization="l2")
    with pytest.raises(ValueError, match=r"write sift.colmap\(frames='FILE.npz'\).$"):
        expressions.encoder_of("sift.colmap", np.zeros((64, 64)))


def test_keypoints_are_detected_in_a_photograph():
    photograph = skimage.data.camera()[::4, ::4]
    found = expressions.encoder_of("sift.opencv(rootsift=True, value_range=(0, 1))", photograph)
    expected = repinv.SIFT.detect(photograph, rootsift=True)
    assert found == repinv.SIFT.opencv(expected.keypoints, rootsift=True, value_range=(0, 1))
    colour = np.repeat(photograph[..., None], 3, axis=-1)
    assert expressions.encoder_of("sift.opencv", colour).channels == 1
    assert expressions.encoder_of("hog.vlfeat", photograph) == repinv.HOG.vlfeat()
    with pytest.raises(ValueError, match=r"no option 'sigm'. Did you mean sigma"):
        expressions.encoder_of("sift.opencv(sigm=3)", photograph)
    with pytest.raises(ValueError, match="OpenCV finds no keypoints"):
        expressions.encoder_of("sift.opencv", np.zeros((64, 64)))


def test_tasks_with_a_photograph_take_its_keypoints_and_others_say_that_there_is_none():
    photograph = skimage.data.camera()[::8, ::8]
    sift = repinv.SIFT.detect(photograph)
    result = repinv.caricature(photograph, "sift.opencv", max_iter=3)
    np.testing.assert_array_equal(
        result.image, repinv.caricature(photograph, sift, max_iter=3).image
    )
    assert repinv.sensitivity("sift.opencv", photograph, n_probes=2).map.shape == (64, 64)
    for task in (
        lambda: repinv.maximize("sift.opencv", 3, shape=(64, 64)),
        lambda: repinv.invert(sift(photograph), "sift.opencv", shape=(64, 64)),
    ):
        with pytest.raises(ValueError, match="where there is a photograph, and here there is none"):
            task()


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('touch ran')",
        "hog.vlfeat(__import__('os').system('touch ran'))",
        "hog.vlfeat(cell_size=open('ran', 'w'))",
        "hog.vlfeat(cell_size=[open('ran', 'w') for _ in (1,)])",
        "hog.vlfeat(cell_size=(lambda: open('ran', 'w'))())",
        'hog.vlfeat(cell_size=f\'{open("ran", "w")}\')',
        "hog.vlfeat(**{'cell_size': open('ran', 'w')})",
        "hog.vlfeat(*[open('ran', 'w')])",
        "hog.vlfeat(cell_size=8).vjp(open('ran', 'w'))",
        "hog.vlfeat.__func__.__globals__",
        "hog.vlfeat(cell_size=2 ** 3)",
        "hog.vlfeat(cell_size=x)",
        "hog['vlfeat']",
        "open('ran', 'w')",
        "(x := 1)",
        "hog.vlfeat if True else hog.dpm",
        "lambda: hog.vlfeat",
        "hog.vlfeat; hog.dpm",
        "import os",
        "",
        "   ",
        "(",
        "hog.vlfeat(" + "(" * 400,
        "hog.vlfeat(" + "-" * 900 + "1)",
        "hog.vlfeat(" + "x" * 2000 + ")",
        "hog.vlfeat(\0)",
        "hog.vlfeat('\\d'",
    ],
)
def test_whatever_is_more_than_plain_values_is_refused_in_one_line(
    expression, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"expected|no option|does not take") as caught:
        expressions.parse(expression)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("hog.skimge", "Did you mean hog.skimage"),
        ("HOG.vlfeat", "Did you mean hog.vlfeat"),
        ("hog", "Did you mean hog.skimage or hog.vlfeat or hog.opencv or hog.dpm"),
        ("dsift", "Did you mean dsift.vlfeat or dsift.phow or dsift.natural or dsift.kornia"),
        ("DSIFT", "Did you mean dsift.vlfeat or dsift.phow"),
        ("sift", "Did you mean sift.opencv or sift.skimage or sift.colmap or sift.load"),
        ("BoVW", "Did you mean bovw"),
        ("bow", "Did you mean bovw"),
        ("bovw.pretrained", "Did you mean bovw"),
        ("resnet", "There are hog.skimage, hog.vlfeat"),
        ("hog.skimage(orientation=8)", "no option 'orientation'. Did you mean orientations"),
        ("hog.vlfeat(zzz=8)", "no option 'zzz'. There are cell_size"),
        ("hog.vlfeat(_x=8)", "no option '_x'"),
        ("hog.vlfeat(8, cell_size=8)", "does not take these options: multiple values"),
        ("hog.vlfeat(1, 'uoctti', 3, True, 5, 6, 7, 8, 9)", "too many positional"),
        ("hog.vlfeat(cell_size='a')", "expects cell_size of the kind of 8; got 'a'"),
        ("hog.vlfeat(cell_size=8.5)", "expects cell_size of the kind of 8; got 8.5"),
        ("hog.vlfeat(cell_size=True)", "expects cell_size of the kind of 8; got True"),
        ("hog.vlfeat(bilinear_orientations=1)", "kind of False; got 1"),
        ("hog.vlfeat(value_range=(0, 1, 2))", r"kind of \(0.0, 1.0\)"),
        ("hog.vlfeat(value_range=(0, 'a'))", r"kind of \(0.0, 1.0\)"),
        ("hog.opencv(win_stride=8)", r"expects win_stride to be \(int, int\) or None; got 8"),
        ("dsift.vlfeat(bounds=(0, 0, 9))", r"bounds to be \(int, int, int, int\) or None; got"),
        ("dsift.phow(sizes=4)", r"kind of \(4, 6, 8, 10\); got 4"),
        ("bovw(norm=2)", "expects norm to be str or None; got 2. Write such a value, or leave"),
        ("bovw(grid=4)", r"expects grid to be \(int, int\) or .*; got 4"),
        ("bovw(grid=((1, 1), 2))", r"expects grid to be \(int, int\) or"),
        ("bovw(assignment=3)", "kind of 'soft'; got 3"),
        ("bovw(assignment=SoftAssignment(0.1))", "no plain value, and is not run"),
        ("bovw(seed=0)", "no option 'seed'. There are n_words"),
        ("hog.skimage(pixels_per_cell=8)", r"kind of \(8, 8\); got 8"),
    ],
)
def test_mistakes_get_the_nearest_right_thing(expression, words):
    with pytest.raises(ValueError, match=words):
        expressions.parse(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "hog.vlfeat(cell_size=0)",
        "hog.vlfeat(cell_size=-8)",
        "hog.vlfeat(num_orientations=0)",
        "hog.vlfeat(variant='felzenszwalb')",
        "hog.skimage(block_norm='L3')",
        "dsift.vlfeat(size=0)",
        "bovw(n_words=512)",
        "bovw(assignment='softer')",
    ],
)
def test_values_that_an_encoder_refuses_are_said_with_its_flavour(expression):
    with pytest.raises(ValueError, match=r"^(hog\.\w+|dsift\.\w+|bovw): "):
        expressions.parse(expression)


def test_constructors_of_other_packages_are_found_and_loaded_when_they_are_named(monkeypatch):
    loaded = []

    class Point:
        name, value = "mine.hog", "mine:hog"

        def load(self):
            loaded.append(self.name)
            return repinv.HOG.vlfeat

    monkeypatch.setattr(expressions.importlib.metadata, "entry_points", lambda *, group: [Point()])
    expressions.parse("hog.vlfeat(cell_size=4)")
    assert list(expressions.extensions()) == ["mine.hog"]
    assert loaded == []
    assert expressions.parse("mine.hog(cell_size=4)") == repinv.HOG.vlfeat(4)
    assert loaded == ["mine.hog"]
    with pytest.raises(ValueError, match=r"mine\.hog has no option"):
        expressions.parse("mine.hog(size=4)")


def test_a_constructor_whose_package_is_missing_says_so(monkeypatch):
    class Point:
        name, value = "mine.net", "mine:net"

        def load(self):
            raise ImportError("No module named 'mine'")

    monkeypatch.setattr(expressions.importlib.metadata, "entry_points", lambda *, group: [Point()])
    with pytest.raises(ValueError, match=r"mine\.net needs a package that is missing: No module"):
        expressions.parse("mine.net")


def test_the_digit_network_is_named_on_the_command_line():
    encoder = expressions.parse("cnn.digits('conv2')")
    assert encoder.feature_shape((1, 32, 32)) == (32, 8, 8)
