"""The energy: a sum whose terms are told, and whose gradient goes through every part."""

import dataclasses

import numpy as np
import pytest

import repinv
from repinv import Energy, Weighted
from repinv.testing import check_vjp

RNG = np.random.default_rng(8)
HOG = repinv.HOG.vlfeat(4, bilinear_orientations=True)
PHOTOGRAPHS = RNG.random((2, 3, 20, 24))
LOSS = repinv.SquaredError(HOG.encode(PHOTOGRAPHS))
PRIORS = (
    Weighted("alpha", 0.3, repinv.AlphaNorm()),
    Weighted("variation", 0.1, repinv.TotalVariation(beta=1.5)),
    Weighted("range", 2.0, repinv.IntensityRange(0.1, 0.9)),
)
Z = 2 * RNG.standard_normal(PHOTOGRAPHS.shape)
PARAMETRIZATIONS = {
    "pixels": repinv.Pixels(),
    "spectral": repinv.Spectral(),
    "jitter": repinv.Jitter(repinv.Spectral(), 3),
}
parametrizations = pytest.mark.parametrize(
    "parametrization", PARAMETRIZATIONS.values(), ids=PARAMETRIZATIONS
)


@parametrizations
def test_the_value_is_the_sum_of_its_terms(parametrization):
    value, grad, terms = Energy(HOG, LOSS, parametrization, PRIORS).value_and_grad(Z, 3)
    assert (value.shape, grad.shape) == ((2,), Z.shape)
    assert list(terms) == ["data", "alpha", "variation", "range"]
    np.testing.assert_allclose(sum(terms.values()), value, rtol=1e-14)


@parametrizations
def test_the_terms_are_those_of_the_parts_by_themselves(parametrization):
    terms = Energy(HOG, LOSS, parametrization, PRIORS).value_and_grad(Z, 3)[2]
    x = parametrization.vjp(Z, 3)[0]
    np.testing.assert_array_equal(terms["data"], LOSS.value_and_grad(HOG.encode(x))[0])
    for term in PRIORS:
        expected = term.weight * term.prior.value_and_grad(x)[0]
        np.testing.assert_allclose(terms[term.name], expected, rtol=1e-14)


@parametrizations
@pytest.mark.parametrize("loss", [LOSS, repinv.InnerProduct(LOSS.target, scale=50.0)])
def test_the_gradient_is_that_of_the_value(parametrization, loss):
    energy = Energy(HOG, loss, parametrization, PRIORS)

    def vjp(z):
        value, grad, _ = energy.value_and_grad(z, 2)
        return value, lambda v: v[:, None, None, None] * grad

    check_vjp(vjp, Z, tolerance=1e-6, step=1e-6)


def test_the_gradient_is_a_sum_over_the_terms():
    whole = Energy(HOG, LOSS, repinv.Spectral(), PRIORS).value_and_grad(Z)[1]
    bare = Energy(HOG, LOSS, repinv.Spectral()).value_and_grad(Z)[1]
    parts = [
        Energy(HOG, LOSS, repinv.Spectral(), (term,)).value_and_grad(Z)[1] - bare for term in PRIORS
    ]
    np.testing.assert_allclose(bare + sum(parts), whole, rtol=1e-9, atol=1e-12)


def test_the_energy_of_float32_stays_float32():
    loss = repinv.SquaredError(LOSS.target.astype(np.float32))
    energy = Energy(HOG, loss, repinv.Spectral(), PRIORS)
    value, grad, terms = energy.value_and_grad(Z.astype(np.float32))
    dtypes = {array.dtype for array in (value, grad, *terms.values())}
    assert dtypes == {np.dtype(np.float32)}


def test_the_encoder_is_called_once_and_its_pullback_once():
    calls = []

    @dataclasses.dataclass(frozen=True)
    class Counted(repinv.Encoder):
        def vjp(self, x, /):
            calls.append("forward")
            features, pullback = HOG.vjp(x)

            def counted(v):
                calls.append("backward")
                return pullback(v)

            return features, counted

        def feature_shape(self, image_shape, /):
            return HOG.feature_shape(image_shape)

    Energy(Counted(), LOSS, repinv.Spectral(), PRIORS).value_and_grad(Z)
    assert calls == ["forward", "backward"]


def test_a_surrogate_gives_the_gradient_and_the_true_encoder_the_value():
    hard = repinv.HOG.vlfeat(4)
    soft = hard.softened(0.4)
    loss = repinv.SquaredError(hard.encode(PHOTOGRAPHS))
    x = repinv.Pixels().project(PHOTOGRAPHS + 0.1 * Z)
    energy = Energy(repinv.StraightThrough(hard, soft), loss, repinv.Pixels())
    value, grad, _ = energy.value_and_grad(x)
    expected, cotangent = loss.value_and_grad(hard.encode(x))
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(grad, soft.vjp(x)[1](cotangent))


def test_problems_of_a_batch_do_not_know_each_other():
    energy = Energy(HOG, LOSS, repinv.Spectral(), PRIORS)
    value, grad, _ = energy.value_and_grad(Z)
    changed = Z.copy()
    changed[1] = 0
    other, other_grad, _ = energy.value_and_grad(changed)
    np.testing.assert_allclose(other[0], value[0], rtol=1e-14)
    np.testing.assert_allclose(other_grad[0], grad[0], rtol=1e-12, atol=1e-15)
    assert other[1] != value[1]
