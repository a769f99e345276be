"""What evens out an encoder's answers to the places of an image."""

import numpy as np
import pytest
import torch

import repinv
from repinv.encoders.base import Encoder
from repinv.search.probing import evening_weights

RNG = np.random.default_rng(8)
IMAGES = RNG.random((2, 1, 64, 64))
LEFT = np.arange(64) < 32


class Scaled(Encoder):
    """Pixels, each times a factor of its own; of any library."""

    def __init__(self, factors, asarray=np.asarray):
        self.factors, self.asarray = factors, asarray

    def vjp(self, x, /):
        return self.factors * x, lambda v: self.factors * v

    def feature_shape(self, image_shape, /):
        return image_shape


def ratio(weights):
    """Weights at the right over those at the left, away from the border between."""
    return float(np.mean(weights[..., 44:]) / np.mean(weights[..., :20]))


def test_what_the_encoder_sees_strongly_is_turned_little():
    weights = evening_weights(Scaled(np.where(LEFT, 1.0, 5.0)), IMAGES, None, 2.0)
    assert weights.shape == (2, 1, 64, 64)
    np.testing.assert_allclose(ratio(weights), 1 / 5, rtol=0.2)
    np.testing.assert_allclose(np.mean(weights**2, axis=(1, 2, 3)), 1)


def test_what_the_encoder_hardly_sees_is_left_alone():
    weights = evening_weights(Scaled(np.where(LEFT, 1.0, 1e-4)), IMAGES, None, 2.0)
    assert ratio(weights) < 0.1


def test_features_that_do_not_count_are_not_asked():
    mask = np.where(LEFT, 1.0, 0.0) * np.ones((1, 1, 64, 64))
    weights = evening_weights(Scaled(np.ones((1, 64))), IMAGES, mask, 2.0)
    assert ratio(weights) < 0.1


@pytest.mark.parametrize("factors", [0.0, 3.0])
def test_where_all_places_are_alike_all_weights_are(factors):
    constant = np.full((1, 1, 32, 32), 0.4)
    weights = evening_weights(Scaled(np.full((32, 32), factors)), constant, None, 2.0)
    assert np.all(np.isfinite(weights))
    if factors:
        np.testing.assert_allclose(weights, 1.0)


def test_a_batch_is_as_its_images_alone():
    hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    batch = evening_weights(hog, IMAGES, None, 4.0)
    single = [evening_weights(hog, image[None], None, 4.0) for image in IMAGES]
    np.testing.assert_allclose(batch, np.concatenate(single), rtol=1e-12)


def test_images_that_are_faint_in_places_are_turned_little_there():
    image = 0.5 + np.where(LEFT, 0.3, 0.003) * (RNG.random((1, 1, 64, 64)) - 0.5)
    weights = evening_weights(repinv.DSIFT.natural(3), image, None, 4.0)
    assert ratio(weights) < 0.05


def test_tensors_get_the_same_weights():
    factors = np.where(LEFT, 1.0, 7.0)
    weights = evening_weights(Scaled(factors), IMAGES, None, 2.0)
    tensors = Scaled(torch.asarray(factors), torch.asarray)
    found = evening_weights(tensors, torch.asarray(IMAGES), None, 2.0)
    np.testing.assert_allclose(found.numpy(), weights, rtol=1e-9)
