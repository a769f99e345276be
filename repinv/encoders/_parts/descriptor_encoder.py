"""Encoders of what a local encoder's descriptors are: words, moments, components, sparse codes."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from repinv._core.typing import Array, Pullback
from repinv.encoders._parts import local_descriptors
from repinv.encoders._parts.array_fields import ArrayEncoder
from repinv.encoders.base import Encoder

_E = TypeVar("_E", bound="DescriptorEncoder")


class DescriptorEncoder(ArrayEncoder):
    """What encoders have in common that hold a local encoder and arrays learned for it.

    A subclass is a frozen dataclass without a comparison of its own (``eq=False``). It codes the
    descriptors of one image in `_code`, and gives the shape of what it has learned in `_codebook`.
    """

    local: Encoder

    @property
    @abstractmethod
    def _codebook(self) -> tuple[int, int]:
        """Number of words, atoms or components, and of the numbers that descriptors have."""

    @abstractmethod
    def _code(
        self, x: np.ndarray, image_shape: tuple[int, ...], keep: bool
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Code of an image with descriptors x (F, D), and its pullback to them.

        Without `keep`, what the pullback needs is computed again there.
        """

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
        """
        return local_descriptors.vjp(self.local, x, self._code, self._codebook)

    def encode(self, x: Array, /) -> Array:
        """Features (N, *F) of a batch, without what a pullback needs; see `vjp`."""
        return local_descriptors.encode(self.local, x, self._code, self._codebook)

    def __call__(self, image: Array) -> np.ndarray:
        """Features of one image, whose pixel values the local encoder takes as they are."""
        return local_descriptors.call(self.local, image, self._code, self._codebook)

    def softened(self: _E, softness: float, /) -> _E | None:
        """The same of a softened local encoder, or None; see `Encoder.softened`."""
        return self._with_local(self.local.softened(softness))

    def with_surrogate_slopes(self: _E, width: float, /) -> _E | None:
        """The same with surrogate slopes of the local encoder; see `Encoder`."""
        return self._with_local(self.local.with_surrogate_slopes(width))

    def _with_local(self: _E, local: Encoder | None) -> _E | None:
        """The same of another local encoder, or None without one."""
        return None if local is None else dataclasses.replace(self, local=local)  # type: ignore[type-var]
