"""Files that version 0.1 wrote, which name classes by paths of modules that there are no more."""

import json
import pathlib

import numpy as np
import pytest
import skimage

import repinv
from repinv.io import registry, serialization

FILES = pathlib.Path(__file__).parents[1] / "golden" / "files_0_1"
#: As in tests/golden/make_files.py.
IMAGE = (skimage.data.camera()[100:420:16, 140:460:16] / 255).astype(np.float32)
ENCODERS = (
    *(("bovw", repinv.BoVW), ("bovw_llc", repinv.BoVW), ("bovw_hard", repinv.BoVW)),
    *(("bovw_skimage", repinv.BoVW), ("vlad", repinv.VLAD), ("fisher", repinv.FisherVector)),
    *(("hoggle", repinv.HOGgle), ("pca", repinv.PCA)),
)
INVERTERS = ("ridge", "nearest", "elda", "paired", "direct")
RUNS = sorted(path.stem for path in FILES.glob("run_*.npz"))


@pytest.fixture(scope="module")
def expected():
    with np.load(FILES / "expected.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def assert_near(got, wanted, tolerance):
    scale = float(np.abs(wanted).max())
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(("name", "cls"), ENCODERS, ids=[name for name, _ in ENCODERS])
def test_encoders_of_version_0_1_are_read(name, cls, expected, tmp_path):
    encoder = cls.load(FILES / f"{name}.npz")
    assert_near(encoder(IMAGE), expected[name], 1e-4)
    encoder.save(tmp_path / "again.npz")
    assert cls.load(tmp_path / "again.npz") == encoder


@pytest.mark.parametrize("name", INVERTERS)
def test_inverters_of_version_0_1_are_read(name, expected):
    inverter = repinv.inverters.Inverter.load(FILES / f"{name}.npz")
    found = inverter.invert(inverter.encoder(IMAGE), shape=IMAGE.shape)
    assert_near(found.image, expected[name], 1e-3)


def test_a_restorer_of_version_0_1_says_that_it_has_to_be_learned_again():
    with pytest.raises(ValueError, match=r"restorer\.npz holds a network .* Learn it again"):
        repinv.Restorer.load(FILES / "restorer.npz")


@pytest.mark.parametrize("name", RUNS)
def test_runs_of_version_0_1_are_continued(name, expected):
    result = repinv.resume(FILES / f"{name}.npz")
    assert result.images.shape == expected[name].shape
    # Machines round differently, and what is left of a run lets that grow.
    assert np.abs(result.images - expected[name]).mean() < 0.02


def test_nothing_that_version_0_1_wrote_is_forgotten():
    """Every class that the checked-in files name is in the table of old names."""
    named = set()
    for path in FILES.glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            if "header" in file.files:
                named |= _classes(json.loads(str(file["header"])))
    assert len(named) > 30
    assert named <= set(registry.OLD_NAMES)


def _classes(value):
    """Names of classes anywhere in a header."""
    if isinstance(value, dict):
        own = {value["class"]} if isinstance(value.get("class"), str) else set()
        return own.union(*map(_classes, value.values()))
    return set().union(*map(_classes, value)) if isinstance(value, list) else set()


def test_files_name_no_modules(tmp_path):
    part = repinv.invert(
        repinv.HOG.vlfeat(4)(IMAGE), repinv.HOG.vlfeat(4), shape=IMAGE.shape, max_iter=4
    )
    part.save(tmp_path / "run.npz")
    repinv.BoVW.load(FILES / "bovw.npz").save(tmp_path / "bovw.npz")
    for name, kind in (("run", "run"), ("bovw", "encoder")):
        header, _ = serialization.load(tmp_path / f"{name}.npz", kind=kind)
        found = _classes(header)
        assert found
        assert found <= set(registry.PARTS) | set(repinv.__all__)


@pytest.mark.parametrize("name", sorted({*registry.PARTS, *registry.OLD_NAMES.values()}))
def test_every_name_is_that_of_a_class_of_its_own(name):
    assert registry.name_of(registry.class_of(name)) == name


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="does not know"):
        registry.made("os:system", {})
    with pytest.raises(ValueError, match="which it lacks"):
        registry.made("Spectral", {"exponent": 0.8, "colour": 3})
