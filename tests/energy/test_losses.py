"""Losses against their formulas; the contract of all of them is in test_conformance.py."""

import numpy as np
import pytest

from repinv import InnerProduct, Shortfall, SquaredError
from repinv.energy.losses import RectifiedError
from repinv.energy.responses import RectifiedShortfall

RNG = np.random.default_rng(2)
TARGET = RNG.standard_normal((1, 4, 5))
FEATURES = RNG.standard_normal((3, 4, 5))
WEIGHT = RNG.uniform(0, 2, (1, 4, 5))


def test_squared_error_is_relative_to_the_target():
    value, grad = SquaredError(TARGET).value_and_grad(FEATURES)
    scale = np.sum(TARGET**2)
    np.testing.assert_allclose(value, [np.sum((f - TARGET[0]) ** 2) / scale for f in FEATURES])
    np.testing.assert_allclose(grad, 2 * (FEATURES - TARGET) / scale)


def test_squared_error_vanishes_at_the_target_and_is_one_at_zero():
    value, grad = SquaredError(TARGET).value_and_grad(np.concatenate([TARGET, 0 * TARGET]))
    np.testing.assert_allclose(value, [0, 1], rtol=1e-15)
    np.testing.assert_array_equal(grad[0], 0)


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e6])
def test_squared_error_has_no_unit(factor):
    expected = SquaredError(TARGET).value_and_grad(FEATURES)[0]
    value, grad = SquaredError(factor * TARGET).value_and_grad(factor * FEATURES)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(
        np.vecdot(grad[1].ravel(), factor * FEATURES[1].ravel()),
        np.vecdot(SquaredError(TARGET).value_and_grad(FEATURES)[1][1].ravel(), FEATURES[1].ravel()),
        rtol=1e-12,
    )


def test_every_problem_may_have_a_target_of_its_own():
    targets = RNG.standard_normal(FEATURES.shape)
    value, grad = SquaredError(targets).value_and_grad(FEATURES)
    for i in range(3):
        value_of_one, grad_of_one = SquaredError(targets[i : i + 1]).value_and_grad(
            FEATURES[i : i + 1]
        )
        np.testing.assert_allclose(value_of_one[0], value[i], rtol=1e-14)
        np.testing.assert_allclose(grad_of_one[0], grad[i], rtol=1e-14)


def test_the_distance_to_a_target_of_norm_zero_is_absolute():
    value, grad = SquaredError(0 * TARGET).value_and_grad(FEATURES)
    np.testing.assert_allclose(value, np.sum(FEATURES**2, axis=(1, 2)))
    np.testing.assert_allclose(grad, 2 * FEATURES)


def test_a_zero_target_among_others_leaves_them_relative():
    targets = np.concatenate([0 * TARGET, TARGET])
    value, _ = SquaredError(targets).value_and_grad(np.concatenate([TARGET, 0 * TARGET]))
    np.testing.assert_allclose(value, [np.sum(TARGET**2), 1])


def test_a_weight_is_that_of_the_squared_difference_in_error_and_scale():
    value, grad = SquaredError(TARGET, WEIGHT).value_and_grad(FEATURES)
    scale = np.sum(WEIGHT * TARGET**2)
    expected = [np.sum(WEIGHT * (f - TARGET) ** 2) / scale for f in FEATURES]
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(grad, 2 * WEIGHT * (FEATURES - TARGET) / scale)


def test_features_of_weight_zero_do_not_count():
    weight = (RNG.random((1, 4, 5)) < 0.5).astype(float)
    elsewhere = FEATURES + 100 * (1 - weight)
    value, grad = SquaredError(TARGET, weight).value_and_grad(elsewhere)
    expected, expected_grad = SquaredError(TARGET, weight).value_and_grad(FEATURES)
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    np.testing.assert_array_equal(grad[:, weight[0] == 0], 0)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-12)
    kept = weight[0] > 0
    alone = SquaredError(TARGET[:, kept]).value_and_grad(FEATURES[:, kept])[0]
    np.testing.assert_allclose(value, alone, rtol=1e-13)


def test_a_weight_broadcasts_to_the_features():
    by_row = np.array([1.0, 0.0, 2.0, 0.5])[None, :, None]
    full = np.broadcast_to(by_row, TARGET.shape)
    got = SquaredError(TARGET, by_row).value_and_grad(FEATURES)
    expected = SquaredError(TARGET, full).value_and_grad(FEATURES)
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-14)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-14)


def test_a_common_factor_of_the_weights_cancels():
    expected = SquaredError(TARGET, WEIGHT).value_and_grad(FEATURES)[0]
    value = SquaredError(TARGET, 1e-4 * WEIGHT).value_and_grad(FEATURES)[0]
    np.testing.assert_allclose(value, expected, rtol=1e-13)


def test_small_float32_errors_are_not_lost_in_cancellation():
    target = (10 + RNG.random((1, 10_000))).astype(np.float32)
    difference = (1e-3 * RNG.standard_normal(target.shape)).astype(np.float32)
    features = target + difference
    exact = np.sum((features.astype(float) - target) ** 2) / np.sum(target.astype(float) ** 2)
    np.testing.assert_allclose(SquaredError(target).value_and_grad(features)[0], exact, rtol=1e-5)


def test_inner_product_counts_large_responses_as_low():
    value, grad = InnerProduct(TARGET, scale=4.0).value_and_grad(FEATURES)
    np.testing.assert_allclose(value, [-np.sum(f * TARGET[0]) / 4 for f in FEATURES])
    np.testing.assert_allclose(grad, np.broadcast_to(-TARGET / 4, FEATURES.shape))


def test_a_one_hot_direction_reads_one_component():
    direction = np.zeros_like(TARGET)
    direction[0, 2, 3] = 1
    value, grad = InnerProduct(direction).value_and_grad(FEATURES)
    np.testing.assert_array_equal(value, -FEATURES[:, 2, 3])
    assert np.count_nonzero(grad) == len(FEATURES)


def test_a_rectified_error_is_that_of_rectified_features_where_nothing_is_off():
    rng = np.random.default_rng(4)
    target = np.maximum(rng.standard_normal((1, 5, 6)), 0)
    features = rng.standard_normal((3, 5, 6))
    on = np.where(target > 0, np.abs(features), features)
    value, grad = RectifiedError(target).value_and_grad(on)
    expected, expected_grad = SquaredError(target).value_and_grad(np.maximum(on, 0))
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(grad, expected_grad)
    # Where what should be on is off, it is further than after the rectifier, and drawn back.
    value, grad = RectifiedError(target, 0.5).value_and_grad(features)
    assert (value > SquaredError(target, 0.5).value_and_grad(np.maximum(features, 0))[0]).all()
    assert (grad[(features < 0) & (target > 0)] < 0).all()
    assert not grad[(features < 0) & (target == 0)].any()


def test_a_rectified_shortfall_is_that_of_rectified_features_once_one_is_on():
    rng = np.random.default_rng(5)
    direction, features = rng.standard_normal((1, 5, 6)), rng.standard_normal((3, 5, 6))
    value, grad = RectifiedShortfall(direction, 2.0, 30.0).value_and_grad(features)
    loss = Shortfall(direction, 2.0, 30.0)
    expected, expected_grad = loss.value_and_grad(np.maximum(features, 0))
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(grad, expected_grad * (features > 0))
    # With all that is wanted off, it is drawn up; what is not wanted and off stays where it is.
    off = np.where(direction > 0, -np.abs(features), features)
    value, grad = RectifiedShortfall(direction, 2.0, 30.0).value_and_grad(off)
    assert (value > loss.value_and_grad(np.maximum(off, 0))[0]).all()
    assert (grad[np.broadcast_to(direction > 0, off.shape)] < 0).all()
    assert not grad[(direction < 0) & (off < 0)].any()
