"""One contract for every encoder, loss, prior, parametrization and update rule.

Shape and dtype kept, input untouched, repeatable, a batch equal to its members one by one, NumPy
and torch equal, and the gradient that of the value. What a new part has to do is stand here.
"""

import dataclasses

import numpy as np
import pytest
import torch

import repinv
from repinv.testing import check_encoder, check_vjp

CHANNELS, HEIGHT, WIDTH = 3, 9, 12
RNG = np.random.default_rng(11)
IMAGES = RNG.uniform(-0.2, 1.2, (3, CHANNELS, HEIGHT, WIDTH))
NOISE = RNG.standard_normal(IMAGES.shape)
TARGETS = RNG.standard_normal(IMAGES.shape)
WEIGHTS = RNG.uniform(0, 2, IMAGES.shape[1:])[None]

HARD = repinv.HOG.vlfeat(4)
BILINEAR = repinv.HOG.vlfeat(4, bilinear_orientations=True)
WORDS = RNG.uniform(0, 0.4, (10, 31))
# Of a generator of its own: what follows stays what it was.
NOISE_ATOMS = np.random.default_rng(3).standard_normal((12, 4 * 31))
WORDS_OF_SIFT = np.random.default_rng(4).uniform(0, 0.2, (10, 128))
KEYPOINTS = np.array([[9, 8, 2.5, 70, 1 << 8 | 255], [15, 12, 4.2, 300, 1 << 8]])
ENCODERS = {
    "HOG, hard": HARD,
    "HOG, bilinear": BILINEAR,
    "HOG of 0..255": repinv.HOG.vlfeat(4, value_range=(0, 255)),
    "dense SIFT": repinv.DSIFT.vlfeat(3, 4, channel_axis=-1),
    "bag of words, soft": repinv.BoVW(BILINEAR, WORDS),
    "bag of words, hard": repinv.BoVW(HARD, WORDS, assignment="hard", grid=(2, 2)),
    "bag of words, LLC": repinv.BoVW(BILINEAR, WORDS, assignment="llc", grid=((1, 1), (2, 2))),
    "map of words": repinv.BoVW(BILINEAR, WORDS, grid=None),
    "VLAD": repinv.VLAD(BILINEAR, WORDS, power=1.0),
    "Fisher vector": repinv.FisherVector(
        BILINEAR, np.full(10, 0.1), WORDS, RNG.uniform(0.02, 0.1, WORDS.shape), power=1.0
    ),
    "HOGgle": repinv.HOGgle(
        BILINEAR, NOISE_ATOMS, NOISE_ATOMS[:, :1] * np.ones(16**2), penalty=0.1
    ),
    "straight through": repinv.StraightThrough(HARD, HARD.softened(0.5)),
}
LOSSES = {
    "squared error": repinv.SquaredError(TARGETS[:1]),
    "squared error, a target each": repinv.SquaredError(TARGETS),
    "squared error, weighted": repinv.SquaredError(TARGETS[:1], WEIGHTS),
    "squared error, target zero": repinv.SquaredError(0 * TARGETS[:1]),
    "inner product": repinv.InnerProduct(TARGETS[:1], scale=3.0),
    "inner product, a direction each": repinv.InnerProduct(TARGETS),
    "rectified inner product": repinv.InnerProduct(TARGETS[:1]).of_pre_activations(),
    "shortfall": repinv.Shortfall(TARGETS[:1], scale=30.0, wanted=2.0),
    "shortfall, a direction each": repinv.Shortfall(TARGETS, scale=9.0),
    "shortfall, met": repinv.Shortfall(IMAGES[:1], scale=1.0, wanted=1.0),
}
PRIORS = {
    "alpha norm": repinv.AlphaNorm(),
    "alpha norm 2": repinv.AlphaNorm(alpha=2, scale=0.3),
    "alpha norm 1.5": repinv.AlphaNorm(alpha=1.5),
    "alpha norm 1": repinv.AlphaNorm(alpha=1),
    "total variation": repinv.TotalVariation(),
    "total variation 1": repinv.TotalVariation(beta=1),
    "total variation 1.5": repinv.TotalVariation(beta=1.5, scale=0.2, eps=0.1),
    "total variation 3": repinv.TotalVariation(beta=3),
    "intensity range": repinv.IntensityRange(),
    "natural contrast": repinv.NaturalContrast(),
    "pull": repinv.Pull(TARGETS[:1]),
    "pull, an image each": repinv.Pull(TARGETS),
    "cell energies": repinv.CellEnergy(TARGETS[:1, :1, ::4, ::4][..., :2, :3], 4),
    "cell energies, of each image": repinv.CellEnergy(TARGETS[:, :1, ::3, ::3], 3),
}
PARAMETRIZATIONS = {
    "pixels": repinv.Pixels(),
    "pixels, unbounded": repinv.Pixels(bounded=False),
    "spectral": repinv.Spectral(),
    "spectral, flat": repinv.Spectral(exponent=0.0, amplitude=1.0),
    "local": repinv.Local(repinv.Spectral(), IMAGES, 0.5 + IMAGES[:, :1, ...]),
    "fourier": repinv.Fourier(),
    "fourier, flat": repinv.Fourier(exponent=0.0, amplitude=1.0),
    "natural colours": repinv.Decorrelated(repinv.Spectral()),
    "natural colours on a torus": repinv.Decorrelated(repinv.Fourier()),
    "jitter of colours": repinv.Jitter(repinv.Decorrelated(repinv.Fourier()), amount=2),
    "jitter of pixels": repinv.Jitter(repinv.Pixels(), amount=3),
    "jitter of spectral": repinv.Jitter(repinv.Spectral(), amount=1, seed=5),
    "random view": repinv.RandomView(repinv.Decorrelated(repinv.Fourier()), seed=2),
    "bounded": repinv.Bounded(repinv.Decorrelated(repinv.Fourier())),
    "phase": repinv.Phase(),
}
RULES = {
    "L-BFGS": repinv.LBFGS(),
    "L-BFGS, short memory": repinv.LBFGS(memory=2, first_step=0.5, patience=2),
    "momentum": repinv.Momentum(((0.02, 4), (0.004, 4))),
    "AdaGrad": repinv.AdaGrad(),
    "Adam": repinv.Adam(),
    "Adam, relative and decaying": repinv.Adam(0.1, relative=True, decay_over=9),
}


def of(parts):
    return [pytest.param(part, id=name) for name, part in parts.items()]


def moved(part, convert):
    """A frozen dataclass with its arrays converted."""
    arrays = {
        field.name: convert(getattr(part, field.name))
        for field in dataclasses.fields(part)
        if field.init and isinstance(getattr(part, field.name), np.ndarray)
    }
    return dataclasses.replace(part, **arrays)


def one(part, i):
    """A loss of problem i alone."""
    return moved(part, lambda a: a[i : i + 1] if len(a) > 1 else a)


def assert_near(got, expected, dtype, factor=50):
    """Equal up to rounding, in units of the largest entry."""
    got, expected = np.asarray(got), np.asarray(expected)
    largest = max(float(np.abs(expected).max()), float(np.finfo(dtype).tiny))
    tolerance = factor * float(np.finfo(dtype).eps) * largest
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# Losses and priors are both functions of an array, with a value for each problem.
functions = pytest.mark.parametrize("function", of(LOSSES | PRIORS))


#: Those of gray images alone.
OF_GRAY = {
    "SIFT at keypoints, rounded": repinv.SIFT.opencv(KEYPOINTS),
    "SIFT at keypoints": repinv.SIFT.opencv(KEYPOINTS).softened(1.0),
    "SIFT at keypoints, of scikit-image": repinv.SIFT.skimage(KEYPOINTS).softened(1.0),
    "SIFT at keypoints, of COLMAP": repinv.SIFT.colmap(
        np.stack([*(KEYPOINTS[:, :2].T + 0.5), KEYPOINTS[:, 2] / 2, KEYPOINTS[:, 3]], axis=-1)
    ).softened(1.0),
    "DAISY": repinv.DAISY.skimage(2, 4),
    "words at keypoints": repinv.BoVW(
        repinv.SIFT.opencv(KEYPOINTS, rootsift=True).softened(1.0), WORDS_OF_SIFT
    ),
}


@pytest.mark.parametrize("encoder", of(OF_GRAY))
def test_encoders_of_gray_images_keep_their_contract(encoder):
    rounded = isinstance(encoder, repinv.SIFT) and encoder.flavour.rounded
    check_encoder(encoder, (1, 21, 26), gradient=not rounded)


@pytest.mark.parametrize("encoder", of(ENCODERS))
@pytest.mark.parametrize("channels", [1, 3])
def test_encoders_keep_their_contract(encoder, channels):
    exact = not isinstance(encoder, repinv.StraightThrough)
    check_encoder(encoder, (channels, 21, 26), gradient=exact)


def test_a_call_of_an_estimator_is_one_of_its_forward_encoder():
    forward = repinv.HOG.vlfeat(4, value_range=(0, 255))
    image = RNG.integers(0, 256, (16, 20), dtype=np.uint8)
    estimator = repinv.StraightThrough(forward, forward.softened(0.5))
    np.testing.assert_array_equal(estimator(image), forward(image))


@dtypes
@functions
def test_a_value_for_each_problem_and_a_gradient_like_the_input(function, dtype):
    x = IMAGES.astype(dtype)
    kept = x.copy()
    function = moved(function, lambda a: a.astype(dtype))
    value, grad = function.value_and_grad(x)
    assert (value.shape, value.dtype) == ((3,), dtype)
    assert (grad.shape, grad.dtype) == (x.shape, dtype)
    np.testing.assert_array_equal(x, kept)
    again, grad_again = function.value_and_grad(x)
    np.testing.assert_array_equal(again, value)
    np.testing.assert_array_equal(grad_again, grad)


@dtypes
@functions
def test_a_batch_of_functions_equals_its_members(function, dtype):
    x = IMAGES.astype(dtype)
    function = moved(function, lambda a: a.astype(dtype))
    value, grad = function.value_and_grad(x)
    for i in range(3):
        value_of_one, grad_of_one = one(function, i).value_and_grad(x[i : i + 1])
        assert_near(value_of_one[0], value[i], dtype)
        assert_near(grad_of_one[0], grad[i], dtype)


@dtypes
@functions
def test_functions_of_torch_tensors_equal_those_of_arrays(function, dtype):
    x = IMAGES.astype(dtype)
    function = moved(function, lambda a: a.astype(dtype))
    expected = function.value_and_grad(x)
    tensor = torch.asarray(x.copy())
    got = moved(function, torch.asarray).value_and_grad(tensor)
    np.testing.assert_array_equal(tensor.numpy(), x)
    for a, b in zip(got, expected, strict=True):
        assert isinstance(a, torch.Tensor)
        assert a.numpy().dtype == dtype
        assert_near(a, b, dtype)


@functions
def test_gradients_are_those_of_the_value(function):
    def vjp(x):
        value, grad = function.value_and_grad(x)
        return value, lambda v: v[:, None, None, None] * grad

    check_vjp(vjp, IMAGES, tolerance=1e-7)


@functions
def test_gradients_agree_with_autograd(function):
    x = torch.asarray(IMAGES.copy()).requires_grad_()
    value, grad = moved(function, torch.asarray).value_and_grad(x)
    (expected,) = torch.autograd.grad(value.sum(), x)
    assert_near(grad.detach(), expected, np.float64)


@dtypes
@pytest.mark.parametrize("parametrization", of(PARAMETRIZATIONS))
def test_parametrizations_keep_shape_and_dtype_and_their_input(parametrization, dtype):
    parametrization = moved(parametrization, lambda a: a.astype(dtype))
    z = NOISE.astype(dtype)
    kept = z.copy()
    x, pullback = parametrization.vjp(z, 4)
    v = TARGETS.astype(dtype)
    kept_v = v.copy()
    for name, array in {
        "x": x,
        "pullback": pullback(v),
        "image": parametrization.image(z),
        "start": parametrization.start(z),
        "inverse": parametrization.inverse(z),
        "project": parametrization.project(z),
    }.items():
        assert (array.shape, array.dtype) == (z.shape, dtype), name
    np.testing.assert_array_equal(z, kept)
    np.testing.assert_array_equal(v, kept_v)
    np.testing.assert_array_equal(parametrization.vjp(z, 4)[0], x)
    np.testing.assert_array_equal(pullback(v), pullback(v))


@dtypes
@pytest.mark.parametrize("parametrization", of(PARAMETRIZATIONS))
def test_a_batch_of_images_equals_its_members(parametrization, dtype):
    parametrization = moved(parametrization, lambda a: a.astype(dtype))
    z, v = NOISE.astype(dtype), TARGETS.astype(dtype)
    x, pullback = parametrization.vjp(z, 2)
    for i in range(3):
        x_of_one, pullback_of_one = one(parametrization, i).vjp(z[i : i + 1], 2)
        assert_near(x_of_one[0], x[i], dtype)
        assert_near(pullback_of_one(v[i : i + 1])[0], pullback(v)[i], dtype)


@dtypes
@pytest.mark.parametrize("parametrization", of(PARAMETRIZATIONS))
def test_parametrizations_of_torch_tensors_equal_those_of_arrays(parametrization, dtype):
    of_arrays = moved(parametrization, lambda a: a.astype(dtype))
    of_tensors = moved(parametrization, lambda a: torch.asarray(a.astype(dtype)))
    z, v = NOISE.astype(dtype), TARGETS.astype(dtype)
    tensor, cotangent = torch.asarray(z.copy()), torch.asarray(v.copy())
    x, pullback = of_arrays.vjp(z, 7)
    got, got_pullback = of_tensors.vjp(tensor, 7)
    pairs = [(got, x), (got_pullback(cotangent), pullback(v))]
    for method in ("image", "start", "inverse", "project"):
        pairs.append((getattr(of_tensors, method)(tensor), getattr(of_arrays, method)(z)))
    for a, b in pairs:
        assert isinstance(a, torch.Tensor)
        assert a.numpy().dtype == dtype
        assert_near(a, b, dtype)
    np.testing.assert_array_equal(tensor.numpy(), z)


@pytest.mark.parametrize("parametrization", of(PARAMETRIZATIONS))
def test_pullbacks_are_the_derivatives(parametrization):
    check_vjp(lambda z: parametrization.vjp(z, 3), NOISE, tolerance=1e-7, step=1e-3)


START = RNG.standard_normal((3, 4, 5))
MATRIX = RNG.standard_normal((20, 20)) / 5 + np.eye(20)


def bumpy(z, iteration):
    """A quartic bowl with slopes between its variables, for arrays of either library."""
    matrix = MATRIX.astype(np.float32) if "float32" in str(z.dtype) else MATRIX
    matrix = torch.asarray(matrix) if isinstance(z, torch.Tensor) else matrix
    u = z.reshape(z.shape[0], -1) @ matrix
    value = (u**4).sum(1) / 4 + (u**2).sum(1)
    grad = ((u**3 + 2 * u) @ matrix.T).reshape(z.shape)
    return value, grad, {"data": value}


def run(rule, z, max_iter=12):
    return repinv.minimize(bumpy, z, rule, max_iter=max_iter, check_every=100)


@dtypes
@pytest.mark.parametrize("rule", of(RULES))
def test_rules_keep_shape_and_dtype_and_the_start(rule, dtype):
    z = START.astype(dtype)
    found = run(rule, z)
    np.testing.assert_array_equal(z, START.astype(dtype))
    assert (found.z.shape, found.z.dtype) == (z.shape, dtype)
    assert (found.next_z.shape, found.next_z.dtype) == (z.shape, dtype)
    assert (found.value.shape, found.value.dtype) == ((3,), dtype)
    assert found.trace["energy"].shape == (12, 3)
    again = run(rule, z)
    np.testing.assert_array_equal(again.z, found.z)
    np.testing.assert_array_equal(again.trace["energy"], found.trace["energy"])


@pytest.mark.parametrize("rule", of(RULES))
def test_a_batch_of_problems_equals_its_members(rule):
    z = START * np.array([1.0, 2.0, 1e-3])[:, None, None]
    found = run(rule, z, 25)
    for i in range(3):
        alone = run(rule, z[i : i + 1], 25)
        np.testing.assert_allclose(alone.z[0], found.z[i], rtol=1e-9, atol=1e-12)
        energies = alone.trace["energy"][:, 0], found.trace["energy"][:, i]
        np.testing.assert_allclose(*energies, rtol=1e-9, atol=1e-20)


@pytest.mark.parametrize("rule", of(RULES))
def test_rules_on_torch_tensors_equal_those_on_arrays(rule):
    found, expected = run(rule, torch.asarray(START.copy())), run(rule, START)
    assert isinstance(found.z, torch.Tensor)
    np.testing.assert_allclose(found.z, expected.z, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.trace["energy"], expected.trace["energy"], rtol=1e-9)


@pytest.mark.parametrize("rule", of(RULES))
def test_the_best_point_so_far_is_returned(rule):
    def noisy(z, iteration):
        value, grad, terms = bumpy(z, iteration)
        points.append(z)
        return value * (1 + 0.5 * np.sin(7 * iteration + np.arange(3))), grad, terms

    points = []
    found = repinv.minimize(noisy, START, rule, max_iter=15)
    energy = found.trace["energy"]
    np.testing.assert_array_equal(found.value, energy.min(axis=0))
    for i, step in enumerate(energy.argmin(axis=0)):
        np.testing.assert_allclose(found.z[i], points[step][i], rtol=1e-12, atol=1e-14)
