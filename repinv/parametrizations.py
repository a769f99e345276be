"""Parametrizations: what the solver turns (z), and the image that it stands for (x).

A parametrization is a differentiable map z → x with a pullback, a way to make a start z from
white noise or from an image, and the projection onto the z that are allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
        """The images (N, C, H, W) that variables z stand for, within [0, 1]."""
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
        """Images within [0, 1]."""
        return array_namespace(z).clip(z, 0.0, 1.0)

    def start(self, noise: Array, /) -> Array:
        """Mid-gray with white noise on it."""
        return self.project(0.5 + self.noise * noise)

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image: the image."""
        return x

    def project(self, z: Array, /) -> Array:
        """Clip to [0, 1] where z is bounded."""
        return self.image(z) if self.bounded else z


@dataclass(frozen=True)
class Spectral:
    r"""Cosine coefficients, weighted by the spectrum of natural images.

    ``y = IDCT(S ∘ z)`` with S(f) ∝ f\ :sup:`-exponent` of unit mean square, and
    ``x = ½ + contrast · y / rms(y)``: steps of equal size in every z change an image as natural
    images differ, and the contrast of x is that of a photograph whatever z is.

    Parameters
    ----------
    exponent : float
        Fall of the amplitude spectrum; 0 is flat (pixels, turned by a rotation).
    contrast : float or None
        Root mean square of x − ½. None leaves contrast free, ``x = ½ + amplitude · y``: for
        encoders that are not blind to contrast.
    amplitude : float
        Root mean square of x − ½ at a start of unit variance where contrast is free.

    Notes
    -----
    The cosine transform has no wrap at the borders, unlike Fourier's. S at frequency 0 is taken at
    half a frequency step. The transform is `scipy.fft.dctn` for NumPy arrays and a product with
    two matrices elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).standard_normal((1, 1, 16, 16))
    >>> x, pullback = Spectral(contrast=0.2).vjp(z)
    >>> float(np.sqrt(np.mean((x - 0.5) ** 2)).round(6))
    0.2
    """

    exponent: float = 0.75
    contrast: float | None = 0.2
    amplitude: float = 0.2

    def __post_init__(self) -> None:
        if self.contrast is not None and not 0 < self.contrast <= 0.5:
            raise ValueError(
                f"Spectral needs a contrast in (0, 0.5], or None for a free one; got {self.contrast}."
            )
        if not self.amplitude > 0:
            raise ValueError(f"Spectral needs an amplitude > 0; got {self.amplitude}.")

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """x = ½ + contrast · y/rms(y) with y = IDCT(S ∘ z), and its pullback."""
        xp = array_namespace(z)
        spectrum = _spectrum_like(z, self.exponent)
        u = spectrum * z
        if self.contrast is None:
            x = _idct(u)
            x *= self.amplitude
            x += 0.5
            gain = spectrum * self.amplitude
            return x, lambda v: gain * _dct(v)
        # The transform is orthonormal: y and u have one norm.
        flat = xp.reshape(u, (u.shape[0], -1))
        size = flat.shape[1]
        mean_square = xp.vecdot(flat, flat) * (1 / size)
        positive = mean_square > 0
        rms = xp.sqrt(xp.where(positive, mean_square, xp.ones_like(mean_square)))
        scale = xp.reshape(self.contrast / rms, (-1, 1, 1, 1))
        x = _idct(u * scale)
        x += 0.5

        def pullback(v: Array) -> Array:
            # dx = scale · (dy − y <y, dy> / (size · rms²)): the part along y does not count.
            w = _dct(v)
            along = xp.vecdot(flat, xp.reshape(w, flat.shape)) / (size * rms * rms)
            w -= u * xp.reshape(along, (-1, 1, 1, 1))
            w *= scale
            w *= spectrum
            return w

        return x, pullback

    def image(self, z: Array, /) -> Array:
        """Images within [0, 1]."""
        return array_namespace(z).clip(self.vjp(z)[0], 0.0, 1.0)

    def start(self, noise: Array, /) -> Array:
        """White noise, which is noise of the natural spectrum in x."""
        return noise

    def inverse(self, x: Array, /) -> Array:
        """Variables of an image, with its contrast replaced by `contrast` if that is set."""
        xp = array_namespace(x)
        u = _dct(x - 0.5)
        if self.contrast is None:
            u = u * (1 / self.amplitude)
        else:
            flat = xp.reshape(u, (u.shape[0], -1))
            rms = xp.sqrt(xp.vecdot(flat, flat) * (1 / flat.shape[1]))
            u = u / xp.reshape(xp.where(rms > 0, rms, xp.ones_like(rms)), (-1, 1, 1, 1))
        return u / _spectrum_like(x, self.exponent)

    def project(self, z: Array, /) -> Array:
        """Every z is allowed: the range of x is kept by a barrier and an exact last step."""
        return z


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
    height: int, width: int, exponent: float, xp: Any, dtype: Any, device: Any
) -> Array:
    """S (H, W): (f + half a step at 0)^-exponent, of unit mean square."""
    step = 1 / max(height, width)
    frequency = np.hypot(np.arange(height)[:, None] / height, np.arange(width) / width)
    frequency[0, 0] = step / 2
    spectrum = frequency**-exponent
    spectrum /= np.sqrt(np.mean(spectrum**2))
    return xp.asarray(spectrum, dtype=dtype, device=device)


def _spectrum_like(z: Array, exponent: float) -> Array:
    """S for images of the shape, library, dtype and device of `z`."""
    return _spectrum(*z.shape[-2:], exponent, array_namespace(z), z.dtype, device_of(z))


@lru_cache(maxsize=16)
def _matrix(size: int, xp: Any, dtype: Any, device: Any) -> Array:
    """The matrix of the orthonormal cosine transform (type II) of one axis."""
    matrix = scipy.fft.dct(np.eye(size), axis=0, norm="ortho")
    return xp.asarray(matrix, dtype=dtype, device=device)


def _matrices_like(x: Array) -> tuple[Array, Array]:
    """Transform matrices of both axes of `x`, in its library, dtype and device."""
    kind = array_namespace(x), x.dtype, device_of(x)
    return _matrix(x.shape[-2], *kind), _matrix(x.shape[-1], *kind)
