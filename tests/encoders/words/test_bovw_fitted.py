"""Vocabularies that are learned: from photographs, to files and back, and codes inverted."""

from __future__ import annotations

import dataclasses
import io
import pickle

import numpy as np
import pytest
from photographs import CAMERA

import repinv
from repinv import LLC
from repinv.metrics import ncc

RNG = np.random.default_rng(3)
SMOOTH = repinv.HOG.vlfeat(4, bilinear_orientations=True)
DPM = repinv.HOG.dpm(4)
WORDS = RNG.uniform(0, 0.4, (12, 31))
PHOTOGRAPHS = [CAMERA[y : y + 128, x : x + 128] for y in (0, 150, 300) for x in (0, 130, 260, 384)]
#: 64x64
PHOTOGRAPH = CAMERA[64:192:2, 200:328:2]


@pytest.fixture(scope="module")
def fitted():
    """A small vocabulary of photographs."""
    return repinv.BoVW.fit(iter(PHOTOGRAPHS), SMOOTH, 48, seed=1, progress=False)


def test_fitting_finds_words_nearer_than_chance(fitted):
    assert fitted.vocabulary.shape == (48, 31)
    descriptors = np.concatenate(
        [np.moveaxis(SMOOTH(image), 0, -1).reshape(-1, 31) for image in PHOTOGRAPHS]
    )

    def distortion(words):
        squares = ((descriptors[:, None] - words) ** 2).sum(-1)
        return squares.min(axis=1).mean()

    chance = descriptors[np.random.default_rng(0).choice(len(descriptors), 48, replace=False)]
    assert distortion(fitted.vocabulary) < 0.9 * distortion(chance)


def test_fitting_is_repeatable_and_takes_the_options_of_the_constructor(fitted):
    options = {"assignment": "llc", "grid": (2, 2), "power": 0.5, "norm": "l2", "warm": 0.1}
    again = repinv.BoVW.fit(PHOTOGRAPHS, SMOOTH, 48, seed=1, progress=False, **options)
    assert again == repinv.BoVW(SMOOTH, again.vocabulary, **options)
    np.testing.assert_allclose(again.vocabulary, fitted.vocabulary, atol=1e-4)


def test_descriptors_of_flat_places_are_not_learned_from():
    flat = [np.full((64, 64), 0.5, np.float32)] * 3
    with pytest.raises(ValueError, match="at least n_words=4 descriptors that are not zero; got 0"):
        repinv.BoVW.fit(flat, SMOOTH, 4, progress=False)


def test_fewer_descriptors_than_words_are_refused():
    with pytest.raises(ValueError, match=r"n_words=600 descriptors .* got 512"):
        repinv.BoVW.fit([PHOTOGRAPH, PHOTOGRAPH], SMOOTH, 600, progress=False)
    for options in ({"n_words": 0}, {"n_words": 4, "descriptors_per_image": 0}):
        with pytest.raises(ValueError, match="must be a whole number"):
            repinv.BoVW.fit([PHOTOGRAPH], SMOOTH, **options, progress=False)


def test_what_is_saved_is_loaded(fitted, tmp_path):
    path = tmp_path / "words.npz"
    others = [
        fitted,
        repinv.BoVW(DPM, RNG.random((3, 32)), grid=((1, 1), (2, 2)), assignment=LLC(3)),
        repinv.BoVW(SMOOTH, WORDS, grid=None, assignment="hard"),
        repinv.BoVW(repinv.BoVW(SMOOTH, WORDS, grid=None), RNG.random((4, 12))),
    ]
    for bovw in others:
        bovw.save(path)
        assert repinv.BoVW.load(path) == bovw
    assert list(tmp_path.iterdir()) == [path]


def rewritten(path, change):
    """The file with its arrays changed in place."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    np.savez(path, **arrays)


def test_damaged_and_foreign_files_are_refused(fitted, tmp_path):
    path = tmp_path / "words.npz"
    fitted.save(path)
    data = path.read_bytes()
    stream = io.BytesIO()
    np.savez(stream, vocabulary=WORDS)
    for content in (b"", data[: len(data) // 2], pickle.dumps(WORDS), stream.getvalue()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="encoder saved by repinv"):
            repinv.BoVW.load(path)
    with pytest.raises(FileNotFoundError):
        repinv.BoVW.load(tmp_path / "nowhere.npz")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"expected a VLAD in .*; got a BoVW"):
        repinv.VLAD.load(path)
    with pytest.raises(ValueError, match="not a run saved by repinv; it holds: encoder"):
        repinv.resume(path)
    name = "described/0"
    for change, words in (
        (lambda arrays: arrays.update({name: np.nan * arrays[name]}), "finite"),
        (lambda arrays: arrays.update({name: arrays[name][:, :-1]}), "have 30 numbers"),
        (lambda arrays: arrays.update({name: arrays[name].astype("U8")}), "real numbers"),
        (lambda arrays: arrays.pop(name), "missing"),
    ):
        path.write_bytes(data)
        rewritten(path, change)
        with pytest.raises(ValueError, match=words) as caught:
            repinv.BoVW.load(path)
        assert str(path) in str(caught.value)


def test_a_local_encoder_of_the_users_own_cannot_be_saved(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Own(repinv.Encoder):
        descriptor_axis = 1

        def vjp(self, x):
            raise NotImplementedError

        def feature_shape(self, image_shape):
            return 5, 31

    with pytest.raises(TypeError, match="repinv's own"):
        repinv.BoVW(Own(), WORDS).save(tmp_path / "words.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("assignment", "bound"), [("soft", 0.05), ("hard", 0.15), ("llc", 0.5)])
def test_inverting_a_code_recovers_it(fitted, assignment, bound):
    bovw = dataclasses.replace(fitted, assignment=assignment)
    result = repinv.invert(bovw(PHOTOGRAPH), bovw, shape=(64, 64), max_iter=200)
    assert result.error[0] < bound
    # The error is that of the image under the encoder as it is, not as it was softened.
    off = bovw(result.image) - bovw(PHOTOGRAPH)
    error = np.sum(off**2) / np.sum(bovw(PHOTOGRAPH) ** 2)
    np.testing.assert_allclose(result.error[0], error, rtol=1e-3)


def test_a_finer_grid_recovers_the_photograph_better(fitted):
    likeness = []
    for grid in ((2, 2), (16, 16)):
        bovw = dataclasses.replace(fitted, grid=grid)
        found = repinv.invert(bovw(PHOTOGRAPH), bovw, shape=(64, 64), max_iter=200)
        likeness.append(ncc(found.image, PHOTOGRAPH))
    assert likeness[1] > likeness[0] + 0.1


def test_a_run_with_a_vocabulary_is_continued_from_its_file(fitted, tmp_path):
    target, path = fitted(PHOTOGRAPH), tmp_path / "run.npz"
    whole = repinv.invert(target, fitted, shape=(64, 64), max_iter=40)
    part = repinv.invert(target, fitted, shape=(64, 64), max_iter=40, callback=lambda s: True)
    part.save(path)
    np.testing.assert_array_equal(repinv.resume(path).image, whole.image)
