import numpy as np
import pytest
import torch
from torch import nn

import repinv
import repinv_cnn
from repinv.tasks.distortions.linearization import Linearization

IMAGE = np.random.default_rng(0).uniform(0.1, 0.9, (24, 24))


def _net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 4, 3, stride=2),
        nn.GELU(),
    ).eval()


@pytest.mark.parametrize("layer", ["2", "5", ["2", "5"]])
def test_the_pushforward_is_the_adjoint_of_the_pullback(layer):
    encoder = repinv_cnn.TorchEncoder(_net(), layer=layer, dtype=torch.float64)
    linear = Linearization(encoder, IMAGE[None, None])
    assert not linear.by_differences
    assert linear.disagreement(np.random.default_rng(0)) < 1e-12


def test_pushed_tensors_are_tensors():
    encoder = repinv_cnn.TorchEncoder(_net(), layer="5", dtype=torch.float64)
    x = torch.tensor(IMAGE[None, None])
    features, push = encoder.jvp(x)
    assert torch.equal(features, encoder.encode(x))
    assert isinstance(push(x), torch.Tensor)


def test_without_a_forward_mode_there_is_no_pushforward():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, v):
            return 2 * v

    class Doubling(nn.Module):
        def forward(self, x):
            # A value is looked at, and so the module cannot be traced.
            return Double.apply(x if float(x.detach().sum()) < 1e9 else -x)

    net = nn.Sequential(_net(), Doubling()).eval()
    encoder = repinv_cnn.TorchEncoder(net, layer="1", dtype=torch.float64, channels=1)
    x = IMAGE[None, None]
    assert encoder.jvp(x) is None
    linear = Linearization(encoder, x)
    assert linear.by_differences
    assert linear.disagreement(np.random.default_rng(0)) < 1e-6
    slopes = repinv_cnn.TorchEncoder(_net(), layer="5").with_surrogate_slopes(1.0)
    assert slopes.jvp(x.astype(np.float32)) is None


@pytest.mark.parametrize("method", ["exact", "lanczos", "lobpcg"])
def test_eigenvalues_of_a_layer_are_those_of_the_dense_decomposition(method):
    encoder = repinv_cnn.TorchEncoder(_net(), layer="5", dtype=torch.float64)

    module = _net().double()

    def features(x):
        return module(x[None, None]).flatten()

    jacobian = torch.autograd.functional.jacobian(features, torch.tensor(IMAGE)).flatten(1)
    expected = np.linalg.svd(jacobian.numpy(), compute_uv=False) ** 2
    expected = np.concatenate([expected, np.zeros(576 - len(expected))])
    found = repinv.eigendistortions(encoder, IMAGE, largest=2, smallest=2, method=method, tol=1e-5)
    apart = np.abs(found.eigenvalues - expected[[0, 1, -1, -2]]) / expected[0]
    assert apart.max() < 1e-6


def test_float32_is_said():
    found = repinv.eigendistortions(repinv_cnn.TorchEncoder(_net(), layer="5"), IMAGE)
    assert any("float32" in note for note in found.notes)
