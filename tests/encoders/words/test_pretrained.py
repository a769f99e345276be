"""Vocabularies that ship with the package: what they are, how they fit, and damaged files."""

import configparser
import importlib.resources
import inspect
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from photographs import CAMERA

import repinv
from repinv.encoders.sparse import hoggle
from repinv.encoders.words import pretrained
from repinv.metrics import feature_error, ncc
from repinv.search.restoration import restorer

ROOT = pathlib.Path(__file__).parents[3]
FOLDER = pathlib.Path(pretrained.__file__).with_name("vocabularies")


def quantization_error(words):
    """Mean squared distance of the descriptors of a photograph to their nearest words."""
    x = repinv.DSIFT.vlfeat(step=5, size=5, fast=True)(CAMERA[100:356, 100:356])
    x = x[x.any(axis=1)]
    return ((x**2).sum(1)[:, None] - 2 * x @ words.T + (words**2).sum(1)).min(axis=1).mean()


@pytest.mark.parametrize("n_words", [256, 1024])
def test_words_are_centres_of_dense_sift(n_words):
    bovw = repinv.BoVW.pretrained(n_words)
    assert bovw.local == repinv.DSIFT.vlfeat(step=5, size=5, fast=True)
    words = bovw.vocabulary
    assert (words.shape, words.dtype) == ((n_words, 128), np.float32)
    assert words.min() >= 0
    # A mean of vectors of norm one lies inside their sphere.
    assert np.linalg.norm(words, axis=1).max() <= 1.001
    assert len(np.unique(words, axis=0)) == n_words


def test_words_fit_a_photograph_that_they_were_not_learned_from():
    errors = [quantization_error(repinv.BoVW.pretrained(n).vocabulary) for n in (256, 1024)]
    assert errors[1] < errors[0] - 0.01
    words = repinv.BoVW.pretrained().vocabulary
    assert errors[0] < 0.6 * quantization_error(words.mean(axis=0, keepdims=True))


def test_few_words_go_unused():
    bovw = repinv.BoVW.pretrained(assignment="hard", grid=(1, 1))
    assert np.count_nonzero(bovw(CAMERA)) > 240


def test_the_options_are_those_of_the_constructor():
    options = {"assignment": "llc", "aggregation": "max", "grid": ((1, 1), (2, 2)), "power": 0.5,
               "interpolate": False, "norm": "l2", "warm": 0.2}  # fmt: skip
    found = repinv.BoVW.pretrained(**options)
    assert found == repinv.BoVW(found.local, found.vocabulary, **options)
    of_class = inspect.signature(repinv.BoVW).parameters
    for name, parameter in inspect.signature(repinv.BoVW.pretrained).parameters.items():
        if name not in ("n_words", "grid", "cell_size"):
            assert parameter.default == of_class[name].default, name


def test_cells_have_a_size_or_a_number():
    by_size = repinv.BoVW.pretrained()
    assert (by_size.grid, by_size.cell_size) == (None, 8)
    by_number = repinv.BoVW.pretrained(grid=(4, 4))
    assert (by_number.grid, by_number.cell_size) == ((4, 4), None)
    assert repinv.BoVW.pretrained(cell_size=None).descriptor_axis == 1


def test_a_code_of_words_that_ship_is_inverted(tmp_path):
    bovw = repinv.BoVW.pretrained(grid=(8, 8))
    photograph = CAMERA[64:192:2, 200:328:2]
    features = bovw(photograph)
    result = repinv.invert(features, bovw, shape=(64, 64), max_iter=400)
    assert feature_error(bovw(result.image)[None], features[None])[0] < 0.05
    assert ncc(result.image, photograph) > 0.7
    bovw.save(tmp_path / "bovw.npz")
    assert repinv.BoVW.load(tmp_path / "bovw.npz") == bovw


@pytest.mark.parametrize("n_words", [255, 512, 10**6])
def test_other_numbers_of_words_are_refused(n_words):
    with pytest.raises(ValueError, match=f"one of 256, 1024, which .*; got {n_words}"):
        repinv.BoVW.pretrained(n_words)


@pytest.mark.parametrize("n_words", [0, -256, 256.0, "256", None, True])
def test_what_is_no_number_of_words_is_refused(n_words):
    with pytest.raises(ValueError, match="n_words must be a whole number"):
        repinv.BoVW.pretrained(n_words)


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "empty", "missing"])
def test_a_damaged_file_is_told(damage, tmp_path, monkeypatch):
    shutil.copytree(FOLDER, tmp_path / "vocabularies")
    path = tmp_path / "vocabularies" / "dsift_256.npy"
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "flipped bit":
        content[5000] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[:4000] if damage == "truncated" else b"")
    monkeypatch.setattr(importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=r"dsift_256\.npy.*Install repinv anew"):
        repinv.BoVW.pretrained()
    assert len(repinv.BoVW.pretrained(1024).vocabulary) == 1024


def test_files_are_read_when_they_are_asked_for():
    code = (
        "import pathlib, repinv\n"
        "def never(path): raise AssertionError(path)\n"
        "pathlib.Path.read_bytes = never\n"
        "repinv.BoVW, repinv.DSIFT\n"
        "try: repinv.BoVW.pretrained()\n"
        "except AssertionError as error: assert 'dsift_256' in str(error)\n"
        "else: raise SystemExit('the file is not read')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_files_are_small_and_their_readme_names_them():
    readme = (FOLDER / "README.md").read_text()
    sizes = {path.name: path.stat().st_size for path in FOLDER.glob("*.npy")}
    assert set(sizes) == {pretrained.file_name(n) for n in pretrained.CHECKSUMS}
    assert sum(sizes.values()) < 10**6
    for name, size in sizes.items():
        assert name in readme
        assert f"{size:,}".replace(",", " ") in readme


def test_the_files_are_part_of_the_package():
    if not (ROOT / "setup.cfg").exists():
        pytest.skip("needs the checkout: setup.cfg is not beside tests/")
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    package = pathlib.Path(repinv.__file__).parent
    shipped = {
        "repinv.encoders.words": {pretrained.file_name(n) for n in pretrained.CHECKSUMS},
        "repinv.encoders.sparse": {f"hoggle_{n}.npz" for n in hoggle.CHECKSUMS},
        "repinv.inverters": {"ridge_5.npz"},
        "repinv.variables": {"photographs.npz"},
        "repinv.search.restoration": {f"{name}.npz" for name in restorer.CHECKSUMS},
    }
    for name, expected in shipped.items():
        folder = package.joinpath(*name.split(".")[1:])
        listed = {path.name for path in folder.glob(parser["options.package_data"][name])}
        assert listed == {"README.md", *expected}


def test_all_files_that_ship_together_are_small():
    package = pathlib.Path(repinv.__file__).parent
    folders = [
        package / place
        for place in (
            "encoders/sparse/dictionaries",
            "inverters/dictionaries",
            "search/restoration/weights",
            "variables/spectra",
        )
    ]
    sizes = [path.stat().st_size for folder in folders for path in folder.iterdir()]
    assert max(sizes) < 4e6
    # Dictionaries of 5 MB, and less than one for each family that a restorer serves.
    assert sum(sizes) < 10e6
