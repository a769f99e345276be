"""Inversions that share a run: each finds what it finds alone."""

import numpy as np
import pytest
import skimage
from skimage.transform import downscale_local_mean

import repinv
from repinv.search import retries
from repinv.tasks import batched
from repinv.tasks.batched import invert_each

HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
IMAGES = [
    downscale_local_mean(image[:256, :256], (8, 8)).astype(np.float32) / 255
    for image in (skimage.data.camera(), skimage.data.coins())
] + [np.random.default_rng(0).random((32, 32)).astype(np.float32)]
OPTIONS = {"shape": (32, 32), "max_iter": 20}


@pytest.fixture
def runs(monkeypatch):
    """How many problems each run had."""
    sizes, run = [], batched.run

    def counted(problem, state, watch):
        sizes.append(state.z.shape[0])
        return run(problem, state, watch)

    monkeypatch.setattr(batched, "run", counted)
    monkeypatch.setattr(retries, "run", counted)
    return sizes


def _compare(found, alone):
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.error, other.error)
        assert one.trace.keys() == other.trace.keys()
        for name, values in one.trace.items():
            np.testing.assert_array_equal(values, other.trace[name])
        assert (one.iterations, one.stop_reason) == (other.iterations, other.stop_reason)


@pytest.mark.parametrize("n_preimages", [1, 2])
@pytest.mark.parametrize("seeds", [(0, 1, 2), (5, 5, 5)], ids=["seeds", "one seed"])
def test_each_finds_what_it_finds_alone(runs, seeds, n_preimages):
    options = OPTIONS | {"n_preimages": n_preimages}
    features = [HOG(image) for image in IMAGES]
    found = invert_each(list(zip(features, seeds, strict=True)), HOG, **options)
    assert sum(runs) == n_preimages * len(IMAGES)
    assert len(runs) < len(IMAGES)
    _compare(
        found,
        [
            repinv.invert(one, HOG, seed=seed, **options)
            for one, seed in zip(features, seeds, strict=True)
        ],
    )


def test_what_is_not_asked_alike_is_found_alone(runs):
    features = [HOG(image) for image in IMAGES[:2]]
    found = invert_each([(one, 0) for one in features], HOG, **OPTIONS | {"seeds": 2})
    assert runs == [2, 2]
    _compare(found, [repinv.invert(one, HOG, **OPTIONS | {"seeds": 2}) for one in features])


def test_a_part_of_a_run_is_not_saved(tmp_path):
    features = [HOG(image) for image in IMAGES[:2]]
    found = invert_each([(one, 0) for one in features], HOG, **OPTIONS)
    with pytest.raises(TypeError, match="shared its run"):
        found[0].save(tmp_path / "run.npz")


def test_what_is_impossible_is_said():
    with pytest.raises(ValueError, match="max_iter"):
        invert_each([(HOG(IMAGES[0]), 0)], HOG, shape=(32, 32), max_iter=0)
    assert invert_each([], HOG) == []
