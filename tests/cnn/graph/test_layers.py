"""Modules as people write them: encoders compute what torch computes, in place or not."""

import concurrent.futures
import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import repinv
import repinv_cnn
from repinv_cnn import TorchEncoder

X = torch.randn((2, 3, 12, 14), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Net(nn.Module):
    """Two convolutions, and what a function makes of what the first gives."""

    def __init__(self, function, rectifier=None):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.norm.running_mean.uniform_(-0.5, 0.5)
        self.relu = nn.ReLU(inplace=True) if rectifier is None else rectifier
        self.block = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3, padding=1))
        self.end = nn.Identity()
        self.function = function

    def forward(self, x):
        return self.end(self.function(self, self.one(x)))


def then(change, *use):
    """A function that changes y for its effect alone, and goes on with y."""

    def function(net, y):
        skip = y
        change(net, y)
        return net.two(y) + skip

    return function


def in_a_view(net, y):
    view = y[:, :3]
    view += 1
    return net.two(y)


def skipped(net, y):
    skip = y
    y += net.two(y)
    return y + skip


def of_a_flat_view(net, y):
    flat = y.flatten(2)
    flat.mul_(2)
    return net.two(y) + y


def after_a_use(net, y):
    before = net.two(y)
    y.relu_()
    return before + y


IN_PLACE = {
    "a block that begins in place, and its skip": lambda net, y: net.block(y) + y,
    "a rectifier before the skip": lambda net, y: net.two(net.relu(y)) + y,
    "torch.relu_ for its effect": then(lambda net, y: torch.relu_(y)),
    "F.relu for its effect": then(lambda net, y: functional.relu(y, inplace=True)),
    "F.relu by position": then(lambda net, y: functional.relu(y, True)),
    "a module for its effect": then(lambda net, y: net.relu(y)),
    "clamp_": then(lambda net, y: y.clamp_(-0.2, 0.3)),
    "a view": in_a_view,
    "a flat view": of_a_flat_view,
    "relu_ taken on": lambda net, y: net.two(torch.relu_(y)) + y,
    "leaky_relu_": lambda net, y: net.two(functional.leaky_relu_(y, 0.2)) + y,
    "sigmoid_": lambda net, y: net.two(torch.sigmoid_(y)) + y,
    "hardtanh_": lambda net, y: net.two(functional.hardtanh_(y)) + y,
    "a leaky one before the skip": lambda net, y: torch.cat(
        [net.two(functional.leaky_relu(y, 0.2, inplace=True)), y], 1
    ),
    "a sum in place": lambda net, y: net.two(y).add_(y).relu_(),
    "part of it set": then(lambda net, y: y.__setitem__((slice(None), 0), 0.0)),
    "filled": then(lambda net, y: y[:, 1:2].fill_(0.5)),
    "its input": lambda net, y: net.norm(y).relu_() * y.sigmoid(),
    "the same rectifier twice": lambda net, y: net.relu(net.two(net.relu(y))) + y,
}


#: What torch runs, and does not differentiate: results that a slope is computed from are changed;
#: and the same without that.
RUN_ALONE = {
    "out=": (
        then(lambda net, y: torch.add(y, 1.0, out=y)),
        lambda net, y: net.two(y + 1.0) + y + 1.0,
    ),
    "a rectified value": (
        lambda net, y: net.relu(net.two(y)).add_(y),
        lambda net, y: torch.relu(net.two(y)) + y,
    ),
    "after another use": (after_a_use, lambda net, y: net.two(y) + torch.relu(y)),
    "+= with a second name": (skipped, lambda net, y: 2 * (y + net.two(y))),
}


def bare(module, x):
    """Output of the module itself, and the gradient by autograd."""
    module.requires_grad_(False)
    leaf = x.clone().requires_grad_()
    expected = module(leaf.clone())
    v = torch.randn(expected.shape, generator=torch.Generator().manual_seed(3)).to(expected)
    (gradient,) = torch.autograd.grad(expected, leaf, v)
    return expected.detach(), v, gradient


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("hook", [False, True], ids=["", "with a hook"])
@pytest.mark.parametrize("name", IN_PLACE)
def test_features_and_gradients_of_a_module_that_works_in_place(name, hook, channels_last):
    module = Net(IN_PLACE[name]).double().eval()
    if hook:  # which a traced graph would not call
        module.two.register_forward_hook(lambda part, inputs, output: output * 1.5)
    encoder = TorchEncoder(module, "end", dtype=torch.float64, channels_last=channels_last)
    expected, v, gradient = bare(module, X)
    features, pullback = encoder.vjp(X)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(encoder.encode(X), expected)
    for _ in range(2):
        torch.testing.assert_close(pullback(v), gradient)


@pytest.mark.parametrize("name", IN_PLACE)
def test_surrogate_slopes_leave_features_as_they_are_and_tend_to_the_gradient(name):
    module = Net(IN_PLACE[name]).double().eval()
    encoder = TorchEncoder(module, "end", dtype=torch.float64)
    encoder.feature_shape((3, 12, 14))
    relaxed = encoder.with_surrogate_slopes(1e-9)
    if relaxed is None:
        assert not encoder._ways.rectifies(encoder._trials.sample)[0]
        return
    expected, v, gradient = bare(module, X)
    features, pullback = relaxed.vjp(X)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(pullback(v), gradient, rtol=1e-4, atol=1e-5)
    wide = encoder.with_surrogate_slopes(0.8).vjp(X)
    torch.testing.assert_close(wide[0], expected)
    assert not torch.allclose(wide[1](v), gradient)


@pytest.mark.parametrize("name", RUN_ALONE)
def test_what_torch_does_not_differentiate_is_cut_or_refused(name):
    in_place, pure = (Net(function).double().eval() for function in RUN_ALONE[name])
    encoder = TorchEncoder(in_place, "end", dtype=torch.float64)
    expected, v, gradient = bare(pure, X)
    features, pullback = encoder.vjp(X)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(pullback(v), gradient)
    in_place.register_forward_hook(lambda *_: None)  # what has hooks is run
    run = TorchEncoder(in_place, "end", dtype=torch.float64)
    torch.testing.assert_close(run.encode(X), expected)
    with pytest.raises(ValueError, match=r"torch cannot differentiate .* return a new tensor"):
        run.vjp(X)[1](v)


def test_a_network_that_changes_its_own_input_leaves_the_user_s_image():
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)).double().eval()
    encoder, x = TorchEncoder(module, "1", dtype=torch.float64), X.clone()
    expected, v, gradient = bare(module, X)
    features, pullback = encoder.vjp(x)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(pullback(v), gradient)
    torch.testing.assert_close(x, X, rtol=0, atol=0)


def test_the_error_of_an_inversion_is_that_of_the_module_itself():
    module = Net(IN_PLACE["a block that begins in place, and its skip"]).eval()
    image = np.random.default_rng(0).random((24, 24, 3)).astype(np.float32)
    encoder = TorchEncoder(module, "end")
    result = repinv.invert(encoder(image), encoder, shape=image.shape, max_iter=60)

    def features(picture):
        with torch.no_grad():
            return module(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]).double()

    target = features(image)
    error = float((features(result.image) - target).square().sum() / target.square().sum())
    assert result.error[0] == pytest.approx(error, rel=1e-3)
    assert error < 0.05


class Looking(nn.Module):
    """A network that looks at values, and so cannot be traced."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.end = nn.ReLU(inplace=True)

    def forward(self, x):
        if torch.isnan(x).any():
            raise ValueError("not a number")
        y = torch.relu_(self.one(x))
        ramp = torch.linspace(0, 1, y.shape[-1], dtype=y.dtype)
        return self.end(self.two(y) + ramp + torch.eye(y.shape[2], y.shape[3], dtype=y.dtype))


def test_a_module_that_looks_at_values_and_makes_tensors_of_its_own():
    module = Looking().double().eval()
    encoder = TorchEncoder(module, "end", dtype=torch.float64)
    assert encoder.feature_shape((3, 12, 14)) == (8, 12, 14)
    assert not encoder._ways.is_traced
    expected, v, gradient = bare(module, X)
    features, pullback = encoder.vjp(X)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(pullback(v), gradient)
    before = encoder.pre_activations.encode(X)
    torch.testing.assert_close(before.relu(), expected)
    assert (before < 0).any()
    assert encoder.with_surrogate_slopes(0.3).pre_activations is not None


@pytest.mark.parametrize("module", [Looking(), Net(IN_PLACE["a sum in place"])], ids=["run", "cut"])
def test_threads_share_an_encoder(module):
    encoder = TorchEncoder(module.float().eval(), "end")
    images = [torch.rand((1, 3, 10 + k % 3, 12)) for k in range(24)]
    expected = []
    for x in images:
        with torch.no_grad():
            expected.append(module(x.clone()))

    def features(x):
        found, pullback = encoder.vjp(x)
        pullback(found)
        return found

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(features, images * 8))
    for a, b in zip(found, expected * 8, strict=True):
        torch.testing.assert_close(a, b)


def test_threads_invert_with_one_encoder():
    encoder = TorchEncoder(Looking().eval(), "end")
    image = np.random.default_rng(0).random((12, 12, 3)).astype(np.float32)
    features = encoder(image)

    def invert(seed):
        return repinv.invert(features, encoder, shape=(12, 12), max_iter=20, seed=seed).image

    alone = [invert(seed) for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(invert, range(4)))
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_hooks_of_the_user_count():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.norm, self.end = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Identity()

        def forward(self, x):
            return self.end(self.norm(self.conv(x)))

    module = Folded().double().eval()
    plain = module(X).detach()
    module.norm.register_forward_hook(lambda part, inputs, output: 3 * output)
    found = TorchEncoder(module, "end", dtype=torch.float64).encode(X)
    torch.testing.assert_close(found, 3 * plain)


def test_a_graph_that_differs_from_the_module_is_not_taken():
    class Tricky(nn.Module):
        """Adds to a result what only a value tells, behind the tracer's back."""

        def __init__(self):
            super().__init__()
            self.conv, self.end = nn.Conv2d(3, 4, 3), nn.Identity()

        def forward(self, x):
            return self.end(self.conv(x) + (0.0 if isinstance(x, torch.fx.Proxy) else 1.0))

    module = Tricky().double().eval()
    encoder = TorchEncoder(module, "end", dtype=torch.float64)
    assert encoder._ways.is_traced
    torch.testing.assert_close(encoder.encode(X), module(X).detach())
    assert not encoder._ways.is_traced


def test_views_that_want_contiguous_maps():
    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.end = nn.Conv2d(3, 4, 3), nn.Linear(4 * 10 * 12, 5)

        def forward(self, x):
            y = self.conv(x)
            return self.end(y.view(y.shape[0], -1))

    module = Viewing().double().eval()
    encoder = TorchEncoder(module, "end", dtype=torch.float64)
    torch.testing.assert_close(encoder.encode(X), module(X).detach())
    assert encoder._ways.is_traced
    assert not encoder._ways.current.channels_last


def test_weights_of_five_dimensions():
    class Volume(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.end = nn.Conv2d(3, 4, 3), nn.Conv3d(1, 2, 3)

        def forward(self, x):
            return self.end(self.one(x)[:, None])

    module = Volume().double().eval()
    found = TorchEncoder(module, "end", dtype=torch.float64).encode(X)
    torch.testing.assert_close(found, module(X).detach())


def test_numpy_encoders_inside_of_a_module():
    hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    module = nn.Sequential(repinv_cnn.as_module(hog), nn.Conv2d(31, 4, 1)).double().eval()
    gray = torch.rand((2, 1, 32, 40), dtype=torch.float64)
    encoder = TorchEncoder(module, "1", dtype=torch.float64, channels=1)
    expected, v, gradient = bare(module, gray)
    features, pullback = encoder.vjp(gray)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(pullback(v), gradient)


def test_wrappers_are_taken_off():
    module = Net(IN_PLACE["a sum in place"]).double().eval()
    expected = module(X).detach()
    wrapped = nn.DataParallel(copy.deepcopy(module))
    for layer in ("end", "module.end"):
        found = TorchEncoder(wrapped, layer, dtype=torch.float64).encode(X)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("compile_", [torch.jit.script, lambda m: torch.jit.trace(m, X.float())])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_in_a_sentence(compile_):
    scripted = compile_(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval())
    with pytest.raises(TypeError, match=r"TorchScript .*Pass the nn\.Module that it was made of"):
        TorchEncoder(scripted, "1")


def test_a_causal_mask_is_no_broken_weight():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.full((14, 14), -torch.inf).triu(1))
            self.end = nn.Softmax(-1)

        def forward(self, x):
            return self.end(x + self.mask[:12])

    module = Masked().double().eval()
    found = TorchEncoder(module, "end", dtype=torch.float64).encode(X)
    torch.testing.assert_close(found, module(X))


def test_channels_are_those_of_the_first_convolution():
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()).eval()
    image = np.random.default_rng(0).random((9, 9)).astype(np.float32)
    assert TorchEncoder(module, "1")(image).shape == (4, 7, 7)


def test_a_layer_by_number_is_refused():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.raises(TypeError, match=r"layer must be a name .* got 0\. .* begin with 0, 1\."):
        TorchEncoder(module, 0)


def test_encoders_of_modules_that_are_run_survive_pickling():
    encoder = TorchEncoder(Looking().double().eval(), "end", dtype=torch.float64)
    features, pullback = encoder.with_surrogate_slopes(0.3).vjp(X)
    again = pickle.loads(pickle.dumps(encoder.with_surrogate_slopes(0.3)))  # noqa: S301 — our own bytes
    found, pull = again.vjp(X)
    torch.testing.assert_close(found, features)
    torch.testing.assert_close(pull(found), pullback(features))
