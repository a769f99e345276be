"""Networks of the user's by name, also on the command line; and channels in another order."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import repinv_cnn  # noqa: E402
from repinv.app.commands import main  # noqa: E402
from repinv.io import files  # noqa: E402

SOURCE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))

class Holder:
    net = build()

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_models_of_a_test.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_network_of_ones_own_is_found_by_name_and_weights_are_loaded(folder):
    encoder = repinv_cnn.from_module("my_models_of_a_test:build", "2")
    assert encoder.feature_shape((3, 9, 9)) == (5, 5, 5)
    assert repinv_cnn.from_module("my_models_of_a_test:Holder.net", "0").channels == 3
    state = {k: torch.zeros_like(v) for k, v in encoder.module.state_dict().items()}
    torch.save(state, folder / "zero.pt")
    zero = repinv_cnn.from_module("my_models_of_a_test:build", "2", weights="zero.pt")
    assert not zero.encode(np.ones((1, 3, 9, 9), np.float32)).any()


def test_the_command_line_inverts_it(folder, capsys):
    image = np.random.default_rng(0).random((12, 12, 3)).astype(np.float32)
    files.write(folder / "photo.png", image)
    expression = "cnn.module('my_models_of_a_test:build', layer='2')"
    options = ["--encoder", expression, "--max-iter", "20", "--out", "out.png", "--json"]
    with pytest.raises(SystemExit) as ended:
        main.main(["invert", "photo.png", *options])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["error"] < 0.5
    assert (folder / "out.png").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("my_models_of_a_test", "named as 'package.models:build'"),
        ("no_such_package_at_all:build", "Python finds no module 'no_such_package_at_all'"),
        ("my_models_of_a_test:missing", "has no 'missing'"),
        ("my_models_of_a_test:number", "must give a torch.nn.Module; it gave int"),
    ],
)
def test_names_that_lead_to_no_network_are_refused(folder, target, message):
    with pytest.raises((ValueError, TypeError), match=message):
        repinv_cnn.from_module(target, "0")


def test_channels_may_be_wanted_in_the_order_blue_green_red():
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    preprocess = repinv_cnn.Preprocess(mean, std, order="BGR", scale=255.0)
    x = torch.rand(2, 3, 4, 5)
    expected = (255 * x.flip(1) - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[
        :, None, None
    ]
    torch.testing.assert_close(preprocess(x), expected)
    net = torch.nn.Conv2d(3, 2, 3).eval()
    encoder = repinv_cnn.TorchEncoder(torch.nn.Sequential(net), "0", preprocess)
    features, pullback = encoder.vjp(x)
    torch.testing.assert_close(features, net(expected).detach())
    leaf = x.clone().requires_grad_()
    v = torch.randn_like(features)
    (grad,) = torch.autograd.grad(net(preprocess(leaf)), leaf, v)
    torch.testing.assert_close(pullback(v), grad, rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="order"):
        repinv_cnn.Preprocess(order="GRB")


def test_functions_and_modules_may_preprocess():
    class Normalize(torch.nn.Module):
        def forward(self, x):
            return (x - 0.4) / 0.2

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3)).eval()
    x = np.random.default_rng(0).random((1, 3, 8, 8)).astype(np.float32)
    for preprocess in (Normalize(), lambda x: (x - 0.4) / 0.2):
        encoder = repinv_cnn.TorchEncoder(net, "0", preprocess)
        expected = net((torch.from_numpy(x) - 0.4) / 0.2).detach().numpy()
        np.testing.assert_allclose(encoder.encode(x), expected, rtol=1e-5, atol=1e-6)
