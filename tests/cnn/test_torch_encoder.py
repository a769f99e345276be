"""Layers of torch models as encoders: what they compute, leave alone, and refuse."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import repinv
from repinv_cnn import Preprocess, TorchEncoder


class Block(nn.Module):
    """A residual block with everything in place, and one rectifier called twice."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x
        return self.relu(y)


class Net(nn.Module):
    """A small network; `untraceable` looks at values, `after` counts what runs behind a layer."""

    def __init__(self, untraceable=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.block = Block()
        self.unused = nn.Conv2d(8, 8, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)
        self.untraceable, self.after = untraceable, 0

    def forward(self, x):
        x = torch.relu_(self.stem(x)) if self.untraceable else torch.relu(self.stem(x))
        if self.untraceable and x.shape[0] == 77:
            return x
        x = self.block(x)
        if not isinstance(x, torch.fx.Proxy):
            self.after += 1
        return self.fc(self.pool(x).flatten(1))


def net(untraceable=False):
    torch.manual_seed(0)
    found = Net(untraceable)
    for norm in (found.block.bn1, found.block.bn2):
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    return found.eval()


def outputs(module, x, *names):
    """What layers give in the module itself, each copied as it is called."""
    seen, hooks = {}, []
    for name in names:

        def keep(_, __, output, name=name):
            seen.setdefault(name, []).append(output.clone())

        hooks.append(module.get_submodule(name).register_forward_hook(keep))
    module(x)
    for hook in hooks:
        hook.remove()
    return seen


def cut(encoder):
    """The traced graph that an encoder computes by."""
    assert encoder._ways.is_traced
    return encoder._ways.function()._cut


X = torch.rand((3, 3, 12, 14), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
both = pytest.mark.parametrize("untraceable", [False, True], ids=["traced", "run by itself"])
double = {"dtype": torch.float64}


@both
@pytest.mark.parametrize("layer", ["stem", "block", "block.bn1", "block.relu:1", "pool", "fc", ""])
def test_features_and_gradients_are_those_of_the_module(untraceable, layer):
    module = net(untraceable).double()
    encoder = TorchEncoder(module, layer, **double)
    name, _, call = layer.partition(":")
    x = X.clone().requires_grad_()
    expected = outputs(module, x, name)[name][int(call or 0)]
    features, pullback = encoder.vjp(X)
    assert tuple(features.shape[1:]) == encoder.feature_shape((3, 12, 14))
    torch.testing.assert_close(features, expected.detach())
    v = torch.randn_like(features)
    (grad,) = torch.autograd.grad(expected, x, v)
    torch.testing.assert_close(pullback(v), grad)
    torch.testing.assert_close(pullback(v), grad)
    torch.testing.assert_close(encoder.encode(X), features)
    assert not features.requires_grad


@both
def test_the_module_and_its_flags_are_left_as_they_were(untraceable):
    module = net(untraceable)
    module.stem.bias.requires_grad_(False)
    module.block.relu.train()
    state = {name: values.clone() for name, values in module.state_dict().items()}
    flags = {name: values.requires_grad for name, values in module.named_parameters()}
    encoder = TorchEncoder(module, "block")
    features, pullback = encoder.vjp(X.float())
    pullback(features)
    assert {name: values.requires_grad for name, values in module.named_parameters()} == flags
    assert module.block.relu.inplace
    assert module.block.relu.training
    assert not module.stem.weight.grad
    for name, values in module.state_dict().items():
        torch.testing.assert_close(values, state[name], rtol=0, atol=0)
    with torch.no_grad():
        module.stem.weight.zero_()
    torch.testing.assert_close(encoder.encode(X.float()), features, rtol=0, atol=0)


def test_nothing_after_the_layer_is_computed():
    module = net(untraceable=True)
    encoder = TorchEncoder(module, "block")
    encoder.feature_shape((3, 12, 14))  # asks the whole module once, on the meta device
    inner = encoder._ways.reference.module
    before = inner.after
    encoder.vjp(X.float())
    assert inner.after == before
    traced = cut(TorchEncoder(net(), "block.conv1"))
    assert {"fc", "pool"}.isdisjoint(dict(traced.named_children()))


def test_batch_norms_are_folded_into_convolutions():
    graph = cut(TorchEncoder(net(), "block"))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in graph.modules())


def test_a_module_in_training_mode_is_encoded_in_evaluation_mode():
    module = net().train()
    with pytest.warns(UserWarning, match="training mode"):
        encoder = TorchEncoder(module, "block")
    torch.testing.assert_close(
        encoder.encode(X.float()), TorchEncoder(module.eval(), "block").encode(X.float())
    )


@both
def test_several_layers_make_one_vector_in_which_each_counts_by_its_relative_error(untraceable):
    module = net(untraceable).double()
    weights = {"stem": 3.0, "block.relu:0": 1.0, "fc": 2.0}
    encoder = TorchEncoder(module, weights, **double)
    shape = (3, 12, 14)
    seen = outputs(module, X[:1], "stem", "block.relu", "fc")
    parts = encoder.split(encoder.encode(X[:1])[0], shape)
    expected = {name: seen[name.partition(":")[0]][0][0].detach() for name in weights}
    for name in weights:
        torch.testing.assert_close(parts[name], expected[name])
    np.testing.assert_array_equal(encoder.joined(parts), encoder.encode(X[:1])[0])
    target = encoder.encode(X[:1])
    loss = repinv.SquaredError(target, encoder.balance(target[0], shape)[None])
    value, _ = loss.value_and_grad(encoder.encode(X[1:2]))
    errors = [
        float(((a - expected[name]) ** 2).sum() / (expected[name] ** 2).sum())
        for name, a in encoder.split(encoder.encode(X[1:2])[0], shape).items()
    ]
    assert float(value[0]) == pytest.approx(np.average(errors, weights=list(weights.values())))


def test_several_layers_are_inverted_jointly():
    encoder = TorchEncoder(net(), ("stem", "block"))
    target = encoder.encode(X[:1].float())[0]
    result = repinv.invert(target, encoder, shape=(12, 14), max_iter=200)
    assert result.error[0] < 1e-3


def test_preprocessing_is_part_of_the_pullback():
    preprocess = Preprocess((0.4, 0.5, 0.6), (0.2, 0.3, 0.1), size=(10, 10), to_rgb=True)
    encoder = TorchEncoder(net().double(), "stem", preprocess, **double)
    assert encoder.channels == 1
    gray = X[:2, :1].clone().requires_grad_()
    features, pullback = encoder.vjp(gray.detach())
    resized = nn.functional.interpolate(
        gray, (10, 10), mode="bilinear", align_corners=False, antialias=True
    ).repeat(1, 3, 1, 1)
    mean, std = (
        torch.tensor(v, **double)[:, None, None] for v in (preprocess.mean, preprocess.std)
    )
    expected = outputs(net().double(), (resized - mean) / std, "stem")["stem"][0]
    torch.testing.assert_close(features, expected.detach())
    v = torch.randn_like(features)
    torch.testing.assert_close(pullback(v), torch.autograd.grad(expected, gray, v)[0])


def test_gradcheck_passes():
    encoder = TorchEncoder(net().double(), "fc", Preprocess.imagenet(), **double)

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            features, ctx.pullback = encoder.vjp(x)
            return features

        @staticmethod
        def backward(ctx, v):
            return ctx.pullback(v)

    torch.autograd.gradcheck(Function.apply, X[:1, :, :6, :6].clone().requires_grad_())


def test_a_batch_equals_its_images_and_calls_repeat():
    encoder = TorchEncoder(net().double(), "block", **double)
    features, pullback = encoder.vjp(X)
    v = torch.randn_like(features)
    grad = pullback(v)
    for i in range(3):
        one, pull_one = encoder.vjp(X[i : i + 1])
        torch.testing.assert_close(one[0], features[i])
        torch.testing.assert_close(pull_one(v[i : i + 1])[0], grad[i])
    torch.testing.assert_close(encoder.vjp(X)[1](v), grad, rtol=0, atol=0)


def test_a_call_reads_integers_as_fractions_of_white():
    encoder = TorchEncoder(net(), "fc")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels / 255).permute(2, 0, 1)[None].float()
    np.testing.assert_allclose(encoder(pixels), encoder.encode(x)[0].numpy(), rtol=1e-5)


@pytest.mark.parametrize("options", [{"channels_last": False}, {"deterministic": True}])
def test_options_change_no_more_than_rounding(options):
    plain, other = TorchEncoder(net(), "fc"), TorchEncoder(net(), "fc", **options)
    torch.testing.assert_close(other.encode(X.float()), plain.encode(X.float()))
    assert not torch.are_deterministic_algorithms_enabled()


def test_mixed_precision_is_rougher_and_gives_features_of_full_precision():
    plain = TorchEncoder(net(), "block").encode(X.float())
    mixed = TorchEncoder(net(), "block", autocast=torch.bfloat16)
    features, pullback = mixed.vjp(X.float())
    assert features.dtype == pullback(features).dtype == torch.float32
    error = float((features - plain).norm() / plain.norm())
    assert 1e-5 < error < 0.02


def test_a_run_on_the_meta_device_reads_no_value_and_moves_no_array(transfers):
    encoder = TorchEncoder(net(), "block", Preprocess((0.4, 0.5, 0.6)), device="meta")
    space = repinv.Decorrelated(repinv.Spectral())
    target = torch.zeros((1, 8, 6, 7), device="meta")
    energy = repinv.Energy(
        encoder,
        repinv.SquaredError(target),
        space,
        (repinv.Weighted("range", 1.0, repinv.IntensityRange()),),
    )
    z = torch.zeros((2, 3, 12, 14), device="meta")
    energy.value_and_grad(z)  # constants are moved once
    for rule in (repinv.LBFGS(), repinv.Adam(), repinv.Momentum()):
        with transfers:
            found = repinv.minimize(energy.value_and_grad, z, rule, max_iter=5, check_every=100)
        assert transfers.seen == [], rule
        assert found.z.device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_on_a_gpu_stays_there():
    encoder = TorchEncoder(net(), "block", device="cuda")
    target = encoder.encode(encoder.asarray(X[:1]))[0]
    result = repinv.invert(target, encoder, shape=(12, 14), max_iter=100)
    assert result.error[0] < 0.01


def test_inversion_recovers_an_image_from_an_early_layer():
    rows, columns = np.mgrid[0:24, 0:24] / 24
    image = np.stack([rows, columns, np.exp(-8 * ((rows - 0.5) ** 2 + (columns - 0.4) ** 2))], -1)
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU())
    encoder = TorchEncoder(wide.eval(), "1")
    result = repinv.invert(encoder(image), encoder, shape=image.shape, max_iter=300)
    assert result.error[0] < 1e-5
    assert np.abs(result.image - image).mean() < 0.01


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        ("blok", "no layer 'blok'. Near it are block"),
        ("block.conv3", "block.conv"),
        ("block.relu", "called 2 times in one forward pass. Say which: block.relu:0 to"),
        ("block.relu:2", "there is no call 2"),
        ("unused", "'unused' is not called"),
        ("stem:x", "no layer"),
        ((), "layer must name one layer"),
        (("stem", "stem"), "that differ"),
    ],
)
@both
def test_layers_that_there_are_not_are_refused(untraceable, layer, match):
    with pytest.raises(ValueError, match=match):
        TorchEncoder(net(untraceable), layer).feature_shape((3, 12, 14))


def test_a_list_of_modules_is_no_layer():
    module = nn.Module()
    module.blocks = nn.ModuleList([nn.Conv2d(3, 3, 1)])
    module.forward = lambda x: module.blocks[0](x)
    with pytest.raises(ValueError, match=r"never called. Name one of its own, such as blocks\.0"):
        TorchEncoder(module, "blocks")


def test_layers_that_return_several_tensors_are_refused():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(14, 2, batch_first=True)

        def forward(self, x):
            y = x.flatten(1, 2)
            return self.attention(y, y, y)[0]

    encoder = TorchEncoder(Attending().eval(), "attention")
    with pytest.raises(TypeError, match="returns a tuple, not a tensor"):
        encoder.feature_shape((3, 12, 14))


def test_broken_weights_are_refused():
    module = net()
    with torch.no_grad():
        module.block.conv2.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"block\.conv2\.weight holds NaN"):
        TorchEncoder(module, "fc")


def test_what_is_no_module_or_no_dtype_is_refused():
    with pytest.raises(TypeError, match=r"takes a torch\.nn\.Module; got function"):
        TorchEncoder(net, "fc")
    with pytest.raises(ValueError, match="set autocast"):
        TorchEncoder(net(), "fc", dtype=torch.float16)
    with pytest.raises(ValueError, match="cannot be traced"):
        TorchEncoder(net(untraceable=True), "block", compiled=True)


def test_images_of_a_size_that_is_not_the_modules_are_refused_with_one_that_is():
    fixed = nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.Flatten(), nn.Linear(4 * 14 * 14, 2))
    encoder = TorchEncoder(fixed.eval(), "2")
    with pytest.raises(ValueError, match="smallest square being 31x31 pixels; got 20x20"):
        encoder.feature_shape((3, 20, 20))
    with pytest.raises(ValueError, match="smallest square being 5x5 pixels; got 4x9"):
        TorchEncoder(fixed, "0").feature_shape((3, 4, 9))
    with pytest.raises(ValueError, match=r"3 channel\(s\).*to_rgb"):
        encoder.feature_shape((1, 31, 31))


def test_where_memory_ends_the_batch_that_fits_is_said():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            if x.device.type != "meta" and len(x) > 4:
                raise torch.OutOfMemoryError("no more")
            return self.conv(x)

    encoder = TorchEncoder(Small().eval(), "conv")
    with pytest.raises(MemoryError, match=r"16 image\(s\) of 8x8 .*a batch of 4 fits"):
        encoder.vjp(torch.zeros(16, 3, 8, 8))


@pytest.mark.slow
def test_compiled_modules_give_the_same():
    plain = TorchEncoder(net(), "block")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own compiler
        compiled = TorchEncoder(net(), "block", compiled=True)
        features, pullback = compiled.vjp(X.float())
        grad = pullback(features)
    expected, expected_pullback = plain.vjp(X.float())
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(grad, expected_pullback(expected), rtol=1e-3, atol=1e-4)


def test_a_device_that_there_is_not_is_said():
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match=r"device 'quda' cannot be used: .* Leave device out"):
        TorchEncoder(module, "0", device="quda")


def test_layers_of_images_of_other_channels_are_refused():
    module = nn.Sequential(nn.Conv2d(1, 4, 3))
    with pytest.raises(ValueError, match=r"no image \(C, H, W\) of shape \(3, 9, 9\).* 1 channel"):
        TorchEncoder.layers(module, (3, 9, 9))
