"""Blank targets, whose inversion is a constant image."""

import numpy as np
import pytest
from photographs import FACE

import repinv
from repinv.tasks.batched import invert_each

GRAY = np.full((64, 64), 0.3, np.float32)
PHOTOGRAPH = FACE
ENCODERS = {
    "vlfeat": repinv.HOG.vlfeat(),
    "dalal-triggs": repinv.HOG.vlfeat(variant="dalal-triggs"),
    "skimage": repinv.HOG.skimage(),
    "opencv": repinv.HOG.opencv(win_size=(64, 64)),
    "dpm": repinv.HOG.dpm(),
    "dense SIFT": repinv.DSIFT.vlfeat(4),
    "phow": repinv.DSIFT.phow(),
    "natural": repinv.DSIFT.natural(),
    "kornia": repinv.DSIFT.kornia(stride=4),
    "words": repinv.BoVW.pretrained(256, grid=(2, 2)),
    "codes": repinv.HOGgle.pretrained(256),
}


class Brightness(repinv.Encoder):
    """Means of 8x8 blocks."""

    channels = 1

    def vjp(self, x):
        mean = x.reshape(len(x), 8, 8, 8, 8).mean(axis=(2, 4))
        return mean, lambda v: np.kron(v[:, None], np.full((8, 8), 1 / 64, v.dtype))

    def feature_shape(self, image_shape):
        return 8, 8


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_a_blank_target_gives_a_constant_image_without_error(encoder):
    result = repinv.invert(encoder(GRAY), encoder, shape=(64, 64), n_preimages=2)
    assert np.array_equal(result.error, [0, 0])
    assert np.ptp(result.images) == 0
    assert result.iterations == 0
    assert result.trace["energy"].shape == (0, 2)
    assert "blank" in result.notes[-1]


@pytest.mark.parametrize("gray", [0.0, 0.2, 0.37, 1.0])
def test_the_gray_is_found_where_features_depend_on_it(gray):
    encoder = Brightness()
    result = repinv.invert(encoder(np.full((64, 64), gray)), encoder, shape=(64, 64))
    assert np.ptp(result.image) == 0
    np.testing.assert_allclose(result.image[0, 0], gray, atol=1e-4)
    assert result.error[0] < 1e-9


def test_other_targets_are_not_blank():
    encoder = Brightness()
    assert repinv.invert(encoder(PHOTOGRAPH), encoder, shape=(64, 64), max_iter=5).iterations == 5
    faint = GRAY + 1e-3 * PHOTOGRAPH
    assert repinv.invert(encoder(faint), encoder, shape=(64, 64), max_iter=5).iterations == 5
    hog = ENCODERS["vlfeat"]
    assert repinv.invert(hog(faint), hog, shape=(64, 64), max_iter=5).iterations == 5


def test_only_features_that_count_are_to_be_blank():
    hog = ENCODERS["vlfeat"]
    half = GRAY.copy()
    half[:, 40:] = 0.9
    mask = np.zeros((31, 8, 8), bool)
    mask[:, :, :3] = True
    result = repinv.invert(hog(half), hog, shape=(64, 64), mask=mask)
    assert result.error[0] == 0
    assert np.ptp(result.image) == 0


def test_a_comparison_of_a_blank_image_has_no_error():
    rows = repinv.compare(GRAY, [ENCODERS["skimage"], ENCODERS["kornia"]]).rows
    for row in rows:
        assert (row.error, row.pairwise_error, row.failure) == (0, 0, "")
        assert "blank" in row.notes[0]


def test_a_blank_target_among_others_leaves_them_as_they_are():
    hog = ENCODERS["vlfeat"]
    features = [hog(GRAY), hog(PHOTOGRAPH)]
    found = invert_each([(one, 0) for one in features], hog, shape=(64, 64), max_iter=20)
    alone = repinv.invert(features[1], hog, shape=(64, 64), max_iter=20)
    assert found[0].error[0] == 0
    np.testing.assert_array_equal(found[1].image, alone.image)


def test_such_a_result_is_saved_and_read(tmp_path):
    hog = ENCODERS["vlfeat"]
    result = repinv.invert(hog(GRAY), hog, shape=(64, 64))
    result.save(tmp_path / "run.npz")
    again = repinv.resume(tmp_path / "run.npz")
    np.testing.assert_array_equal(again.image, result.image)
    assert again.notes == result.notes
