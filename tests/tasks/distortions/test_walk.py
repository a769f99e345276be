import numpy as np
import pytest
from photographs import COLOUR, SMALL

import repinv

HOG = repinv.HOG.vlfeat(bilinear_orientations=True)


@pytest.fixture(scope="module")
def found():
    return repinv.walk(SMALL, HOG, amount=0.05)


def test_a_walk_changes_the_image_and_not_its_features(found):
    assert found.stop_reason == "amount"
    assert found.distances[-1] >= 0.05
    first = HOG(found.images[0])
    for image, error, distance in zip(found.images, found.errors, found.distances, strict=True):
        apart = np.sum((HOG(image) - first) ** 2) / np.sum(first**2)
        assert apart <= 1e-3
        assert apart == pytest.approx(error, abs=1e-8)
        assert np.sqrt(np.mean((image - SMALL) ** 2)) == pytest.approx(distance)
        assert image.min() >= 0
        assert image.max() <= 1
    assert np.all(np.diff(found.distances) > 0)
    np.testing.assert_array_equal(found.images[0], SMALL)


def test_a_walk_begins_along_the_direction_that_is_given():
    unseen = repinv.eigendistortions(HOG, SMALL, largest=0, smallest=1).smallest[0]
    found = repinv.walk(SMALL, HOG, unseen, 0.01)
    change = found.images[1] - found.images[0]
    assert np.vdot(change, unseen) / np.linalg.norm(change) > 0.5


def test_a_walk_goes_on_from_a_result():
    result = repinv.invert(HOG(SMALL), HOG, shape=SMALL.shape, max_iter=60)
    found = repinv.walk(result, amount=0.01)
    np.testing.assert_allclose(found.images[0], result.image)
    assert found.encoder is HOG


@pytest.mark.parametrize("encoder", [HOG, repinv.DSIFT.vlfeat(step=4)], ids=["hog", "dsift"])
@pytest.mark.parametrize("image", [SMALL, 0.7 + 0.3 * SMALL], ids=["usual", "bright"])
def test_hog_and_sift_leave_room_for_a_walk(encoder, image):
    found = repinv.walk(image, encoder, amount=0.05)
    assert found.stop_reason == "amount"
    assert found.errors.max() <= 1e-3


def test_a_direction_out_of_the_range_of_pixels_is_replaced():
    image = np.where(SMALL > 0.5, 1.0, 0.0)
    found = repinv.walk(image, HOG, image - 0.5, 0.01, max_iter=600)
    assert found.distances[-1] >= 0.01
    assert any("a new direction was drawn" in note for note in found.notes)


def test_a_walk_in_colour():
    encoder = repinv.HOG.skimage(channel_axis=-1)
    found = repinv.walk(COLOUR, encoder, amount=0.002, max_iter=100)
    assert found.images.shape[1:] == COLOUR.shape
    assert found.errors.max() <= 1e-3


def test_a_walk_that_is_stopped_says_so():
    found = repinv.walk(SMALL, HOG, amount=0.3, max_iter=80)
    assert found.stop_reason == "max_iter"
    assert any("raise max_iter" in note for note in found.notes)


def test_features_that_determine_the_image_block_a_walk():
    class Pixels(repinv.Encoder):
        def feature_shape(self, image_shape):
            return image_shape

        def vjp(self, x):
            return 1 * x, lambda v: v

    found = repinv.walk(SMALL, Pixels(), amount=0.2, tol=1e-4)
    assert found.stop_reason == "blocked"
    assert found.distances[-1] <= 0.01


def test_a_walk_is_drawn(found):
    titles = [axes.get_title(loc="left") for axes in found.plot().axes]
    assert titles[0] == "image"
    assert titles[-1] == "difference"
    assert "walk" in repr(found).lower()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"amount": 0}, "amount must lie between"),
        ({"tol": 2}, "tol must lie between"),
        ({"direction": np.ones((3, 3))}, "must have the shape of the image"),
        ({"direction": np.zeros((64, 64))}, "not zero everywhere"),
        ({"max_iter": 0}, "max_iter must be"),
    ],
)
def test_impossible_options_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        repinv.walk(SMALL, HOG, **options)


def test_a_walk_needs_an_encoder_and_features():
    with pytest.raises(TypeError, match="needs an encoder"):
        repinv.walk(SMALL)
    with pytest.raises(ValueError, match="all zero"):
        repinv.walk(np.full((64, 64), 0.5), HOG)
