"""Cut modules as plain functions: the same features, and nothing of a module is passed over."""

import pickle

import pytest
import torch
from torch import nn

from repinv_cnn import TorchEncoder

X = torch.rand((2, 3, 12, 14), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def chain(*convolutions):
    torch.manual_seed(0)
    return nn.Sequential(*convolutions, nn.ReLU(), nn.Conv2d(6, 4, 3)).double().eval()


CONVOLUTIONS = {
    "zeros around it": nn.Conv2d(3, 6, 3, padding=1),
    "no bias": nn.Conv2d(3, 6, 3, bias=False),
    "strided, dilated, in groups": nn.Conv2d(3, 6, 3, stride=2, dilation=2, groups=3),
    "padding by name": nn.Conv2d(3, 6, 3, padding="same"),
    "its border mirrored": nn.Conv2d(3, 6, 3, padding=2, padding_mode="reflect"),
    "its border repeated": nn.Conv2d(3, 6, 3, padding=2, padding_mode="circular"),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_features_and_gradients_are_the_module_s(name):
    module = chain(CONVOLUTIONS[name])
    x = X.clone().requires_grad_()
    expected = module(x)
    (gradient,) = torch.autograd.grad(expected.square().sum(), x)
    features, pullback = TorchEncoder(module, "2", dtype=torch.float64).vjp(X)
    torch.testing.assert_close(features, expected.detach())
    torch.testing.assert_close(pullback(2 * features), gradient)


def test_a_layer_s_hook_counts():
    module = chain(nn.Conv2d(3, 6, 3))
    module[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    expected = module(X).detach()
    torch.testing.assert_close(TorchEncoder(module, "2", dtype=torch.float64).encode(X), expected)


def test_a_subclass_s_forward_counts():
    class Doubled(nn.Conv2d):
        def forward(self, x):
            return 2 * super().forward(x)

    module = chain(Doubled(3, 6, 3))
    found = TorchEncoder(module, "2", dtype=torch.float64).encode(X)
    torch.testing.assert_close(found, module(X).detach())


def test_an_encoder_survives_pickling():
    encoder = TorchEncoder(chain(nn.Conv2d(3, 6, 3, padding=1)), "2", dtype=torch.float64)
    again = pickle.loads(pickle.dumps(encoder))  # noqa: S301 — our own bytes
    torch.testing.assert_close(again.encode(X), encoder.encode(X))


def large(monkeypatch):
    """One image that oneDNN convolves, and the calls of oneDNN's convolution."""
    calls, convolve = [], torch.mkldnn_convolution

    def counted(*args):
        calls.append(args)
        return convolve(*args)

    monkeypatch.setattr(torch, "mkldnn_convolution", counted)
    generator = torch.Generator().manual_seed(2)
    return torch.rand((1, 3, 34, 40), generator=generator), calls


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("zeros around it", 2),
        ("no bias", 2),
        ("strided, dilated, in groups", 0),
        ("padding by name", 1),
    ],
)
def test_one_large_image_by_onednn_is_no_other(name, count, monkeypatch):
    x, calls = large(monkeypatch)
    module = chain(CONVOLUTIONS[name]).float()
    exact = module.double()(x.double())
    leaf = x.double().requires_grad_()
    (gradient,) = torch.autograd.grad(module(leaf).square().sum(), leaf)
    encoder = TorchEncoder(module.float(), "2")
    encoder.feature_shape(tuple(x.shape[1:]))  # compares with the module
    calls.clear()
    features, pullback = encoder.vjp(x)
    assert len(calls) == count
    torch.testing.assert_close(features, exact.float())
    torch.testing.assert_close(pullback(2 * features), gradient.float())


def test_mixed_precision_keeps_torch_s_convolutions(monkeypatch):
    x, calls = large(monkeypatch)
    encoder = TorchEncoder(chain(nn.Conv2d(3, 6, 3)).float(), "2", autocast=torch.bfloat16)
    encoder.feature_shape(tuple(x.shape[1:]))  # compares with the module, in full precision
    calls.clear()
    assert encoder.encode(x).dtype == torch.float32
    assert calls == []
