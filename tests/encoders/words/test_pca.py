"""Principal components of descriptors: against scikit-learn, in Fisher vectors, in files."""

import numpy as np
import pytest
import skimage
from sklearn.decomposition import PCA as SklearnPCA

import repinv
from repinv import DSIFT, HOG, PCA, BoVW, FisherVector
from repinv.encoders import expressions
from repinv.testing import check_encoder, check_vjp

IMAGES = [
    (getattr(skimage.data, name)()[: 4 * 64 : 4, : 4 * 64 : 4] / 255).astype(np.float32)
    for name in ("camera", "coins", "moon", "brick", "grass", "gravel")
]
SIFT = DSIFT.vlfeat(step=4, size=4, fast=True)
LOCALS = {"DSIFT": SIFT, "HOG": HOG.vlfeat(), "DPM": HOG.dpm(), "kornia": DSIFT.kornia(stride=4)}


def fitted(local=SIFT, **options):
    return PCA.fit(IMAGES, local, 6, progress=False, **options)


@pytest.mark.parametrize("whiten", [False, True])
def test_it_is_scikit_learns(whiten):
    rows = np.concatenate([SIFT(image) for image in IMAGES])
    rows = rows[np.any(rows != 0, axis=1)]
    pca = PCA.fit(rows, SIFT, 6, descriptors=True, whiten=whiten, progress=False)
    expected = SklearnPCA(6, whiten=whiten, svd_solver="full").fit(rows.astype(np.float64))
    np.testing.assert_allclose(pca(IMAGES[0]), expected.transform(SIFT(IMAGES[0])), atol=2e-4)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("local", LOCALS.values(), ids=LOCALS)
def test_contract_is_kept(local, whiten):
    pca = fitted(local, whiten=whiten)
    check_encoder(pca, (1, 40, 48), gradient=False)
    x = np.random.default_rng(1).uniform(0.05, 0.95, (2, 1, 40, 48))
    check_vjp(pca.vjp, x, step=1e-7, tolerance=1e-6)


@pytest.mark.parametrize("local", LOCALS.values(), ids=LOCALS)
def test_the_layout_is_that_of_the_local_encoder(local):
    pca = fitted(local)
    shape, axis = local.feature_shape((1, 64, 64)), local.descriptor_axis
    assert pca.feature_shape((1, 64, 64)) == (*shape[:axis], 6, *shape[axis + 1 :])
    assert pca.image_shapes(pca.feature_shape((1, 64, 64))) == local.image_shapes(shape)
    np.testing.assert_array_equal(pca.frames((1, 64, 64)), local.frames((1, 64, 64)))
    assert (pca.layout, pca.channels) == (local.layout, local.channels)


def test_a_fisher_vector_of_components_is_inverted():
    pca = fitted(whiten=True)
    fisher = FisherVector.fit(IMAGES, pca, 4, grid=(2, 2), progress=False)
    assert fisher.feature_shape((1, 64, 64)) == (2, 2, 2, 4, 6)
    target = fisher(IMAGES[0])
    result = repinv.invert(target, fisher, shape=(64, 64), max_iter=250)
    others = min(np.sum((fisher(image) - target) ** 2) for image in IMAGES[1:])
    assert result.error[0] < 0.2 < 0.2 * others / np.sum(target**2)


def test_components_are_inverted():
    pca = PCA.fit(IMAGES, SIFT, 40, progress=False)
    result = repinv.invert(pca(IMAGES[0]), pca, shape=(64, 64), max_iter=150)
    assert result.error[0] < 0.05
    features = pca(result.image)
    error = np.sum((features - pca(IMAGES[0])) ** 2) / np.sum(pca(IMAGES[0]) ** 2)
    assert error == pytest.approx(result.error[0], rel=1e-2)


def test_flat_places_are_not_learned_from():
    flat = np.full((64, 64), 0.5, np.float32)
    pca = fitted()
    np.testing.assert_allclose(pca(flat)[0], pca.of_nothing, atol=1e-6)
    with_flat = BoVW.fit([*IMAGES, flat], pca, 4, progress=False)
    assert with_flat == BoVW.fit(IMAGES, pca, 4, progress=False)


def test_what_was_saved_is_loaded(tmp_path):
    for pca in (fitted(), fitted(whiten=True)):
        pca.save(tmp_path / "pca.npz")
        assert PCA.load(tmp_path / "pca.npz") == pca
        assert hash(PCA.load(tmp_path / "pca.npz")) == hash(pca)
    fisher = FisherVector.fit(IMAGES, pca, 3, progress=False)
    fisher.save(tmp_path / "fisher.npz")
    assert FisherVector.load(tmp_path / "fisher.npz") == fisher
    named = expressions.encoder_of(f"fisher.load({str(tmp_path / 'fisher.npz')!r})")
    assert named == fisher


def test_softened_and_relaxed_are_of_the_local_encoder():
    pca = fitted(HOG.vlfeat())
    assert pca.softened(0.5).local == HOG.vlfeat().softened(0.5)
    assert pca.with_surrogate_slopes(0.5).local == HOG.vlfeat().with_surrogate_slopes(0.5)
    assert pca.annealing == HOG.vlfeat().annealing
    assert fitted(SIFT).softened(0.5) is None


@pytest.mark.parametrize(
    ("mean", "components", "deviations", "words"),
    [
        (np.zeros(128), np.zeros((3, 127)), None, r"got shapes \(128,\) and \(3, 127\)"),
        (np.zeros(31), np.zeros((3, 31)), None, "words have 31 numbers each"),
        (np.zeros(128), np.zeros((3, 128)), np.ones(2), "expected 3 deviations above zero; got 2"),
        (np.zeros(128), np.zeros((3, 128)), np.array([1, 0, 1]), "expected 3 deviations above"),
    ],
)
def test_what_does_not_fit_is_refused(mean, components, deviations, words):
    with pytest.raises(ValueError, match=words):
        PCA(SIFT, mean, components, deviations=deviations)


def test_too_many_components_are_refused():
    with pytest.raises(ValueError, match="from 1 to 128; got 129"):
        PCA.fit(IMAGES, SIFT, 129, progress=False)
    with pytest.raises(TypeError, match="needs an encoder of local descriptors"):
        PCA.fit(IMAGES, HOG.skimage(), 3, progress=False)
