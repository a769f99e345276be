"""Linearization: the Jacobian of an encoder at one image, as products with it and its transpose."""

from __future__ import annotations

import math

import numpy as np

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io.image import as_batch, as_unit, channels_last, on_host

#: Step of differences, as the largest change of a pixel. Rounding in float64 then changes a product
#: by about 1e-8 of its norm, and few pixels cross the edge of a bin.
_STEP = 2.0**-26
#: Differences to both sides that differ by more than this share of the root mean square of all lie
#: about a kink or a jump.
_APART = 1e-3
#: Pairs of random vectors by which the two products are compared.
_PAIRS = 4
#: Numbers of the features that are pulled back in one batch.
_BATCH = 2**20
#: Features for each pixel from which the columns of J are found before its rows are.
_WIDE = 4
#: Relative disagreement of products with J and Jᵀ from which an image lies on kinks.
_DISAGREE = 1e-5
#: Half a gray level of 8 bits.
_DITHER = 1 / 512


class Linearization:
    """The Jacobian J of an encoder at one image.

    Parameters
    ----------
    encoder : Encoder
        Φ.
    x : ndarray, shape (1, C, H, W), float64, in [0, 1]
        The image.

    Attributes
    ----------
    features : ndarray, shape (F,), float64
        Φ(x), flat.
    shape : (int, int)
        Of J: the number of features, and of pixels times channels.
    by_differences : bool
        Whether products with J are differences of features, as for encoders without `jvp`.
    encodings, pullbacks : int
        Those made so far.

    Notes
    -----
    A difference is taken to both sides. Where the two differ there is a kink or a jump within the
    step, and the one of smaller magnitude is taken: that is the slope of the smooth part next to a
    jump, and one of the two slopes of a kink.
    """

    def __init__(self, encoder: Encoder, x: np.ndarray) -> None:
        self.encoder, self._image_shape = encoder, x.shape
        self._x = encoder.asarray(x)
        features, self._pull = encoder.vjp(self._x)
        self._feature_shape = tuple(int(n) for n in features.shape)
        self.features = _flat(features)
        pushed = encoder.jvp(self._x)
        self._push = None if pushed is None else pushed[1]
        self.encodings, self.pullbacks = 1, 0

    @property
    def shape(self) -> tuple[int, int]:
        """Of J: the number of features, and of pixels times channels."""
        return len(self.features), math.prod(self._image_shape)

    @property
    def by_differences(self) -> bool:
        """Whether products with J are differences of features."""
        return self._push is None

    @property
    def image(self) -> np.ndarray:
        """The image (C, H, W), float64."""
        return np.array(on_host(self._x)[0], dtype=np.float64)

    def forward(self, v: np.ndarray) -> np.ndarray:
        """J v: a change of the image (D,) to one of the features (F,)."""
        v = np.asarray(v, dtype=np.float64).reshape(-1)
        largest = float(np.abs(v).max())
        if largest == 0:
            return np.zeros(len(self.features))
        tangent = self.encoder.asarray(v.reshape(self._image_shape))
        if self._push is not None:
            self.encodings += 1
            return _flat(self._push(tangent))
        self.encodings += 2
        step = _STEP / largest
        # Both signs, each an image of its own: features of a batch may be rounded otherwise.
        above, below = (
            _flat(self.encoder.encode(self._x + sign * step * tangent)) for sign in (1, -1)
        )
        return _slope((above - self.features) / step, (self.features - below) / step)

    def transposed(self, w: np.ndarray) -> np.ndarray:
        """Jᵀ w: a cotangent of the features (F,) to one of the image (D,)."""
        self.pullbacks += 1
        cotangent = self.encoder.asarray(np.asarray(w, np.float64).reshape(self._feature_shape))
        return _flat(self._pull(cotangent))

    def normal(self, v: np.ndarray) -> np.ndarray:
        """JᵀJ v, (D,)."""
        return self.transposed(self.forward(v))

    def matrix(self) -> np.ndarray:
        """J itself (F, D), by the pullback of every unit cotangent, or its columns if far fewer."""
        count, size = self.shape
        if count > _WIDE * size:
            return np.stack([self.forward(unit) for unit in np.eye(size)], axis=1)
        found = np.empty((count, size))
        batch = max(1, min(count, _BATCH // max(size, count)))
        shape = self._image_shape[1:]
        many = np.broadcast_to(np.asarray(on_host(self._x)), (batch, *shape))
        _, pull = self.encoder.vjp(self.encoder.asarray(np.ascontiguousarray(many)))
        self.encodings += batch
        for first in range(0, count, batch):
            rows = min(batch, count - first)
            unit = np.zeros((batch, count))
            unit[np.arange(rows), first + np.arange(rows)] = 1
            pulled = pull(self.encoder.asarray(unit.reshape(batch, *self._feature_shape[1:])))
            found[first : first + rows] = np.asarray(on_host(pulled)).reshape(batch, -1)[:rows]
        self.pullbacks += count
        return found

    def disagreement(self, rng: np.random.Generator) -> float:
        """How far products with J and with Jᵀ are from being adjoint, about the relative error.

        For random v and w, ⟨w, Jv⟩ and ⟨Jᵀw, v⟩ are equal. Their difference is compared with the
        size of these products for independent vectors, ‖Jv‖‖w‖/√F.
        """
        count, size = self.shape
        found = []
        for _ in range(_PAIRS):
            v, w = rng.standard_normal(size), rng.standard_normal(count)
            pushed = self.forward(v)
            scale = np.linalg.norm(pushed) * np.linalg.norm(w) / np.sqrt(count)
            apart = abs(float(w @ pushed) - float(self.transposed(w) @ v))
            found.append(apart / scale if scale > 0 else float(apart > 0))
        return max(found)


def read_image(image: Array, encoder: Encoder) -> np.ndarray:
    """A user's image as a batch of one that the encoder takes, (1, C, H, W), float64, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If it is no image, or the encoder does not take it.
    """
    unit = as_unit(channels_last(image, encoder.channel_axis), precision=np.float64)
    x = as_batch(
        unit.astype(np.float64), channels=encoder.channels, any_channels=encoder.any_channels
    )
    encoder.feature_shape(tuple(x.shape[1:]))
    return x


def linearized(
    encoder: Encoder, x: np.ndarray, rng: np.random.Generator
) -> tuple[Linearization, tuple[str, ...]]:
    """The linearization at an image, moved off kinks where it has to be, and notes on it.

    Parameters
    ----------
    encoder : Encoder
    x : ndarray, shape (1, C, H, W), float64, in [0, 1]
    rng : Generator
        Of the noise that moves the image.
    """
    notes = []
    if encoder.is_rounded and (unrounded := encoder.softened(1.0)) is not None:
        # Differences of rounded features are zero.
        encoder = unrounded
        notes.append(
            f"{type(encoder).__name__} rounds features: the derivative is that without rounding."
        )
    linear = Linearization(encoder, x)
    if encoder.softened(1.0) is not None:
        notes.append(
            f"{type(encoder).__name__} makes hard assignments: the derivative is that of the "
            "smooth part, and says nothing of jumps."
        )
    if on_host(encoder.asarray(x)).dtype != np.float64:
        notes.append("the encoder computes in float32: eigenvalues are good to about 1e-6.")
    if linear.by_differences:
        apart = linear.disagreement(rng)
        if apart > _DISAGREE:
            linear = Linearization(encoder, dithered(x, rng))
            after = linear.disagreement(rng)
            notes.append(
                f"the image lies on kinks of {type(encoder).__name__}: the derivative is taken "
                "after noise of half a gray level of 8 bits was added."
            )
            if after > _DISAGREE:
                notes.append(
                    "differences of features and the pullback disagree by about "
                    f"{after:.1g} of their size; residuals are no smaller than that."
                )
    return linear, tuple(notes)


def dithered(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image with uniform noise of half a gray level of 8 bits, within [0, 1].

    Noise that would leave the range is mirrored: clipped areas would be flat again.
    """
    noise = rng.uniform(-_DITHER, _DITHER, x.shape)
    outside = (x + noise < 0) | (x + noise > 1)
    return np.asarray(x + np.where(outside, -noise, noise))


def _flat(a: object) -> np.ndarray:
    """An array of any library as one row on the host, float64."""
    return np.asarray(on_host(a), dtype=np.float64).reshape(-1)


def _slope(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The slope from the differences to both sides: their mean, or near jumps the smaller one."""
    scale = np.sqrt(np.minimum(above * above, below * below).mean())
    apart = np.abs(above - below) > _APART * scale
    smaller = np.where(np.abs(above) < np.abs(below), above, below)
    return np.asarray(np.where(apart, smaller, 0.5 * (above + below)))
