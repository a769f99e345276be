"""The grids of dense descriptors: where they lie in an image, in the words of each library."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from repinv.encoders.sift import pooling_axes
from repinv.encoders.sift.pooling_axes import Layout

#: Sizes of images, smallest and largest, along the two axes.
Sizes = tuple[tuple[int, int], tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class VLFeatGrid:
    """VLFeat's; pairs are (y, x).

    Parameters
    ----------
    step, size, bins : tuple of int
        Pixels between descriptors, and between the centres of bins; bins a descriptor.
    window_size : float
        Deviation of the Gaussian, in bins.
    flat : bool
        The Gaussian's mean over a bin instead of the Gaussian.
    bounds : tuple of int or None
        (min_y, min_x, max_y, max_x) of the centres of bins, inclusive; None for the image.
    margin : int
        Pixels left out at the top and at the left where there are no bounds.
    """

    step: tuple[int, int]
    size: tuple[int, int]
    bins: tuple[int, int]
    window_size: float
    flat: bool
    bounds: tuple[int, int, int, int] | None = None
    margin: int = 0

    @property
    def area(self) -> float:
        """Pixels that VLFeat divides a descriptor's sum by."""
        sides = (size * (bins - 1) + 1 for size, bins in zip(self.size, self.bins, strict=True))
        return float(math.prod(sides))

    def _range(self, which: int, size: int) -> tuple[int, int]:
        """Least and largest centre of a bin along an axis."""
        if self.bounds is None:
            return self.margin, size - 1
        return self.bounds[which], self.bounds[which + 2]

    def frames(self, which: int, size: int) -> int:
        """Descriptors along an axis; below one if it is too short."""
        low, high = self._range(which, size)
        span = (self.bins[which] - 1) * self.size[which]
        fits = self.bounds is None or high < size
        return (high - low - span) // self.step[which] + 1 if fits else 0

    def smallest(self) -> tuple[int, int]:
        """Least height and width of an image."""
        if self.bounds is not None:
            return max(self.bounds[2] + 1, 3), max(self.bounds[3] + 1, 3)
        spans = [(bins - 1) * size for size, bins in zip(self.size, self.bins, strict=True)]
        return max(self.margin + spans[0] + 1, 3), max(self.margin + spans[1] + 1, 3)

    def axis(self, which: int, size: int, dtype: Any) -> Layout:
        """The layout along an axis of an image."""
        low, high = self._range(which, size)
        return pooling_axes.vlfeat_axis(
            size,
            low,
            high,
            self.step[which],
            self.size[which],
            self.bins[which],
            self.window_size,
            self.flat,
            dtype,
        )


@dataclasses.dataclass(frozen=True)
class NaturalGrid:
    """That of the network of Mahendran & Vedaldi: four by four cells, every three cells."""

    bin_size: int

    @property
    def bins(self) -> tuple[int, int]:
        """Cells of a descriptor."""
        return 4, 4

    @property
    def area(self) -> float:
        """Pixels of the cells of a descriptor."""
        return float((4 * self.bin_size) ** 2)

    def frames(self, which: int, size: int) -> int:
        """Descriptors along an axis; below one if it is too short."""
        return ((size - 2) // self.bin_size - 5) // 3 + 1

    def smallest(self) -> tuple[int, int]:
        """Least height and width of an image."""
        return (5 * self.bin_size + 2,) * 2

    def axis(self, which: int, size: int, dtype: Any) -> Layout:
        """The layout along an axis of an image."""
        return pooling_axes.natural_axis(size, self.bin_size, dtype)

    def sizes(self, frames: tuple[int, int]) -> Sizes:
        """Images that have so many descriptors."""
        least = [2 + self.bin_size * (3 * count + 2) for count in frames]
        (a, b), more = least, 3 * self.bin_size - 1
        return (a, a + more), (b, b + more)


@dataclasses.dataclass(frozen=True)
class KorniaGrid:
    """kornia's: bins `kernel` pixels apart, of a map pooled by a triangle of as many taps."""

    kernel: int
    side: int
    stride: int
    padding: int

    @property
    def bins(self) -> tuple[int, int]:
        """Bins of a descriptor."""
        return self.side, self.side

    @property
    def area(self) -> float:
        """Pixels under the bins of a descriptor."""
        return float((self.kernel * self.side) ** 2)

    @property
    def _span(self) -> int:
        """Pixels that a single descriptor needs."""
        more = (self.kernel % 2 == 0) + 2 * self.padding
        return (self.side - 1) * self.kernel + 1 - more

    def frames(self, which: int, size: int) -> int:
        """Descriptors along an axis; below one if it is too short."""
        return (size - self._span) // self.stride + 1

    def smallest(self) -> tuple[int, int]:
        """Least height and width of an image."""
        return (max(self._span, 3),) * 2

    def axis(self, which: int, size: int, dtype: Any) -> Layout:
        """The layout along an axis of an image."""
        return pooling_axes.kornia_axis(
            size, self.kernel, self.side, self.stride, self.padding, dtype
        )

    def sizes(self, frames: tuple[int, int]) -> Sizes:
        """Images that have so many descriptors."""
        least = [self._span + self.stride * (count - 1) for count in frames]
        (a, b), more = least, self.stride - 1
        return (max(a, 3), a + more), (max(b, 3), b + more)
