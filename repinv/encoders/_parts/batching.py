"""Encoders of single images on a batch: its images are independent, and threads share them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders._parts import validation
from repinv.encoders._parts.threads import each


def encode_images(
    images: np.ndarray,
    shape: tuple[int, ...],
    encode: Callable[[np.ndarray], tuple[np.ndarray, ImagePullback]],
) -> tuple[np.ndarray, list[ImagePullback]]:
    """Features (N, *shape) of a batch, and each image's pullback; a single image's are not copied.

    `encode` maps an image (C, H, W) to features and a pullback.
    """
    if len(images) == 1:
        single, pull = encode(images[0])
        return np.ascontiguousarray(single)[None], [pull]
    features = np.empty((len(images), *shape), images.dtype)

    def one(i: int) -> ImagePullback:
        features[i], pull = encode(images[i])
        return pull

    return features, each(one, range(len(images)))


def pullback_of(
    images: np.ndarray, features_shape: tuple[int, ...], pulls: list[ImagePullback]
) -> ImagePullback:
    """The pullback of a batch, of those of its images."""

    def pullback(cotangent: np.ndarray) -> np.ndarray:
        v = validation.cotangent(cotangent, features_shape, images.dtype)
        if len(images) == 1:
            return pulls[0](v[0])[None]
        grad = np.empty_like(images)

        def pull(i: int) -> None:
            grad[i] = pulls[i](v[i])

        each(pull, range(len(images)))
        return grad

    return pullback
