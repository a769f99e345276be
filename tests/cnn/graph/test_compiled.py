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
