"""Priors against their formulas, spelled out pixel by pixel; see also test_conformance.py."""

import numpy as np
import pytest

from repinv import AlphaNorm, IntensityRange, NaturalContrast, TotalVariation
from repinv.testing import check_vjp

RNG = np.random.default_rng(4)
GRAY = RNG.random((2, 1, 7, 10))
COLOUR = RNG.random((2, 3, 7, 10))
PRIORS = {
    "alpha 1": AlphaNorm(alpha=1),
    "alpha 1.3": AlphaNorm(alpha=1.3),
    "alpha 6": AlphaNorm(),
    "tv 1": TotalVariation(beta=1),
    "tv 1.5": TotalVariation(beta=1.5),
    "tv 2": TotalVariation(),
    "tv 3": TotalVariation(beta=3),
    "range": IntensityRange(),
    "contrast": NaturalContrast(),
}
priors = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
images = pytest.mark.parametrize("x", [GRAY, COLOUR], ids=["gray", "colour"])


def value(prior, x):
    return prior.value_and_grad(x)[0]


def slopes(x):
    """Squared gradient magnitude at every pixel, by loops: (N, H, W)."""
    count, _, height, width = x.shape
    square = np.zeros((count, height, width))
    for i in range(height):
        for j in range(width):
            if j + 1 < width:
                square[:, i, j] += ((x[:, :, i, j + 1] - x[:, :, i, j]) ** 2).sum(axis=1)
            if i + 1 < height:
                square[:, i, j] += ((x[:, :, i + 1, j] - x[:, :, i, j]) ** 2).sum(axis=1)
    return square


@images
@pytest.mark.parametrize("alpha", [1, 1.5, 2, 6, 8])
def test_alpha_norm_is_the_mean_power_of_the_distance_to_gray(x, alpha):
    distance = np.sqrt(((x - 0.5) ** 2).sum(axis=1)) / 0.3
    expected = (distance**alpha).mean(axis=(1, 2))
    np.testing.assert_allclose(value(AlphaNorm(alpha, 0.3), x), expected, rtol=1e-12)


@images
@pytest.mark.parametrize("beta", [1, 1.5, 2, 2.5, 3])
def test_total_variation_is_the_mean_power_of_the_gradient(x, beta):
    eps = 0 if beta == 2 else 0.01
    square = slopes(x) / 0.2**2 + eps**2
    expected = (square ** (beta / 2)).mean(axis=(1, 2)) - eps**beta
    prior = TotalVariation(beta, scale=0.2, eps=0.01)
    np.testing.assert_allclose(value(prior, x), expected, rtol=1e-11)


def test_total_variation_of_one_step_is_its_height_times_its_length():
    x = np.zeros((1, 1, 8, 12))
    x[..., 5:] = 0.3
    got = value(TotalVariation(beta=1, scale=1.0, eps=1e-9), x)
    np.testing.assert_allclose(got, 0.3 * 8 / (8 * 12), rtol=1e-6)


def test_intensity_range_is_the_mean_squared_excess():
    x = np.linspace(-1, 2, 24).reshape(1, 2, 3, 4)
    excess = np.maximum(x - 0.9, 0) + np.maximum(0.1 - x, 0)
    expected = np.mean((excess / 0.2) ** 2)
    np.testing.assert_allclose(value(IntensityRange(0.1, 0.9, 0.2), x), expected, rtol=1e-12)


@images
def test_intensity_range_is_exactly_zero_inside(x):
    x = np.concatenate([x, np.zeros_like(x), np.ones_like(x)])
    got, grad = IntensityRange().value_and_grad(x)
    np.testing.assert_array_equal(got, 0)
    np.testing.assert_array_equal(grad, 0)


@images
def test_natural_contrast_is_the_squared_logarithm_of_the_ratio(x):
    ratio = np.sqrt(slopes(x).mean(axis=(1, 2))) / 0.07
    np.testing.assert_allclose(value(NaturalContrast(0.07), x), np.log(ratio) ** 2, rtol=1e-10)


def test_natural_contrast_is_least_where_the_gradient_is_natural():
    root = np.sqrt(slopes(GRAY).mean(axis=(1, 2)))[:, None, None, None]
    got, grad = NaturalContrast(0.05).value_and_grad(0.05 / root * GRAY)
    np.testing.assert_allclose(got, 0, atol=1e-25)
    np.testing.assert_allclose(grad, 0, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 0.2, 5.0])
def test_natural_contrast_counts_too_much_as_it_counts_too_little(factor):
    root = np.sqrt(slopes(GRAY).mean(axis=(1, 2)))[:, None, None, None]
    got, grad = NaturalContrast(0.05).value_and_grad(factor * 0.05 / root * GRAY)
    np.testing.assert_allclose(got, np.log(factor) ** 2, rtol=1e-12)
    outward = np.sum(grad * (GRAY - GRAY.mean()), axis=(1, 2, 3))
    assert np.all(np.sign(outward) == np.sign(np.log(factor)))


def test_natural_contrast_is_held_where_an_image_is_constant():
    got, grad = NaturalContrast().value_and_grad(np.full((1, 1, 6, 6), 0.3))
    np.testing.assert_allclose(got, np.log(1e-12) ** 2)
    np.testing.assert_array_equal(grad, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [-3.0, 0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("channels", [1, 3])
@priors
def test_constant_images_have_finite_values_and_gradients(prior, channels, level, dtype):
    x = np.full((2, channels, 5, 6), level, dtype)
    got, grad = prior.value_and_grad(x)
    assert np.isfinite(got).all()
    assert np.isfinite(grad).all()
    if isinstance(prior, TotalVariation):
        np.testing.assert_allclose(got, 0, atol=np.finfo(dtype).eps)
        np.testing.assert_array_equal(grad, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-3, 1e-8, 1e-15, 1e-19, 1e-21, 1e-30])
@pytest.mark.parametrize("middle", [0.0, 0.5])
@priors
def test_all_but_constant_images_have_finite_values_and_gradients(prior, middle, size, dtype):
    x = (middle + size * (GRAY - 0.5)).astype(dtype)
    got, grad = prior.value_and_grad(x)
    assert np.isfinite(got).all()
    assert np.isfinite(grad).all()


@pytest.mark.parametrize("alpha", [1, 1.3, 2, 6])
def test_the_gradient_of_alpha_norm_at_mid_gray_is_zero(alpha):
    x = GRAY.copy()
    x[:, :, 2:4, 3:5] = 0.5
    grad = AlphaNorm(alpha).value_and_grad(x)[1]
    np.testing.assert_array_equal(grad[:, :, 2:4, 3:5], 0)
    assert np.count_nonzero(grad) == grad.size - 2 * 4


@pytest.mark.parametrize("beta", [1, 1.5])
def test_total_variation_has_a_gradient_where_patches_are_flat(beta):
    x = GRAY.copy()
    x[:, :, 2:6, 2:7] = 0.5
    prior = TotalVariation(beta, scale=0.1, eps=0.05)

    def vjp(x):
        value, grad = prior.value_and_grad(x)
        return value, lambda v: v[:, None, None, None] * grad

    check_vjp(vjp, x, tolerance=1e-8, step=1e-5)


@pytest.mark.parametrize("prior", [PRIORS["alpha 1.3"], PRIORS["tv 1.5"], PRIORS["tv 2"]])
def test_no_channel_is_preferred(prior):
    got, grad = prior.value_and_grad(COLOUR)
    other, other_grad = prior.value_and_grad(COLOUR[:, [2, 0, 1]])
    np.testing.assert_allclose(other, got, rtol=1e-14)
    np.testing.assert_allclose(other_grad, grad[:, [2, 0, 1]], rtol=1e-12)
    # A turn of the colour space about its gray is none of the prior's business either.
    turn = np.linalg.qr(RNG.standard_normal((3, 3)))[0]
    turned = np.einsum("ij,njhw->nihw", turn, COLOUR - 0.5) + 0.5
    np.testing.assert_allclose(value(prior, turned), got, rtol=1e-12)


@priors
def test_an_image_and_its_transpose_cost_the_same(prior):
    np.testing.assert_allclose(value(prior, COLOUR.mT.copy()), value(prior, COLOUR), rtol=1e-12)


@pytest.mark.parametrize("prior", [AlphaNorm(), AlphaNorm(alpha=1.3), IntensityRange(0.2, 0.6)])
def test_an_image_tiled_costs_what_the_image_costs(prior):
    tiled = np.tile(COLOUR, (1, 1, 2, 2))
    np.testing.assert_allclose(value(prior, tiled), value(prior, COLOUR), rtol=1e-13)


@pytest.mark.parametrize("prior", [TotalVariation(), TotalVariation(beta=1), NaturalContrast()])
def test_a_larger_image_of_the_same_texture_costs_the_same(prior):
    # Mirrored tiles meet without a step; the rows without a difference fall from 1/H to 1/(kH).
    def mirrored(times):
        return np.pad(COLOUR, ((0, 0), (0, 0), (0, 7 * times), (0, 10 * times)), "symmetric")

    small, large = value(prior, mirrored(1)), value(prior, mirrored(15))
    np.testing.assert_allclose(small, large, rtol=0.1)
    if isinstance(prior, TotalVariation) and prior.beta == 2:
        # Sums over differences are exactly additive: 16 × 16 tiles are 64 times 2 × 2 of them.
        np.testing.assert_allclose(large, small, rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AlphaNorm(alpha=0.5), "alpha >= 1"),
        (lambda: AlphaNorm(scale=0), "scale > 0"),
        (lambda: AlphaNorm(alpha=np.nan), "alpha >= 1"),
        (lambda: TotalVariation(beta=0.9), "beta >= 1"),
        (lambda: TotalVariation(scale=-1), "scale > 0"),
        (lambda: TotalVariation(eps=0), "eps > 0"),
        (lambda: IntensityRange(1, 0), "low < high"),
        (lambda: IntensityRange(scale=0), "scale > 0"),
        (lambda: NaturalContrast(0), "gradient > 0"),
    ],
)
def test_options_out_of_bounds_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_an_image_of_one_pixel_has_no_variation():
    for prior in (TotalVariation(), TotalVariation(beta=1)):
        got, grad = prior.value_and_grad(np.full((1, 1, 1, 1), 0.7))
        np.testing.assert_allclose(got, 0, atol=1e-15)
        np.testing.assert_array_equal(grad, 0)
