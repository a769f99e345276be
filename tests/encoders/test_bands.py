"""Images of any number of bands, and with channels elsewhere, wherever images are taken."""

import functools

import numpy as np
import pytest
import torch
from photographs import THUMBNAIL
from skimage.feature import hog as skimage_hog

import repinv
from repinv import DSIFT, HOG, BoVW, caricature, compare, invert, maximize
from repinv.sklearn import Transformer

CAMERA = THUMBNAIL
RNG = np.random.default_rng(0)


def bands(count):
    """A photograph in bands of different brightness and noise, uint8."""
    found = CAMERA[..., None] * np.linspace(0.4, 1, count) + RNG.normal(0, 3, (64, 64, count))
    return np.clip(found, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_a_call_equals_scikit_images(count):
    image = bands(count)
    found = HOG.skimage(channel_axis=-1)(image)
    expected = skimage_hog(image, feature_vector=False, channel_axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    first = HOG.skimage(channel_axis=0)(np.moveaxis(image, -1, 0))
    np.testing.assert_array_equal(first, found)


@pytest.mark.parametrize("count", [2, 4, 5])
@pytest.mark.parametrize(
    "make",
    [
        lambda axis: HOG.skimage(channel_axis=axis),
        lambda axis: DSIFT.vlfeat(step=8, size=4, fast=True, channel_axis=axis),
        lambda axis: BoVW(
            DSIFT.vlfeat(step=8, size=4, fast=True, channel_axis=axis),
            np.random.default_rng(0).random((6, 640)).astype(np.float32),
            grid=(2, 2),
        ),
    ],
    ids=["HOG", "DSIFT", "BoVW"],
)
@pytest.mark.parametrize("axis", [-1, 0])
def test_images_of_bands_are_taken_everywhere(make, count, axis):
    encoder = make(axis)
    if isinstance(encoder, BoVW) and count != 5:
        pytest.skip("words are as wide as descriptors of five bands")
    image = (bands(count) / 255).astype(np.float32)
    given = np.moveaxis(image, -1, axis)
    features = encoder(given)
    shape = image.shape
    assert invert(features, encoder, shape=shape, max_iter=3).image.shape == shape
    assert caricature(given, encoder, max_iter=3).image.shape == shape
    np.testing.assert_array_equal(
        caricature(given, encoder, strength=0, max_iter=1).image.shape, image.shape
    )
    component = np.ones(encoder.feature_shape((count, 64, 64)))
    assert maximize(encoder, component, shape=shape, max_iter=3).image.shape == shape
    row = compare(given, [encoder], max_iter=3).rows[0]
    assert row.failure == ""
    assert row.image.shape == shape
    rows = Transformer(encoder).fit_transform(np.stack([given, given[..., ::-1, :]]))
    np.testing.assert_allclose(rows[0], features.ravel(), atol=1e-6)


def test_a_photograph_of_bands_is_compared_in_all_of_them():
    image = (bands(4) / 255).astype(np.float32)
    hogs = [HOG.skimage(channel_axis=-1), HOG.skimage(4, channel_axis=-1)]
    found = compare(image, hogs, max_iter=20)
    assert found.image.shape == (64, 64, 4)
    # Light and dark may be swapped.
    assert all(0 < abs(row.ncc) <= 1 and row.ssim <= 1 for row in found.rows)


def test_an_alpha_channel_is_refused_where_no_axis_was_named():
    with pytest.raises(ValueError, match="Drop its alpha channel"):
        HOG.vlfeat()(bands(4))
    with pytest.raises(ValueError, match="got 5 channels"):
        HOG.skimage()(bands(5))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    "make", [HOG.skimage, functools.partial(DSIFT.vlfeat, 8)], ids=["HOG", "DSIFT"]
)
def test_tensors_with_channels_first_are_taken(make, dtype):
    encoder = make(channel_axis=0)
    image = torch.asarray(np.moveaxis(bands(3), -1, 0).copy()).to(dtype)
    expected = encoder(
        image.to(torch.float32).numpy() if dtype == torch.bfloat16 else image.numpy()
    )
    np.testing.assert_array_equal(encoder(image), expected)
    if dtype.is_floating_point:
        np.testing.assert_array_equal(encoder(image.requires_grad_()), expected)


def test_words_over_channels_first_take_tensors():
    local = HOG.skimage(channel_axis=0)
    assert local.channel_axis == 0
    sift = DSIFT.vlfeat(step=8, size=4, fast=True, channel_axis=0)
    vocabulary = np.random.default_rng(0).random((6, 384)).astype(np.float32)
    words = repinv.BoVW(sift, vocabulary, grid=(2, 2))
    image = np.moveaxis(bands(3), -1, 0).copy()
    np.testing.assert_array_equal(words(torch.asarray(image)), words(image))


def test_the_name_of_a_file_is_no_image():
    with pytest.raises(TypeError, match=r"got the name 'cat\.jpg'. Read it first"):
        HOG.vlfeat()("cat.jpg")
