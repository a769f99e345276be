"""Images that are exactly flat over some areas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from array_api_compat import array_namespace, to_device
from array_api_compat import device as device_of

from repinv._core.typing import Array
from repinv.variables.base import OnBase, Parametrization


@dataclass(frozen=True, eq=False)
class Levelled(OnBase):
    """Another parametrization, whose image is exactly flat over some areas.

    x = P base(z), where P gives every pixel of an area the mean of the area, and leaves others as
    they are: an orthogonal projection, and so its own adjoint. How bright an area is stays free.

    Parameters
    ----------
    base : parametrization
        What gives the images.
    areas : array, shape (H, W)
        0 where the image is left as it is, and the number of the area, from 1, elsewhere.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.Local : Changes of an image, weighted from pixel to pixel.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.arange(6.0).reshape(1, 1, 2, 3)
    >>> repinv.Levelled(repinv.Pixels(), np.array([[1, 1, 0], [0, 2, 2]])).image(image)
    array([[[[0.5, 0.5, 2. ],
             [3. , 4.5, 4.5]]]])
    """

    base: Parametrization
    areas: Array

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The base's x, its areas flat; and the base's pullback of the cotangent's means."""
        x, pullback = self.base.vjp(z, iteration)
        return self._flat(x), lambda v: pullback(self._flat(v))

    def image(self, z: Array, /) -> Array:
        """The base's image, its areas flat."""
        return self._flat(self.base.image(z))

    @cached_property
    def _order(self) -> tuple[Array, Array, Array, Array, Array]:
        """Pixels in the order of their areas, and each pixel's area.

        Between them, of each area: where it ends and begins in this order, and how many it has.
        """
        xp = array_namespace(self.areas)
        numbers = np.asarray(to_device(self.areas, "cpu")).reshape(-1).astype(np.int64)
        count = np.bincount(numbers)
        ends = np.cumsum(count)
        order = np.argsort(numbers, kind="stable")
        device = device_of(self.areas)
        found = (order, ends, ends - count, np.maximum(count, 1), numbers)
        first, second, third, fourth, fifth = (xp.asarray(a, device=device) for a in found)
        return first, second, third, fourth, fifth

    def _flat(self, x: Array) -> Array:
        """P x."""
        xp = array_namespace(x)
        order, ends, begins, count, numbers = self._order
        lines = xp.reshape(x, (x.shape[0] * x.shape[1], -1))
        sums = xp.cumulative_sum(
            xp.take(lines, order, axis=1), axis=1, dtype=xp.float64, include_initial=True
        )
        totals = xp.take(sums, ends, axis=1) - xp.take(sums, begins, axis=1)
        means = xp.astype(totals / xp.astype(count, xp.float64), x.dtype)
        return xp.reshape(xp.where(numbers > 0, xp.take(means, numbers, axis=1), lines), x.shape)
