"""The loop: when it stops, what it returns, what it tells, and what it never reads."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
import torch

import repinv
from repinv import LBFGS, AdaGrad, Adam, Energy, Momentum, Weighted, minimize

RULES = [LBFGS(), Momentum(((1e-3, 1),)), AdaGrad(), Adam()]
rules = pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
START = np.tile([-1.2, 1.0], 5)


def rosenbrock(z, iteration):
    value = np.array([scipy.optimize.rosen(x) for x in z])
    return value, np.stack([scipy.optimize.rosen_der(x) for x in z]), {"data": value}


def test_the_points_of_a_run_are_those_evaluated_and_one_an_iteration():
    for rule in RULES:
        calls = []

        def counted(z, iteration, calls=calls):
            calls.append(iteration)
            return rosenbrock(z, iteration)

        found = minimize(counted, START[None], rule, max_iter=37)
        assert calls == list(range(37))
        assert found.iteration == 37
        assert len(found.trace["energy"]) == 37


@rules
def test_every_point_is_projected_before_it_is_evaluated(rule):
    def bowl(z, iteration):
        seen.append(z)
        value = np.vecdot(z - 2, z - 2)
        return value, 2 * (z - 2), {"data": value}

    seen = []
    found = minimize(
        bowl, np.full((1, 6), 0.2), rule, max_iter=60, project=lambda z: np.clip(z, 0, 1)
    )
    assert np.min(seen) >= 0
    assert np.max(seen) <= 1
    if not isinstance(rule, Momentum):
        np.testing.assert_allclose(found.z, 1, atol=1e-3)


def bowl(z, iteration=0):
    value = np.vecdot(z - 3, z - 3)
    return value, 2 * (z - 3), {"data": value}


@rules
def test_a_run_ends_at_max_iter(rule):
    found = minimize(bowl, np.zeros((2, 3)), rule, max_iter=23, check_every=5)
    assert (found.stop_reason, found.iteration) == ("max_iter", 23)


def test_a_run_without_iterations_returns_its_start():
    found = minimize(bowl, np.zeros((2, 3)), LBFGS(), max_iter=0)
    np.testing.assert_array_equal(found.z, 0)
    assert (found.stop_reason, found.iteration, found.trace) == ("max_iter", 0, {})


def test_a_run_stops_when_no_problem_gains_more_than_the_tolerance():
    values = iter(np.concatenate([np.linspace(100, 10, 20), np.full(80, 10.0)]))

    def scripted(z, iteration):
        value = np.array([5.0, next(values)])
        return value, np.zeros_like(z), {"data": value}

    found = minimize(scripted, np.zeros((2, 3)), AdaGrad(), max_iter=90, tol=1e-3, check_every=10)
    # The check after 20 saw a gain since that after 10; the one after 30 saw none.
    assert (found.stop_reason, found.iteration) == ("tolerance", 30)


def test_tolerance_zero_never_stops():
    def flat(z, iteration):
        return np.ones(1), np.zeros_like(z), {}

    found = minimize(flat, np.zeros((1, 3)), AdaGrad(), max_iter=50, tol=0.0)
    assert (found.stop_reason, found.iteration) == ("max_iter", 50)


def test_a_run_stops_at_its_time_limit():
    found = minimize(bowl, np.zeros((1, 3)), Adam(), max_iter=1000, time_limit=0.0, check_every=7)
    assert (found.stop_reason, found.iteration) == ("time_limit", 7)


def test_a_callback_sees_the_best_so_far_and_may_stop_the_run():
    shown = []

    def callback(snapshot):
        shown.append(snapshot)
        return snapshot.iteration == 12

    found = minimize(
        bowl, np.zeros((2, 3)), LBFGS(), max_iter=100, check_every=4, callback=callback
    )
    assert (found.stop_reason, found.iteration) == ("callback", 12)
    assert [snapshot.iteration for snapshot in shown] == [4, 8, 12]
    for snapshot in shown:
        least = found.trace["energy"][: snapshot.iteration].min(axis=0)
        np.testing.assert_array_equal(snapshot.value, least)
        np.testing.assert_allclose(bowl(snapshot.z)[0], least, rtol=1e-12)


@rules
@pytest.mark.parametrize("last", [0, 1, 13])
def test_an_interrupted_run_returns_the_best_so_far(rule, last):
    def interrupted(z, iteration):
        if iteration == last:
            raise KeyboardInterrupt
        return bowl(z)

    start = np.zeros((2, 3))
    found = minimize(interrupted, start, rule, max_iter=100)
    assert (found.stop_reason, found.iteration) == ("interrupted", last)
    if last:
        whole = minimize(bowl, start, rule, max_iter=last)
        np.testing.assert_array_equal(found.z, whole.z)
        np.testing.assert_array_equal(found.value, whole.value)
    else:
        np.testing.assert_array_equal(found.z, start)


@rules
def test_a_run_is_continued_to_the_identical_end(rule):
    whole = minimize(rosenbrock, START[None], rule, max_iter=60)
    part = minimize(
        rosenbrock, START[None], rule, max_iter=60, callback=lambda s: s.iteration == 20
    )
    kept = part.trace["energy"].copy()
    rest = minimize(
        rosenbrock,
        part.next_z,
        rule,
        max_iter=60,
        state=part.state,
        iteration=part.iteration,
    )
    np.testing.assert_array_equal(rest.z, whole.z)
    np.testing.assert_array_equal(rest.value, whole.value)
    joined = np.concatenate([kept, rest.trace["energy"]])
    np.testing.assert_array_equal(joined, whole.trace["energy"])


@dataclasses.dataclass(frozen=True)
class Blur(repinv.Encoder):
    """Sums of neighbours, for arrays of any library and device."""

    def vjp(self, x, /):
        def pullback(v):
            grad = 0 * x
            grad[..., 1:] += v
            grad[..., :-1] += v
            return grad

        return x[..., 1:] + x[..., :-1], pullback

    def feature_shape(self, image_shape, /):
        return (*image_shape[:2], image_shape[2] - 1)


@pytest.mark.parametrize(
    ("rule", "parametrization"),
    [
        pytest.param(LBFGS(memory=3, patience=2), repinv.Spectral(), id="LBFGS, Spectral"),
        pytest.param(LBFGS(memory=3, patience=2), repinv.Pixels(), id="LBFGS, Pixels"),
        pytest.param(
            Momentum(((0.1, 2), (0.01, 2))),
            repinv.Jitter(repinv.Spectral(), 2),
            id="Momentum, Jitter",
        ),
        pytest.param(AdaGrad(), repinv.Pixels(), id="AdaGrad, Pixels"),
        pytest.param(Adam(), repinv.Spectral(), id="Adam, Spectral"),
        pytest.param(Adam(relative=True, decay_over=5), repinv.Pixels(), id="Adam, Pixels"),
    ],
)
def test_a_run_reads_no_value_from_the_device_between_checks(rule, parametrization):
    # A tensor on torch's meta device has a shape and no values: whoever reads one raises.
    def energy(device):
        target = torch.full((1, 3, 12, 9), 0.7, device=device)
        priors = (
            Weighted("alpha", 0.1, repinv.AlphaNorm()),
            Weighted("alpha, rough", 0.1, repinv.AlphaNorm(alpha=1.5)),
            Weighted("variation", 0.1, repinv.TotalVariation()),
            Weighted("variation, rough", 0.1, repinv.TotalVariation(beta=1)),
            Weighted("contrast", 0.1, repinv.NaturalContrast()),
            Weighted("range", 0.1, repinv.IntensityRange()),
        )
        return Energy(Blur(), repinv.SquaredError(target, target), parametrization, priors)

    def run(device, **options):
        noise = torch.ones((2, 3, 12, 10), device=device)
        z = parametrization.start(noise)
        objective = energy(device).value_and_grad
        return minimize(objective, z, rule, max_iter=8, project=parametrization.project, **options)

    found = run("meta", check_every=100)
    assert (found.z.device.type, found.z.shape) == ("meta", (2, 3, 12, 10))
    assert (found.value.device.type, found.value.dtype) == ("meta", torch.float32)
    assert found.trace["contrast"].shape == (8, 2)
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        run("meta", check_every=4, tol=1e-3)
    assert torch.isfinite(run("cpu", check_every=4, tol=1e-9).value).all()


def test_a_restart_reads_no_value_from_the_device():
    z = torch.ones((2, 5), device="meta")

    def objective(z, iteration):
        return (z * z).sum(1), 2 * z, {}

    first = minimize(objective, z, LBFGS(), max_iter=5, check_every=100)
    state = LBFGS().restart(first.state)
    second = minimize(objective, first.z, LBFGS(), max_iter=5, check_every=100, state=state)
    assert second.z.device.type == "meta"


@dataclasses.dataclass(frozen=True)
class Interrupted:
    """A rule; Ctrl-C comes in its update number `at`, when all the work is done."""

    rule: object
    at: int
    calls: list = dataclasses.field(default_factory=list)

    def init(self, z, /):
        return self.rule.init(z)

    def update(self, z, value, grad, state, /):
        found = self.rule.update(z, value, grad, state)
        self.calls.append(1)
        if len(self.calls) == self.at + 1:
            raise KeyboardInterrupt
        return found


@rules
@pytest.mark.parametrize("at", [0, 5, 31])
def test_a_run_interrupted_within_an_update_is_continued_to_the_identical_end(rule, at):
    whole = minimize(rosenbrock, START[None], rule, max_iter=60)
    part = minimize(rosenbrock, START[None], Interrupted(rule, at), max_iter=60)
    assert (part.stop_reason, part.iteration) == ("interrupted", at)
    energies = list(part.trace.get("energy", []))
    assert len(energies) == at
    rest = minimize(
        rosenbrock, part.next_z, rule, max_iter=60, state=part.state, iteration=part.iteration
    )
    np.testing.assert_array_equal(rest.z, whole.z)
    np.testing.assert_array_equal(rest.value, whole.value)
    energies.extend(rest.trace["energy"])
    np.testing.assert_array_equal(energies, whole.trace["energy"])
