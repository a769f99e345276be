import numpy as np
import pytest
from photographs import COLOUR, SMALL

import repinv

HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
SIFT = repinv.DSIFT.vlfeat(step=6)


def _squared(x, reference):
    apart = x - reference
    return float(np.mean(apart**2)), 2 * apart / apart.size


def _weighted(x, reference):
    """Mean squared error in which the left half counts nine times as much."""
    weight = np.where(np.arange(x.shape[-1]) < x.shape[-1] // 2, 9.0, 1.0)
    apart = x - reference
    return float(np.mean(weight * apart**2)), 2 * weight * apart / apart.size


def test_quadratic_metrics_reach_their_exact_extremes():
    image = np.full((16, 16), 0.5)
    found = repinv.mad(_squared, _weighted, image, noise=0.02, max_iter=200)
    np.testing.assert_allclose(found.distances_a, found.held, rtol=1e-5)
    np.testing.assert_allclose(found.distances_b, [found.held, 9 * found.held], rtol=1e-3)
    assert found.ratio == pytest.approx(9, rel=2e-3)
    # The farthest changes the half that counts.
    assert np.abs(found.farthest - image)[:, 8:].max() < 1e-2 * np.ptp(found.farthest)


@pytest.mark.parametrize(("a", "b"), [(_squared, HOG), (HOG, SIFT), (SIFT, _squared)])
def test_the_held_distance_is_held_and_the_other_driven_apart(a, b):
    found = repinv.mad(a, b, SMALL, max_iter=60)
    np.testing.assert_allclose(found.distances_a, found.held, rtol=1e-3)
    assert found.distances_b[0] < 0.7 * found.start_b
    assert found.distances_b[1] > 1.3 * found.start_b
    for x in (found.nearest, found.farthest):
        assert x.min() >= 0
        assert x.max() <= 1


def test_distances_of_encoders_are_squared_differences_of_features():
    found = repinv.mad(_squared, HOG, SMALL, max_iter=20)
    apart = np.sum((HOG(found.farthest) - HOG(found.image)) ** 2)
    assert found.distances_b[1] == pytest.approx(apart)
    assert found.distances_a[1] == pytest.approx(np.mean((found.farthest - SMALL) ** 2))


def test_saturated_pixels_stay_in_range_and_the_distance_is_held():
    image = np.round(SMALL)
    found = repinv.mad(_squared, HOG, image, noise=0.2, max_iter=30)
    np.testing.assert_allclose(found.distances_a, found.held, rtol=1e-3)


def test_colours():
    encoder = repinv.HOG.skimage(channel_axis=-1)
    found = repinv.mad(_squared, encoder, COLOUR, max_iter=5)
    assert found.farthest.shape == COLOUR.shape


def test_it_is_drawn():
    found = repinv.mad(_squared, HOG, SMALL, max_iter=5)
    assert len(found.plot().axes) == 4
    assert "by the second" in repr(found)


def test_metrics_that_see_nothing_are_refused():
    def blind(x, reference):
        return 0.0, 0 * x

    with pytest.raises(ValueError, match=r"distance of 0\.0 by metric_a"):
        repinv.mad(blind, HOG, SMALL)
    with pytest.raises(ValueError, match=r"distance of 0\.0 by metric_b"):
        repinv.mad(HOG, blind, SMALL)


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="noise must lie between"):
        repinv.mad(HOG, SIFT, SMALL, noise=0)
    with pytest.raises(TypeError, match="a metric is an encoder"):
        repinv.mad(3, HOG, SMALL)
    with pytest.raises(ValueError, match="HOG needs at least"):
        repinv.mad(_squared, repinv.HOG.skimage(), SMALL[:8, :8])
