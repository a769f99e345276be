"""The last step of a run: within [0, 1], and no worse than the features allow."""

import numpy as np
import pytest

import repinv
from repinv.energy.losses import SquaredError
from repinv.search.finalize import finished


class Layer(repinv.Encoder):
    """Pixels themselves, as a network's layer or as any other encoder."""

    def __init__(self, is_network):
        self.is_network = is_network

    def feature_shape(self, image_shape, /):
        return tuple(image_shape)

    def vjp(self, x, /):
        return x, lambda v: v


def error_of(x, target):
    return np.sum((x - target) ** 2, axis=(1, 2, 3)) / np.sum(target**2, axis=(1, 2, 3))


@pytest.mark.parametrize("contrast", [0.001, 0.02, 0.1, 0.6])
@pytest.mark.parametrize("error", [1e-6, 1e-4, 0.003, 0.05, 0.7])
def test_a_networks_error_is_hardly_raised_and_a_large_one_not_at_all(contrast, error):
    rng = np.random.default_rng(0)
    x = 0.5 + contrast * rng.standard_normal((2, 1, 16, 16))
    noise = rng.standard_normal(x.shape)
    inside = np.clip(x, 0, 1)
    noise *= np.sqrt(error * np.sum(inside**2) / np.sum(noise**2))
    target = inside + noise
    best, features, scores = finished(Layer(True), x, SquaredError(target))
    clipped = error_of(inside, target)
    most = np.where(clipped <= 0.01, 1.1 * clipped, clipped)
    assert (scores["error"] <= most * (1 + 1e-9)).all()
    assert best.min() >= 0
    assert best.max() <= 1
    np.testing.assert_array_equal(features, best)
    np.testing.assert_allclose(scores["error"], error_of(best, target))


def test_less_contrast_is_taken_where_clipping_costs_more():
    x = 0.5 + np.random.default_rng(0).standard_normal((1, 1, 16, 16))
    target = 0.5 + 0.05 * (x - 0.5)  # what is wanted has the same structure, and fits
    best, _, scores = finished(Layer(True), x, SquaredError(target))
    assert scores["error"][0] < 0.5 * error_of(np.clip(x, 0, 1), target)[0]
    assert np.corrcoef(best.ravel(), x.ravel())[0, 1] > 0.999


def test_contrast_that_is_free_becomes_a_visible_one():
    hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    x = 0.5 + 0.02 * np.random.default_rng(0).standard_normal((1, 1, 32, 32))
    target = hog.encode(x)
    best, _, scores = finished(hog, x, SquaredError(target))
    assert best.std() > 0.0499
    assert scores["error"][0] < 0.03


class Centred(repinv.Encoder):
    """Pixels less their mean: brightness is free, contrast is not."""

    channels = 1

    def feature_shape(self, image_shape):
        return image_shape

    def vjp(self, x, /):
        def centred(v):
            return v - v.mean(axis=(1, 2, 3), keepdims=True)

        return centred(x), centred


def test_a_large_error_is_not_made_larger_for_contrast():
    """Of shallow encoders too: contrast may cost several times a small error, and no large one."""
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 1, 1, 64, 64)).astype(np.float32)
    encoder, faint = Centred(), 0.5 + 0.02 * one
    loss = SquaredError(0.06 * other)
    as_it_is = float(loss.value_and_grad(encoder.encode(faint))[0][0])
    assert as_it_is > 1
    error = float(finished(encoder, faint, loss)[2]["error"][0])
    assert error <= 1.1 * as_it_is
