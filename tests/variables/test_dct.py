"""Blurring by the cosine transform; the transform itself is tested through `Spectral`."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from repinv.variables.dct import blurred

IMAGES = np.random.default_rng(4).random((2, 1, 40, 33))


def test_blurring_is_a_gaussian_that_mirrors_at_the_border():
    expected = gaussian_filter(IMAGES, (0, 0, 3, 3), mode="reflect", truncate=8)
    np.testing.assert_allclose(blurred(IMAGES, 3.0), expected, atol=1e-4)


def test_blurring_keeps_the_mean():
    axes = (-2, -1)
    np.testing.assert_allclose(blurred(IMAGES, 5.0).mean(axis=axes), IMAGES.mean(axis=axes))


def test_tensors_are_blurred_alike():
    found = blurred(torch.asarray(IMAGES), 2.0)
    np.testing.assert_allclose(found.numpy(), blurred(IMAGES, 2.0), atol=1e-13)
