"""Priors that lean on more than the image: a reference, its energies, or the rest of the batch."""

import numpy as np
import pytest
import torch

from repinv import (
    CellEnergy,
    Decorrelated,
    Diversity,
    Fourier,
    Pixels,
    Pull,
    Spectral,
    cell_energies,
)
from repinv.energy.reference_priors import FLOOR

RNG = np.random.default_rng(2)
IMAGES = RNG.uniform(0, 1, (3, 3, 8, 10))


def test_a_pull_is_blind_to_contrast_and_brightness():
    pull = Pull(IMAGES[:1])
    value, grad = pull.value_and_grad(0.3 * IMAGES[:1] + 0.5)
    np.testing.assert_allclose(value, 0, atol=1e-12)
    np.testing.assert_allclose(grad, 0, atol=1e-12)
    assert pull.value_and_grad(1 - IMAGES[:1])[0] == pytest.approx(2)


def test_a_pull_is_half_the_squared_difference_of_standardized_images():
    x, image = IMAGES[:1], IMAGES[1:2]
    standard = [(a - a.mean()) / a.std() for a in (x, image)]
    expected = 0.5 * np.mean((standard[0] - standard[1]) ** 2)
    assert Pull(image).value_and_grad(x)[0] == pytest.approx(expected)


def test_descending_a_pull_ends_at_the_image():
    x = RNG.uniform(0, 1, IMAGES[:1].shape)
    for _ in range(200):
        x = x - 10 * Pull(IMAGES[:1]).value_and_grad(x)[1]
    assert np.corrcoef(x.ravel(), IMAGES[0].ravel())[0, 1] > 0.999


@pytest.mark.parametrize("prior", [Pull(IMAGES), Diversity()])
def test_constant_images_have_no_gradient(prior):
    x = IMAGES.copy()
    x[1] = 0.5
    value, grad = prior.value_and_grad(x)
    assert np.isfinite(value).all()
    assert not grad[1].any()
    assert np.isfinite(grad).all()


def test_the_gradient_of_diversity_is_that_of_its_sum():
    x = torch.asarray(IMAGES).requires_grad_()
    value, grad = Diversity().value_and_grad(x)
    (expected,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(grad.detach(), expected, atol=1e-12)
    of_arrays = Diversity().value_and_grad(IMAGES)
    np.testing.assert_allclose(of_arrays[1], expected, atol=1e-12)


def test_an_image_alone_is_as_diverse_as_it_can_be():
    value, grad = Diversity().value_and_grad(IMAGES[:1])
    assert value == 0
    assert not grad.any()


@pytest.mark.parametrize("base", [Spectral(exponent=1.0), Fourier()])
def test_noise_becomes_colours_that_vary_together_as_those_of_photographs(base):
    noise = np.random.default_rng(0).standard_normal((200, 3, 24, 24))
    x = Decorrelated(base).image(noise)
    red, _, blue = np.moveaxis(x, 1, 0).reshape(3, -1)
    assert 0.4 < np.corrcoef(red, blue)[0, 1] < 0.9
    assert x.std() == pytest.approx(base.image(noise).std(), rel=0.05)
    gray = Decorrelated(base).image(noise[:, :1])
    np.testing.assert_array_equal(gray, base.image(noise[:, :1]))


@pytest.mark.parametrize("shape", [(16, 16), (15, 22)])
def test_fourier_wraps_and_has_the_spectrum_that_is_asked_for(shape):
    noise = np.random.default_rng(0).standard_normal((400, 1, *shape))
    space = Fourier(exponent=1.0, amplitude=0.3)
    x = space.image(noise) - 0.5
    assert x.std() == pytest.approx(0.3, rel=0.05)
    shifted = space.image(np.roll(noise, (3, 5), axis=(-2, -1))) - 0.5
    np.testing.assert_allclose(shifted, np.roll(x, (3, 5), axis=(-2, -1)), atol=1e-12)
    power = (np.abs(np.fft.fft2(x)) ** 2).mean((0, 1))
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1]))
    slope = np.polyfit(np.log(frequency[1:, 1:].ravel()), np.log(power[1:, 1:].ravel()), 1)[0]
    assert slope == pytest.approx(-2, abs=0.1)


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="start_scale > 0"):
        Fourier(start_scale=0)
    assert Decorrelated(Pixels()).project(np.array([2.0])) == 1


def test_cell_energies_are_of_gradients_relative_to_the_image():
    x = np.zeros((1, 1, 8, 16))
    x[..., :8, :8] = np.indices((8, 8)).sum(axis=0)  # |∇|² = 2, but for the cell's last lines
    energy = np.exp(cell_energies(x, 8)) - FLOOR
    assert energy.shape == (1, 1, 1, 2)
    assert energy.mean() == pytest.approx(1)
    assert energy[..., 0] > energy[..., 1]
    np.testing.assert_allclose(cell_energies(0 * x + 0.3, 8), np.log(FLOOR))


def test_cell_energies_are_blind_to_contrast_and_brightness():
    x = IMAGES[:, :1]
    prior = CellEnergy(cell_energies(x, 4), 4)
    value, grad = prior.value_and_grad(0.2 * x + 0.4)
    np.testing.assert_allclose(value, 0, atol=1e-12)
    np.testing.assert_allclose(grad, 0, atol=1e-12)
    # A constant added to the logarithms says nothing.
    shifted = CellEnergy(cell_energies(x, 4) + 3, 4)
    np.testing.assert_allclose(shifted.value_and_grad(x)[0], 0, atol=1e-12)


@pytest.mark.parametrize("cell", [3, 4])
def test_the_gradient_of_cell_energies_is_that_of_their_definition(cell):
    x = torch.asarray(IMAGES).requires_grad_()
    wanted = torch.asarray(cell_energies(np.roll(IMAGES, 1, axis=0), cell))
    square = torch.zeros_like(x[:, :1])
    square = square + torch.nn.functional.pad(x.diff(dim=-1) ** 2, (0, 1)).sum(1, keepdim=True)
    square = square + torch.nn.functional.pad(x.diff(dim=-2) ** 2, (0, 0, 0, 1)).sum(
        1, keepdim=True
    )
    energy = torch.nn.functional.avg_pool2d(square, cell)
    excess = torch.log(energy / energy.mean(dim=(2, 3), keepdim=True) + FLOOR) - wanted
    expected = ((excess - excess.mean(dim=(2, 3), keepdim=True)) ** 2).mean(dim=(1, 2, 3))
    (slope,) = torch.autograd.grad(expected.sum(), x)
    value, grad = CellEnergy(wanted.numpy(), cell).value_and_grad(IMAGES)
    np.testing.assert_allclose(value, expected.detach(), atol=1e-12)
    np.testing.assert_allclose(grad, slope, atol=1e-10)


def test_descending_cell_energies_moves_texture_to_where_it_belongs():
    wanted = np.zeros((1, 1, 2, 2))
    wanted[..., 0, 0] = 3
    x = RNG.uniform(0.4, 0.6, (1, 1, 16, 16))
    for _ in range(300):
        x = x - 0.01 * CellEnergy(wanted, 8).value_and_grad(x)[1]
    found = cell_energies(x, 8)
    np.testing.assert_allclose(found - found.mean(), wanted - wanted.mean(), atol=0.05)
