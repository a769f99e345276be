"""Wrappers: what turns the variables of another parametrization, and changes its images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, to_device
from array_api_compat import device as device_of

from repinv.batch import column, inner
from repinv.encoder import Array
from repinv.parametrizations import Parametrization


@dataclass(frozen=True, eq=False)
class Local:
    """Changes of an image, weighted from place to place.

    x = image + c + `contrast` · mean(c) · s, where c = W ∘ (inner(z) − ½) and s is the image,
    less its mean, at a root mean square of one.

    Parameters
    ----------
    inner : Parametrization
        What z = 0 leaves gray, such as `Spectral`.
    around : array, shape (N, C, H, W)
        The image that z = 0 stands for.
    weights : array, broadcastable to `around`
        W: where an encoder is sensitive it is to be small, so that one step suits all places.
    contrast : float
        How fast the image as a whole gains contrast as the mean of its change grows.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.Stage : One leg of a run.

    Notes
    -----
    Weights keep faint places faint while strong ones are turned; but the contrast of an image is
    that of both, and no small change of z would raise it. The mean of a change, which encoders of
    gradients do not see, is made to.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((1, 1, 16, 16))
    >>> local = repinv.Local(repinv.Spectral(), image, np.ones_like(image))
    >>> bool(np.all(local.image(0 * image) == image))
    True
    """

    inner: Parametrization
    around: Array
    weights: Array
    contrast: float = 2.0
    is_centred = is_steady = True
    _shape: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        xp = array_namespace(self.around)
        axes = (-3, -2, -1)
        centred = self.around - xp.mean(self.around, axis=axes, keepdims=True)
        length = xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True))
        # What rounding leaves of a constant image is no shape of it.
        unit = xp.where(length > 1e-6, 1 / xp.clip(length, 1e-6, None), xp.zeros_like(length))
        object.__setattr__(self, "_shape", self.contrast * unit * centred)

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The image and its weighted change, and the pullback."""
        xp = array_namespace(z)
        x, pullback = self.inner.vjp(z, iteration)
        x = x - 0.5
        x *= self.weights
        x += self._shape * xp.mean(x, axis=(-3, -2, -1), keepdims=True)
        x += self.around

        def pull(v: Array) -> Array:
            # The mean has the adjoint 1/D for each of its D pixels.
            share = inner(v, self._shape) * (1 / (v.shape[1] * v.shape[2] * v.shape[3]))
            return pullback((v + column(share, v)) * self.weights)

        return x, pull

    def image(self, z: Array, /) -> Array:
        """The images, unclipped."""
        return self.vjp(z)[0]

    def start(self, noise: Array, /) -> Array:
        """The image as it is."""
        return self.inverse(self.around)

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image."""
        # s has mean zero, and so the mean of x − image is that of c.
        change = x - self.around
        mean = array_namespace(x).mean(change, axis=(-3, -2, -1), keepdims=True)
        return self.inner.inverse((change - self._shape * mean) / self.weights + 0.5)

    def project(self, z: Array, /) -> Array:
        """The inner projection."""
        return self.inner.project(z)


class _OnBase:
    """What turns the variables of another parametrization, `base`, and changes its images."""

    base: Parametrization

    def start(self, noise: Array, /) -> Array:
        """The base's start."""
        return self.base.start(noise)

    def inverse(self, x: Array, /) -> Array:
        """The base's inverse."""
        return self.base.inverse(x)

    def project(self, z: Array, /) -> Array:
        """The base's projection."""
        return self.base.project(z)


@dataclass(frozen=True, eq=False)
class Levelled(_OnBase):
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
    repinv.Local : Changes of an image, weighted from place to place.

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

    is_steady = True

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


@dataclass(frozen=True)
class Jitter(_OnBase):
    """Another parametrization, its image shifted by a random whole number of pixels every step.

    Parameters
    ----------
    base : parametrization
        What gives the images that are shifted.
    amount : int
        Largest shift, up, down, left and right, in pixels; what leaves on one side enters on the
        other.
    seed : int
        Shifts are drawn from the seed and the iteration alone, so that a run can be continued.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> jitter = repinv.Jitter(repinv.Pixels(), amount=2, seed=0)
    >>> x, _ = jitter.vjp(np.eye(8)[None, None], 3)
    >>> float(x.sum())
    8.0
    """

    base: Parametrization
    amount: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError(f"Jitter needs an amount >= 0 pixels; got {self.amount}.")

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The base's x, shifted; and the base's pullback of the cotangent shifted back."""
        rng = np.random.default_rng((self.seed, iteration))
        down, right = (int(s) for s in rng.integers(-self.amount, self.amount, 2, endpoint=True))
        x, pullback = self.base.vjp(z, iteration)
        xp = array_namespace(x)

        def shifted_back(v: Array) -> Array:
            return pullback(xp.roll(v, (-down, -right), axis=(-2, -1)))

        return xp.roll(x, (down, right), axis=(-2, -1)), shifted_back

    def image(self, z: Array, /) -> Array:
        """The base's image, unshifted."""
        return self.base.image(z)


#: How much less `Spectral` falls under weights that make all places alike: what is left of the
#: differences in sensitivity is between frequencies.
_FLATTER = 0.15


def is_localizable(parametrization: Any) -> bool:
    """Whether its z = 0 is gray and its changes may be weighted, as those of `Spectral`.

    What has a `base` passes the base's variables on.
    """
    if hasattr(parametrization, "base"):
        return is_localizable(parametrization.base)
    return getattr(parametrization, "is_centred", False)


def is_steady(parametrization: Any) -> bool:
    """Whether it maps alike at every iteration, with all that it rests on.

    A parametrization says so by an attribute of this name; of one that does not, nothing is known.
    """
    rest = getattr(parametrization, "base", None) or getattr(parametrization, "inner", None)
    says_so: bool = getattr(parametrization, "is_steady", False)
    return says_so and (rest is None or is_steady(rest))


def localized(
    parametrization: Parametrization, around: Array, weights: Array
) -> Parametrization | None:
    """`Local` about an image; None for a parametrization that is not localizable."""
    if isinstance(parametrization, Jitter):
        base = localized(parametrization.base, around, weights)
        return None if base is None else replace(parametrization, base=base)
    if isinstance(parametrization, Local):
        return replace(parametrization, around=around, weights=weights)
    if not is_localizable(parametrization):
        return None
    return Local(_flatter(parametrization), around, weights)


def _flatter(parametrization: Any) -> Any:
    """The same with a spectrum that falls less."""
    if hasattr(parametrization, "base"):
        return replace(parametrization, base=_flatter(parametrization.base))
    return replace(parametrization, exponent=max(parametrization.exponent - _FLATTER, 0.0))
