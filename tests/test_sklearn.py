"""Encoders as scikit-learn transformers: its own checks, pipelines and searches."""

from __future__ import annotations

import numpy as np
import pytest
import skimage
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import repinv
from repinv.sklearn import Transformer, direction

RNG = np.random.default_rng(9)
HOG = repinv.HOG.vlfeat(4, bilinear_orientations=True)
ROWS, COLUMNS = np.mgrid[:24, :24]


def stripes(count):
    """Images of stripes across or down, and which they are."""
    kinds = np.arange(count) % 2
    phases = RNG.uniform(0, 6, count)
    images = [
        np.sin((COLUMNS if kind else ROWS) * 0.9 + phase)
        for kind, phase in zip(kinds, phases, strict=True)
    ]
    return (0.5 + 0.3 * np.stack(images) + RNG.uniform(-0.2, 0.2, (count, 24, 24))), kinds


IMAGES, KINDS = stripes(30)
BOVW = repinv.BoVW.fit(IMAGES, HOG, 8, grid=(2, 2), progress=False)


def test_rows_of_features_are_those_of_calls():
    found = Transformer(BOVW).fit_transform(IMAGES)
    assert found.shape == (30, 2 * 2 * 8)
    np.testing.assert_array_equal(found[7], BOVW(IMAGES[7]).ravel())
    colour = RNG.integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Transformer(HOG).fit_transform(colour)[2], HOG(colour[2]).ravel())


def test_flat_rows_are_images_of_the_shape_given():
    flat = Transformer(BOVW, image_shape=(24, 24)).fit(IMAGES.reshape(30, -1))
    found = flat.transform(IMAGES.reshape(30, -1))
    np.testing.assert_array_equal(found, Transformer(BOVW).fit_transform(IMAGES))
    assert flat.n_features_in_ == Transformer(BOVW).fit(IMAGES).n_features_in_ == 576
    colour = Transformer(HOG, image_shape=(16, 12, 3)).fit_transform(RNG.random((2, 576)))
    assert colour.shape == (2, 31 * 4 * 3)


def test_a_pipeline_tells_kinds_of_images_apart():
    pipeline = make_pipeline(Transformer(BOVW), LinearSVC())
    test, kinds = stripes(20)
    assert clone(pipeline).fit(IMAGES, KINDS).score(test, kinds) == 1


def test_a_search_goes_over_encoders():
    others = [
        BOVW,
        repinv.VLAD(HOG, BOVW.vocabulary),
        repinv.BoVW(HOG, BOVW.vocabulary, assignment="llc"),
    ]
    pipeline = make_pipeline(Transformer(HOG), LinearSVC())
    search = GridSearchCV(pipeline, {"transformer__encoder": others}, cv=3)
    search.fit(IMAGES, KINDS)
    assert search.best_score_ == 1
    assert search.best_params_["transformer__encoder"] in others


def test_features_have_names_and_may_come_as_frames():
    fitted = Transformer(BOVW).fit(IMAGES)
    names = fitted.get_feature_names_out()
    assert (names[0], names[-1], len(names)) == ("transformer0", "transformer31", 32)


def test_what_is_no_image_is_refused():
    with pytest.raises(NotFittedError):
        Transformer(BOVW).transform(IMAGES)
    with pytest.raises(ValueError, match=r"Give image_shape=\(H, W\)"):
        Transformer(BOVW).fit(IMAGES.reshape(30, -1))
    with pytest.raises(ValueError, match=r"image_shape=\(20, 30\); got rows of 576 numbers"):
        Transformer(BOVW, image_shape=(20, 30)).fit(IMAGES.reshape(30, -1))
    with pytest.raises(ValueError, match=r"images of shape \(24, 24\), as fitted; got \(20, 24\)"):
        Transformer(BOVW).fit(IMAGES).transform(IMAGES[:, :20])
    with pytest.raises(ValueError, match="needs at least 3x3 pixels"):
        Transformer(BOVW).fit(IMAGES[:, :2, :2])
    with pytest.raises(ValueError, match="NaN"):
        Transformer(BOVW).fit(IMAGES * np.nan)


class Pixels(repinv.Encoder):
    """Takes images of any size, as scikit-learn's checks have rows of any width."""

    channels = 1
    precision = np.float64

    def vjp(self, x):
        return x[:, 0] + 1, lambda v: v[:, None]

    def feature_shape(self, image_shape):
        return image_shape[1:]


def test_scikit_learns_own_checks_pass():
    """All of them, none being expected to fail; one is skipped unless SCIPY_ARRAY_API is set."""
    results = check_estimator(
        Transformer(Pixels(), image_shape=(1, -1)), expected_failed_checks={}, on_skip=None
    )
    skipped = {r["check_name"] for r in results if r["status"] != "passed"}
    assert skipped <= {"check_array_api_input"}
    assert len(results) > 40


BILINEAR = repinv.HOG.vlfeat(bilinear_orientations=True)


def photographs(count=2):
    names = ("camera", "coins", "moon")[:count]
    found = [getattr(skimage.data, name)()[: 4 * 64 : 4, : 4 * 64 : 4] / 255 for name in names]
    return np.stack(found).astype(np.float32)


def test_the_inverse_is_the_inversion():
    images = photographs()
    step = Transformer(BILINEAR, inversion={"max_iter": 120}).fit(images)
    features = step.transform(images)
    found = step.inverse_transform(features)
    assert found.shape == images.shape
    again = step.transform(found)
    for one, other in zip(again, features, strict=True):
        assert np.sum((one - other) ** 2) < 0.02 * np.sum(other**2)
    quick = Transformer(BILINEAR, inversion={"max_iter": 10}).fit(images)
    alone = repinv.invert(features[1], BILINEAR, shape=(64, 64), max_iter=10).image
    np.testing.assert_allclose(quick.inverse_transform(features)[1], alone, atol=1e-3)


def test_the_inverse_has_the_form_of_what_was_fitted():
    images = photographs()
    rows = images.reshape(2, -1)
    quick = {"inversion": {"max_iter": 3}}
    step = Transformer(BILINEAR, image_shape=(64, 64), **quick).fit(rows)
    assert step.inverse_transform(step.transform(rows)).shape == rows.shape
    bands = np.repeat(images[:, None], 5, axis=1)
    step = Transformer(repinv.HOG.skimage(channel_axis=0), **quick).fit(bands)
    assert step.inverse_transform(step.transform(bands)).shape == bands.shape
    step = Transformer(repinv.HOG.opencv((64, 64)), **quick).fit(255 * images)
    found = step.inverse_transform(step.transform(255 * images))
    assert 50 < found.max() <= 255


def test_the_inverse_of_other_features_is_refused():
    step = Transformer(BILINEAR).fit(photographs())
    with pytest.raises(ValueError, match=r"expected rows of 1984 features.*got 31"):
        step.inverse_transform(np.zeros((2, 31)))


def test_a_pipeline_is_inverted():
    images = photographs(3)
    pipeline = make_pipeline(Transformer(BILINEAR, inversion={"max_iter": 5}), StandardScaler())
    features = pipeline.fit_transform(images)
    assert pipeline.inverse_transform(features).shape == images.shape


@pytest.mark.parametrize(
    "encoder", ["hog.vlfeat", "hog.vlfeat(8)", repinv.HOG.vlfeat()], ids=["name", "call", "encoder"]
)
def test_parameters_of_the_encoder_are_nested(encoder):
    images = photographs()
    step = Transformer(encoder)
    assert step.get_params()["encoder__cell_size"] == 8
    assert "encoder__cell_size" not in step.get_params(deep=False)
    changed = clone(step).set_params(encoder__cell_size=16, image_shape=None)
    assert changed.fit_transform(images).shape == (2, 31 * 16)
    assert step.fit_transform(images).shape == (2, 31 * 64)
    with pytest.raises(ValueError, match=r"no parameter 'cell_sise'\. It has .*cell_size"):
        step.set_params(encoder__cell_sise=4)


def test_a_search_goes_over_parameters_of_the_encoder():
    kinds = np.array([0, 1] * 6)
    rng = np.random.default_rng(0)
    stripes = np.tile(np.arange(32) % 8 < 4, (32, 1)).astype(float)
    images = np.stack([stripes if kind else stripes.T for kind in kinds])
    images += 0.1 * rng.standard_normal(images.shape)
    pipeline = make_pipeline(Transformer("hog.vlfeat"), LinearSVC())
    search = GridSearchCV(pipeline, {"transformer__encoder__cell_size": [8, 16]}, cv=2)
    search.fit(images, kinds)
    assert search.best_score_ == 1


def test_parameters_of_parts_of_parts_are_nested():
    local = repinv.DSIFT.vlfeat(step=4, size=4, fast=True)
    words = repinv.BoVW(local, np.random.default_rng(0).random((4, 128)), grid=(2, 2))
    step = Transformer(words)
    assert step.get_params()["encoder__local__value_range"] == (0.0, 1.0)
    step.set_params(encoder__grid=(1, 1), encoder__local__value_range=(0, 255))
    assert step.encoder.grid == (1, 1)
    wide = repinv.DSIFT.vlfeat(step=4, size=4, fast=True, value_range=(0, 255))
    assert step.encoder.local == wide


@pytest.mark.parametrize(
    "steps",
    [
        (StandardScaler(),),
        (StandardScaler(with_std=False), PCA(8)),
        (PCA(8, whiten=True),),
        (MinMaxScaler(), TruncatedSVD(6)),
        (MaxAbsScaler(), SelectKBest(k=20)),
        ("passthrough",),
    ],
    ids=["scaler", "centred, PCA", "whitened", "min-max, SVD", "selected", "nothing"],
)
def test_weights_are_carried_back_to_the_features(steps):
    images, kinds = stripes(30)
    model = make_pipeline(Transformer(HOG), *steps, LinearSVC(random_state=0)).fit(images, kinds)
    weights = direction(model)
    features = model[0].transform(images)
    change = np.random.default_rng(0).standard_normal(features.shape)
    before, after = (model[1:].decision_function(x) for x in (features, features + change))
    np.testing.assert_allclose(after - before, change @ weights, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(direction(model, 0), -weights)
    np.testing.assert_array_equal(direction(model, 1), weights)


def test_the_pattern_of_a_classifier_scores_higher_than_its_images_and_the_opposite_lower():
    images, kinds = stripes(30)
    model = make_pipeline(Transformer(HOG), StandardScaler(), LinearSVC(random_state=0))
    weights = direction(model.fit(images, kinds))
    found = [repinv.maximize(HOG, w, shape=(24, 24), max_iter=150) for w in (weights, -weights)]
    high, low = (model.decision_function(result.image[None])[0] for result in found)
    scores = model.decision_function(images)
    assert high > scores.max()
    assert low < scores.min()


def test_one_of_several_classes_is_named():
    images, kinds = stripes(30)
    kinds = np.array(["up", "down", "other"])[(kinds + 2 * (np.arange(30) % 3 == 0)) % 3]
    model = make_pipeline(Transformer(HOG), LogisticRegression()).fit(images, kinds)
    np.testing.assert_array_equal(direction(model, "down"), model[-1].coef_[0])
    with pytest.raises(ValueError, match="target is needed: one of"):
        direction(model)
    with pytest.raises(ValueError, match=r"target must be one of .*got 'left'"):
        direction(model, "left")


def test_steps_that_are_not_linear_are_refused():
    images, kinds = stripes(12)
    model = make_pipeline(Transformer(HOG), Normalizer(), LinearSVC()).fit(images, kinds)
    with pytest.raises(
        ValueError, match=r"carried back through Normalizer\(\), which is not linear"
    ):
        direction(model)
    with pytest.raises(ValueError, match="must be a fitted linear estimator"):
        direction(make_pipeline(Transformer(HOG), LinearSVC()))


def test_a_linear_estimator_alone_has_the_direction_of_its_weights():
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((20, 6)), np.arange(20) % 2
    model = LinearSVC().fit(features, labels)
    np.testing.assert_array_equal(direction(model), model.coef_[0])
    np.testing.assert_array_equal(direction(model, 0), -model.coef_[0])
    with pytest.raises(ValueError, match="fitted linear estimator"):
        direction(StandardScaler().fit(features))
