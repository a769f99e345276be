"""The checkers catch what they are there to catch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from repinv import Encoder
from repinv.testing import check_encoder, check_vjp


def smooth(x):  # type: ignore[no-untyped-def]
    """x² + sin x, and its pullback."""
    return x**2 + np.sin(x), lambda v: v * (2 * x + np.cos(x))


@dataclasses.dataclass(frozen=True)
class Square(Encoder):
    """Sum over channels of x² + sin x, with a fault to be found."""

    fault: str = ""
    calls: list = dataclasses.field(default_factory=list)

    def vjp(self, x, /):  # type: ignore[no-untyped-def]
        """Features (N, H·W)."""
        if self.fault == "writes":
            x += 1
        features = (x**2 + np.sin(x)).sum(axis=1).reshape(len(x), -1)
        if self.fault == "forgets dtype":
            features = features.astype(np.float64)
        if self.fault == "mixes images":
            features = features + 1e-3 * features.mean()
        if self.fault == "drifts":
            self.calls.append(1)
            features = features + features.dtype.type(1e-3 * len(self.calls))

        def pullback(v):  # type: ignore[no-untyped-def]
            slope = 2 * x + np.cos(x)
            if self.fault == "1 %":
                slope = slope * x.dtype.type(1.01)
            if self.fault == "sign":
                slope = -slope
            if self.fault == "dropped term":
                slope = 2 * x
            if self.fault == "NaN":
                slope = np.where(x == 0.5, np.nan, slope).astype(x.dtype)
            return slope * v.reshape(len(x), 1, *x.shape[2:])

        return features, pullback

    def encode(self, x, /):  # type: ignore[no-untyped-def]
        """Features alone."""
        features = self.vjp(x)[0]
        return features * features.dtype.type(1.001) if self.fault == "encode" else features

    def feature_shape(self, image_shape, /):  # type: ignore[no-untyped-def]
        """(H·W,)."""
        return (image_shape[1] * image_shape[2] + (self.fault == "shape"),)

    def image_shapes(self, feature_shape, /):  # type: ignore[no-untyped-def]
        """Known for squares only; wrong where asked to be."""
        if self.fault == "sizes":
            return (1, 3), (1, 3)
        return None


def test_a_right_pullback_passes() -> None:
    assert check_vjp(smooth, np.linspace(-1, 1, 12)) < 1e-8
    check_encoder(Square(), (3, 4, 5))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: (smooth(x)[0], lambda v: 1.01 * smooth(x)[1](v)),
        lambda x: (smooth(x)[0], lambda v: -smooth(x)[1](v)),
        lambda x: (smooth(x)[0], lambda v: 2 * x * v),
        lambda x: (smooth(x)[0], lambda v: np.nan * v),
    ],
    ids=["1 %", "sign", "dropped term", "NaN"],
)
def test_a_wrong_pullback_is_caught(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AssertionError, match="the pullback gives the slope"):
        check_vjp(wrong, np.linspace(-1, 1, 12))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("1 %", "the pullback gives the slope"),
        ("sign", "the pullback gives the slope"),
        ("dropped term", "the pullback gives the slope"),
        ("NaN", "pullback at a constant image of 0.5: 20 of 20 entries are not finite"),
        ("writes", "image after vjp"),
        ("forgets dtype", "dtype float64; expected float32"),
        ("mixes images", "image 0 alone"),
        ("drifts", r"encode\(x\) against"),
        ("encode", r"encode\(x\) against"),
        ("shape", r"shape \(3, 20\); expected \(3, 21\)"),
        ("sizes", "leaves out 4x5"),
    ],
)
def test_a_faulty_encoder_is_caught(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_encoder(Square(fault), (1, 4, 5))
