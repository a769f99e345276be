import numpy as np
import pytest
from photographs import COLOUR, SMALL

import repinv
from repinv.tasks.distortions.linearization import Linearization
from repinv.variables.dct import dct

HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
IMAGE = np.random.default_rng(0).uniform(0.1, 0.9, (24, 24))


def test_the_map_is_the_diagonal_and_the_spectrum_that_of_cosines():
    jacobian = Linearization(HOG, IMAGE[None, None]).matrix()
    expected = np.sum(jacobian**2, axis=0).reshape(24, 24)
    found = repinv.sensitivity(HOG, IMAGE, n_probes=4000)
    assert np.linalg.norm(found.map - expected) < 0.04 * np.linalg.norm(expected)
    assert found.trace == pytest.approx(expected.sum(), rel=0.01)
    in_cosines = np.sum(dct(jacobian.reshape(-1, 24, 24)) ** 2, axis=0)
    # The lowest band holds two cosines, of one half period along an axis.
    assert found.frequencies[0] == pytest.approx(1 / 48)
    lowest = np.mean([in_cosines[0, 1], in_cosines[1, 0]])
    assert found.spectrum[0] == pytest.approx(lowest, rel=0.1)


def test_the_error_is_that_of_the_map():
    exact = repinv.sensitivity(HOG, IMAGE, n_probes=4000).map
    found = repinv.sensitivity(HOG, IMAGE, n_probes=50)
    apart = np.abs(found.map - exact).sum() / exact.sum()
    # The mean of a normal deviate's magnitude is 0.8 of its deviation.
    assert apart == pytest.approx(0.8 * found.error, rel=0.2)


def test_features_that_see_one_half_are_sensitive_there():
    class Half(repinv.Encoder):
        def feature_shape(self, image_shape):
            return image_shape[0], image_shape[1], image_shape[2] // 2

        def vjp(self, x):
            half = x.shape[-1] // 2
            return 1 * x[..., :half], lambda v: np.concatenate([v, 0 * v], axis=-1)

    found = repinv.sensitivity(Half(), SMALL)
    assert not found.map[:, 32:].any()
    np.testing.assert_allclose(found.map[:, :32].mean(), 1, rtol=0.05)


def test_colours_are_summed_in_the_map():
    found = repinv.sensitivity(repinv.HOG.skimage(channel_axis=-1), COLOUR, n_probes=4)
    assert found.map.shape == (64, 64)


def test_it_is_drawn():
    found = repinv.sensitivity(HOG, SMALL, n_probes=8)
    assert len(found.plot().axes) == 3
    with pytest.raises(ValueError, match="expected 3 axes"):
        found.plot(axes=[])
    assert "cycles per pixel" in repr(found)


def test_what_has_no_sensitivity_is_refused():
    with pytest.raises(ValueError, match="do not change with this image"):
        repinv.sensitivity(HOG, np.full((32, 32), 0.5))
    with pytest.raises(ValueError, match="n_probes must be"):
        repinv.sensitivity(HOG, SMALL, n_probes=1)
