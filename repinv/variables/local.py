"""Changes of an image as variables, weighted from pixel to pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from array_api_compat import array_namespace

from repinv._core.batch import column, inner
from repinv._core.typing import Array
from repinv.variables.base import Parametrization, is_steady

#: How much less a spectrum falls under weights that make the response of features the same at all
#: pixels: the differences that are left are between frequencies.
FLATTER = 0.15


@dataclass(frozen=True, eq=False)
class Local:
    """Changes of an image, weighted from pixel to pixel.

    x = image + c + `contrast` · mean(c) · s, where c = W ∘ (inner(z) − ½) and s is the image,
    less its mean, at a root mean square of one.

    Parameters
    ----------
    inner : Parametrization
        What z = 0 leaves gray, such as `Spectral`.
    around : array, shape (N, C, H, W)
        The image that z = 0 stands for.
    weights : array, broadcastable to `around`
        W: small where an encoder is sensitive, so that one step size suits all pixels.
    contrast : float
        How fast the image as a whole gains contrast as the mean of its change grows.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.Stage : One stage of a run.

    Notes
    -----
    Weights hold regions of low contrast back, so no small change of z would raise the contrast of
    the image as a whole. The mean of a change, which encoders of gradients do not see, raises it.

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
    _shape: Array = field(init=False, repr=False)

    is_centred = True

    @property
    def is_steady(self) -> bool:
        """Whether the inner map is the same at every iteration."""
        return is_steady(self.inner)

    def __post_init__(self) -> None:
        xp = array_namespace(self.around)
        axes = (-3, -2, -1)
        centred = self.around - xp.mean(self.around, axis=axes, keepdims=True)
        length = xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True))
        # What rounding leaves of a constant image is no shape of it.
        unit = xp.where(length > 1e-6, 1 / xp.clip(length, 1e-6, None), xp.zeros_like(length))
        object.__setattr__(self, "_shape", self.contrast * unit * centred)

    def about(self, around: Array, weights: Array, /) -> Local:
        """The same changes of another image, with other weights."""
        return replace(self, around=around, weights=weights)

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
