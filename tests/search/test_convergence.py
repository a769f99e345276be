"""Whether a run says that it has not converged."""

import numpy as np
import pytest
from photographs import FACE

import repinv
from repinv.search.convergence import forecast, remark

PHOTOGRAPH = FACE


@pytest.mark.parametrize("power", [1.5, 2.0, 4.0])
def test_the_forecast_is_a_little_more_than_a_power_law_takes(power):
    more = forecast(np.arange(1, 401) ** -power, 400)
    exact = 400 * (2 ** (1 / power) - 1)
    assert exact < more < 1.4 * exact


def test_a_run_that_falls_slowly_has_converged():
    assert forecast(np.arange(1, 401) ** -0.5, 400) is None
    assert forecast(np.ones(400), 400) is None
    assert forecast(np.arange(1, 401) ** -2.0, 3) is None


def test_errors_that_are_negligible_and_runs_that_were_stopped_have_no_remark():
    trace = {"data": np.arange(1.0, 401)[:, None] ** -2}
    assert remark(trace, np.array([1e-3]), 40, "max_iter")
    assert not remark(trace, np.array([1e-5]), 40, "max_iter")
    assert not remark(trace, np.array([1e-3]), 40, "callback")
    assert not remark(trace, np.array([1e-3]), 40, "time_limit")


def test_an_inversion_that_is_cut_short_says_so():
    hog = repinv.HOG.opencv(win_size=(64, 64))
    features = hog(255 * PHOTOGRAPH)
    short = repinv.invert(features, hog, shape=(64, 64), max_iter=90)
    assert "not converged" in short.notes[-1]
    stopped = repinv.invert(features, hog, shape=(64, 64), callback=lambda s: s.iteration >= 90)
    assert not any("not converged" in note for note in stopped.notes)


def test_a_large_error_is_said_once_a_run_was_long_enough():
    flat = {"data": np.ones((120, 1))}
    assert "30 % is large" in remark(flat, np.array([0.3]), 12, "max_iter")[0]
    assert not remark(flat, np.array([0.02]), 12, "max_iter")
    assert not remark({"data": np.ones((50, 1))}, np.array([0.3]), 5, "max_iter")


def test_flat_features_inverted_at_another_shape_end_with_a_remark():
    hog = repinv.HOG.skimage(cells_per_block=(2, 2))
    features = hog(PHOTOGRAPH[:, :48])
    found = repinv.invert(features.ravel(), hog, shape=(48, 64), max_iter=120)
    assert any("shape is not (height, width)" in note for note in found.notes)
    right = repinv.invert(features.ravel(), hog, shape=(64, 48), max_iter=120)
    assert not any("is large" in note for note in right.notes)
