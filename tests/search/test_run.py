"""Runs that are watched, stopped and continued, and those of an encoder of the user's own."""

import dataclasses
import itertools
import time

import numpy as np
import pytest
from photographs import SMALL

import repinv
from repinv import HOG, LBFGS, Adam, Momentum, invert, metrics
from repinv.energy.energy import Energy
from repinv.search import run

SMALL = SMALL.astype(np.float32)
BILINEAR = HOG.vlfeat(bilinear_orientations=True)
HARD = HOG.vlfeat()
FEATURES = {BILINEAR: BILINEAR(SMALL), HARD: HARD(SMALL)}
flavours = pytest.mark.parametrize("encoder", [BILINEAR, HARD], ids=["bilinear", "hard"])


def quick(encoder=BILINEAR, **options):
    """An inversion of the small photograph, of few steps unless told otherwise."""
    options = {"shape": (64, 64), "max_iter": 30} | options
    return invert(FEATURES[encoder], encoder, **options)


def error_of(image, encoder, target):
    """The error in float64."""
    features = encoder(image.astype(np.float64))
    return metrics.feature_error(features[None], target.astype(np.float64)[None])


@flavours
def test_a_callback_sees_the_iterations_of_the_whole_run_and_may_stop_it(encoder):
    shown = []

    def callback(snapshot):
        shown.append(snapshot.iteration)
        return len(shown) == 3

    result = quick(encoder, max_iter=160, callback=callback, check_every=5)
    assert shown == [5, 10, 15]
    assert (result.stop_reason, result.iterations) == ("callback", 15)


def test_a_time_limit_ends_the_run_within_a_check(monkeypatch):
    for encoder in (BILINEAR, HARD):
        result = quick(encoder, max_iter=400, time_limit=0.0)
        assert (result.stop_reason, result.iterations) == ("time_limit", 10)
    readings = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: 0.01 * next(readings))
    result = quick(max_iter=100_000, time_limit=0.3)
    assert result.stop_reason == "time_limit"
    # A reading at every check of ten evaluations, and a few around the run.
    assert 10 * 20 < result.iterations <= 10 * 31


@flavours
def test_short_stages_do_not_outrun_the_time_limit(encoder):
    # Stages of less than `check_every` iterations look at the clock and the callback too.
    shown = []
    result = quick(
        encoder, max_iter=40, check_every=10, callback=lambda s: shown.append(s.iteration)
    )
    assert max(np.diff([0, *shown, 40])) <= 10
    assert quick(encoder, max_iter=40, time_limit=0.0).iterations <= 10
    assert result.iterations == 40


def test_a_tolerance_ends_the_run():
    result = quick(solver=LBFGS(), max_iter=400, tol=0.3)
    assert result.stop_reason == "tolerance"
    assert result.iterations < 400
    assert result.iterations % 10 == 0


def interrupting(monkeypatch, at):
    """Ctrl-C in the evaluation of iteration `at`, once."""
    calls = []
    value_and_grad = Energy.value_and_grad

    def interrupted(self, z, iteration):
        calls.append(1)
        if len(calls) == at + 1:
            raise KeyboardInterrupt
        return value_and_grad(self, z, iteration)

    monkeypatch.setattr(Energy, "value_and_grad", interrupted)


@flavours
@pytest.mark.parametrize("at", [0, 1, 33])
def test_an_interrupted_run_has_the_best_so_far(monkeypatch, encoder, at):
    interrupting(monkeypatch, at)
    result = quick(encoder, max_iter=80)
    monkeypatch.undo()
    assert (result.stop_reason, result.iterations) == ("interrupted", at)
    assert result.image.shape == (64, 64)
    np.testing.assert_allclose(
        result.error, error_of(result.image, encoder, FEATURES[encoder]), rtol=1e-3
    )


def assert_same_run(got, expected):
    np.testing.assert_array_equal(got.images, expected.images)
    np.testing.assert_array_equal(got.error, expected.error)
    np.testing.assert_array_equal(got.features, expected.features)
    assert got.trace.keys() == expected.trace.keys()
    for name, values in expected.trace.items():
        np.testing.assert_array_equal(got.trace[name], values)
    assert got.iterations == expected.iterations
    assert got.evaluations == expected.evaluations
    assert got.stop_reason == expected.stop_reason
    assert got.notes == expected.notes


@flavours
@pytest.mark.parametrize("at", [0, 20, 63, 72, 130, 179])
def test_a_run_interrupted_in_any_stage_is_continued_to_the_identical_end(
    monkeypatch, tmp_path, encoder, at
):
    options = {"max_iter": 180, "n_preimages": 2, "jitter": 1, "shape": None}
    whole = quick(encoder, **options)
    interrupting(monkeypatch, at)
    part = quick(encoder, **options)
    monkeypatch.undo()
    assert (part.stop_reason, part.iterations) == ("interrupted", at)
    part.save(tmp_path / "run.npz")
    assert_same_run(repinv.resume(tmp_path / "run.npz"), whole)


@flavours
def test_a_run_interrupted_between_stages_is_continued_to_the_identical_end(
    monkeypatch, tmp_path, encoder
):
    def interrupted(*_):
        raise KeyboardInterrupt

    whole = quick(encoder, max_iter=180)
    monkeypatch.setattr(run, "evening_weights", interrupted)
    part = quick(encoder, max_iter=180)
    monkeypatch.undo()
    assert part.stop_reason == "interrupted"
    assert 0 < part.iterations < 180
    part.save(tmp_path / "run.npz")
    assert_same_run(repinv.resume(tmp_path / "run.npz"), whole)


@pytest.mark.parametrize(
    "solver", [LBFGS(), Adam(), repinv.AdaGrad(), Momentum(((1.0, 20), (0.1, 1)))]
)
def test_a_run_may_be_stopped_and_continued_more_than_once(tmp_path, solver):
    options = {"solver": solver, "max_iter": 60, "mask": np.linspace(0, 1, 8)}
    whole = quick(**options)
    part = quick(**options, callback=lambda snapshot: snapshot.iteration == 20)
    part.save(tmp_path / "run.npz")
    part = repinv.resume(tmp_path / "run.npz", callback=lambda snapshot: snapshot.iteration == 40)
    assert (part.iterations, part.stop_reason) == (40, "callback")
    part.save(tmp_path / "run.npz")
    assert_same_run(repinv.resume(tmp_path / "run.npz"), whole)
    # Continuing does not change the file.
    assert_same_run(repinv.resume(tmp_path / "run.npz"), whole)


@pytest.mark.parametrize("back", [10, 20])
def test_a_continued_run_stops_by_tolerance_where_it_would_have(tmp_path, back):
    options = {"solver": LBFGS(), "max_iter": 400, "tol": 0.3}
    whole = quick(**options)
    assert whole.stop_reason == "tolerance"
    stop = whole.iterations - back
    part = quick(**options, callback=lambda snapshot: snapshot.iteration == stop)
    part.save(tmp_path / "run.npz")
    assert_same_run(repinv.resume(tmp_path / "run.npz"), whole)


@flavours
def test_a_finished_run_is_continued_by_nothing(tmp_path, encoder):
    whole = quick(encoder)
    whole.save(tmp_path / "run.npz")
    assert_same_run(repinv.resume(tmp_path / "run.npz"), whole)
    with np.load(tmp_path / "run.npz") as file:  # nor does it hold what a rule remembers
        assert not [name for name in file.files if name.startswith("state/")]


@dataclasses.dataclass(frozen=True)
class Own(repinv.Encoder):
    """An encoder that is not repinv's: sums of neighbours."""

    def vjp(self, x, /):
        def pullback(v):
            grad = np.zeros_like(x)
            grad[..., 1:] += v
            grad[..., :-1] += v
            return grad

        return x[..., 1:] + x[..., :-1], pullback

    def feature_shape(self, image_shape, /):
        return (*image_shape[:2], image_shape[2] - 1)


def test_an_encoder_of_the_users_own_is_inverted():
    target = Own()(SMALL)
    result = invert(target, Own(), shape=(64, 64), max_iter=150, priors=())
    assert error_of(result.image, Own(), target) < 1e-4
    assert metrics.ncc(result.image, SMALL) > 0.95


def test_an_encoder_of_the_users_own_is_given_again_to_continue_a_run(tmp_path):
    target = Own()(SMALL)
    whole = invert(target, Own(), shape=(64, 64), max_iter=40)
    part = invert(target, Own(), shape=(64, 64), max_iter=40, check_every=5, time_limit=0.0)
    part.save(tmp_path / "run.npz")
    assert_same_run(repinv.resume(tmp_path / "run.npz", encoder=Own()), whole)
    with pytest.raises(ValueError, match="encoder="):
        repinv.resume(tmp_path / "run.npz")
