"""Max-pooling keeps its outputs and is pulled back with the slope of a smooth maximum."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import repinv_cnn  # noqa: E402
from repinv_cnn._graph import surrogates  # noqa: E402

#: Kernel, stride, padding.
POOLINGS = [(2, None, 0), (3, 2, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 0)), (3, 1, 1), (2, 3, 0)]


def values(dtype=torch.float64):
    return torch.randn(2, 5, 12, 9, generator=torch.Generator().manual_seed(0)).to(dtype)


def pooling_of(kernel, stride, padding):
    return surrogates.of_module(nn.MaxPool2d(kernel, stride, padding))


@pytest.mark.parametrize("options", POOLINGS, ids=str)
def test_outputs_are_exact_and_slopes_tend_to_the_true_one(options):
    x, pooling = values().requires_grad_(), pooling_of(*options)
    expected = functional.max_pool2d(x, *options)
    v = torch.randn_like(expected)
    y = surrogates.surrogate(x, 1e-7, pooling)
    assert torch.equal(y, expected)
    torch.testing.assert_close(
        torch.autograd.grad(y, x, v)[0], torch.autograd.grad(expected, x, v)[0]
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("options", POOLINGS, ids=str)
def test_a_smooth_slope_is_that_of_a_mean_weighted_by_powers(options, layout):
    width, x = 2.0, values().contiguous(memory_format=layout)
    temperature = 0.3 * width * x.square().mean(dim=(1, 2, 3)).sqrt()
    found = np.zeros(x.shape)
    kernel, stride, padding = options
    steps = (kernel, kernel if stride is None else stride, padding)
    kernel, stride, padding = (np.broadcast_to(step, 2) for step in steps)
    shape = functional.max_pool2d(x, *options).shape
    v = torch.randn(shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    for n, c, i, j in np.ndindex(*shape):
        top, left = np.array([i, j]) * stride - padding
        inside = (
            n, c, slice(max(top, 0), top + kernel[0]), slice(max(left, 0), left + kernel[1])
        )  # fmt: skip
        powers = np.exp(x[inside].numpy() / float(temperature[n]))
        found[inside] += float(v[n, c, i, j]) * powers / powers.sum()
    pulled = pooling_of(*options).pull(v.contiguous(memory_format=layout), x, width)
    np.testing.assert_allclose(pulled.numpy(), found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("options", POOLINGS, ids=str)
def test_kernels_agree_with_torch_s_operations(options):
    x, pooling = values(), pooling_of(*options)
    v = torch.randn_like(pooling(x))
    torch.testing.assert_close(pooling.pull(v, x, 0.4), pooling._shared_out(v, x, 0.12))


def test_a_window_of_zeros_passes_the_same_to_all():
    pooling = pooling_of(2, None, 0)
    pulled = pooling.pull(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 4, 4), 0.4)
    assert torch.equal(pulled, torch.full((1, 1, 4, 4), 0.25))


def test_others_are_left_as_they_are():
    for options in ({"dilation": 2}, {"ceil_mode": True}, {"return_indices": True}):
        assert surrogates.of_module(nn.MaxPool2d(2, **options)) is None
    assert surrogates.of_module(nn.AvgPool2d(2)) is None
    assert surrogates.of_call(functional.max_pool2d, (values(), 2, 2, 0, 1, True), {}) is None


class Pooled(nn.Module):
    """A network that is traced, or run because it looks at values."""

    def __init__(self, looks=False, by_function=False):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 5, 3)
        self.pool, self.end = nn.MaxPool2d(3, 2, 1), nn.Identity()
        self.looks, self.by_function = looks, by_function

    def forward(self, x):
        if self.looks and torch.isnan(x).any():
            return x
        y = torch.relu(self.first(x))
        pooled = functional.max_pool2d(y, 3, stride=2, padding=1)
        y = self.second(pooled if self.by_function else self.pool(y))
        return self.end(functional.max_pool2d(torch.relu(y), kernel_size=2))


@pytest.mark.parametrize("is_before", [False, True], ids=["after", "before"])
def test_all_ways_have_the_same_slopes(is_before):
    found = []
    x = torch.rand(2, 3, 15, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for options in ({}, {"looks": True}, {"by_function": True}):
        module = Pooled(**options).double().eval()
        encoder = repinv_cnn.TorchEncoder(module, "end", dtype=torch.float64)
        encoder = encoder.pre_activations if is_before else encoder
        y, pullback = encoder.with_surrogate_slopes(0.5).vjp(x)
        exact, plain = encoder.vjp(x)
        torch.testing.assert_close(y, exact)
        assert (pullback(y) - plain(y)).abs().mean() > 0.05 * plain(y).abs().mean()
        found.append(pullback(y))
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])
