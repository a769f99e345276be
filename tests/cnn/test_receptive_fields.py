"""Receptive fields, against those that the sizes and strides of layers give."""

import pytest
from torch import nn

import repinv_cnn
from repinv_cnn import TorchEncoder


@pytest.mark.parametrize(
    ("module", "size", "stride"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 7, stride=4)), (7, 7), (4, 4)),
        (nn.Sequential(nn.Conv2d(3, 4, (3, 5)), nn.ReLU(), nn.MaxPool2d(2)), (4, 6), (2, 2)),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4096, 2)),
            (32, 32),
            (0, 0),
        ),
    ],
    ids=["convolution", "maximum", "vector"],
)
def test_receptive_fields_are_measured(module, size, stride):
    encoder = TorchEncoder(module.eval(), str(len(module) - 1))
    field = repinv_cnn.receptive_field(encoder, (3, 32, 32))
    assert (field.size, field.stride) == (size, stride)
