"""VLAD and Fisher vectors: against loops, scikit-learn's posteriors and torch; recovery."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from photographs import CAMERA
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

import repinv
from repinv import SoftAssignment
from repinv.encoders._parts import local_descriptors
from repinv.testing import check_encoder

RNG = np.random.default_rng(5)
SMOOTH = repinv.HOG.vlfeat(4, bilinear_orientations=True)
WORDS = RNG.uniform(0, 0.4, (7, 31))
VARIANCES = RNG.uniform(0.02, 0.1, WORDS.shape)
WEIGHTS = RNG.dirichlet(np.full(7, 5.0))
IMAGES = RNG.uniform(0.05, 0.95, (2, 1, 24, 30))
PHOTOGRAPHS = [CAMERA[y : y + 128, x : x + 128] for y in (0, 150, 300) for x in (0, 130, 260, 384)]
PHOTOGRAPH = CAMERA[64:192:2, 200:328:2]

VLADS = {
    "hard": {"power": 1.0},
    "soft": {"power": 1.0, "assignment": SoftAssignment(0.1)},
    "grid": {"power": 1.0, "grid": (2, 3)},
    "boxes": {"power": 1.0, "grid": (2, 2), "interpolate": False},
    "LLC": {"power": 1.0, "assignment": "llc", "norm": None},
    "intra": {"power": 1.0, "intra": True, "norm": "l1"},
    "root": {"assignment": SoftAssignment(0.5)},
}
FISHERS = {
    "plain": {"power": 1.0, "norm": None},
    "grid": {"power": 1.0, "grid": (2, 3)},
    "boxes": {"power": 1.0, "grid": (2, 2), "interpolate": False, "norm": "l1"},
}


def rows(image):
    return np.moveaxis(SMOOTH.encode(image[None])[0], 0, -1).reshape(-1, 31)


def fisher(**options):
    return repinv.FisherVector(SMOOTH, WEIGHTS, WORDS, VARIANCES, **options)


def mixture():
    """The same mixture in scikit-learn."""
    found = GaussianMixture(7, covariance_type="diag")
    found.weights_, found.means_, found.covariances_ = WEIGHTS, WORDS, VARIANCES
    found.precisions_cholesky_ = 1 / np.sqrt(VARIANCES)
    return found


def test_vlad_is_the_sum_of_residuals():
    x = rows(IMAGES[0])
    expected = np.zeros(WORDS.shape)
    for one in x:
        nearest = ((one - WORDS) ** 2).sum(1).argmin()
        expected[nearest] += (one - WORDS[nearest]) / len(x)
    plain = repinv.VLAD(SMOOTH, WORDS, power=1.0, norm=None).encode(IMAGES)[0]
    np.testing.assert_allclose(plain[0, 0], expected, atol=1e-12)
    root = np.sign(expected) * np.sqrt(np.abs(expected))
    default = repinv.VLAD(SMOOTH, WORDS).encode(IMAGES)[0]
    np.testing.assert_allclose(default[0, 0], root / np.linalg.norm(root), atol=1e-12)
    with np.errstate(invalid="ignore"):
        each = np.nan_to_num(root / np.linalg.norm(root, axis=1, keepdims=True))
    intra = repinv.VLAD(SMOOTH, WORDS, intra=True, norm=None).encode(IMAGES)[0]
    np.testing.assert_allclose(intra[0, 0], each, atol=1e-12)


def fisher_by_loops(x, weights=None):
    """u and v (2, K, D) from scikit-learn's posteriors, one descriptor at a time."""
    q = mixture().predict_proba(x)
    share = np.full(len(x), 1 / len(x)) if weights is None else weights / weights.sum()
    found = np.zeros((2, *WORDS.shape))
    for f, one in enumerate(x):
        for k in range(len(WORDS)):
            z = (one - WORDS[k]) / np.sqrt(VARIANCES[k])
            found[0, k] += share[f] * q[f, k] * z / np.sqrt(WEIGHTS[k])
            found[1, k] += share[f] * q[f, k] * (z**2 - 1) / np.sqrt(2 * WEIGHTS[k])
    return found


def test_a_fisher_vector_is_that_of_vlfeats_convention():
    expected = fisher_by_loops(rows(IMAGES[1]))
    plain = fisher(power=1.0, norm=None).encode(IMAGES)[1]
    np.testing.assert_allclose(plain[0, 0], expected, rtol=1e-9, atol=1e-12)
    root = np.sign(expected) * np.sqrt(np.abs(expected))
    improved = fisher().encode(IMAGES)[1]
    np.testing.assert_allclose(improved[0, 0], root / np.linalg.norm(root), atol=1e-12)
    single = fisher(power=1.0, norm=None).encode(IMAGES.astype(np.float32))[1]
    np.testing.assert_allclose(single[0, 0], expected, atol=2e-5)


def test_cells_of_a_grid_are_codes_of_their_descriptors():
    y, x = SMOOTH.frames((1, 24, 30)).T
    inside = (y > 11.5) & (x < 14.5)
    got = fisher(grid=(2, 2), interpolate=False, power=1.0, norm=None).encode(IMAGES)[1]
    expected = fisher_by_loops(rows(IMAGES[1])[inside])
    np.testing.assert_allclose(got[1, 0], expected, rtol=1e-9, atol=1e-12)
    weight = np.clip((y + 0.5) / 12 - 0.5, 0, 1) * (1 - np.clip((x + 0.5) / 15 - 0.5, 0, 1))
    shared = fisher(grid=(2, 2), power=1.0, norm=None).encode(IMAGES)[1]
    expected = fisher_by_loops(rows(IMAGES[1]), weight)
    np.testing.assert_allclose(shared[1, 0], expected, rtol=1e-9, atol=1e-12)


def test_the_pullback_is_that_of_autograd():
    x = torch.asarray(rows(IMAGES[0])).requires_grad_()
    means, variances = torch.asarray(WORDS), torch.asarray(VARIANCES)
    z = (x[:, None] - means) / variances.sqrt()
    log = -(z**2).sum(-1) / 2 - variances.log().sum(-1) / 2 + torch.asarray(WEIGHTS).log()
    q, root = log.softmax(1)[..., None], torch.asarray(WEIGHTS)[:, None].sqrt()
    u, v = (q * z).mean(0) / root, (q * (z**2 - 1)).mean(0) / root / 2**0.5
    code = torch.stack([u, v])
    code = (code.abs() + 0).sqrt() * code.sign()
    code = code / code.norm()
    cotangent = RNG.standard_normal(code.shape)
    (expected,) = torch.autograd.grad((code * torch.asarray(cotangent)).sum(), x)
    got, pullback = fisher()._code(rows(IMAGES[0]), IMAGES.shape[1:], True)
    np.testing.assert_allclose(got[0, 0], code.detach(), atol=1e-12)
    np.testing.assert_allclose(pullback(cotangent), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("options", VLADS.values(), ids=VLADS)
def test_vlad_keeps_the_contract_of_encoders(options):
    check_encoder(repinv.VLAD(SMOOTH, WORDS, **options), (1, 21, 26))


@pytest.mark.parametrize("options", FISHERS.values(), ids=FISHERS)
def test_fisher_vectors_keep_the_contract_of_encoders(options):
    check_encoder(fisher(**options), (1, 21, 26))


@pytest.mark.parametrize(
    "encoder",
    [repinv.VLAD(SMOOTH, WORDS, assignment="soft", grid=(2, 2)), fisher(grid=(2, 2))],
    ids=["VLAD", "Fisher"],
)
def test_what_is_computed_again_is_what_was_kept(encoder, monkeypatch):
    kept, pull_kept = encoder.vjp(IMAGES)
    v = RNG.standard_normal(kept.shape)
    monkeypatch.setattr(local_descriptors, "_KEPT", 0)
    monkeypatch.setattr("repinv.encoders.words.assignment._BLOCK", 20 * 7)
    again, pull_again = encoder.vjp(IMAGES)
    np.testing.assert_allclose(again, kept, atol=1e-10)
    np.testing.assert_allclose(pull_again(v), pull_kept(v), rtol=1e-6, atol=1e-8)


def test_a_call_hands_pixels_to_the_local_encoder_as_they_are():
    image = RNG.integers(0, 256, (24, 30), dtype=np.uint8)
    local = dataclasses.replace(SMOOTH, value_range=(0, 255))
    for wide, plain in (
        (repinv.VLAD(local, WORDS), repinv.VLAD(SMOOTH, WORDS)),
        (repinv.FisherVector(local, WEIGHTS, WORDS, VARIANCES), fisher()),
    ):
        np.testing.assert_array_equal(wide(image), plain(image))
        assert wide(image).dtype == np.float32


def test_hard_decisions_are_softened_and_smooth_ones_are_not():
    hard = repinv.VLAD(repinv.HOG.vlfeat(4), WORDS)
    assert hard.softened(0.2).assignment == SoftAssignment(0.2 * 0.5)
    assert hard.softened(0.2).local == hard.local.softened(0.2)
    assert repinv.VLAD(SMOOTH, WORDS, assignment=SoftAssignment(0.5)).softened(1.0) is None
    assert fisher().softened(0.5).temperature == 150
    assert fisher().softened(1 / 300) is None
    assert fisher(temperature=300.0).softened(1.0) is None
    over = dataclasses.replace(fisher(), local=hard.local)
    assert over.softened(0.2).local == hard.local.softened(0.2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": WEIGHTS[:3]}, "expected weights"),
        ({"means": WORDS[:, :3]}, "expected weights"),
        ({"weights": 2 * WEIGHTS}, "sum to one"),
        ({"weights": np.array([-1.0, 1, 1, 0, 0, 0, 0])}, "positive"),
        ({"variances": 0 * VARIANCES}, "variances be positive"),
        ({"variances": VARIANCES * np.nan}, "variances must be finite"),
        ({"means": WORDS[:, :30], "variances": VARIANCES[:, :30]}, "have 30 numbers"),
        ({"grid": ((1, 1), (2, 2))}, "whole number"),
        ({"norm": 2}, "norm must be"),
    ],
)
def test_impossible_mixtures_are_refused(options, words):
    given = {"weights": WEIGHTS, "means": WORDS, "variances": VARIANCES, **options}
    with pytest.raises(ValueError, match=words):
        repinv.FisherVector(SMOOTH, **given)


@pytest.fixture(scope="module")
def fitted():
    """Small encoders fitted to photographs."""
    vlad = repinv.VLAD.fit(PHOTOGRAPHS, SMOOTH, 8, progress=False, assignment="soft")
    return vlad, repinv.FisherVector.fit(iter(PHOTOGRAPHS), SMOOTH, 4, progress=False)


def test_fitting_finds_the_mixture_of_descriptors(fitted):
    x = np.concatenate([np.moveaxis(SMOOTH(image), 0, -1).reshape(-1, 31) for image in PHOTOGRAPHS])
    expected = GaussianMixture(4, covariance_type="diag", random_state=0, max_iter=200)
    with threadpool_limits(1):
        expected.fit(x)
    found = fitted[1]
    one = GaussianMixture(4, covariance_type="diag")
    one.weights_, one.means_, one.covariances_ = found.weights, found.means, found.variances
    one.precisions_cholesky_ = 1 / np.sqrt(found.variances)
    assert one.score(x) > expected.score(x) - 1.0


def test_a_bounded_sample_is_fitted_to():
    options = {"sample_size": 300, "seed": 2, "progress": False}
    one, again = (
        repinv.FisherVector.fit(iter(PHOTOGRAPHS), SMOOTH, 2, **options) for _ in range(2)
    )
    assert one == again
    with pytest.raises(ValueError, match="n_components=9 descriptors that are not zero; got 5"):
        repinv.FisherVector.fit(PHOTOGRAPHS, SMOOTH, 9, sample_size=5, progress=False)


def test_what_is_saved_is_loaded(fitted, tmp_path):
    path = tmp_path / "encoder.npz"
    for encoder in (*fitted, fisher(grid=(2, 1), power=1.0, norm=None)):
        encoder.save(path)
        loaded = type(encoder).load(path)
        assert loaded == encoder
        assert hash(loaded) == hash(encoder)
    with pytest.raises(ValueError, match="expected a VLAD"):
        repinv.VLAD.load(path)


def test_inverting_residuals_recovers_them(fitted):
    vlad = dataclasses.replace(fitted[0], power=1.0)
    result = repinv.invert(vlad(PHOTOGRAPH), vlad, shape=(64, 64), max_iter=200)
    assert result.error[0] < 0.03


def test_inverting_a_fisher_vector_recovers_it(fitted):
    plain = dataclasses.replace(fitted[1], power=1.0)
    target, adam = plain(PHOTOGRAPH), repinv.Adam(0.05)
    result = repinv.invert(target, plain, shape=(64, 64), max_iter=400, solver=adam)
    assert result.error[0] < 0.3


@pytest.mark.parametrize("power", [0.6, 0.9, 0.99])
def test_powers_near_one_are_finite_at_zero(power):
    vlad = repinv.VLAD(SMOOTH, WORDS.astype(np.float32), power=power)
    features, pullback = vlad.vjp(np.full((1, 1, 24, 30), 0.5, np.float32))
    assert np.isfinite(features).all()
    assert np.isfinite(pullback(np.ones_like(features))).all()


@pytest.mark.parametrize("norm", ["l1", "l2", None])
@pytest.mark.parametrize("softness", [1.0, 0.05, 0.005])
def test_softened_features_have_the_power_that_is_compared(norm, softness):
    for encoder in (repinv.VLAD(SMOOTH, WORDS, norm=norm), fisher(power=1.0, norm=norm)):
        expected = dataclasses.replace(encoder, power=encoder.compared(softness).power)
        got = encoder.softened_features(encoder.encode(IMAGES), softness)
        np.testing.assert_allclose(got, expected.encode(IMAGES), rtol=1e-9, atol=1e-12)


def test_the_power_changes_while_a_run_is_soft():
    vlad = repinv.VLAD(SMOOTH, WORDS)
    powers = [vlad.compared(softness).power for softness in (1.0, 0.1, 0.01)]
    assert powers == [1.0, 1.0, 0.5]
    assert repinv.VLAD(SMOOTH, WORDS, intra=True).compared(1.0).power == 0.5
    powers = [fisher(power=1.0).compared(softness).power for softness in (1.0, 0.1, 0.01)]
    assert powers == [0.5, 0.5, 1.0]
    # Responses, such as those of a caricature, stay in the units of the features.
    for encoder in (vlad, fisher(power=1.0)):
        assert encoder.softened(1.0).power == encoder.power
