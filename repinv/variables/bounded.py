"""Images kept within (0, 1) by a smooth curve of intensities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from array_api_compat import array_namespace

from repinv._core.typing import Array
from repinv.variables.base import OnBase, Parametrization

#: Nearest to 0 and 1 that `Bounded.inverse` goes: pixels of 0 and 1 have no finite variables.
_EDGE = 1e-3


@dataclass(frozen=True)
class Bounded(OnBase):
    """Another parametrization, its image brought into (0, 1) by a logistic curve.

    x = 1 / (1 + exp(−4 (base(z) − ½))), whose slope is 1 at mid-gray: images of low contrast stay
    as they are, and those of high contrast are compressed where they would leave [0, 1].

    Parameters
    ----------
    base : parametrization
        What gives the images, such as `Fourier` in natural colours.

    See Also
    --------
    repinv.IntensityRange : Mean of ``(excess over [low, high] / scale)²`` over pixels and channels:
        a smooth barrier.
    repinv.Decorrelated : Another parametrization, whose three channels are mixed into natural
        colours.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> space = repinv.Bounded(repinv.Fourier())
    >>> x = space.image(np.random.default_rng(0).standard_normal((1, 1, 16, 16)))
    >>> bool(0 < x.min() < x.max() < 1), bool(np.allclose(space.image(space.inverse(x)), x))
    (True, True)
    """

    base: Parametrization

    #: Weighted changes of an image add up; what the curve gives does not.
    is_centred = False

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The base's x on the curve; and v → the base's pullback of v times the curve's slope."""
        unbounded, pullback = self.base.vjp(z, iteration)
        x = _curve(unbounded)
        return x, lambda v: pullback(4 * x * (1 - x) * v)

    def image(self, z: Array, /) -> Array:
        """The base's image on the curve."""
        return _curve(self.base.image(z))

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image; of pixels nearer to 0 and 1 than 0.001, of those at 0.001."""
        xp = array_namespace(x)
        x = xp.clip(x, _EDGE, 1 - _EDGE)
        return self.base.inverse(0.5 + xp.log(x / (1 - x)) / 4)


def _curve(x: Array) -> Array:
    """½ (1 + tanh 2(x − ½)), which is the logistic curve, and overflows nowhere."""
    return 0.5 + 0.5 * array_namespace(x).tanh(2 * (x - 0.5))
