"""Features at another scale: noticed, told with the factor, and scaled where that is asked for."""

import re

import numpy as np
import pytest
import skimage
from skimage.transform import resize

import repinv_cnn
from repinv import DSIFT, HOG, VLAD, BoVW, FisherVector, HOGgle, compare, invert
from repinv.search import feature_scale

SIDE = 96
RNG = np.random.default_rng(0)


def photograph(name):
    image = getattr(skimage.data, name)()
    image = image.mean(axis=-1) if image.ndim == 3 else image
    return resize(image / 255, (SIDE, SIDE), anti_aliasing=True).astype(np.float32)


def kinds_of_images():
    """Photographs, faint and dark ones, noise and graphics."""
    found = {
        name: photograph(name) for name in ("camera", "coins", "moon", "page", "text", "grass")
    }
    camera = found["camera"]
    square, dot, ramp = np.zeros((3, SIDE, SIDE))
    square[30:60, 30:60], dot[40:42, 40:42], ramp[:] = 1, 1, np.linspace(0, 1, SIDE)
    half = camera.copy()
    half[:, SIDE // 2 :] = 0.5
    rows = np.arange(SIDE)
    found |= {
        "faint": 0.5 + 0.1 * (camera - 0.5),
        "fainter": 0.5 + 0.01 * (camera - 0.5),
        "dark": 0.05 * camera,
        "noise": RNG.random((SIDE, SIDE)),
        "black and white noise": RNG.random((SIDE, SIDE)) > 0.5,
        "square": square,
        "dot": dot,
        "ramp": ramp,
        "checkerboard": (rows[:, None] // 16 + rows // 16) % 2,
        "half flat": half,
    }
    return {name: np.asarray(image, np.float32) for name, image in found.items()}


IMAGES = kinds_of_images()
LEARNED = [photograph(name) for name in ("chelsea", "coffee", "astronaut", "brick")]
SIFT = DSIFT.vlfeat(step=4, size=4, fast=True)
#: Encoders whose features have a fixed norm, and the error that a wrong estimate of it may leave.
FIXED = {
    "HOG.vlfeat": HOG.vlfeat(),
    "HOG.vlfeat dalal-triggs": HOG.vlfeat(variant="dalal-triggs"),
    "HOG.dpm": HOG.dpm(),
    "HOG.skimage": HOG.skimage(),
    "HOG.skimage L1": HOG.skimage(block_norm="L1"),
    "HOG.opencv": HOG.opencv((64, 64)),
    "DSIFT.vlfeat": SIFT,
    "DSIFT.kornia": DSIFT.kornia(stride=4),
    "DSIFT.natural": DSIFT.natural(),
    "BoVW": BoVW.pretrained(),
    "BoVW pyramid": BoVW.pretrained(grid=((1, 1), (2, 2))),
    "BoVW everywhere": BoVW.pretrained(cell_size=None),
    "BoVW l2": BoVW.pretrained(power=0.5, norm="l2"),
    "VLAD": VLAD.fit(LEARNED, SIFT, 16, progress=False),
    "FisherVector": FisherVector.fit(LEARNED, SIFT, 8, progress=False),
}
OTHERS = {
    "DSIFT.phow": DSIFT.phow(step=4, sizes=(4, 6)),
    "HOG.dpm plain": HOG.dpm(normalize=False),
    "BoVW largest": BoVW.pretrained(aggregation="max"),
    "HOGgle": HOGgle.pretrained(256),
    "FisherVector plain": FisherVector.fit(LEARNED, SIFT, 8, power=1.0, norm=None, progress=False),
    "digits": repinv_cnn.from_digits("conv2"),
}


def encoded(encoder, image):
    return encoder.encode(encoder.asarray(image[None, None]))[0]


@pytest.mark.parametrize("name", FIXED | OTHERS)
def test_images_of_all_kinds_are_of_their_encoders_scale(name):
    encoder = (FIXED | OTHERS)[name]
    for kind, image in IMAGES.items():
        found = feature_scale.factor(encoded(encoder, image), encoder, (1, SIDE, SIDE))
        assert found[0] == 1, kind


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_norm_tells_the_factor(name):
    encoder = FIXED[name]
    for kind, factors in {"camera": (255, 1 / 255), "noise": (512,), "faint": (10,)}.items():
        features = encoded(encoder, IMAGES[kind])
        for times in factors:
            found, is_fixed = feature_scale.factor(features * times, encoder, (1, SIDE, SIDE))
            assert is_fixed
            assert found == pytest.approx(times, rel=0.02), kind


@pytest.mark.parametrize("name", OTHERS)
def test_other_norms_tell_features_that_are_far_too_large(name):
    encoder = OTHERS[name]
    features = encoded(encoder, IMAGES["camera"])
    found, _ = feature_scale.factor(features * 512, encoder, (1, SIDE, SIDE))
    assert 512 / 2 < found < 512 * 2


def test_vlfeats_bytes_are_told_and_scaled_on_request():
    features = SIFT(IMAGES["camera"])
    bytes_ = np.minimum(512 * features, 255).astype(np.uint8)
    options = {"shape": (SIDE, SIDE), "max_iter": 60}
    plain = invert(features, SIFT, **options)
    told = invert(bytes_, SIFT, **options)
    assert told.error[0] > 0.9
    (note,) = told.notes
    number = float(re.search(r"about ([0-9.]+) times", note)[1])
    assert number == pytest.approx(512, rel=0.02)
    assert "rescale=True" in note
    scaled = invert(bytes_, SIFT, rescale=True, **options)
    assert scaled.error[0] < plain.error[0] + 0.01
    (note,) = scaled.notes
    assert "were scaled" in note
    assert plain.notes == ()


def test_counted_words_are_scaled_on_request():
    words = BoVW.pretrained(grid=(4, 4), assignment="hard", interpolate=False)
    features = words(IMAGES["camera"])
    counts = np.round(features * 25)
    options = {"shape": (SIDE, SIDE), "max_iter": 30}
    told = invert(counts, words, **options)
    number = float(re.search(r"about ([0-9.]+) times", told.notes[0])[1])
    assert number == pytest.approx(25, rel=0.05)
    scaled = invert(counts, words, rescale=True, **options)
    plain = invert(features, words, **options)
    assert scaled.error[0] < plain.error[0] + 0.02


def test_a_scale_that_is_right_is_left_alone():
    hog = HOG.vlfeat(bilinear_orientations=True)
    features = hog(IMAGES["camera"])
    options = {"shape": (SIDE, SIDE), "max_iter": 10}
    left = invert(features, hog, rescale=True, **options)
    np.testing.assert_array_equal(left.image, invert(features, hog, **options).image)
    assert left.notes == ()


def test_only_what_counts_is_looked_at():
    hog = HOG.vlfeat(bilinear_orientations=True)
    features = hog(IMAGES["camera"])
    mask = np.zeros(features.shape, bool)
    mask[:, :6] = True
    spoilt = np.where(mask, features, 1e4)
    assert invert(spoilt, hog, shape=(SIDE, SIDE), mask=mask, max_iter=3).notes == ()


def test_a_norm_that_is_not_fixed_is_not_scaled():
    encoder = repinv_cnn.from_digits("conv2")
    features = encoded(encoder, IMAGES["camera"])
    options = {"shape": (SIDE, SIDE), "max_iter": 3}
    told = invert(255 * features, encoder, **options)
    (note,) = told.notes
    assert "times as large as those of photographs" in note
    assert "rescale" not in note
    with pytest.raises(
        ValueError, match="rescale=True goes with encoders whose features have a fix"
    ):
        invert(255 * features, encoder, rescale=True, **options)


def test_comparing_scales_what_all_methods_are_measured_by():
    hog = HOG.vlfeat(bilinear_orientations=True)
    features = hog(IMAGES["camera"])
    options = {"shape": (SIDE, SIDE), "max_iter": 30}
    plain = compare(features, [hog], **options).rows[0]
    scaled = compare(255 * features, [hog], rescale=True, **options).rows[0]
    assert scaled.error == pytest.approx(plain.error, rel=0.05)
    assert any("were scaled" in note for note in scaled.notes)
