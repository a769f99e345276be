"""Activation maximization and caricatures of shallow encoders."""

import numpy as np
import pytest
import skimage
from skimage.data import camera
from skimage.transform import downscale_local_mean

import repinv
from repinv import metrics

IMAGE = downscale_local_mean(camera()[64:320, 128:384], (4, 4)).astype(np.float32) / 255
HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
SHAPE = (64, 64)


def response(image, direction, encoder=HOG):
    return float(np.vdot(encoder(image), direction))


def test_a_channel_is_excited_beyond_what_photographs_do():
    result = repinv.maximize(HOG, 4, shape=SHAPE, max_iter=150)
    direction = np.zeros(HOG(IMAGE).shape, np.float32)
    direction[4] = 1 / direction[4].size
    assert result.response[0] > 1.5
    assert response(result.image, direction) > 2 * response(IMAGE, direction)
    assert np.isnan(result.error).all()
    assert "response" in repr(result)
    assert (result.image.min(), result.image.max()) >= (0, 0)
    assert result.image.max() <= 1


def test_a_search_may_begin_from_an_image():
    found = repinv.maximize(HOG, 4, shape=SHAPE, initial=IMAGE, max_iter=1, jitter=0)
    assert metrics.ncc(found.image, IMAGE) > 0.95
    longer = repinv.maximize(HOG, 4, shape=SHAPE, initial=IMAGE, max_iter=60)
    assert longer.response[0] > 1.3 * found.response[0]
    with pytest.raises(ValueError, match="initial must be an image of"):
        repinv.maximize(HOG, 4, shape=SHAPE, initial=IMAGE[1:])


def test_one_feature_and_its_direction_are_the_same_question():
    direction = np.zeros(HOG(IMAGE).shape)
    direction[3, 2, 5] = 1
    options = {"shape": SHAPE, "max_iter": 40, "scale": 0.2}
    by_index = repinv.maximize(HOG, (3, 2, 5), **options)
    np.testing.assert_array_equal(by_index.image, repinv.maximize(HOG, direction, **options).image)
    np.testing.assert_array_equal(
        by_index.image, repinv.maximize(HOG, direction.ravel()[None], **options).image
    )
    np.testing.assert_allclose(by_index.response, HOG(by_index.image)[3, 2, 5] / 0.2, rtol=1e-4)


def test_the_weights_of_a_linear_classifier_are_drawn_as_an_image():
    rng = np.random.default_rng(0)
    stripes = [np.sin(np.arange(64) / (2 + k / 10)) for k in range(12)]
    across = [0.5 + 0.3 * s[:, None] + 0.05 * rng.standard_normal(SHAPE) for s in stripes]
    down = [image.T for image in across]
    features = np.stack([HOG(image).ravel() for image in (*across, *down)])
    from sklearn.svm import LinearSVC

    classifier = LinearSVC().fit(features, [0] * 12 + [1] * 12)
    result = repinv.maximize(HOG, classifier.coef_, shape=SHAPE, max_iter=100)
    assert classifier.predict(HOG(result.image).reshape(1, -1)) == 1
    against = np.maximum(-classifier.coef_, 0)
    result = repinv.maximize(HOG, against, shape=SHAPE, max_iter=100)
    assert classifier.predict(HOG(result.image).reshape(1, -1)) == 0


def test_a_note_says_where_a_response_is_enough():
    reached = repinv.maximize(HOG, 4, shape=SHAPE, max_iter=200, strength=1.0)
    assert reached.response[0] > 0.95
    assert "a response of 1 is enough, and more is not rewarded: strength=2 goes on" in (
        reached.notes
    )
    beyond = repinv.maximize(HOG, 4, shape=SHAPE, max_iter=200, strength=2.0)
    assert beyond.response[0] > 1.5
    short = repinv.maximize(HOG, 4, shape=SHAPE, max_iter=5, strength=100.0)
    assert not short.notes


def test_the_strength_of_weights_by_default_is_ten():
    weights = np.random.default_rng(0).standard_normal(HOG(IMAGE).shape)
    options = {"shape": SHAPE, "max_iter": 20}
    found = repinv.maximize(HOG, weights, **options)
    same = repinv.maximize(HOG, weights, **options, strength=10)
    np.testing.assert_array_equal(found.images, same.images)
    less = repinv.maximize(HOG, weights, **options, strength=0.1)
    assert less.response[0] < found.response[0]
    assert "strength=0.2 goes on" in less.notes[-1]


def test_the_strength_of_a_component_by_default_is_two():
    options = {"shape": SHAPE, "max_iter": 20}
    found = repinv.maximize(HOG, 4, **options)
    np.testing.assert_array_equal(
        found.images, repinv.maximize(HOG, 4, **options, strength=2).images
    )


def test_an_estimator_in_place_of_its_weights_is_refused_with_what_to_give():
    from sklearn.svm import LinearSVC

    with pytest.raises(TypeError, match=r"got LinearSVC. Give its weights, such as svm\.coef_"):
        repinv.maximize(repinv.HOG.opencv(), LinearSVC())


def test_weights_that_are_too_few_are_compared_with_those_of_a_window():
    words = "3779 numbers; a window of 64x128 has 3780"
    for shape in (None, (128, 64)):
        with pytest.raises(ValueError, match=words):
            repinv.maximize(repinv.HOG.opencv(), np.ones(3779), shape=shape)
        with pytest.raises(ValueError, match=words):
            repinv.invert(np.ones(3779), repinv.HOG.opencv(), shape=shape)
    with pytest.raises(ValueError, match="a window of 64x128 has 3780, 3 windows have 11340"):
        repinv.invert(np.ones(11339), repinv.HOG.opencv())


def test_the_scale_is_the_largest_response_of_the_images_given():
    images = np.stack([IMAGE, IMAGE.T])
    result = repinv.maximize(HOG, (0, 1, 1), shape=SHAPE, images=images, max_iter=20)
    largest = max(HOG(image)[0, 1, 1] for image in images)
    np.testing.assert_allclose(result.response[0] * largest, HOG(result.image)[0, 1, 1], rtol=1e-3)


def test_diverse_answers_are_less_alike():
    def likeness(diversity):
        result = repinv.maximize(HOG, 4, shape=SHAPE, n_images=2, diversity=diversity, max_iter=100)
        assert result.response.min() > 1
        assert result.spread.shape == SHAPE
        return abs(metrics.ncc(*result.images))

    assert likeness(1.0) < 0.5 * likeness(0.0) + 0.02


def test_one_seed_gives_one_image_and_a_run_goes_on_to_the_same_end(tmp_path):
    options = {"shape": SHAPE, "max_iter": 40, "diversity": 0.1, "n_images": 2}
    whole = repinv.maximize(HOG, 2, **options)
    part = repinv.maximize(HOG, 2, **options, callback=lambda snapshot: snapshot.iteration == 20)
    assert part.iterations == 20
    part.save(tmp_path / "run.npz")
    continued = repinv.resume(tmp_path / "run.npz")
    np.testing.assert_array_equal(continued.images, whole.images)
    np.testing.assert_array_equal(continued.response, whole.response)


def test_colour_images_are_excited_too():
    result = repinv.maximize(HOG, 1, shape=(32, 40, 3), max_iter=30)
    assert result.image.shape == (32, 40, 3)


@pytest.mark.parametrize(
    ("component", "error", "match"),
    [
        (31, ValueError, "component 31 is outside of the features; numbers go from 0 to 30"),
        ((1, 2), ValueError, "named by 3 whole numbers"),
        ((0, 8, 0), ValueError, "outside of the features"),
        (np.ones(7), ValueError, "be flat with 1984 entries"),
        (np.zeros((31, 8, 8)), ValueError, "not zero everywhere"),
        (np.full((31, 8, 8), np.nan), ValueError, "finite"),
        ("eye", TypeError, "must be numbers"),
    ],
)
def test_components_that_there_are_not_are_refused(component, error, match):
    with pytest.raises(error, match=match):
        repinv.maximize(HOG, component, shape=SHAPE)


def test_a_number_names_nothing_where_features_have_no_channels():
    with pytest.raises(ValueError, match="one number names a channel"):
        repinv.maximize(repinv.HOG.skimage(), 3, shape=SHAPE)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"strength": 0}, "strength must be > 0"),
        ({"scale": -1.0}, "scale must be > 0"),
        ({"n_images": 0}, "n_images must be a whole number >= 1"),
        ({"jitter": -1}, "jitter must be a whole number >= 0"),
        ({"images": [IMAGE[:32]]}, "images must have the shape"),
        ({"images": [np.full(SHAPE, 0.5)]}, "no image that it was tried on excites"),
    ],
)
def test_impossible_options_of_maximize_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        repinv.maximize(HOG, 0, shape=SHAPE, **options)


def test_a_caricature_says_more_of_the_same_and_looks_like_the_image():
    features = HOG(IMAGE)
    result = repinv.caricature(IMAGE, HOG, strength=0.3, max_iter=60)
    gain = response(result.image, features) / response(IMAGE, features)
    np.testing.assert_allclose(result.response[0], gain, rtol=1e-4)
    assert gain > 1.05
    assert metrics.ncc(result.image, IMAGE) > 0.9


def test_strength_goes_from_the_image_itself_to_more_and_more():
    found = [repinv.caricature(IMAGE, HOG, strength=s, max_iter=40) for s in (0, 0.2, 1)]
    np.testing.assert_allclose(found[0].image, IMAGE, atol=1e-4)
    assert found[0].response[0] < found[1].response[0] < found[2].response[0]


def test_without_the_pull_it_goes_further_from_the_image():
    kept, free = (
        repinv.caricature(IMAGE, HOG, strength=3, max_iter=60, pull=pull) for pull in (1.0, 0.0)
    )
    assert free.response[0] > kept.response[0]
    assert metrics.ncc(free.image, IMAGE) < metrics.ncc(kept.image, IMAGE)


def test_a_caricature_does_not_drift_without_end():
    likeness = [
        metrics.ncc(repinv.caricature(IMAGE, HOG, max_iter=n).image, IMAGE) for n in (100, 400)
    ]
    assert likeness[1] > likeness[0] - 0.02


def test_integers_are_fractions_of_white():
    pixels = np.round(255 * IMAGE).astype(np.uint8)
    of_bytes = repinv.caricature(pixels, HOG, max_iter=10)
    of_floats = repinv.caricature((pixels / 255).astype(np.float32), HOG, max_iter=10)
    np.testing.assert_allclose(of_bytes.image, of_floats.image, atol=1e-4)


@pytest.mark.parametrize(
    ("image", "options", "match"),
    [
        (IMAGE, {"strength": -0.5}, "strength and pull must be >= 0"),
        (IMAGE, {"pull": np.nan}, "strength and pull must be >= 0"),
        (np.full(SHAPE, 0.5), {}, "no positive feature"),
        (IMAGE + 2, {}, "pixels in"),
        (np.full(SHAPE, np.nan), {}, "finite"),
    ],
)
def test_impossible_caricatures_are_refused(image, options, match):
    with pytest.raises(ValueError, match=match):
        repinv.caricature(image, HOG, **options)


@pytest.mark.parametrize("max_iter", [1, 30])
@pytest.mark.parametrize(
    "encoder",
    [
        repinv.HOG.vlfeat(),
        repinv.HOG.skimage(),
        repinv.DSIFT.natural(5),
        repinv.BoVW.pretrained(256, assignment="hard"),
        repinv.HOGgle.pretrained(256),
    ],
    ids=lambda encoder: type(encoder).__name__,
)
def test_a_caricature_responds_no_less_than_the_image_that_it_starts_from(encoder, max_iter):
    image = skimage.data.camera()[:64, :64]  # axis-aligned edges: ties between orientations
    assert repinv.caricature(image, encoder, max_iter=max_iter).response[0] >= 1 - 1e-6


def test_an_image_that_an_inversion_starts_from_counts_as_found():
    image = skimage.util.img_as_float32(skimage.data.camera()[128:192, 200:264])
    hog = repinv.HOG.vlfeat()
    result = repinv.invert(hog(image), hog, shape=image.shape, initial=image, max_iter=5)
    assert result.error[0] == 0
    np.testing.assert_array_equal(result.image, image)


def test_a_pedestrian_detector_shows_a_person():
    cv2 = pytest.importorskip("cv2")
    detector, judge = cv2.HOGDescriptor(), cv2.HOGDescriptor((48, 96), (16, 16), (8, 8), (8, 8), 9)
    *weights, bias = cv2.HOGDescriptor_getDefaultPeopleDetector().ravel()
    *others, other_bias = cv2.HOGDescriptor_getDaimlerPeopleDetector().ravel()
    hog = repinv.HOG.from_opencv(detector)
    for seed in (0, 1):
        result = repinv.maximize(hog, np.array(weights), seed=seed)
        assert result.image.shape == (128, 64)
        pixels = np.rint(255 * result.image).astype(np.uint8)
        small = cv2.resize(pixels, (48, 96), interpolation=cv2.INTER_AREA)
        # A window of a person scores about 1, and is found from 0 up.
        assert detector.compute(pixels).ravel() @ weights + bias > 18
        assert judge.compute(small).ravel() @ others + other_bias > 1
        assert 0.08 < result.image.std() < 0.3
    lowest = repinv.maximize(hog, -np.array(weights))
    pixels = np.rint(255 * lowest.image).astype(np.uint8)
    assert detector.compute(pixels).ravel() @ weights + bias < -18


def test_the_size_follows_from_a_direction_or_has_to_be_given():
    hog = repinv.HOG.opencv((32, 32))
    weights = np.random.default_rng(0).standard_normal(hog.feature_shape((1, 32, 32)))
    assert repinv.maximize(hog, weights, max_iter=5).image.shape == (32, 32)
    with pytest.raises(ValueError, match="Leave out the last"):
        repinv.maximize(hog, np.append(weights, 0.1), max_iter=5)
    with pytest.raises(ValueError, match="shape is needed"):
        repinv.maximize(hog, (3,), max_iter=5)


def test_a_run_for_a_pattern_is_continued_to_the_same_image(tmp_path):
    hog = repinv.HOG.skimage()
    weights = np.random.default_rng(0).standard_normal(hog.feature_shape((1, 48, 48)))
    whole = repinv.maximize(hog, weights, shape=(48, 48), max_iter=60)
    part = repinv.maximize(
        hog, weights, shape=(48, 48), max_iter=60, callback=lambda s: s.iteration >= 20
    )
    part.save(tmp_path / "run.npz")
    np.testing.assert_array_equal(repinv.resume(tmp_path / "run.npz").image, whole.image)
    assert whole.response[0] > 1
