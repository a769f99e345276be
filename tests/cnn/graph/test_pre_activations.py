"""Encoders without the rectifier that ends them, and the units that inversions so bring to life."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import repinv
from repinv.search import schedules
from repinv_cnn import TorchEncoder

X = torch.rand((2, 3, 12, 14), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Ends(nn.Module):
    """A convolution, and what is done with it at last."""

    def __init__(self, end):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.end = end

    def forward(self, x):
        return self.end(self.conv(x))


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def encoder(end, layer="end"):
    torch.manual_seed(0)
    return TorchEncoder(Ends(end).eval(), layer, dtype=torch.float64)


RECTIFIED = {
    "a module": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "torch's function": Function(torch.relu),
    "another function": Function(lambda x: functional.relu(x)),
    "arguments by name": Function(
        lambda x: functional.max_pool2d(input=functional.relu(input=x), kernel_size=2)
    ),
    "a method": Function(lambda x: x.relu()),
    "the largest of a window": nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)),
    "another layout": nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten()),
}


@pytest.mark.parametrize("end", RECTIFIED.values(), ids=RECTIFIED)
def test_what_a_rectifier_is_given_is_the_features_once_rectified(end):
    whole = encoder(end)
    opened = whole.pre_activations
    given, features = opened.encode(X), whole.encode(X)
    assert opened.feature_shape((3, 12, 14)) == whole.feature_shape((3, 12, 14))
    assert float(given.min()) < 0
    torch.testing.assert_close(given.relu(), features, rtol=0, atol=0)
    assert opened.pre_activations is None
    assert whole.pre_activations is opened


def test_the_encoder_itself_is_left_as_it_is():
    whole = encoder(nn.ReLU())
    before = whole.encode(X)
    assert whole.pre_activations is not None
    torch.testing.assert_close(whole.encode(X), before, rtol=0, atol=0)


def test_a_pullback_passes_what_a_rectifier_would_stop():
    opened = encoder(nn.ReLU()).pre_activations
    features, pullback = opened.vjp(X)
    negative = (features < 0).to(features.dtype)
    assert float(pullback(negative).abs().max()) > 0
    conv = encoder(nn.ReLU(), "conv")
    torch.testing.assert_close(pullback(negative), conv.vjp(X)[1](negative), rtol=0, atol=1e-12)


NOT_RECTIFIED = {
    "signed": nn.Identity(),
    "a mean, which does not commute": nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)),
    "two bounds": nn.ReLU6(),
    "a leak": nn.LeakyReLU(),
    "a sum": Function(lambda x: x.relu() + 1),
}


@pytest.mark.parametrize("end", NOT_RECTIFIED.values(), ids=NOT_RECTIFIED)
def test_without_a_rectifier_at_the_end_there_is_none_to_take_away(end):
    assert encoder(end).pre_activations is None


@pytest.mark.parametrize(
    "name", ["in place", "torch's function", "another function", "by name", "a method"]
)
def test_however_it_is_written_it_is_relaxed_alike(name):
    forms = RECTIFIED | {"by name": Function(lambda x: functional.relu(input=x))}
    found, expected = (encoder(end).with_surrogate_slopes(0.3) for end in (forms[name], nn.ReLU()))
    features, pullback = found.vjp(X)
    torch.testing.assert_close(features, encoder(nn.ReLU()).encode(X), rtol=0, atol=0)
    torch.testing.assert_close(pullback(features), expected.vjp(X)[1](features), rtol=0, atol=0)


def test_of_several_layers_each_must_end_with_one_of_its_own():
    body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU()).eval()
    assert TorchEncoder(body, ("2", "3")).pre_activations is None
    # What the second convolution is given must stay rectified.
    assert TorchEncoder(body, ("1", "3")).pre_activations is None
    assert TorchEncoder(body, "3").pre_activations is not None
    # One call by two names is one rectifier with two outputs.
    assert TorchEncoder(body, ("3", "3:0")).pre_activations is None


def test_shallow_encoders_have_none():
    assert repinv.HOG.vlfeat().pre_activations is None


def dim():
    """Units that gray does not excite: a threshold for each colour, above what a start shows."""
    conv = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.eye(3)[..., None, None])
        conv.bias.fill_(-0.7)
    return TorchEncoder(nn.Sequential(conv, nn.ReLU()), "1")


def target(units):
    image = np.full((1, 3, 24, 24), 0.5, np.float32)
    image[:, 0, 6:18, 6:18] = 0.95
    return units.encode(image)[0]


def test_units_that_the_start_does_not_excite_are_brought_to_life():
    units = dim()
    wanted = target(units)
    shut = tuple(
        replace(stage, pre_activations=False, surrogate_width=0.0) for stage in schedules.RECTIFIED
    )
    options = {"shape": (24, 24, 3), "max_iter": 120}
    stuck = repinv.invert(wanted, units, solver=shut, **options)
    found = repinv.invert(wanted, units, **options)
    assert stuck.error[0] > 0.5
    assert found.error[0] < 1e-3


def test_layers_that_end_with_a_rectifier_take_a_road_of_their_own():
    units = dim()
    assert schedules.stages(units) == schedules.RECTIFIED
    assert schedules.stages(units.pre_activations) == schedules.SMOOTH
    found = schedules.averaging(units)
    assert [stage.pre_activations for stage in found] == [True] * 3 + [False] * 5
    assert [stage.averages_starts for stage in found] == [False] * 4 + [True, False, False, False]
    widths = [stage.surrogate_width for stage in found]
    assert widths[0] > widths[1] > widths[2] > 0
    assert widths[3] == widths[-1] == 0
    apart = sum(stage.share for stage in found[:4])
    assert apart / sum(stage.share for stage in found) == pytest.approx(1 / 3)


def test_a_run_goes_on_where_it_was_opened(tmp_path):
    units = dim()
    wanted, options = target(units), {"shape": (24, 24, 3), "max_iter": 120}
    whole = repinv.invert(wanted, units, **options)
    part = repinv.invert(wanted, units, callback=lambda s: s.iteration > 20, **options)
    assert 20 < part.iterations < 42  # in the stage that is opened
    part.save(tmp_path / "run.npz")
    continued = repinv.resume(tmp_path / "run.npz", encoder=units)
    np.testing.assert_array_equal(continued.image, whole.image)


@pytest.mark.slow
def test_compiled_encoders_open_too():
    x = X.float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own compiler
        whole = TorchEncoder(Ends(nn.ReLU()).eval(), "end", compiled=True)
        torch.testing.assert_close(whole.pre_activations.encode(x).relu(), whole.encode(x))


def maximized(units, **options):
    images = np.full((1, 24, 24, 3), 0.95, np.float32)
    return repinv.maximize(
        units, (1, 12, 12), shape=(24, 24, 3), max_iter=60, images=images, **options
    )


def test_a_unit_that_the_start_does_not_excite_can_be_maximized():
    assert maximized(dim()).response[0] > 0.9


def test_a_unit_above_others_that_are_off_has_no_rectifier_to_open():
    deeper = TorchEncoder(nn.Sequential(*dim().module, nn.Conv2d(3, 3, 1, bias=False)), "2")
    assert deeper.pre_activations is None
    np.testing.assert_allclose(maximized(deeper, scale=1.0).response, 0.0, atol=1e-6)
