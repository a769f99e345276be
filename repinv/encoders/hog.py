"""Histograms of oriented gradients, and the named flavours of the libraries they mirror."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from repinv.encoder import Array, Encoder, Pullback, SizeRange
from repinv.encoders import _blocks
from repinv.encoders._block_hog import BoxHOG, WindowHOG
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

    flavour: CellHOG | BoxHOG | WindowHOG
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

    @classmethod
    def dpm(
        cls,
        sbin: int = 8,
        normalize: bool = True,
        truncator: float = 0.2,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> HOG:
        """The 32-channel features of voc-release's and ihog's ``features.cc``."""
        factor = 0.0 if normalize else 0.15
        flavour = CellHOG(sbin, 9, _blocks.DPM, 0.0, truncator, factor)
        return cls(flavour, value_range)

    @classmethod
    def skimage(
        cls,
        orientations: int = 9,
        pixels_per_cell: tuple[int, int] = (8, 8),
        cells_per_block: tuple[int, int] = (3, 3),
        block_norm: str = "L2-Hys",
        transform_sqrt: bool = False,
        *,
        channel_axis: int | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> HOG:
        """scikit-image's ``skimage.feature.hog``."""
        norms = {
            "L1": _blocks.L1,
            "L1-sqrt": _blocks.L1_SQRT,
            "L2": _blocks.L2,
            "L2-Hys": _blocks.L2_HYS,
        }
        flavour = BoxHOG(
            orientations, pixels_per_cell, cells_per_block, norms[block_norm], transform_sqrt
        )
        return cls(flavour, value_range, None if channel_axis is not None else 1, np.float64)

    @classmethod
    def opencv(
        cls,
        win_size: tuple[int, int] = (64, 128),
        block_size: tuple[int, int] = (16, 16),
        block_stride: tuple[int, int] = (8, 8),
        cell_size: tuple[int, int] = (8, 8),
        nbins: int = 9,
        win_sigma: float = -1,
        l2_hys_threshold: float = 0.2,
        gamma_correction: bool = True,
        signed_gradient: bool = False,
        win_stride: tuple[int, int] | None = None,
        padding: tuple[int, int] | None = None,
        *,
        value_range: tuple[float, float] = (0.0, 255.0),
    ) -> HOG:
        """OpenCV's ``cv2.HOGDescriptor``."""
        stride = win_stride or cell_size
        step = [math.gcd(a, b) for a, b in zip(stride, block_stride, strict=True)]
        margin = tuple(-(-p // s) * s for p, s in zip(padding or (0, 0), step, strict=True))
        flavour = WindowHOG(
            win_size,
            block_size,
            block_stride,
            cell_size,
            nbins,
            win_sigma if win_sigma >= 0 else sum(block_size) / 8,
            l2_hys_threshold,
            gamma_correction,
            signed_gradient,
            stride,
            margin,
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
