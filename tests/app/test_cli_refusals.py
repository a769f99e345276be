"""What the command line refuses: exit statuses, one line of error, and nothing harmed."""

import numpy as np
import pytest
from photographs import THUMBNAIL
from PIL import Image

import repinv
from repinv.encoders import expressions
from repinv.solvers import memory

PHOTOGRAPH = THUMBNAIL


def _refused(outcome, status, words):
    """Assert an exit status, and one line on standard error that has these words."""
    code, out, err = outcome
    assert (code, out) == (status, ""), err
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert err.startswith("repinv: ")
    assert "Traceback" not in err
    assert words in err


# Bad usage: status 2.


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("frobnicate",), "No such command 'frobnicate'"),
        (("--frob",), "No such option"),
        (("invert",), "Missing"),
        (("invert", "x.png"), "--encoder"),
        (("invert", "x.png", "-e", "hog.vlfeat", "--max-iter", "0"), "--max-iter"),
        (("invert", "x.png", "-e", "hog.vlfeat", "--max-iter", "many"), "--max-iter"),
        (("invert", "x.png", "-e", "hog.vlfeat", "--n-preimages", "-1"), "--n-preimages"),
        (("invert", "x.png", "-e", "hog.vlfeat", "--seed", "-1"), "--seed"),
        (("invert", "x.png", "-e", "hog.vlfeat", "--time-limit", "0"), "--time-limit"),
        (("invert", "x.npy", "-e", "hog.vlfeat", "--shape", "64"), "such as 240x320"),
        (("invert", "x.npy", "-e", "hog.vlfeat", "--shape", "64x-4"), "such as 240x320"),
        (("invert", "x.npy", "-e", "hog.vlfeat", "--shape", "0x64"), "at least one pixel"),
        (("invert", "x.png", "-e", "hog.vlfeat", "--shape", "64x64"), "--shape goes with features"),
        (("invert", "x.png", "-e", "hog.vlfaet"), "Did you mean hog.vlfeat"),
        (("invert", "x.png", "-e", "hog.vlfeat(cells=8)"), "Did you mean cell_size"),
        (("invert", "x.png", "-e", "__import__('os').abort()"), "is not run"),
        (("invert", "x.png", "-e", "hog.vlfeat(__import__('os').abort())"), "is not run"),
        (("invert", "a.png", "-e", "hog.vlfeat", "--out", "a.png"), "are the same file"),
        (
            ("invert", "a.png", "-e", "hog.vlfeat", "--out", "b.png", "--figure", "./b.png"),
            "are the same file",
        ),
    ],
)
def test_bad_usage_exits_with_2_and_one_line(run, tmp_path, monkeypatch, args, words):
    monkeypatch.chdir(tmp_path)
    _refused(run(*args), 2, words)
    assert list(tmp_path.iterdir()) == []


# Bad input: status 1, and nothing harmed.


@pytest.fixture
def untouched(tmp_path):
    """Asserts that a test leaves the folder as it was when it last said so."""
    before = {}

    def remember():
        before.update({path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()})

    yield remember
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.png", None, "there is no"),
        ("empty.png", b"", "empty file"),
        ("text.png", b"not an image", "cannot be read as one"),
        ("missing.npy", None, "there is no"),
        ("empty.npy", b"", "empty file"),
        ("text.npy", b"not an array", "cannot be read as one"),
        ("text.npz", b"PK not an archive", "cannot be read as one"),
        ("pickle.npy", b"\x80\x04N.", "pickled"),
    ],
)
def test_files_that_are_something_else_are_refused(run, tmp_path, untouched, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    untouched()
    outcome = run("invert", tmp_path / name, "-e", "hog.vlfeat", "--out", tmp_path / "x.png")
    _refused(outcome, 1, words)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_truncated_image_is_refused(run, tmp_path, untouched, suffix):
    path = tmp_path / f"photograph.{suffix}"
    Image.fromarray(PHOTOGRAPH).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    untouched()
    _refused(run("invert", path, "-e", "hog.vlfeat"), 1, "cannot be read as one")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((8, 8, 31), np.nan), "NaN"),
        (np.full((8, 8, 31), np.inf), "infinite"),
        (np.zeros((0, 8, 31)), "holds none"),
        (np.ones((31, 8, 8)) * 1j, "real numbers"),
        (np.array([{"a": 1}], dtype=object), "pickled"),
        (np.ones((30, 8, 8)), "features"),
        (np.ones((31, 8, 9)), "64"),
        (np.ones(1000), "features"),
        (np.ones((2, 31, 8, 8, 1)), "features"),
    ],
)
def test_features_that_do_not_fit_are_refused(run, tmp_path, untouched, array, words):
    np.save(tmp_path / "f.npy", array, allow_pickle=True)
    untouched()
    args = ("-e", "hog.vlfeat", "--shape", "64x64", "--out", tmp_path / "x.png")
    _refused(run("invert", tmp_path / "f.npy", *args), 1, words)


@pytest.mark.parametrize("encoder", ["bovw", "dsift.vlfeat(step=8)", "dsift.phow(step=8)"])
def test_features_that_do_not_tell_their_size_ask_for_it(run, tmp_path, untouched, encoder):
    np.save(tmp_path / "f.npy", expressions.parse(encoder)(PHOTOGRAPH / 255))
    untouched()
    args = ("invert", tmp_path / "f.npy", "-e", encoder, "--max-iter", 5)
    _refused(run(*args), 1, "on the command line --shape HxW")
    status, _, err = run(*args, "--shape", "64x64")
    assert (status, err) == (0, "")


def test_features_of_another_flavour_are_refused(run, tmp_path, untouched):
    np.save(tmp_path / "f.npy", repinv.HOG.skimage()(PHOTOGRAPH / 255))
    untouched()
    for args in ((), ("--shape", "64x64")):
        _refused(run("invert", tmp_path / "f.npy", "-e", "hog.vlfeat", *args), 1, "features")


def test_an_image_that_is_too_small_is_refused(run, tmp_path, untouched):
    Image.fromarray(PHOTOGRAPH[:2, :2]).save(tmp_path / "small.png")
    untouched()
    _refused(run("invert", tmp_path / "small.png", "-e", "hog.vlfeat"), 1, "needs at least")


def test_pixels_that_are_no_numbers_are_refused(run, tmp_path, untouched):
    pixels = (PHOTOGRAPH / 255).astype(np.float32)
    pixels[3, 5] = np.nan
    Image.fromarray(pixels).save(tmp_path / "nan.tif")
    untouched()
    _refused(run("invert", tmp_path / "nan.tif", "-e", "hog.vlfeat"), 1, "(3, 5)")


def test_what_memory_cannot_hold_is_refused_before_it_is_allocated(run, tmp_path, untouched):
    np.save(tmp_path / "f.npy", repinv.HOG.vlfeat()(PHOTOGRAPH / 255))
    untouched()
    args = ("-e", "hog.vlfeat", "--shape", "1000000x1000000")
    _refused(run("invert", tmp_path / "f.npy", *args), 1, "GiB")


def test_a_large_image_is_refused_where_memory_is_short(invert, monkeypatch, untouched):
    untouched()
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    _refused(invert(), 1, "Make the image smaller")


def test_many_features_are_refused_where_memory_is_short(invert, monkeypatch, untouched):
    untouched()
    # Enough for the image; there are 61² descriptors of 128 numbers.
    monkeypatch.setattr(memory, "available", lambda: 1_700_000)
    _refused(invert(encoder="dsift.vlfeat"), 1, "features each, needs about 0.0")
    assert invert(encoder="dsift.vlfeat(step=20)")[0] == 0


def test_colour_is_refused_by_an_encoder_of_gray(invert, monkeypatch, untouched):
    untouched()
    monkeypatch.setattr(repinv.HOG, "channels", 1)
    gray = repinv.HOG.vlfeat()
    object.__setattr__(gray, "channels", 1)
    monkeypatch.setattr("repinv.encoders.expressions.parse", lambda _: gray)
    _refused(invert("--color"), 1, "Leave --color out")


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("--out", "x.exe", "ends in one of .png"),
        ("--out", "none/x.png", "there is no folder"),
        ("--out", ".", "ends in one of"),
        ("--figure", "x.gif", "ends in one of .png"),
        ("--figure", "none/x.png", "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(
    invert, tmp_path, monkeypatch, untouched, option, name, words
):
    untouched()

    def never(*_, **__):
        raise AssertionError("the work has started")

    monkeypatch.setattr("repinv.app.commands.invert.read_source", never)
    _refused(invert(option, tmp_path / name), 1, words)


def test_a_traceback_is_shown_on_request(run):
    status, _, err = run("--traceback", "invert", "missing.png", "-e", "hog.vlfeat")
    assert status == 1
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("repinv: ")
