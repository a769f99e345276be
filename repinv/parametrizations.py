"""Parametrizations: what the solver turns (z), and the image that it stands for (x).

A parametrization is a differentiable map z → x with a pullback, a way to make a start z from
white noise or from an image, and the projection onto the z that are allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv.batch import column, inner
from repinv.cosine import dct, idct
from repinv.encoder import Array


class Parametrization(Protocol):
    """What `Energy` asks of a parametrization."""

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """Images x (N, C, H, W) of variables z, and the pullback of cotangents of x to z.

        `iteration` counts the steps of the run, for maps that change from step to step.
        """
        ...

    def image(self, z: Array, /) -> Array:
        """The images (N, C, H, W) that variables z stand for."""
        ...

    def start(self, noise: Array, /) -> Array:
        """A start z made from white noise (N, C, H, W) of unit variance."""
        ...

    def inverse(self, x: Array, /) -> Array:
        """Variables z whose image is x, as nearly as the parametrization allows."""
        ...

    def project(self, z: Array, /) -> Array:
        """The allowed z that is nearest."""
        ...


@dataclass(frozen=True)
class Pixels:
    """The pixels themselves, x = z, projected into [0, 1] after every step.

    Parameters
    ----------
    noise : float
        Standard deviation of the start about mid-gray.
    bounded : bool
        False leaves z anywhere while the solver runs; images are clipped all the same.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.Decorrelated : Another parametrization, whose three channels are mixed into natural
        colours.

    Examples
    --------
    >>> import numpy as np
    >>> x, pullback = Pixels().vjp(np.full((1, 1, 2, 2), 0.25))
    >>> x.max(), pullback(np.ones((1, 1, 2, 2))).sum()
    (np.float64(0.25), np.float64(4.0))
    """

    noise: float = 0.2
    bounded: bool = True

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """x and its pullback: both are the identity."""
        return z, lambda v: v

    def image(self, z: Array, /) -> Array:
        """The images themselves."""
        return z

    def start(self, noise: Array, /) -> Array:
        """Mid-gray with white noise on it."""
        return self.project(0.5 + self.noise * noise)

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image: the image."""
        return x

    def project(self, z: Array, /) -> Array:
        """Clip to [0, 1] where z is bounded."""
        return array_namespace(z).clip(z, 0.0, 1.0) if self.bounded else z


@dataclass(frozen=True)
class Spectral:
    r"""Cosine coefficients, weighted by the spectrum of natural images.

    ``x = ½ + amplitude · IDCT(S ∘ z)`` with S(f) ∝ f\ :sup:`-exponent` of unit mean square: steps
    of equal size in every z change an image as natural images differ.

    Parameters
    ----------
    exponent : float
        Fall of the amplitude spectrum; 0 is flat (pixels, turned by a rotation).
    amplitude : float
        Root mean square of x − ½ where z has unit variance.
    start_scale : float
        Standard deviation of z at the start.

    See Also
    --------
    repinv.Pixels : The pixels themselves, projected into [0, 1] after every step.
    repinv.Fourier : White noise filtered to the spectrum of natural images, wrapping at the
        borders.
    repinv.Local : Changes of an image, weighted from place to place.

    Notes
    -----
    Equation :eq:`spectral` of the documentation.

    The start is all but gray: what the features ask for then grows out of it. Encoders that
    normalize contrast are blind to how strong a texture is, unless it is weaker than the epsilon
    of their normalization; a start of natural contrast leaves crumbs where the image should be
    flat, and those are never removed.

    The cosine transform has no wrap at the borders, unlike Fourier's. S at frequency 0 is taken at
    half a frequency step.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.zeros((1, 1, 16, 16))
    >>> x, pullback = Spectral().vjp(z)
    >>> x.min(), x.max()
    (np.float64(0.5), np.float64(0.5))
    """

    exponent: float = 0.85
    amplitude: float = 0.2
    start_scale: float = 3e-5

    #: Changes about z = 0, which is gray, may be weighted; see `Local`.
    is_centred = True

    def __post_init__(self) -> None:
        if not (self.amplitude > 0 and self.start_scale > 0):
            raise ValueError(
                "Spectral needs an amplitude and a start_scale > 0; "
                f"got {self.amplitude} and {self.start_scale}."
            )

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """x = ½ + IDCT(gain ∘ z), and v → gain ∘ DCT(v): the transform is orthonormal."""
        gain = self._gain(z)
        x = idct(gain * z)
        x += 0.5

        def pullback(v: Array) -> Array:
            w = dct(v)
            w *= gain
            return w

        return x, pullback

    def image(self, z: Array, /) -> Array:
        """The images, unclipped: what is out of range is left to the exact last step."""
        return self.vjp(z)[0]

    def start(self, noise: Array, /) -> Array:
        """White noise, which is noise of the natural spectrum in x."""
        return self.start_scale * noise

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image."""
        return dct(x - 0.5) / self._gain(x)

    def project(self, z: Array, /) -> Array:
        """Every z is allowed: the range of x is kept by a barrier and an exact last step."""
        return z

    def _gain(self, z: Array) -> Array:
        """amplitude · S for images of the shape, library, dtype and device of `z`."""
        kind = array_namespace(z), z.dtype, device_of(z)
        return _spectrum(z.shape[-2], z.shape[-1], self.exponent, self.amplitude, *kind)


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
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((1, 1, 16, 16))
    >>> local = Local(Spectral(), image, np.ones_like(image))
    >>> bool(np.all(local.image(0 * image) == image))
    True
    """

    inner: Parametrization
    around: Array
    weights: Array
    contrast: float = 2.0
    is_centred = True
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

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The base's x, its areas flat; and the base's pullback of the cotangent's means."""
        x, pullback = self.base.vjp(z, iteration)
        return self._flat(x), lambda v: pullback(self._flat(v))

    def image(self, z: Array, /) -> Array:
        """The base's image, its areas flat."""
        return self._flat(self.base.image(z))

    @cached_property
    def _members(self) -> tuple[Array, Array, Array]:
        """Which pixels (K, D) are of each area, how many (K,) these are, and which of none (D,)."""
        xp = array_namespace(self.areas)
        numbers = xp.reshape(self.areas, (1, -1))
        each = xp.arange(1, int(xp.max(numbers)) + 1, device=device_of(self.areas))
        members = xp.astype(numbers == xp.reshape(each, (-1, 1)), xp.float32)
        return members, xp.sum(members, axis=1), xp.reshape(numbers == 0, (-1,))

    def _flat(self, x: Array) -> Array:
        """P x."""
        xp = array_namespace(x)
        members, count, others = self._members
        members = xp.astype(members, x.dtype, copy=False)
        lines = xp.reshape(x, (*x.shape[:2], -1))
        means = xp.matmul(lines, members.mT) / xp.astype(count, x.dtype)
        return xp.reshape(xp.where(others, lines, xp.matmul(means, members)), x.shape)


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
    >>> import numpy as np
    >>> jitter = Jitter(Pixels(), amount=2, seed=0)
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


@lru_cache(maxsize=16)
def _spectrum(
    height: int, width: int, exponent: float, amplitude: float, xp: Any, dtype: Any, device: Any
) -> Array:
    """amplitude · f^-exponent (H, W), of root mean square `amplitude`."""
    frequency = np.hypot(np.arange(height)[:, None] / height, np.arange(width) / width)
    frequency[0, 0] = 0.5 / max(height, width)
    spectrum = frequency**-exponent
    spectrum *= amplitude / np.sqrt(np.mean(spectrum**2))
    return xp.asarray(spectrum, dtype=dtype, device=device)
