"""Clips pulled back as bends: features stay, and what is clipped is heard."""

import numpy as np
import pytest
from skimage.data import camera

import repinv
from repinv.encoders._kernels import clipping
from repinv.encoders._kernels.jit import jit
from repinv.search.schedule import Stage

RNG = np.random.default_rng(3)
X = RNG.random((1, 1, 40, 44)) * np.linspace(0.1, 1, 44)
WORDS = RNG.uniform(0, 0.3, (12, 128))
DENSE = repinv.DSIFT.natural(3)
CLIPPED = {
    "dsift natural": DENSE,
    "dsift vlfeat": repinv.DSIFT.vlfeat(4, 3),
    "dsift kornia": repinv.DSIFT.kornia(stride=4),
    "hog uoctti": repinv.HOG.vlfeat(bilinear_orientations=True),
    "hog dalal-triggs": repinv.HOG.vlfeat(variant="dalal-triggs"),
    "hog dpm": repinv.HOG.dpm(),
    "hog skimage": repinv.HOG.skimage(pixels_per_cell=(5, 5)),
    "hog opencv": repinv.HOG.opencv(win_size=(32, 32)),
    "words": repinv.BoVW(DENSE, WORDS, assignment=repinv.SoftAssignment(0.1)),
    "vlad": repinv.VLAD(DENSE, WORDS),
}


@jit
def slopes(values, top, square, half, out):
    for i in range(values.size):
        out[i] = clipping.passed(values[i], top, square, half)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [0.0, 0.05])
def test_the_slope_is_that_of_a_rounded_clip(width, dtype):
    values = np.linspace(-0.1, 0.5, 61).astype(dtype)  # 0.2 is one of them
    top, found = dtype(values[30]), np.empty_like(values)
    slopes(values, top, dtype(width**2), dtype(0.5), found)
    if width == 0:
        np.testing.assert_array_equal(found, values < top)
        return

    def rounded(v):
        return 0.5 * (v + top - np.sqrt((v - top) ** 2 + width**2))

    v, step = values.astype(np.float64), 1e-5
    expected = (rounded(v + step) - rounded(v - step)) / (2 * step)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[30] == pytest.approx(0.5)


@pytest.mark.parametrize("name", CLIPPED)
def test_features_stay_and_narrow_bends_are_sharp(name):
    encoder = CLIPPED[name]
    features, pullback = encoder.vjp(X)
    v = np.random.default_rng(0).standard_normal(features.shape)
    sharp, found = pullback(v), []
    for width in (1e-9, 0.5):
        surrogate, pull = encoder.with_surrogate_slopes(width).vjp(X)
        np.testing.assert_array_equal(surrogate, features)
        found.append(pull(v))
    np.testing.assert_allclose(found[0], sharp, atol=1e-6 * np.abs(sharp).max())
    difference = np.linalg.norm(found[1] - sharp) / np.linalg.norm(sharp)
    assert 1e-3 < difference < 1.5


def test_what_is_clipped_is_heard():
    features, pullback = DENSE.vjp(X)
    v = np.where(features >= 0.2 - 1e-12, -1.0, 0.0)
    assert 0.01 < -v.mean() < 0.5
    assert not np.any(pullback(v))
    assert np.any(DENSE.with_surrogate_slopes(0.5).vjp(X)[1](v))


@pytest.mark.parametrize("norm", ["L1", "L1-sqrt", "L2"])
def test_norms_without_a_clip_have_nothing_to_relax(norm):
    assert repinv.HOG.skimage(block_norm=norm).with_surrogate_slopes(0.5) is None


def test_words_over_what_cannot_be_relaxed_cannot_be_either():
    class Sharp(repinv.DSIFT):
        def with_surrogate_slopes(self, width):
            return None

    assert repinv.BoVW(Sharp(DENSE.flavour), WORDS).with_surrogate_slopes(0.5) is None


@pytest.mark.parametrize("width", [0.0, -1.0, np.nan])
@pytest.mark.parametrize("encoder", [DENSE, CLIPPED["hog uoctti"]], ids=["dsift", "hog"])
def test_a_bend_has_a_width(encoder, width):
    with pytest.raises(ValueError, match="width"):
        encoder.with_surrogate_slopes(width)


def test_clipped_descriptors_are_met_sooner():
    image, encoder = camera()[100:164, 200:264].astype(np.float32) / 255, repinv.DSIFT.natural(5)
    errors = []
    for width in (0.0, 0.8):
        stages = (
            Stage(0.35, repinv.LBFGS(), surrogate_width=width),
            Stage(0.55, repinv.LBFGS(), sensitivity_radius=4.0, surrogate_width=width / 2),
            Stage(0.1, repinv.LBFGS()),
        )
        options = {"shape": image.shape, "solver": stages, "max_iter": 400}
        errors.append(float(repinv.invert(encoder(image), encoder, **options).error[0]))
    assert errors[1] < 0.7 * errors[0]
