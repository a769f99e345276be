"""Parametrizations: what the solver turns (z), and the image that it stands for (x).

A parametrization is a differentiable map z → x with a pullback, a way to make a start z from
white noise or from an image, and the projection onto the z that are allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import scipy.fft
from array_api_compat import array_namespace, is_numpy_array
from array_api_compat import device as device_of

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
    """x = z, projected into [0, 1] after every step.

    Parameters
    ----------
    noise : float
        Standard deviation of the start about mid-gray.
    bounded : bool
        False leaves z anywhere while the solver runs; images are clipped all the same.

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

    Notes
    -----
    The start is all but gray: what the features ask for then grows out of it. Encoders that
    normalize contrast are blind to how strong a texture is, unless it is weaker than the epsilon
    of their normalization; a start of natural contrast leaves crumbs where the image should be
    flat, and those are never removed.

    The cosine transform has no wrap at the borders, unlike Fourier's. S at frequency 0 is taken at
    half a frequency step. The transform is `scipy.fft.dctn` for NumPy arrays and a product with
    two matrices elsewhere.

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
        x = _idct(gain * z)
        x += 0.5

        def pullback(v: Array) -> Array:
            w = _dct(v)
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
        return _dct(x - 0.5) / self._gain(x)

    def project(self, z: Array, /) -> Array:
        """Every z is allowed: the range of x is kept by a barrier and an exact last step."""
        return z

    def _gain(self, z: Array) -> Array:
        """amplitude · S for images of the shape, library, dtype and device of `z`."""
        kind = array_namespace(z), z.dtype, device_of(z)
        return _spectrum(z.shape[-2], z.shape[-1], self.exponent, self.amplitude, *kind)


@dataclass(frozen=True, eq=False)
class Local:
    """Changes of an image, each weighted by how strong the image's texture is where it falls.

    x = image + W ∘ (inner(z) − ½), where W is the root mean square gradient of the image in a
    Gaussian neighbourhood, with root mean square one.

    Parameters
    ----------
    inner : Parametrization
        What z = 0 leaves gray, such as `Spectral`.
    around : array, shape (N, C, H, W)
        The image that z = 0 stands for.
    deviation : float
        Of the Gaussian, in pixels.
    least : float
        Least weight before they are scaled, the largest being 1: flat places stay within reach.

    Notes
    -----
    Encoders that normalize contrast locally are as much more sensitive where an image is faint,
    and one step for all places is too long for the faint or too short for the strong. In
    variables relative to the local texture they are alike: a preconditioner, and a scale mixture
    of natural textures.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((1, 1, 16, 16))
    >>> bool(np.all(Local(Spectral(), image).image(0 * image) == image))
    True
    """

    inner: Parametrization
    around: Array
    deviation: float = 4.0
    least: float = 1e-2
    is_centred = True
    _weights: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.deviation > 0 and 0 < self.least <= 1):
            raise ValueError(
                "Local needs a deviation > 0 and 0 < least <= 1; "
                f"got {self.deviation} and {self.least}."
            )
        object.__setattr__(self, "_weights", _strengths(self.around, self.deviation, self.least))

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The image and its weighted change; and v → the inner pullback of W ∘ v."""
        x, pullback = self.inner.vjp(z, iteration)
        x = x - 0.5
        x *= self._weights
        x += self.around
        return x, lambda v: pullback(v * self._weights)

    def image(self, z: Array, /) -> Array:
        """The images, unclipped."""
        return self.vjp(z)[0]

    def start(self, noise: Array, /) -> Array:
        """The image as it is."""
        return self.inverse(self.around)

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image."""
        return self.inner.inverse((x - self.around) / self._weights + 0.5)

    def project(self, z: Array, /) -> Array:
        """The inner projection."""
        return self.inner.project(z)


def is_localizable(parametrization: Any) -> bool:
    """Whether its z = 0 is gray and its changes may be weighted, as those of `Spectral`.

    What has a `base` passes the base's variables on.
    """
    if hasattr(parametrization, "base"):
        return is_localizable(parametrization.base)
    return getattr(parametrization, "is_centred", False)


def localized(
    parametrization: Parametrization, around: Array, deviation: float
) -> Parametrization | None:
    """`Local` about an image; None for a parametrization that is not localizable."""
    if isinstance(parametrization, Jitter):
        base = localized(parametrization.base, around, deviation)
        return None if base is None else replace(parametrization, base=base)
    if isinstance(parametrization, Local):
        return replace(parametrization, around=around, deviation=deviation)
    if not is_localizable(parametrization):
        return None
    return Local(parametrization, around, deviation)


@dataclass(frozen=True)
class Jitter:
    """Another parametrization, its image shifted by a random whole number of pixels every step.

    Parameters
    ----------
    base : parametrization
    amount : int
        Largest shift, up, down, left and right, in pixels; what leaves on one side enters on the
        other.
    seed : int
        Shifts are drawn from the seed and the iteration alone, so that a run can be continued.

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

    def start(self, noise: Array, /) -> Array:
        """The base's start."""
        return self.base.start(noise)

    def inverse(self, x: Array, /) -> Array:
        """The base's inverse."""
        return self.base.inverse(x)

    def project(self, z: Array, /) -> Array:
        """The base's projection."""
        return self.base.project(z)


def _strengths(x: Array, deviation: float, least: float) -> Array:
    """Root mean square gradients in a Gaussian neighbourhood (N, 1, H, W), of mean square one."""
    xp = array_namespace(x)
    energy = xp.zeros_like(x[:, :1, ...])
    across, down = x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]
    energy[..., :, :-1] += xp.sum(across * across, axis=1, keepdims=True)
    energy[..., :-1, :] += xp.sum(down * down, axis=1, keepdims=True)
    # A Gaussian is a product under the cosine transform, which mirrors the image at its border.
    kind = xp, x.dtype, device_of(x)
    blurred = _idct(_dct(energy) * _gaussian(x.shape[-2], x.shape[-1], deviation, *kind))
    largest = xp.max(blurred, axis=(-2, -1), keepdims=True)
    # Of a constant image every share is at the floor, and so every weight one.
    share = blurred / xp.where(largest > 0, largest, xp.ones_like(largest))
    floor = xp.full_like(share, least * least)
    weights = xp.sqrt(xp.maximum(share, floor))
    return weights / xp.sqrt(xp.mean(weights * weights, axis=(-2, -1), keepdims=True))


def _dct(x: Array) -> Array:
    """Orthonormal cosine transform (type II) over the last two axes; a fresh array."""
    if is_numpy_array(x):
        return scipy.fft.dctn(x, axes=(-2, -1), norm="ortho")
    rows, columns = _matrices_like(x)
    return rows @ x @ columns.mT


def _idct(u: Array) -> Array:
    """Inverse, and so adjoint, of `_dct`; a fresh array."""
    if is_numpy_array(u):
        return scipy.fft.idctn(u, axes=(-2, -1), norm="ortho")
    rows, columns = _matrices_like(u)
    return rows.mT @ u @ columns


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


@lru_cache(maxsize=16)
def _gaussian(height: int, width: int, deviation: float, xp: Any, dtype: Any, device: Any) -> Array:
    """Transform (H, W) of a Gaussian of unit sum."""
    squared = [(deviation * np.pi * np.arange(size) / size) ** 2 for size in (height, width)]
    gaussian = np.exp(-0.5 * (squared[0][:, None] + squared[1]))
    return xp.asarray(gaussian, dtype=dtype, device=device)


@lru_cache(maxsize=16)
def _matrix(size: int, xp: Any, dtype: Any, device: Any) -> Array:
    """The matrix of the orthonormal cosine transform (type II) of one axis."""
    matrix = scipy.fft.dct(np.eye(size), axis=0, norm="ortho")
    return xp.asarray(matrix, dtype=dtype, device=device)


def _matrices_like(x: Array) -> tuple[Array, Array]:
    """Transform matrices of both axes of `x`, in its library, dtype and device."""
    kind = array_namespace(x), x.dtype, device_of(x)
    return _matrix(x.shape[-2], *kind), _matrix(x.shape[-1], *kind)
