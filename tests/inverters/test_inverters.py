"""Inverters that are learned: each encoder, each inverter, files, starts of runs."""

import numpy as np
import pytest
import skimage

import repinv
from repinv.inverters import (
    DirectOptimization,
    ExemplarLDA,
    Inverter,
    NearestPatches,
    PairedDictionary,
    Ridge,
)
from repinv.metrics import feature_error, ncc

IMAGES = [
    skimage.util.img_as_float32(image[y : y + 128, x : x + 128])
    for image in (skimage.data.coins(), skimage.color.rgb2gray(skimage.data.chelsea()))
    for y in (0, 128)
    for x in (40, 168)
]
HELD_OUT = IMAGES.pop()
ENCODERS = {
    "HOG.vlfeat": repinv.HOG.vlfeat(),
    "HOG.dpm": repinv.HOG.dpm(),
    "HOG.skimage": repinv.HOG.skimage(),
    "HOG.opencv": repinv.HOG.opencv(win_size=(128, 128), gamma_correction=True),
    "DSIFT.vlfeat": repinv.DSIFT.vlfeat(8, 8),
    "DSIFT.natural": repinv.DSIFT.natural(5),
    "DSIFT.kornia": repinv.DSIFT.kornia(stride=8),
    "BoVW": repinv.BoVW.pretrained(256, grid=(8, 8)),
}
FITS = {
    "ridge": lambda encoder, images=IMAGES: Ridge.fit(images, encoder, progress=False),
    "lda": lambda encoder, images=IMAGES: ExemplarLDA.fit(
        images, encoder, n_detections=4, windows_per_image=50, window=1, progress=False
    ),
    "nearest": lambda encoder, images=IMAGES: NearestPatches.fit(images, encoder, progress=False),
    "paired": lambda encoder, images=IMAGES: PairedDictionary.fit(
        images, encoder, n_atoms=24, windows_per_image=60, window=3, progress=False
    ),
    "direct": lambda encoder, images=IMAGES: DirectOptimization.fit(
        images, encoder, n_components=256, max_iter=40, progress=False
    ),
}
HOG = ENCODERS["HOG.vlfeat"]


class InColour(repinv.Encoder):
    """The pixels of colour images."""

    channels = 3

    def feature_shape(self, image_shape):
        return image_shape

    def vjp(self, x):
        return x, lambda v: v


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", ENCODERS)
def test_every_inverter_inverts_every_encoder(name, fit):
    encoder = ENCODERS[name]
    inverter = FITS[fit](encoder)
    x = HELD_OUT[None, None]
    features = encoder.encode(x)[0]
    result = inverter.invert(features, shape=HELD_OUT.shape)
    assert isinstance(result, repinv.Result)
    assert result.images.shape == (1, 128, 128)
    assert result.image.min() >= 0
    assert result.image.max() <= 1
    found = encoder.encode(result.images[:, None].astype(np.float32))
    np.testing.assert_allclose(result.features, found, atol=1e-5)
    np.testing.assert_allclose(result.error, feature_error(found, features[None]), rtol=1e-3)
    # Better than knowing nothing: than the features of other photographs.
    others = [feature_error(encoder.encode(o[None, None]), features[None])[0] for o in IMAGES]
    assert result.error[0] < (max(others) if fit == "nearest" else np.mean(others))


@pytest.mark.parametrize("fit", ["ridge", "nearest", "paired", "direct"])
def test_an_image_that_was_learned_from_is_recognized(fit):
    inverter = FITS[fit](HOG)
    result = inverter.invert(HOG(IMAGES[0]), shape=(128, 128))
    assert ncc(result.image, IMAGES[0]) > 0.4


@pytest.mark.parametrize("fit", FITS)
def test_inverters_are_saved_and_loaded(tmp_path, fit):
    inverter = FITS[fit](HOG)
    inverter.save(tmp_path / "inverter.npz")
    for cls in (type(inverter), Inverter):
        read = cls.load(tmp_path / "inverter.npz")
        assert read == inverter
        assert hash(read) == hash(inverter)
    other = NearestPatches if fit != "nearest" else Ridge
    with pytest.raises(ValueError, match=rf"expected a {other.__name__}.*got a"):
        other.load(tmp_path / "inverter.npz")


def test_what_ships_is_loaded():
    for inverter in (Ridge.pretrained(), PairedDictionary.pretrained(256)):
        assert inverter.encoder == HOG
        result = inverter.invert(HOG(HELD_OUT), shape=HELD_OUT.shape)
        assert result.error[0] < 0.6
    hoggle = repinv.HOGgle.pretrained(256)
    assert PairedDictionary.of(hoggle) == PairedDictionary.pretrained(256)
    shown = hoggle.decode(hoggle(HELD_OUT), HELD_OUT.shape)
    found = PairedDictionary.of(hoggle).invert(HOG(HELD_OUT), HELD_OUT.shape).image
    assert ncc(shown, found) > 0.99


def test_ridge_is_ridge():
    from sklearn.linear_model import Ridge as Theirs

    from repinv.inverters import base

    rows = list(base.pairs(IMAGES, HOG, 1, 10**6, 0, progress=False))
    x, y = (np.concatenate([row[k] for row in rows]).astype(float) for k in (1, 2))
    mine = Ridge.fit(
        IMAGES, HOG, window=1, windows_per_image=10**6, regularization=0.3, progress=False
    )
    theirs = Theirs(alpha=0.3 * x.var(axis=0).sum() / x.shape[1] * len(x)).fit(x, y)
    np.testing.assert_allclose(mine.weights, theirs.coef_.T, atol=1e-4)
    np.testing.assert_allclose(mine.intercept, theirs.intercept_, atol=1e-4)


def test_a_basis_is_inverted_where_it_reaches():
    from repinv.inverters.direct import CosineBasis

    basis = CosineBasis(np.linspace(1, 0.1, 36).reshape(6, 6))
    z = np.zeros((1, 1, 16, 20))
    z[..., :6, :6] = np.random.default_rng(0).standard_normal((6, 6))
    np.testing.assert_allclose(basis.inverse(basis.image(z)), z, atol=1e-10)
    repinv.testing.check_vjp(lambda x: basis.vjp(x), z)


def test_a_run_starts_from_what_an_inverter_finds():
    ridge = Ridge.pretrained()
    features = HOG(HELD_OUT)
    image = ridge.invert(features, shape=HELD_OUT.shape).image
    options = {"shape": HELD_OUT.shape, "max_iter": 30}
    found = repinv.invert(features, HOG, initial=ridge, **options)
    expected = repinv.invert(features, HOG, initial=image, **options)
    np.testing.assert_array_equal(found.image, expected.image)
    bilinear = repinv.HOG.vlfeat(bilinear_orientations=True)
    with pytest.raises(ValueError, match=r"initial inverts features of HOG.*Fit one"):
        repinv.invert(features, bilinear, initial=ridge, **options)


def test_inverters_are_compared():
    table = repinv.compare(HELD_OUT, [HOG, Ridge.pretrained()], max_iter=50)
    assert [row.name for row in table.rows] == ["HOG", "Ridge"]
    assert table.rows[0].error < 0.1 * table.rows[1].error


@pytest.mark.parametrize(
    ("action", "error", "match"),
    [
        (lambda: Ridge.fit([], HOG, progress=False), ValueError, "at least 2 windows.*got 0"),
        (
            lambda: DirectOptimization.fit([], HOG, progress=False),
            ValueError,
            "at least one image",
        ),
        (
            lambda: NearestPatches.fit([HELD_OUT[:40, :40]], HOG, progress=False),
            ValueError,
            "at least 4 windows.*got 1",
        ),
        (
            lambda: PairedDictionary.fit(IMAGES[:1], HOG, n_atoms=500, progress=False),
            ValueError,
            "n_atoms=500",
        ),
        (
            lambda: Ridge.fit(IMAGES, repinv.BoVW.pretrained(256, grid=(1, 1)), progress=False),
            TypeError,
            "cells on one grid; the features of BoVW",
        ),
        (
            lambda: Ridge.fit(IMAGES, repinv.DSIFT.phow(), progress=False),
            TypeError,
            "cells on one grid",
        ),
        (
            lambda: Ridge.fit(IMAGES, InColour(), progress=False),
            ValueError,
            "takes 3 channels",
        ),
        (
            lambda: Ridge.pretrained().invert(np.zeros((31, 4, 9)), shape=(32, 72)),
            ValueError,
            "4x9 cells; windows need 5",
        ),
        (
            lambda: Ridge.pretrained().invert(np.full((31, 8, 8), np.nan), shape=(64, 64)),
            ValueError,
            "finite",
        ),
        (
            lambda: Ridge.pretrained().invert(np.zeros((31, 8, 8)), shape=(80, 80)),
            ValueError,
            r"shape=\(80, 80\) gives",
        ),
        (
            lambda: Ridge.fit(IMAGES, HOG, regularization=0, progress=False),
            ValueError,
            "regularization",
        ),
    ],
)
def test_what_cannot_be_is_refused(action, error, match):
    with pytest.raises(error, match=match):
        action()


def test_negative_and_huge_features_are_taken():
    features = 1e20 * np.random.default_rng(0).standard_normal((31, 8, 8))
    for inverter in (Ridge.pretrained(), PairedDictionary.pretrained(256)):
        result = inverter.invert(features, shape=(64, 64))
        assert np.isfinite(result.image).all()
