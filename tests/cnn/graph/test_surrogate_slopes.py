"""Rectifiers pulled back as bends: the features stay, and what is off is heard."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import repinv
from repinv_cnn import TorchEncoder

X = torch.randn((2, 3, 9, 8), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def rectified(end=None):
    """Images as they are, rectified."""
    module = nn.Sequential(nn.Identity(), nn.ReLU() if end is None else end)
    return TorchEncoder(module.eval(), "1", dtype=torch.float64)


@pytest.mark.parametrize("inplace", [False, True])
def test_features_stay_and_the_slope_is_that_of_squareplus(inplace):
    encoder = rectified(nn.ReLU(inplace))
    surrogate, pullback = encoder.with_surrogate_slopes(0.3).vjp(X)
    torch.testing.assert_close(surrogate, encoder.encode(X), rtol=0, atol=0)
    x = X.clone().requires_grad_()
    square = 0.09 * X.square().mean(dim=(1, 2, 3), keepdim=True)
    (expected,) = torch.autograd.grad((0.5 * (x + (x * x + square).sqrt())).sum(), x)
    torch.testing.assert_close(pullback(torch.ones_like(surrogate)), expected)


def test_units_that_are_all_at_zero_pass_half():
    zeros = torch.zeros((1, 3, 4, 4), dtype=torch.float64)
    features, pullback = rectified().with_surrogate_slopes(0.3).vjp(zeros)
    torch.testing.assert_close(pullback(torch.ones_like(features)), zeros + 0.5)


def test_narrow_bends_are_sharp():
    encoder = rectified()
    v = torch.ones_like(X)
    found = encoder.with_surrogate_slopes(1e-6).vjp(X)[1](v)
    torch.testing.assert_close(found, encoder.vjp(X)[1](v), rtol=0, atol=1e-6)


def test_without_rectifiers_there_is_nothing_to_relax():
    assert rectified(nn.Tanh()).with_surrogate_slopes(0.3) is None
    assert repinv.HOG.skimage(block_norm="L2").with_surrogate_slopes(0.3) is None


def test_what_was_opened_is_relaxed_by_itself():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.ReLU()).eval()
    encoder = TorchEncoder(module, "3", dtype=torch.float64)
    opened = encoder.pre_activations
    assert encoder.with_surrogate_slopes(0.3) is encoder.with_surrogate_slopes(0.3)
    assert opened.with_surrogate_slopes(0.3) is not encoder.with_surrogate_slopes(0.3)
    torch.testing.assert_close(opened.with_surrogate_slopes(0.3).encode(X), opened.encode(X))
    v = torch.ones_like(opened.encode(X))
    assert not torch.equal(opened.with_surrogate_slopes(0.3).vjp(X)[1](v), opened.vjp(X)[1](v))


def test_a_relaxed_encoder_survives_pickling():
    surrogate = rectified().with_surrogate_slopes(0.3)
    again = pickle.loads(pickle.dumps(surrogate))  # noqa: S301 — our own bytes
    v = torch.ones_like(X)
    torch.testing.assert_close(again.vjp(X)[1](v), surrogate.vjp(X)[1](v))


def test_deep_layers_are_met_sooner():
    torch.manual_seed(0)
    blocks = [part for _ in range(6) for part in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())]
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), *blocks).eval()
    encoder = TorchEncoder(module, str(len(module) - 1))
    image = np.random.default_rng(0).random((1, 3, 16, 16)).astype(np.float32)
    errors = []
    for relaxed in (0.0, 0.3):
        stages = (
            repinv.Stage(0.7, repinv.LBFGS(), pre_activations=True, surrogate_width=relaxed),
            repinv.Stage(0.3, repinv.LBFGS()),
        )
        result = repinv.invert(
            encoder.encode(image)[0], encoder, shape=(16, 16, 3), solver=stages, max_iter=120
        )
        errors.append(float(result.error[0]))
    assert errors[1] < errors[0]


@pytest.mark.slow
def test_compiled_encoders_relax_too():
    plain, v = rectified().with_surrogate_slopes(0.3), torch.ones_like(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own compiler
        compiled = TorchEncoder(rectified().module, "1", dtype=torch.float64, compiled=True)
        features, pullback = compiled.with_surrogate_slopes(0.3).vjp(X)
        found = pullback(v)
    torch.testing.assert_close(features, plain.encode(X))
    torch.testing.assert_close(found, plain.vjp(X)[1](v))
