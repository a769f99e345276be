"""Histograms of oriented gradients, and the named flavours of the libraries they mirror."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from repinv.encoder import Array, Encoder, Pullback, SizeRange
from repinv.encoders import _blocks
from repinv.encoders._cell_hog import CellHOG


def _each(function: Callable[..., Any], *batches: Any) -> list[Any]:
    """Map over the images of a batch, with as many threads as Numba may use."""
    workers = min(numba.get_num_threads(), len(batches[0]))
    if workers < 2:
        return list(map(function, *batches))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, *batches))


@dataclasses.dataclass(frozen=True)
class HOG(Encoder):
    """Histograms of oriented gradients; made by `vlfeat`, `skimage`, `opencv` or `dpm`."""

    flavour: CellHOG
    value_range: tuple[float, float] = (0.0, 1.0)
    channels: int | None = None
    precision: Any = np.float32

    @classmethod
    def vlfeat(
        cls,
        cell_size: int = 8,
        variant: str = "uoctti",
        num_orientations: int = 9,
        bilinear_orientations: bool = False,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> HOG:
        """VLFeat's ``vl_hog``."""
        layouts = {"uoctti": _blocks.UOCTTI, "dalal-triggs": _blocks.DALAL_TRIGGS}
        flavour = CellHOG(
            cell_size, num_orientations, layouts[variant], float(bilinear_orientations)
        )
        return cls(flavour, value_range)

    def softened(self, softness: float, /) -> HOG | None:
        """The same features with orientations shared by two bins; None if they already are."""
        if self.flavour.softness > 0:
            return None
        flavour = dataclasses.replace(self.flavour, softness=float(softness))
        return dataclasses.replace(self, flavour=flavour)

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape of the features of one image (C, H, W)."""
        _, height, width = image_shape
        rows, columns = self.flavour.smallest()
        if height < rows or width < columns:
            raise ValueError(
                f"HOG needs at least {rows}x{columns} pixels; got {height}x{width}. "
                "Pad the image or use smaller cells."
            )
        return self.flavour.feature_shape(height, width)

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Smallest and largest height and width whose features have this shape."""
        return self.flavour.image_shapes(feature_shape)

    def vjp(self, x: Array, /) -> tuple[Array, Pullback]:
        """Encode a batch, and return the map that pulls cotangents back."""
        images = self._checked(x)

        def one(image: np.ndarray) -> Any:
            return self.flavour.vjp(image, self.value_range, keep=True)

        features, pullbacks = zip(*_each(one, images), strict=True)

        def pullback(cotangent: Array) -> Array:
            v = np.asarray(cotangent, dtype=images.dtype)
            return np.stack(_each(lambda pull, one: pull(one), pullbacks, v))

        return np.stack(features), pullback

    def encode(self, x: Array, /) -> Array:
        """Features of a batch."""
        images = self._checked(x)

        def one(image: np.ndarray) -> np.ndarray:
            return self.flavour.vjp(image, self.value_range, keep=False)[0]

        return np.stack(_each(one, images))

    def _checked(self, x: Array) -> np.ndarray:
        """The batch as a contiguous array, or an error that says what is wrong."""
        images = np.ascontiguousarray(x)
        self.feature_shape(images.shape[1:])
        return images
