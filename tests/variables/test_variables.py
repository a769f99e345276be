"""Parametrizations and their wrappers: adjoints, inverses, spectra, shifts."""

import numpy as np
import pytest
import torch

from repinv import (
    Bounded,
    Fourier,
    Jitter,
    Levelled,
    Local,
    Phase,
    Pixels,
    RandomView,
    Spectral,
)
from repinv.variables.base import is_centred

RNG = np.random.default_rng(6)
IMAGE = RNG.random((2, 3, 11, 16))
Z = RNG.standard_normal(IMAGE.shape)
V = RNG.standard_normal(IMAGE.shape)
AREAS = np.zeros((11, 16))
AREAS[:4, 3:9], AREAS[6:, 10:] = 1, 2
LINEAR = {
    "pixels": Pixels(),
    "spectral": Spectral(),
    "spectral, flat": Spectral(exponent=0, amplitude=3.0),
    "local": Local(Spectral(), IMAGE[::-1], RNG.random((2, 1, 11, 16)) + 0.1),
    "jitter of pixels": Jitter(Pixels(), 4),
    "jitter of spectral": Jitter(Spectral(), 4, seed=2),
    "jitter of jitter": Jitter(Jitter(Pixels(), 2), 2, seed=1),
    "random view": RandomView(Pixels()),
    "random view, enlarged": RandomView(Spectral(), 45, (1.0, 2.5), 0.4, 0.0, seed=4),
}
linear = pytest.mark.parametrize("parametrization", LINEAR.values(), ids=LINEAR)


def inner(a, b):
    return np.sum(a * b, axis=(1, 2, 3))


@linear
@pytest.mark.parametrize("iteration", [0, 1, 17])
def test_pullback_is_the_adjoint_of_the_jvp(parametrization, iteration):
    # The maps are affine, so that their derivative is a difference of any length.
    x, pullback = parametrization.vjp(Z, iteration)
    jvp = x - parametrization.vjp(0 * Z, iteration)[0]
    np.testing.assert_allclose(inner(jvp, V), inner(Z, pullback(V)), rtol=1e-12)


@linear
def test_the_image_of_the_inverse_is_the_image(parametrization):
    np.testing.assert_allclose(parametrization.image(parametrization.inverse(IMAGE)), IMAGE)


@linear
def test_the_inverse_of_the_image_is_the_variable(parametrization):
    got = parametrization.inverse(parametrization.image(Z))
    np.testing.assert_allclose(got, Z, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("parametrization", [Pixels(), Spectral()])
def test_the_image_is_what_the_encoder_sees(parametrization):
    np.testing.assert_array_equal(parametrization.vjp(Z, 3)[0], parametrization.image(Z))


def test_pixels_are_projected_into_the_range():
    got = Pixels().project(np.array([-0.5, 0.0, 0.3, 1.0, 7.0]).reshape(1, 1, 1, 5))
    np.testing.assert_array_equal(got.ravel(), [0, 0, 0.3, 1, 1])


def test_unbounded_pixels_are_left_where_they_are():
    np.testing.assert_array_equal(Pixels(bounded=False).project(10 * Z), 10 * Z)


def test_pixels_start_about_mid_gray_and_in_range():
    noise = np.random.default_rng(0).standard_normal((1, 1, 200, 200))
    start = Pixels(noise=0.1).start(noise)
    np.testing.assert_allclose([start.mean(), start.std()], [0.5, 0.1], rtol=0.02)
    wild = Pixels(noise=3.0).start(noise)
    assert (wild.min(), wild.max()) == (0, 1)


def test_a_spectral_image_is_half_gray_and_a_sum_of_cosines():
    z = np.zeros((1, 1, 8, 12))
    z[0, 0, 2, 5] = 1.0
    x = Spectral().vjp(z)[0][0, 0] - 0.5
    down = np.cos(np.pi * 2 * (np.arange(8) + 0.5) / 8)
    across = np.cos(np.pi * 5 * (np.arange(12) + 0.5) / 12)
    wave = np.outer(down, across)
    np.testing.assert_allclose(x / np.abs(x).max(), wave / np.abs(wave).max(), atol=1e-12)
    assert x[0, 0] > 0


@pytest.mark.parametrize("exponent", [0.0, 0.85, 2.0])
def test_the_amplitude_falls_with_a_power_of_the_frequency(exponent):
    def gain(i, j):
        z = np.zeros((1, 1, 32, 32))
        z[0, 0, i, j] = 1.0
        return np.linalg.norm(Spectral(exponent).vjp(z)[0] - 0.5)

    np.testing.assert_allclose(gain(0, 8) / gain(0, 4), 2.0**-exponent, rtol=1e-12)
    np.testing.assert_allclose(gain(24, 7) / gain(0, 25), 1, rtol=1e-12)
    np.testing.assert_allclose(gain(0, 0) / gain(0, 1), 2.0**exponent, rtol=1e-12)


@pytest.mark.parametrize("shape", [(16, 16), (64, 48), (5, 120)])
def test_white_noise_has_the_amplitude_that_is_asked_for(shape):
    z = np.random.default_rng(1).standard_normal((60, 1, *shape))
    spread = np.sqrt(np.mean((Spectral(amplitude=0.3).vjp(z)[0] - 0.5) ** 2))
    np.testing.assert_allclose(spread, 0.3, rtol=0.05)


def test_the_start_is_the_noise_at_its_scale():
    np.testing.assert_allclose(Spectral(start_scale=0.02).start(Z), 0.02 * Z, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (8, 8), (13, 30), (64, 33)])
def test_the_transform_of_arrays_equals_the_matrices_of_tensors(shape, dtype):
    rng = np.random.default_rng(3)
    z, v = (rng.standard_normal((2, 2, *shape)).astype(dtype) for _ in range(2))
    image = rng.random((2, 2, *shape)).astype(dtype)
    x, pullback = Spectral().vjp(z)
    tensor_x, tensor_pullback = Spectral().vjp(torch.asarray(z))
    inverse = Spectral().inverse(image)
    pairs = [
        (tensor_x, x),
        (tensor_pullback(torch.asarray(v)), pullback(v)),
        (Spectral().inverse(torch.asarray(image)), inverse),
    ]
    for got, expected in pairs:
        assert got.numpy().dtype == expected.dtype == dtype
        tolerance = 30 * np.finfo(dtype).eps * np.abs(expected).max()
        np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=tolerance)


def test_jitter_shifts_the_image_round_its_borders():
    x = Jitter(Pixels(), 3).vjp(IMAGE, 5)[0]
    shifts = [
        (down, right)
        for down in range(-3, 4)
        for right in range(-3, 4)
        if np.array_equal(np.roll(IMAGE, (down, right), (-2, -1)), x)
    ]
    assert len(shifts) == 1


def shift(jitter, iteration):
    x = np.zeros((1, 1, 16, 16))
    x[0, 0, 8, 8] = 1
    row, column = np.argwhere(jitter.vjp(x, iteration)[0][0, 0])[0]
    return int(row) - 8, int(column) - 8


def test_jitter_is_repeatable_from_the_seed_and_the_iteration():
    shifts = [shift(Jitter(Pixels(), 4, seed=3), i) for i in range(40)]
    backwards = [shift(Jitter(Pixels(), 4, seed=3), i) for i in reversed(range(40))]
    assert shifts == backwards[::-1]
    assert shifts != [shift(Jitter(Pixels(), 4, seed=4), i) for i in range(40)]


def test_jitter_takes_every_shift_up_to_its_amount():
    shifts = [shift(Jitter(Pixels(), 2), i) for i in range(400)]
    expected = {(down, right) for down in range(-2, 3) for right in range(-2, 3)}
    assert set(shifts) == expected


def test_jitter_of_amount_zero_is_its_base():
    np.testing.assert_array_equal(Jitter(Pixels(), 0).vjp(IMAGE, 9)[0], IMAGE)


@pytest.mark.parametrize("base", [Pixels(noise=0.3), Pixels(bounded=False), Spectral()])
def test_jitter_starts_projects_and_ends_as_its_base(base):
    jitter = Jitter(base, 3)
    for name in ("start", "inverse", "project", "image"):
        np.testing.assert_array_equal(getattr(jitter, name)(2 * Z), getattr(base, name)(2 * Z))


def viewed(x, iteration=3, **options):
    neutral = {"rotation": 0, "scale": (1, 1), "shift": 0, "noise": 0}
    return RandomView(Pixels(), **neutral | options).vjp(x, iteration)[0]


def test_a_view_without_changes_is_the_image():
    np.testing.assert_allclose(viewed(IMAGE), IMAGE, rtol=1e-12)


def blob(row, column, side=64, deviation=3.0):
    rows, columns = np.mgrid[:side, :side]
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * deviation**2))[None, None]


def centre(x):
    rows, columns = np.mgrid[: x.shape[-2], : x.shape[-1]]
    return np.array([(x * rows).sum(), (x * columns).sum()]) / x.sum()


def test_a_view_is_rotated_about_its_middle_by_up_to_the_angle():
    middle, away = 31.5, np.array([0.0, 12.0])
    angles = []
    for iteration in range(60):
        found = centre(viewed(blob(*(middle + away)), iteration, rotation=20)) - middle
        np.testing.assert_allclose(np.hypot(*found), 12, rtol=5e-3)
        angles.append(np.degrees(np.arctan2(found[0], found[1])))
    assert 15 < max(angles) < 20.1
    assert -20.1 < min(angles) < -15


def test_a_view_of_half_the_size_shows_a_part_twice_as_large():
    x = blob(31.5, 31.5)
    found = [viewed(x, i, scale=(0.5, 0.5)) for i in range(20)]
    np.testing.assert_allclose(max(y.sum() for y in found), 4 * x.sum(), rtol=0.02)
    seen = np.stack([centre(y) for y in found])
    assert seen.std(axis=0).min() > 5
    assert np.abs(seen - 31.5).max() <= 33


def test_noise_has_the_deviation_that_is_asked_for():
    y = viewed(np.full((1, 3, 64, 64), 0.5), noise=0.1)
    np.testing.assert_allclose(y.std(), 0.1, rtol=0.05)


def test_views_are_repeatable_from_the_seed_and_the_iteration():
    view = RandomView(Pixels(), seed=3)
    once = [view.vjp(IMAGE, i)[0] for i in range(4)]
    for i in reversed(range(4)):
        np.testing.assert_array_equal(view.vjp(IMAGE, i)[0], once[i])
    assert not np.array_equal(once[0], once[1])
    assert not np.array_equal(once[0], RandomView(Pixels(), seed=4).vjp(IMAGE, 0)[0])
    np.testing.assert_array_equal(view.image(IMAGE), IMAGE)


def slope_error(space, z, v):
    """Relative difference of the pullback from central differences along a random direction."""
    d, step = np.random.default_rng(8).standard_normal(z.shape), 1e-5
    found = inner(space.vjp(z)[1](v), d).sum()
    ends = [space.image(z + sign * step * d) for sign in (1, -1)]
    expected = inner((ends[0] - ends[1]) / (2 * step), v).sum()
    return abs(found - expected) / abs(expected)


@pytest.mark.parametrize("shape", [(2, 3, 11, 16), (1, 1, 8, 9), (1, 1, 3, 1)])
@pytest.mark.parametrize("space", [Phase(), Bounded(Fourier()), Bounded(Phase(0.4))])
def test_pullbacks_of_curved_maps_are_their_derivatives(space, shape):
    rng = np.random.default_rng(2)
    assert slope_error(space, rng.standard_normal(shape), rng.standard_normal(shape)) < 1e-7


def test_bounded_images_stay_in_range_and_keep_low_contrast():
    x = Bounded(Pixels(bounded=False)).image(np.array([[[[-9.0, 0.49, 0.5, 0.51, 9.0]]]]))
    np.testing.assert_allclose(x.ravel(), [0, 0.49, 0.5, 0.51, 1], atol=1e-5)
    space = Bounded(Spectral())
    np.testing.assert_allclose(space.image(space.inverse(IMAGE)), np.clip(IMAGE, 1e-3, 1 - 1e-3))
    assert not is_centred(space)


@pytest.mark.parametrize("shape", [(64, 64), (63, 48), (300, 224)])
def test_phases_have_the_spectrum_of_photographs(shape):
    x = Phase(amplitude=0.2).image(3 * np.random.default_rng(1).standard_normal((1, 1, *shape)))
    np.testing.assert_allclose([x.mean(), x.std()], [0.5, 0.2], rtol=0.1)
    power = np.abs(np.fft.fft2(x[0, 0] - 0.5)) ** 2
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1]))
    assert 0.02 < power[frequency > 0.25].sum() / power.sum() < 0.08
    low, high = (
        power[np.abs(np.log2(frequency + 1e-9) - np.log2(f)) < 0.25].mean() for f in (1 / 16, 1 / 4)
    )
    assert 1.0 < np.log2(low / high) / 4 < 1.6


def test_the_phases_of_a_photograph_keep_its_edges():
    x = np.zeros((1, 1, 64, 64))
    x[..., 20:44, 20:44] = 1
    space = Phase()
    assert np.corrcoef(space.image(space.inverse(x)).ravel(), x.ravel())[0, 1] > 0.6


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Phase(amplitude=0), "amplitude"),
        (lambda: RandomView(Pixels(), rotation=60), "rotation"),
        (lambda: RandomView(Pixels(), scale=(1.0, 0.5)), "scale"),
        (lambda: RandomView(Pixels(), noise=-1), "noise"),
        (lambda: Spectral(amplitude=0), "amplitude"),
        (lambda: Spectral(start_scale=-1), "start_scale"),
        (lambda: Jitter(Pixels(), -1), "amount >= 0"),
    ],
)
def test_options_out_of_bounds_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_changes_of_an_image_are_weighted_from_place_to_place():
    rng = np.random.default_rng(3)
    weights = np.where(np.arange(64) < 32, 1.0, 0.05) * np.ones((1, 1, 64, 64))
    image = rng.random(weights.shape)
    change = Local(Spectral(), image, weights, contrast=0.0).image(rng.standard_normal(image.shape))
    change -= image
    assert 0.03 < change[..., 32:].std() / change[..., :32].std() < 0.08


def test_the_mean_of_a_change_turns_the_contrast():
    image = np.random.default_rng(3).random((1, 1, 16, 16))
    z = np.zeros(image.shape)
    z[..., 0, 0] = 1.0
    local = Local(Spectral(), image, np.ones_like(image), contrast=2.0)
    brighter = Spectral().image(z).mean() - 0.5
    found = local.image(z)
    expected = image.std() + 2 * brighter
    np.testing.assert_allclose([found.std(), found.mean() - image.mean()], [expected, brighter])


def test_local_of_a_constant_image_has_no_contrast_to_turn():
    image = np.full((1, 1, 16, 16), 0.4)
    z = np.random.default_rng(0).standard_normal(image.shape)
    expected = Spectral().image(z) - 0.1
    found = Local(Spectral(), image, np.ones_like(image)).image(z)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_changes_of_an_image_keep_jitter_and_pixels_have_none():
    image = np.random.default_rng(1).random((1, 1, 16, 16))
    weights = np.ones_like(image)
    jitter = Jitter(Spectral(), 2, seed=4).about(image, weights)
    assert isinstance(jitter, Jitter)
    np.testing.assert_allclose(jitter.image(0 * image), image)
    again = jitter.about(image + 0.1, weights)
    np.testing.assert_allclose(again.image(0 * image), image + 0.1)
    assert again.base.inner == jitter.base.inner
    assert not is_centred(Jitter(Pixels()))
    assert is_centred(jitter)


LEVELLED = {
    "of pixels": Levelled(Pixels(), AREAS),
    "of local": Levelled(LINEAR["local"], AREAS),
    "of jitter": Levelled(LINEAR["jitter of spectral"], AREAS),
}
levelled = pytest.mark.parametrize("parametrization", LEVELLED.values(), ids=LEVELLED)


@levelled
def test_levelling_has_the_adjoint_of_its_jvp(parametrization):
    x, pullback = parametrization.vjp(Z, 3)
    jvp = x - parametrization.vjp(0 * Z, 3)[0]
    np.testing.assert_allclose(inner(jvp, V), inner(Z, pullback(V)), rtol=1e-12)


def test_levelled_areas_have_their_means_exactly_and_the_rest_is_as_it_was():
    x = Levelled(Pixels(), AREAS).image(IMAGE.astype(np.float32))
    assert x.dtype == np.float32
    for area in (1, 2):
        inside = x[..., area == AREAS]
        assert np.all(inside == inside[..., :1])
        np.testing.assert_allclose(inside[..., 0], IMAGE[..., area == AREAS].mean(-1), rtol=1e-6)
    np.testing.assert_array_equal(x[..., AREAS == 0], IMAGE.astype(np.float32)[..., AREAS == 0])


def test_what_is_level_is_levelled_no_further():
    space = Levelled(Pixels(), AREAS)
    once = space.image(IMAGE)
    np.testing.assert_allclose(space.image(space.inverse(once)), once, rtol=1e-12)


def test_tensors_are_levelled_alike():
    found = Levelled(Pixels(), torch.asarray(AREAS)).image(torch.asarray(IMAGE))
    np.testing.assert_allclose(found.numpy(), Levelled(Pixels(), AREAS).image(IMAGE), rtol=1e-12)
