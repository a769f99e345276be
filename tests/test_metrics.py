"""Figures of merit, against their definitions and against scikit-image."""

import itertools

import numpy as np
import pytest
import skimage
from photographs import COLOUR

from repinv import metrics

rng = np.random.default_rng(0)
PHOTOGRAPH = skimage.data.camera()[::4, ::4] / 255
NOISE = rng.random(PHOTOGRAPH.shape)


def test_feature_error_is_relative_and_squared():
    target = rng.random((3, 4, 5))
    np.testing.assert_allclose(metrics.feature_error(target * 1.1, target), 0.01)


def test_feature_error_takes_one_target_for_all():
    target = rng.random((1, 4, 5))
    features = np.concatenate([target, 3 * target, 0 * target])
    np.testing.assert_allclose(metrics.feature_error(features, target), [0, 4, 1])


def test_feature_error_of_float32_is_summed_in_float64():
    target = np.full((1, 10**6), 1e-3, np.float32)
    np.testing.assert_allclose(metrics.feature_error(2 * target, target), 1, rtol=1e-12)


def test_feature_error_of_a_zero_target_is_absolute():
    target = np.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_array_equal(metrics.feature_error(0 * target, target), [0, 1])
    np.testing.assert_array_equal(metrics.feature_error(np.full((2, 2), 3.0), target), [18, 0.04])


@pytest.mark.parametrize(
    ("features", "target", "words"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "same encoder"),
        (np.ones((3, 3)), np.ones((2, 3)), "same encoder"),
        (np.ones(3), np.ones(3), r"features\[None\]"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(features, target, words):
    with pytest.raises(ValueError, match=words):
        metrics.feature_error(features, target)


def test_pairwise_error_is_in_units_of_the_mean_pair():
    targets = rng.random((5, 7))
    squared = [np.sum((a - b) ** 2) for a, b in itertools.combinations(targets, 2)]
    features = targets[:2] + rng.random((2, 7))
    expected = 100 * np.linalg.norm(features - targets[:2], axis=1) / np.sqrt(np.mean(squared))
    np.testing.assert_allclose(metrics.pairwise_error(features, targets[:2], targets), expected)


def test_two_photographs_are_a_hundred_apart():
    targets = rng.random((2, 6))
    np.testing.assert_allclose(metrics.pairwise_error(targets[1:], targets[:1], targets), 100)


@pytest.mark.parametrize(
    ("targets", "words"),
    [(np.ones((1, 6)), "two photographs"), (np.ones((3, 6)), "equal"), (np.ones((3, 5)), "size")],
)
def test_targets_that_make_no_unit_are_refused(targets, words):
    with pytest.raises(ValueError, match=words):
        metrics.pairwise_error(np.ones((1, 6)), np.ones((1, 6)), targets)


def test_affine_matching_undoes_brightness_and_contrast():
    np.testing.assert_allclose(
        metrics.affine_match(0.3 * PHOTOGRAPH + 0.2, PHOTOGRAPH), PHOTOGRAPH, atol=1e-7
    )
    np.testing.assert_allclose(metrics.affine_match(1 - PHOTOGRAPH, PHOTOGRAPH), PHOTOGRAPH)


def test_affine_matching_is_the_least_squares_fit():
    design = np.stack([NOISE.ravel(), np.ones(NOISE.size)], axis=1)
    expected = design @ np.linalg.lstsq(design, PHOTOGRAPH.ravel(), rcond=None)[0]
    np.testing.assert_allclose(metrics.affine_match(NOISE, PHOTOGRAPH).ravel(), expected)


def test_a_constant_image_matches_by_its_mean():
    flat = np.full(PHOTOGRAPH.shape, 0.7)
    np.testing.assert_allclose(metrics.affine_match(flat, PHOTOGRAPH), PHOTOGRAPH.mean())
    assert metrics.ncc(flat, PHOTOGRAPH) == 0


def test_ncc_is_the_correlation_coefficient():
    expected = np.corrcoef(NOISE.ravel(), PHOTOGRAPH.ravel())[0, 1]
    assert metrics.ncc(NOISE, PHOTOGRAPH) == pytest.approx(expected)
    assert metrics.ncc(1 - PHOTOGRAPH, PHOTOGRAPH) == pytest.approx(-1)


def test_ssim_and_psnr_are_those_of_scikit_image_after_matching():
    blurred = skimage.filters.gaussian(PHOTOGRAPH, 2)
    matched = metrics.affine_match(blurred, PHOTOGRAPH)
    assert metrics.ssim(blurred * 0.5, PHOTOGRAPH) == pytest.approx(
        skimage.metrics.structural_similarity(matched, PHOTOGRAPH, data_range=1)
    )
    assert metrics.psnr(blurred * 0.5, PHOTOGRAPH) == pytest.approx(
        skimage.metrics.peak_signal_noise_ratio(PHOTOGRAPH, matched, data_range=1)
    )


def test_an_image_is_like_itself():
    assert metrics.ssim(PHOTOGRAPH / 2, PHOTOGRAPH) == pytest.approx(1)
    assert metrics.psnr(PHOTOGRAPH, PHOTOGRAPH) == np.inf
    assert metrics.ncc(PHOTOGRAPH, PHOTOGRAPH) == pytest.approx(1)


def test_colour_and_integers_are_compared_too():
    photograph = COLOUR
    noisy = np.clip(photograph + rng.normal(0, 20, photograph.shape), 0, 255).astype(np.uint8)
    assert 0.2 < metrics.ssim(noisy, photograph) < 0.95
    assert 0.8 < metrics.ncc(noisy, photograph) < 0.999


def test_images_of_other_shapes_are_refused():
    for metric in (metrics.affine_match, metrics.ncc, metrics.ssim, metrics.psnr):
        with pytest.raises(ValueError, match="photograph's shape"):
            metric(NOISE[1:], PHOTOGRAPH)
    with pytest.raises(ValueError, match="7x7"):
        metrics.ssim(NOISE[:6], PHOTOGRAPH[:6])
