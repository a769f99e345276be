"""Update rules against plain restatements and other people's optimizers.

The contract that every rule keeps is in test_conformance.py.
"""

import numpy as np
import pytest
import scipy.optimize
import torch

from repinv import LBFGS, AdaGrad, Adam, Momentum, minimize

RULES = [LBFGS(), Momentum(((1e-3, 1),)), AdaGrad(), Adam()]


def batched(function):
    """An objective for `minimize` out of x → value, gradient of a vector."""

    def objective(z, iteration):
        pairs = [function(row) for row in z]
        value = np.array([value for value, _ in pairs], dtype=z.dtype)
        return value, np.stack([grad for _, grad in pairs]).astype(z.dtype), {"data": value}

    return objective


def quadratic(size, condition, seed):
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((size, size)))[0]
    hessian = (axes * np.logspace(0, -np.log10(condition), size)) @ axes.T
    return (lambda x: (0.5 * x @ hessian @ x, hessian @ x)), rng.standard_normal(size)


def rosenbrock(size):
    start = np.tile([-1.2, 1.0], size // 2)
    return (lambda x: (scipy.optimize.rosen(x), scipy.optimize.rosen_der(x))), start


def logistic(size):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((4 * size, size)) * np.logspace(0, -1, size)
    label = np.sign(data @ rng.standard_normal(size) + 0.3 * rng.standard_normal(4 * size))

    def function(x):
        margin = label * (data @ x)
        chance = np.exp(-np.logaddexp(0, margin))
        value = np.logaddexp(0, -margin).sum() + 0.05 * x @ x
        return value, 0.1 * x - data.T @ (label * chance)

    return function, np.zeros(size)


PROBLEMS = {
    "quadratic 60": quadratic(60, 1e3, 0),
    "quadratic 200": quadratic(200, 1e3, 1),
    "Rosenbrock 2": rosenbrock(2),
    "Rosenbrock 10": rosenbrock(10),
    "Rosenbrock 20": rosenbrock(20),
    "logistic 40": logistic(40),
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_lbfgs_needs_as_many_evaluations_as_scipys(problem):
    function, start = problem
    values = []

    def recorded(x):
        value, grad = function(x)
        values.append(value)
        return value, grad

    options = {"maxcor": 10, "ftol": 0, "gtol": 1e-12, "maxfun": 3000, "maxiter": 3000}
    scipy.optimize.minimize(recorded, start, jac=True, method="L-BFGS-B", options=options)
    found = minimize(batched(function), start[None], LBFGS(memory=10), max_iter=len(values) + 40)
    ours = found.trace["energy"][:, 0]
    least = min(ours.min(), min(values))
    for accuracy in (1e-3, 1e-6, 1e-9):
        level = least + accuracy * (values[0] - least)
        scipys = 1 + np.flatnonzero(np.array(values) <= level)[0]
        assert (ours <= level).any(), accuracy
        assert 1 + np.flatnonzero(ours <= level)[0] <= 1.25 * scipys + 3, accuracy


def two_loops(grad, pairs, gamma):
    """L-BFGS direction as in Nocedal and Wright, algorithm 7.4; pairs (s, y), oldest first."""
    q, shares = grad.copy(), []
    for s, y in reversed(pairs):
        shares.append(s @ q / (s @ y))
        q -= shares[-1] * y
    q *= gamma
    for (s, y), share in zip(pairs, reversed(shares), strict=True):
        q += (share - y @ q / (s @ y)) * s
    return -q


@pytest.mark.parametrize("memory", [1, 3, 10])
@pytest.mark.parametrize("name", ["quadratic 60", "Rosenbrock 10"])
def test_the_direction_is_that_of_the_two_loop_recursion(name, memory):
    function, z = PROBLEMS[name]
    z = z[None]
    rule = LBFGS(memory=memory, patience=1000)
    state = rule.init(z)
    best, gamma, compared, refused = None, None, 0, 0
    taught = []  # the pair of each evaluation; None where refused or curved the wrong way
    for _ in range(60):
        value, grad, _ = batched(function)(z, 0)
        next_z, state = rule.update(z, value, grad, state)
        accepted = np.array_equal(state["best_z"], z)
        pair = None
        if best is not None and accepted:
            s, y = z[0] - best[0], grad[0] - best[1]
            if s @ y > 0:
                pair, gamma = (s, y), s @ y / (y @ y)
        refused += not accepted
        taught.append(pair)
        if accepted:
            best = z[0], grad[0]
        if accepted and gamma is not None:
            expected = two_loops(best[1], [pair for pair in taught[-memory:] if pair], gamma)
            tolerance = 1e-6 * np.abs(expected).max()
            np.testing.assert_allclose(next_z[0] - best[0], expected, rtol=0, atol=tolerance)
            compared += 1
        z = next_z
    assert compared > 35
    assert refused > 0 or name == "quadratic 60"


def test_the_first_step_has_the_length_that_is_asked_for():
    function, start = PROBLEMS["quadratic 60"]
    value, grad, _ = batched(function)(start[None], 0)
    rule = LBFGS(first_step=0.03)
    z, _ = rule.update(start[None], value, grad, rule.init(start[None]))
    step = z[0] - start
    np.testing.assert_allclose(np.linalg.norm(step), 0.03 * np.linalg.norm(start), rtol=1e-12)
    cosine = -step @ grad[0] / np.linalg.norm(step) / np.linalg.norm(grad[0])
    np.testing.assert_allclose(cosine, 1, rtol=1e-12)


def test_a_batch_in_lockstep_solves_every_problem_as_by_itself():
    function, start = PROBLEMS["Rosenbrock 10"]
    starts = np.stack([start, 0.9 * start, 0 * start, np.ones(10) + 1e-3, 3 * start])
    found = minimize(batched(function), starts, LBFGS(), max_iter=250)
    np.testing.assert_allclose(found.z, 1, atol=1e-6)
    # Rounding differs with the shape of a product, and such a valley amplifies it in time.
    for i in range(5):
        alone = minimize(batched(function), starts[i : i + 1], LBFGS(), max_iter=20)
        np.testing.assert_allclose(
            alone.trace["energy"][:, 0], found.trace["energy"][:20, i], rtol=1e-6
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_lbfgs_recovers_from_values_that_are_not_finite(bad):
    # −Σ log x + Σ a x with nothing to be had outside of the positive numbers.
    a = np.linspace(0.5, 4, 12)
    met = []

    def barrier(x):
        if (x <= 0).any():
            met.append(1)
            return bad, np.full_like(x, bad if np.isnan(bad) else 0.0)
        return a @ x - np.log(x).sum(), a - 1 / x

    starts = np.stack([np.full(12, 50.0), 1 / a + 0.01])
    found = minimize(batched(barrier), starts, LBFGS(first_step=5.0), max_iter=300)
    assert len(met) > 2
    np.testing.assert_allclose(found.z, np.broadcast_to(1 / a, (2, 12)), rtol=1e-5)
    assert np.isfinite(found.value).all()


def test_a_problem_without_values_spoils_no_other():
    def objective(z, iteration):
        value = np.vecdot(z - 3, z - 3)
        grad = 2 * (z - 3)
        value[1], grad[1] = np.nan, np.nan
        return value, grad, {"data": value}

    for rule in RULES:
        found = minimize(objective, np.ones((3, 4)), rule, max_iter=30)
        alone = minimize(
            batched(lambda x: ((x - 3) @ (x - 3), 2 * (x - 3))), np.ones((1, 4)), rule, max_iter=30
        )
        np.testing.assert_allclose(found.z[[0, 2]], np.repeat(alone.z, 2, axis=0), rtol=1e-12)


@pytest.mark.parametrize("tol", [0.0, 1e-7])
def test_a_stall_of_float32_stops_cleanly(tol):
    function, start = quadratic(30, 100, 5)

    def shifted(x):
        # 1000 hides all changes of the bowl below a float32's last digit.
        value, grad = function(x)
        return value + 1000, grad

    z = start[None].astype(np.float32)
    found = minimize(batched(shifted), z, LBFGS(), max_iter=400, tol=tol)
    assert found.stop_reason == ("tolerance" if tol else "max_iter")
    assert np.isfinite(found.z).all()
    assert np.isfinite(found.next_z).all()
    assert found.value.dtype == np.float32
    assert function(found.z[0].astype(float))[0] < 2e-3


def test_a_start_at_the_minimum_stays_there():
    for rule in RULES:
        found = minimize(batched(lambda x: (x @ x, 2 * x)), np.zeros((2, 5)), rule, max_iter=25)
        np.testing.assert_array_equal(found.z, 0)
        np.testing.assert_array_equal(found.value, 0)


def test_a_restart_keeps_the_curvature_and_forgets_the_value():
    function, start = PROBLEMS["quadratic 60"]
    rule = LBFGS()
    first = minimize(batched(function), start[None], rule, max_iter=60)

    def lifted(x):
        value, grad = function(x)
        return value + 50, grad

    state = rule.restart(first.state)
    second = minimize(batched(lifted), first.z, rule, max_iter=60, state=state)
    assert second.trace["energy"][0, 0] > 50
    straight = minimize(batched(function), start[None], rule, max_iter=120)
    # The lift hides what is left of the bowl below 50's last digit.
    np.testing.assert_allclose(second.value - 50, straight.value, atol=1e-8)
    cold = minimize(batched(lifted), first.z, rule, max_iter=10)
    warm = minimize(
        batched(lifted),
        first.z,
        rule,
        max_iter=10,
        state=rule.restart(minimize(batched(function), start[None], rule, max_iter=60).state),
    )
    assert warm.value[0] < cold.value[0]


def test_momentum_is_its_formula_and_resets_at_a_change_of_step():
    schedule = ((0.1, 3), (0.01, 2), (0.03, 1))
    sizes = [0.1] * 3 + [0.01] * 2 + [0.03] * 4
    rng = np.random.default_rng(3)
    z = rng.standard_normal((2, 4))
    rule = Momentum(schedule, decay=0.8)
    state, velocity, expected = rule.init(z), np.zeros_like(z), z
    for i, size in enumerate(sizes):
        grad = rng.standard_normal(z.shape)
        z, state = rule.update(z, np.ones(2), grad, state)
        if i in (3, 5):
            velocity = np.zeros_like(velocity)
        velocity = 0.8 * velocity - size * grad
        expected = expected + velocity
        np.testing.assert_allclose(z, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        (Momentum(((0.05, 1),), 0.7), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.7)),
        (AdaGrad(0.2, eps=1e-6), lambda p: torch.optim.Adagrad(p, lr=0.2, eps=1e-6)),
        (
            Adam(0.03, betas=(0.8, 0.95), eps=1e-7),
            lambda p: torch.optim.Adam(p, lr=0.03, betas=(0.8, 0.95), eps=1e-7),
        ),
    ],
    ids=["Momentum", "AdaGrad", "Adam"],
)
def test_steps_equal_those_of_torch_on_the_same_gradients(rule, make):
    rng = np.random.default_rng(4)
    z = rng.standard_normal((2, 3, 4))
    parameter = torch.nn.Parameter(torch.asarray(z.copy()))
    optimizer, state = make([parameter]), rule.init(z)
    for step in range(30):
        grad = rng.standard_normal(z.shape) * 10.0 ** (step % 5 - 2)
        z, state = rule.update(z, np.ones(2), grad, state)
        parameter.grad = torch.asarray(grad)
        optimizer.step()
        np.testing.assert_allclose(z, parameter.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_adams_step_falls_to_zero_along_half_a_cosine():
    rule = Adam(0.1, decay_over=10)
    z, state, steps = np.zeros((1, 3)), None, []
    state = rule.init(z)
    for _ in range(14):
        next_z, state = rule.update(z, np.ones(1), np.ones_like(z), state)
        steps.append(z[0, 0] - next_z[0, 0])
        z = next_z
    # Of a constant gradient, Adam's step is the step size.
    expected = 0.05 * (1 + np.cos(np.pi * np.minimum(np.arange(14), 10) / 10))
    np.testing.assert_allclose(steps, expected, atol=1e-12)


def test_adams_relative_step_follows_the_scale_of_each_start():
    start = np.array([[1.0, -1.0], [1e-3, 1e-3], [0.0, 0.0]])
    rule = Adam(0.1, relative=True)
    z, _ = rule.update(start, np.ones(3), np.ones_like(start), rule.init(start))
    np.testing.assert_allclose((start - z)[:, 0], [0.1, 1e-4, 0.1], rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LBFGS(memory=0), "memory >= 1"),
        (lambda: LBFGS(first_step=0.0), "first_step > 0"),
    ],
)
def test_options_out_of_bounds_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_adam_returns_the_last_point_where_that_is_wanted():
    def bowl(z, iteration):
        value = (z**2).sum((1, 2, 3)) + 10.0 * (iteration == 0) * -1
        return value, 2 * z, {}

    start = np.ones((2, 1, 2, 2))
    best = minimize(bowl, start, Adam(), max_iter=9)
    np.testing.assert_array_equal(best.z, start)
    last = minimize(bowl, start, Adam(returns_last=True), max_iter=9)
    np.testing.assert_array_equal(last.z, last.next_z)
    assert np.abs(last.z).max() < np.abs(start).max()
