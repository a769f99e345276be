"""What is to be met: features and masks in any form, groups of channels, and what is refused."""

import numpy as np
import pytest
import torch
from photographs import SMALL

from repinv import DSIFT, HOG, SquaredError, invert, metrics

SMALL = SMALL.astype(np.float32)
BILINEAR = HOG.vlfeat(bilinear_orientations=True)
ENCODED = BILINEAR(SMALL)


def quick(features=ENCODED, **options):
    """An inversion of the small photograph's features, of few steps unless told otherwise."""
    return invert(features, BILINEAR, **({"shape": (64, 64), "max_iter": 30} | options))


def test_a_mask_leaves_the_other_cells_free():
    mask = np.zeros(ENCODED.shape, bool)
    mask[:, :, :4] = True
    spoilt = np.where(mask, ENCODED, 7.0)
    result = quick(features=spoilt, mask=mask, max_iter=150)
    features = BILINEAR(result.image)
    difference = (features - ENCODED) ** 2
    error = difference[mask].sum() / (ENCODED[mask] ** 2).sum()
    assert error < 0.01
    np.testing.assert_allclose(result.error, error, rtol=1e-2)
    found, wanted = (
        np.hypot(*np.gradient(x.astype(np.float64)))[:, 4:28] for x in (result.image, SMALL)
    )
    assert metrics.ncc(np.clip(found, 0, 1), np.clip(wanted, 0, 1)) > 0.35


def test_a_mask_may_weigh_and_broadcast():
    by_column = np.linspace(0.1, 2, 8)
    result = quick(mask=by_column, max_iter=40)
    full = quick(mask=np.broadcast_to(by_column, (31, 8, 8)), max_iter=40)
    np.testing.assert_array_equal(result.image, full.image)
    features = BILINEAR(result.image).astype(np.float64)
    target = ENCODED.astype(np.float64)
    weighted = np.sum(by_column * (features - target) ** 2) / np.sum(by_column * target**2)
    np.testing.assert_allclose(result.error, weighted, rtol=1e-3)


def test_a_mask_of_ones_changes_nothing():
    np.testing.assert_allclose(quick(mask=True).image, quick().image, atol=1e-4)


def test_flat_features_are_those_of_the_layout():
    np.testing.assert_array_equal(quick(features=ENCODED.ravel()).image, quick().image)
    column = ENCODED.reshape(-1, 1)
    np.testing.assert_array_equal(quick(features=column).image, quick().image)


def test_features_of_other_dtypes_and_libraries_are_taken():
    features = ENCODED
    expected = quick().image
    np.testing.assert_array_equal(quick(features=features.astype(np.float64)).image, expected)
    np.testing.assert_array_equal(quick(features=np.asfortranarray(features)).image, expected)
    np.testing.assert_array_equal(quick(features=features.tolist()).image, expected)
    np.testing.assert_array_equal(quick(features=torch.asarray(features.copy())).image, expected)


def test_the_shape_may_be_left_out_and_the_choice_is_told():
    result = quick(shape=None)
    assert result.image.shape == (60, 60)
    assert any("60x60" in note and "60..67 x 60..67" in note for note in result.notes)
    assert quick().notes == ()


def with_one(value, dtype):
    features = ENCODED.astype(dtype)
    features[3, 2, 1] = value
    return features


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"shape": (64, 128)},
            ValueError,
            r"features of shape \(31, 8, 8\) fit images of 60\.\.67 x 60\.\.67 pixels; "
            r"shape=\(64, 128\) gives \(31, 8, 16\)",
        ),
        ({"features": ENCODED[:30]}, ValueError, r"\(30, 8, 8\).*\(31, 8, 8\)"),
        ({"features": ENCODED[:, None]}, ValueError, r"\(31, 1, 8, 8\).*\(31, 8, 8\)"),
        ({"features": ENCODED.ravel()[:-1]}, ValueError, r"\(1983,\).*\(31, 8, 8\)"),
        ({"features": ENCODED.ravel(), "shape": None}, ValueError, r"pass shape=\(H, W\)"),
        ({"features": with_one(np.nan, np.float32)}, ValueError, "finite"),
        ({"features": with_one(np.inf, np.float32)}, ValueError, "finite"),
        ({"features": with_one(1e300, np.float64)}, ValueError, "finite|large"),
        ({"features": torch.asarray(with_one(np.nan, np.float32))}, ValueError, "finite"),
        ({"features": with_one(1j, np.complex64)}, TypeError, "real numbers.*complex64"),
        ({"features": torch.asarray(with_one(1j, np.complex64))}, TypeError, "real numbers"),
        ({"features": ENCODED.astype(object)}, TypeError, "real numbers.*object"),
        ({"features": ENCODED.astype(str)}, TypeError, "real numbers"),
        ({"features": np.zeros((31, 0, 8), np.float32)}, ValueError, r"empty.*\(31, 0, 8\)"),
        ({"features": []}, ValueError, r"empty.*\(0,\)"),
        ({"shape": (64,)}, ValueError, r"\(H, W\) or \(H, W, C\)"),
        ({"shape": (64, 64.5)}, ValueError, r"\(H, W\) or \(H, W, C\)"),
        ({"shape": (0, 64)}, ValueError, r"\(H, W\) or \(H, W, C\)"),
        ({"shape": (64, -64)}, ValueError, r"\(H, W\) or \(H, W, C\)"),
        ({"mask": np.ones((31, 8, 7))}, ValueError, r"\(31, 8, 8\).*\(31, 8, 7\)"),
        ({"mask": np.zeros((31, 8, 8))}, ValueError, "not zero everywhere"),
        ({"mask": -np.ones((31, 8, 8))}, ValueError, "not negative"),
        ({"mask": np.full((31, 8, 8), np.nan)}, ValueError, "finite"),
        ({"mask": np.ones((31, 8, 8), complex)}, TypeError, "mask.*complex"),
        ({"initial": np.zeros((64, 60))}, ValueError, "initial"),
        ({"initial": 255 * SMALL}, ValueError, "divide 8-bit pixels by 255"),
        ({"initial": np.full((64, 64), np.nan)}, ValueError, "initial"),
        ({"n_preimages": 0}, ValueError, "n_preimages must be a whole number >= 1; got 0"),
        ({"n_preimages": 1.5}, ValueError, "n_preimages must be a whole number"),
        ({"max_iter": 0}, ValueError, "max_iter must be a whole number >= 1; got 0"),
        ({"check_every": 0}, ValueError, "check_every must be a whole number"),
        ({"jitter": -1}, ValueError, "jitter must be a whole number"),
        ({"n_preimages": 10**9}, ValueError, "GiB"),
    ],
)
def test_what_cannot_be_inverted_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        quick(**options)


def test_channels_that_the_encoder_does_not_take_are_refused():
    encoder = HOG.skimage()
    with pytest.raises(ValueError, match=r"takes 1 channel.*\(64, 64, 3\) has 3"):
        invert(encoder(SMALL), encoder, shape=(64, 64, 3))


def test_a_weighted_loss_is_what_the_error_of_a_masked_run_is():
    mask = np.random.default_rng(0).random(ENCODED.shape)
    result = quick(mask=mask)
    value, _ = SquaredError(ENCODED[None], mask[None]).value_and_grad(result.features)
    np.testing.assert_allclose(result.error, value, rtol=1e-4)


def test_a_flat_mask_is_a_mask_in_the_features_layout():
    mask = np.zeros(ENCODED.shape, bool)
    mask[:, 2:6, 2:6] = True
    found = [quick(mask=m, max_iter=20).image for m in (mask, mask.ravel())]
    np.testing.assert_array_equal(*found)


def test_a_filter_group_and_a_neighbourhood_restrict_what_counts():
    changed = ENCODED + 5
    changed[2:6, 3:5, 3:5] = ENCODED[2:6, 3:5, 3:5]
    options = {"max_iter": 40, "filter_group": slice(2, 6), "neighbourhood": 2}
    result, other = (quick(features, **options) for features in (ENCODED, changed))
    np.testing.assert_array_equal(result.image, other.image)
    found = BILINEAR(result.image)
    seen = (slice(2, 6), slice(3, 5), slice(3, 5))
    error = np.sum((found - ENCODED)[seen] ** 2) / np.sum(ENCODED[seen] ** 2)
    np.testing.assert_allclose(result.error[0], error, rtol=1e-3)
    listed = quick(**(options | {"filter_group": [2, 3, 4, 5]}))
    np.testing.assert_array_equal(listed.image, result.image)


def test_a_neighbourhood_of_frames_is_around_the_middle():
    dsift = DSIFT.vlfeat(4, 3)
    features = dsift(SMALL)
    middle = np.abs(dsift.frames((1, *SMALL.shape)) - 31.5).max(axis=1) < 8
    changed = np.where(middle[:, None], features, 1)
    options = {"shape": SMALL.shape, "max_iter": 20, "neighbourhood": 3}
    result, other = (invert(f, dsift, **options) for f in (features, changed))
    np.testing.assert_array_equal(result.image, other.image)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"filter_group": slice(40, 50)}, ValueError, "holds none of the 31 channels"),
        ({"filter_group": [31]}, ValueError, "channels from 0 to 30"),
        ({"filter_group": "all"}, ValueError, "must be a slice"),
        ({"neighbourhood": 0}, ValueError, "must be a whole number >= 1"),
    ],
)
def test_groups_and_neighbourhoods_that_there_are_not_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        quick(**options)


def test_groups_need_features_with_channels():
    encoder = HOG.skimage()
    with pytest.raises(TypeError, match="Use mask="):
        invert(encoder(SMALL), encoder, shape=SMALL.shape, filter_group=[0])
