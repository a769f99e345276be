"""Encoders that are written for one image, on batches of images."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from repinv._core.typing import Array, ImagePullback, Pullback
from repinv.encoders._parts import validation
from repinv.encoders._parts.batching import encode_images, pullback_of
from repinv.encoders.base import Encoder


class ImageEncoder(Encoder):
    """What encoders have in common that encode one image, and pull back to it."""

    #: The encoder's name, and what takes tensors in its place, for messages.
    _names: ClassVar[tuple[str, str]]

    @abstractmethod
    def _of_image(self, image: np.ndarray, *, keep: bool) -> tuple[np.ndarray, ImagePullback]:
        """Features of an image (C, H, W), and its pullback, which without `keep` is not used."""

    def vjp(self, x: Array, /) -> tuple[Array, Pullback]:
        """Encode a batch, and return the map that pulls cotangents back; see `Encoder.vjp`.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W), float32 or float64, in [0, 1]
            Images.

        Returns
        -------
        features : ndarray, shape (N, *F), of the same dtype
        pullback : callable

        Raises
        ------
        TypeError
            If `x` is no NumPy array of float32 or float64.
        ValueError
            If its shape does not fit.
        """
        images = validation.batch(x, *self._names)
        features, pulls = self._encode(images, keep=True)
        return features, pullback_of(images, features.shape, pulls)

    def encode(self, x: Array, /) -> Array:
        """Features (N, *F) of a batch, without what a pullback needs; see `vjp`."""
        return self._encode(validation.batch(x, *self._names), keep=False)[0]

    def _encode(self, images: np.ndarray, *, keep: bool) -> tuple[np.ndarray, list[ImagePullback]]:
        """Features of a batch, and each image's pullback."""
        encode = functools.partial(self._of_image, keep=keep)
        return encode_images(images, self.feature_shape(images.shape[1:]), encode)
