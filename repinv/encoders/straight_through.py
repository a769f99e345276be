"""StraightThrough: the features of one encoder, pulled back by another."""

from __future__ import annotations

import dataclasses

import numpy as np

from repinv._core.typing import Array, Pullback, SizeRange
from repinv.encoders.base import Encoder


@dataclasses.dataclass(frozen=True)
class StraightThrough(Encoder):
    """Features of one encoder, pullback of another: the straight-through estimator.

    Parameters
    ----------
    forward : Encoder
        Whose features are returned.
    backward : Encoder
        Whose pullback is used; a smooth stand-in for `forward`, with features of the same shape.

    See Also
    --------
    repinv.Encoder : A differentiable image representation Φ.
    repinv.Stage : One stage of a run.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> hard = repinv.HOG.vlfeat()
    >>> encoder = repinv.StraightThrough(hard, hard.softened(0.1))
    >>> image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    >>> bool(np.all(encoder(image) == hard(image)))
    True
    """

    forward: Encoder
    backward: Encoder

    def __post_init__(self) -> None:
        for name in ("channels", "value_range", "precision", "channel_axis", "any_channels"):
            object.__setattr__(self, name, getattr(self.forward, name))

    def vjp(self, x: Array, /) -> tuple[Array, Pullback]:
        """Features of `forward` and pullback of `backward`; see `Encoder.vjp`."""
        return self.forward.encode(x), self.backward.vjp(x)[1]

    def encode(self, x: Array, /) -> Array:
        """Features of `forward`; see `Encoder.encode`."""
        return self.forward.encode(x)

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape of the features of `forward`; see `Encoder.feature_shape`."""
        return self.forward.feature_shape(image_shape)

    def flat_places(self, features: Array, image_shape: tuple[int, ...], /) -> Array | None:
        """Where features of `forward` say that an image is flat; see `Encoder.flat_places`."""
        return self.forward.flat_places(features, image_shape)

    def still_pixels(
        self, silent: np.ndarray, image_shape: tuple[int, ...], /
    ) -> np.ndarray | None:
        """Where silent features of `forward` prove that there is no gradient; see `Encoder`."""
        return self.forward.still_pixels(silent, image_shape)

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Image sizes of `forward`; see `Encoder.image_shapes`."""
        return self.forward.image_shapes(feature_shape)

    def asarray(self, a: Array, /) -> Array:
        """Bring an array to the library and device of `forward`; see `Encoder.asarray`."""
        return self.forward.asarray(a)

    def __call__(self, image: Array) -> np.ndarray:
        """Features of one image, as a call of `forward` returns them."""
        return self.forward(image)
