"""Pullbacks step by step: those of autograd, for whatever a module does between its layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from repinv_cnn import Preprocess, TorchEncoder
from repinv_cnn._graph import convolutions
from repinv_cnn._graph.compiled import Plain

X = torch.randn((2, 3, 12, 14), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Net(nn.Module):
    """A few layers, and a function of all of them and of what one gives."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.strided = nn.Conv2d(6, 6, 3, stride=2, padding=1)
        self.gain = nn.Parameter(torch.randn(6, 1, 1))
        self.relu, self.end = nn.ReLU(), nn.Identity()
        self.function = function

    def forward(self, x):
        return self.end(self.function(self, self.relu(self.one(x))))


def computing(encoder):
    """What an encoder computes its layers by."""
    return encoder._pipeline.function


def halves(x):
    """The product of two tensors that one operation gives."""
    one, other = x.chunk(2, dim=1)
    return one * other


FUNCTIONS = {
    "a sum": lambda net, x: net.two(x) + x,
    "a sum that broadcasts": lambda net, x: x + x.mean(dim=(2, 3), keepdim=True),
    "a sum with a weight": lambda net, x: net.two(x) + net.gain,
    "a sum of what is none": lambda net, x: x * (x.size(2) + x.size(3)),
    "torch.add, with a factor": lambda net, x: torch.add(net.two(x), x, alpha=0.5),
    "in place": lambda net, x: functional.relu(net.two(x).add(x), inplace=True),
    "twice the same": lambda net, x: net.two(x) + net.two(net.two(x)),
    "padded and strided": lambda net, x: (
        net.strided(x)[:, 2:] + functional.pad(x[:, 1:3, ::2, ::2], (0, 0, 0, 0, 1, 1))
    ),
    "padded with ones": lambda net, x: functional.pad(x, (1, 1), value=1.0).relu(),
    "its border mirrored": lambda net, x: functional.pad(x, (1, 2, 2, 0), mode="reflect") ** 2,
    "indexed twice": lambda net, x: x[:, [0, 0, 1]],
    "indexed by what it computes": lambda net, x: x[:, :, : x.shape[2] // 2] * 2,
    "several at once": lambda net, x: halves(x),
    "methods": lambda net, x: x.flatten(2).transpose(1, 2).softmax(-1),
    "maxima": lambda net, x: functional.max_pool2d(net.strided(x), 2, ceil_mode=True),
    "what does not depend on the image": lambda net, x: net.two(x) * net.gain.exp().sum(),
    "what has no slope": lambda net, x: x * (x > 0.1) + x.argmax(1, keepdim=True),
}


@pytest.mark.parametrize("relaxed", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_pullbacks_are_those_of_autograd(name, relaxed):
    encoder = TorchEncoder(Net(FUNCTIONS[name]).double().eval(), "end", dtype=torch.float64)
    encoder = encoder.with_surrogate_slopes(0.3) if relaxed else encoder
    encoder.feature_shape((3, 12, 14))
    assert isinstance(computing(encoder), Plain)
    x = X.clone().requires_grad_()
    expected = torch.cat(list(computing(encoder)(x)))
    features, pullback = encoder.vjp(X)
    torch.testing.assert_close(features, expected.detach())
    for seed in (0, 1):  # more than once
        v = torch.randn(features.shape, generator=torch.Generator().manual_seed(seed)).double()
        (gradient,) = torch.autograd.grad(expected, x, v, retain_graph=True)
        torch.testing.assert_close(pullback(v), gradient)


def test_what_gives_several_tensors_is_left_to_autograd():
    taped = TorchEncoder(Net(FUNCTIONS["a sum"]).eval(), "end")
    several = TorchEncoder(Net(FUNCTIONS["several at once"]).eval(), "end")
    for encoder in (taped, several):
        encoder.vjp(X.float())
    assert computing(taped)._tape is not None
    assert computing(several)._tape is None


@pytest.mark.parametrize(
    "function",
    [lambda net, x: net.two(x).double(), lambda net, x: (x + x.double()).relu()],
    ids=["at its end", "inside"],
)
def test_a_module_that_changes_its_precision_has_features_in_that_of_the_encoder(function):
    encoder = TorchEncoder(Net(function).eval(), "end")
    features, pullback = encoder.vjp(X.float())
    torch.testing.assert_close(features, encoder.encode(X.float()))
    assert features.dtype == torch.float32
    leaf = X.float().requires_grad_()
    (expected,) = torch.autograd.grad(computing(encoder)(leaf)[0].float().sum(), leaf)
    torch.testing.assert_close(pullback(torch.ones_like(features)), expected)


def test_a_subclass_of_preprocess_is_pulled_back_as_what_it_computes():
    class Squared(Preprocess):
        def __call__(self, x):
            return super().__call__(x) ** 2

    module, plain = nn.Sequential(nn.Identity()), Squared((0.5,), (0.2,))
    encoder = TorchEncoder(module.eval(), "0", plain, dtype=torch.float64)
    features, pullback = encoder.vjp(X)
    torch.testing.assert_close(pullback(torch.ones_like(features)), 2 * (X - 0.5) / 0.04)


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2}, {"groups": 2}, {"dilation": 2}, {"padding": 4}, {"kernel_size": 1}],
)
def test_one_image_of_many_places_is_pulled_back_alike(options):
    torch.manual_seed(0)
    inner = nn.Conv2d(4, 6, **{"kernel_size": 3, "padding": 1, **options})
    module = nn.Sequential(nn.Conv2d(3, 4, 3), inner, nn.ReLU(), nn.Conv2d(6, 5, 5)).eval()
    x = torch.rand((1, 3, 70, 64), requires_grad=True)
    expected = module(x)
    v = torch.randn_like(expected)
    (gradient,) = torch.autograd.grad(expected, x, v)
    features, pullback = TorchEncoder(module, "3").vjp(x)
    torch.testing.assert_close(features, expected.detach())
    torch.testing.assert_close(pullback(v), gradient, rtol=1e-4, atol=1e-5)


def test_an_image_that_the_features_do_not_depend_on_has_no_gradient():
    encoder = TorchEncoder(Net(lambda net, x: torch.zeros_like(x)).eval(), "end")
    features, pullback = encoder.vjp(X.float())
    assert not torch.any(pullback(torch.ones_like(features)))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "shape"),
    [
        (11, 4, 2, (1, 3, 35, 40)),
        (7, 2, 3, (2, 3, 16, 17)),
        (7, 2, 0, (1, 1, 20, 15)),
        (4, 4, 0, (3, 3, 15, 18)),
        ((5, 3), 3, (4, 1), (1, 4, 14, 13)),
        (5, 2, 4, (1, 2, 9, 8)),
    ],
    ids=str,
)
def test_strided_convolutions_of_images_are_pulled_back_phase_by_phase(
    kernel, stride, padding, shape, monkeypatch
):
    taken = []
    call = convolutions.Phases.__call__
    monkeypatch.setattr(
        convolutions.Phases, "__call__", lambda self, v, x: taken.append(v) or call(self, v, x)
    )
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(shape[1], 6, kernel, stride, padding), nn.ReLU()).double()
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    encoder = TorchEncoder(module.eval(), "1", dtype=torch.float64, channels=shape[1])
    features, pullback = encoder.vjp(x)
    taken.clear()  # by the comparison with the module
    v = torch.randn(features.shape, dtype=torch.float64)
    (expected,) = torch.autograd.grad(module(x), x, v)
    torch.testing.assert_close(pullback(v), expected)
    assert len(taken) == 1
