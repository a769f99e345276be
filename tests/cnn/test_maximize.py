"""Activation maximization of networks: objectives, views, and runs that are continued."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import repinv
import repinv_cnn
from repinv.io import serialization

DIGITS = repinv_cnn.from_digits("logits")
SHAPE = (24, 24, 3)


class Small(nn.Sequential):
    """Logits of seven classes, with random weights."""

    def __init__(self):
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        super().__init__(*layers, nn.Linear(32, 9), nn.ReLU(), nn.Linear(9, 7))
        self.eval()


def encoder(layer):
    return repinv_cnn.TorchEncoder(Small(), layer)


def loss_of(result):
    """The loss that a run minimized, by the name that files have for it."""
    return serialization.restore(result.run[0]["problem"]["loss"])


def space_of(result):
    return serialization.restore(result.run[0]["problem"]["parametrization"])


class WithSoftmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.last = nn.Linear(3 * 64, 5), nn.Linear(5, 7)

    def forward(self, x):
        return torch.softmax(self.last(torch.relu(self.hidden(x.flatten(1)))), dim=1)


def test_logits_are_the_last_linear_layer_of_the_shape_of_the_output():
    assert DIGITS.is_classifier
    assert not repinv_cnn.from_digits("fc").is_classifier
    assert not repinv_cnn.from_digits("relu3").is_classifier
    net = WithSoftmax().eval()
    found = {layer: repinv_cnn.TorchEncoder(net, layer, channels=3) for layer in ("hidden", "last")}
    for one in found.values():
        one.feature_shape((3, 8, 8))
    assert found["last"].is_classifier
    assert not found["hidden"].is_classifier
    assert not repinv.HOG.vlfeat().is_classifier


@pytest.mark.parametrize(
    ("layer", "component", "options", "expected"),
    [
        ("6", 3, {}, repinv.Margin),
        ("6", (3,), {}, repinv.Margin),
        ("6", np.eye(7)[3] - 0.1, {}, repinv.InnerProduct),
        ("6", -np.eye(7)[3], {}, repinv.InnerProduct),
        ("6", 3, {"strength": 2.0}, repinv.Shortfall),
        ("0", 5, {}, repinv.InnerProduct),
        ("1", (5, 2, 2), {}, repinv.InnerProduct),
        ("4", 7, {}, repinv.InnerProduct),
    ],
)
def test_the_objective_comes_from_the_network(layer, component, options, expected):
    result = repinv.maximize(encoder(layer), component, shape=SHAPE, max_iter=4, **options)
    assert type(loss_of(result)) is expected
    assert type(space_of(result)) is repinv.RandomView


def test_networks_of_gray_images_have_the_defaults_of_shallow_encoders():
    result = repinv.maximize(DIGITS, 3, shape=(32, 32), max_iter=4)
    assert type(loss_of(result)) is repinv.Shortfall
    assert space_of(result) == repinv.Jitter(repinv.Fourier(exponent=1.5), amount=2)


def test_the_response_is_in_units_of_the_scale_whatever_the_objective():
    result = repinv.maximize(encoder("6"), 3, shape=SHAPE, max_iter=8, scale=2.0)
    np.testing.assert_allclose(result.response, np.asarray(result.features)[:, 3] / 2, rtol=1e-6)


def test_transforms_take_the_parametrization_and_seeds_of_the_run():
    views = (repinv.Jitter(amount=1), repinv.RandomView(rotation=5))
    net, space = encoder("6"), repinv.Fourier()
    options = {"shape": SHAPE, "max_iter": 4, "seed": 7, "parametrization": space}
    found = space_of(repinv.maximize(net, 3, transforms=views, **options))
    assert found == repinv.RandomView(repinv.Jitter(space, 1, seed=7), rotation=5, seed=8)
    found = space_of(repinv.maximize(net, 3, jitter=2, **options))
    assert found == repinv.Jitter(space, amount=2, seed=7)
    assert space_of(repinv.maximize(net, 3, transforms=(), **options)) == space
    found = space_of(repinv.maximize(repinv.HOG.vlfeat(), 3, transforms=views[1:], **options))
    assert found == repinv.RandomView(space, rotation=5, seed=7)


def test_what_is_no_transform_is_refused():
    with pytest.raises(TypeError, match=r"Jitter and repinv\.RandomView; got Pixels"):
        repinv.maximize(encoder("6"), 3, shape=SHAPE, transforms=(repinv.Pixels(),))


@pytest.mark.parametrize("space", [None, repinv.Decorrelated(repinv.Fourier())])
def test_a_run_through_views_goes_on_to_the_same_end(tmp_path, space):
    options = {"shape": SHAPE, "max_iter": 40, "n_images": 2, "parametrization": space}
    net = encoder("6")
    whole = repinv.maximize(net, 2, **options)
    part = repinv.maximize(net, 2, **options, callback=lambda shown: shown.iteration == 20)
    assert part.iterations == 20
    part.save(tmp_path / "run.npz")
    continued = repinv.resume(tmp_path / "run.npz", encoder=net)
    np.testing.assert_array_equal(continued.images, whole.images)
    np.testing.assert_array_equal(continued.response, whole.response)


def test_a_class_is_the_likeliest_one_in_views_that_the_run_did_not_see():
    net = encoder("6")
    result = repinv.maximize(net, 2, shape=SHAPE, max_iter=200)
    view = repinv.RandomView(repinv.Pixels(bounded=False), seed=99)
    x = np.moveaxis(result.images, -1, 1).astype(np.float32)
    logits = np.stack([net.encode(view.vjp(x, k)[0])[0] for k in range(12)])
    others = np.delete(logits, 2, axis=1)
    start = np.moveaxis(np.full(SHAPE, 0.5, np.float32), -1, 0)[None]
    before = net.encode(start)[0]
    gained = (logits[:, 2] - others.max(axis=1)) - (before[2] - np.delete(before, 2).max())
    assert (gained > 0).all()


def test_a_channel_that_is_off_at_the_start_is_excited():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU())
    with torch.no_grad():  # off for a gray image, by a third of a deviation of photographs
        net[0].bias.copy_(-0.5 * net[0].weight.sum((1, 2, 3)) - 0.1)
    units = repinv_cnn.TorchEncoder(net.eval(), "1")
    result = repinv.maximize(units, 2, shape=SHAPE, scale=1.0, max_iter=100)
    assert result.response[0] > 0.01


def test_views_of_tensors_are_those_of_arrays():
    view = dataclasses.replace(repinv.RandomView(seed=4), base=repinv.Phase())
    z = np.random.default_rng(0).standard_normal((1, 3, 20, 24))
    x, pullback = view.vjp(z, 5)
    got, got_pullback = view.vjp(torch.from_numpy(z), 5)
    np.testing.assert_allclose(got.numpy(), x, atol=1e-12)
    np.testing.assert_allclose(got_pullback(torch.from_numpy(x)).numpy(), pullback(x), atol=1e-12)
