"""Activations of one or two kinks keep their outputs and are pulled back with smooth slopes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import repinv_cnn  # noqa: E402
from repinv_cnn._graph import surrogates  # noqa: E402

MODULES = [
    nn.ReLU(),
    nn.ReLU6(),
    nn.Hardtanh(-2.0, 3.0),
    nn.Hardsigmoid(),
    nn.Hardswish(),
    nn.LeakyReLU(0.2),
    nn.PReLU(5, init=0.1),
]
#: The same as functions, with their arguments as users give them.
CALLS = [
    (torch.relu, (), {}),
    ("relu", (), {}),
    (functional.relu, (True,), {}),
    (functional.relu6, (), {"inplace": True}),
    (functional.hardtanh, (-2.0, 3.0), {}),
    (functional.hardsigmoid, (), {}),
    (functional.hardswish, (), {}),
    (functional.leaky_relu, (0.2, True), {}),
    (functional.leaky_relu, (), {"negative_slope": 0.3}),
]


def values(dtype=torch.float64):
    return 4 * torch.randn(2, 5, 12, 9, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
def test_outputs_are_exact_and_slopes_tend_to_the_true_one(module):
    module, x = module.double(), values()
    activation = surrogates.of_module(module)
    leaf = x.clone().requires_grad_()
    y = surrogates.surrogate(leaf, 1e-7, activation)
    torch.testing.assert_close(y, module(x), rtol=0, atol=0)
    expected = torch.autograd.functional.vjp(module, x, torch.ones_like(x))[1]
    (found,) = torch.autograd.grad(y, leaf, torch.ones_like(x))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)
    wide = activation.pull(torch.ones_like(x), x, 1.0)
    assert (wide - expected).abs().mean() > 0.02


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
def test_a_smooth_slope_is_that_of_its_antiderivative(module):
    """Which is made of squareplus; of hard swish by its product with the smooth hard sigmoid."""
    x, width = values(), 0.5
    square = width**2 * x.square().mean(dim=(1, 2, 3), keepdim=True)

    def plus(z):
        return (z + torch.sqrt(z * z + square)) / 2

    kinks = surrogates.of_module(module).kinks
    name = surrogates.of_module(module).name
    leaf = x.clone().requires_grad_()
    smooth = kinks.base * leaf + kinks.rise * plus(leaf - kinks.low)
    smooth = smooth - kinks.fall * plus(leaf - kinks.high)
    if name == "prelu":
        slope = float(module.weight[0].detach())
        smooth = slope * leaf + (1 - slope) * plus(leaf)
    if name == "hardswish":
        smooth = x * smooth + leaf * functional.hardsigmoid(x)
    (expected,) = torch.autograd.grad(smooth.sum(), leaf)
    found = surrogates.of_module(module.double()).pull(torch.ones_like(x), x, width)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    single = surrogates.of_module(module.float()).pull(torch.ones(x.shape), x.float(), width)
    torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("function", "args", "options"), CALLS)
def test_calls_are_known_with_their_arguments(function, args, options):
    x = values()
    activation, given, in_place = surrogates.of_call(function, (x, *args), options)
    assert given is x
    assert in_place == (options.get("inplace", False) or any(a is True for a in args))
    expected = (
        getattr(x, function)()
        if isinstance(function, str)
        else function(x.clone(), *args, **options)
    )
    torch.testing.assert_close(activation(x), expected, rtol=0, atol=0)


def test_other_calls_and_subclasses_are_left_alone():
    class Mine(nn.ReLU6):
        def forward(self, x):
            return x

    assert surrogates.of_call(torch.sigmoid, (values(),), {}) is None
    assert surrogates.of_call("mean", (values(),), {}) is None
    assert surrogates.of_module(nn.SiLU()) is None
    assert surrogates.of_module(Mine()) is None


class Untraceable(nn.Module):
    """Runs its layers after a look at a value."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        return self.layers(x) if float(x.detach().sum()) > -1e9 else x


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
@pytest.mark.parametrize("is_traced", [True, False])
def test_encoders_have_surrogate_slopes_of_every_kind(module, is_traced):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 5, 3), module.float(), nn.Conv2d(5, 4, 3))
    net = (layers if is_traced else Untraceable(layers)).eval()
    encoder = repinv_cnn.TorchEncoder(net, "2" if is_traced else "layers.2")
    smooth = encoder.with_surrogate_slopes(0.8)
    x = 8 * np.random.default_rng(0).normal(size=(2, 3, 10, 10)).astype(np.float32)
    features, pullback = encoder.vjp(x)
    others, smooth_pullback = smooth.vjp(x)
    np.testing.assert_allclose(others, features, rtol=1e-5, atol=1e-6)
    v = np.random.default_rng(1).normal(size=features.shape).astype(np.float32)
    exact, found = pullback(v), smooth_pullback(v)
    difference = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert 0.02 < difference < 1.5


def test_an_activation_without_kinks_has_none():
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.SiLU()).eval()
    assert repinv_cnn.TorchEncoder(net, "1").with_surrogate_slopes(0.5) is None
