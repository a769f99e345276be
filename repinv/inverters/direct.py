"""Direct optimization of the features' distance in a basis of natural images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from array_api_compat import array_namespace, device
from scipy.fft import dctn
from tqdm.auto import tqdm

from repinv._core.typing import Array
from repinv.encoders import expressions
from repinv.encoders._parts import validation
from repinv.encoders.base import Encoder
from repinv.inverters import base
from repinv.io.streams import Images, stream, total
from repinv.solvers.lbfgs import LBFGS
from repinv.tasks.invert import invert
from repinv.variables.dct import dct, idct


@dataclasses.dataclass(frozen=True)
class CosineBasis:
    """The lowest cosines of an image, as strong as natural images have them.

    Parameters
    ----------
    deviation : array, shape (n, n)
        Standard deviations of the coefficients of images, divided by the root of their size.
    """

    deviation: np.ndarray

    def _weights(self, z: Array) -> Array:
        """Deviations of the coefficients of images as large as z; zero beyond the basis."""
        xp = array_namespace(z)
        height, width = z.shape[-2:]
        rows, columns = (min(n, len(self.deviation)) for n in (height, width))
        full = np.zeros((height, width), np.float64)
        full[:rows, :columns] = self.deviation[:rows, :columns] * (height * width) ** 0.5
        return xp.asarray(full, dtype=z.dtype, device=device(z))

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """Images, and the pullback of cotangents of them."""
        weights = self._weights(z)
        return 0.5 + idct(weights * z), lambda v: weights * dct(v)

    def image(self, z: Array, /) -> Array:
        """The images that variables stand for."""
        return 0.5 + idct(self._weights(z) * z)

    def start(self, noise: Array, /) -> Array:
        """A start that is all but gray."""
        return 0.01 * noise

    def inverse(self, x: Array, /) -> Array:
        """Variables of the image in the basis that is nearest."""
        xp, weights = array_namespace(x), self._weights(x)
        known = weights > 0
        return xp.where(
            known, dct(x - 0.5) / xp.where(known, weights, xp.ones_like(weights)), 0 * x
        )

    def project(self, z: Array, /) -> Array:
        """Everything is allowed."""
        return z


@dataclasses.dataclass(frozen=True, eq=False)
class DirectOptimization(base.Inverter):
    """The image in a basis of natural images whose features are nearest, without other priors.

    Parameters
    ----------
    encoder : Encoder
        Φ, which is inverted.
    deviation : array, shape (n, n)
        Of the n × n lowest cosines; their standard deviations over images of unit size.
    max_iter : int
        Evaluations.

    See Also
    --------
    repinv.inverters.ExemplarLDA : For each window the mean patch of what a detector trained on that
        window alone finds best.
    repinv.inverters.Inverter : Finds images of features by what it has learned, and not by
        minimizing an energy.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Notes
    -----
    Principal components of natural images, whose statistics are the same everywhere, are all but
    cosines; their deviations are learned.

    Examples
    --------
    >>> import repinv, skimage
    >>> from repinv.inverters import DirectOptimization
    >>> image = skimage.data.camera()[::8, ::8]
    >>> hog = repinv.HOG.vlfeat()
    >>> inverter = DirectOptimization.fit([skimage.data.coins()], hog, progress=False)
    >>> result = inverter.invert(hog(image), shape=image.shape)
    >>> bool(result.error[0] < 0.5)
    True
    """

    encoder: Encoder
    deviation: np.ndarray
    max_iter: int = 200

    def __post_init__(self) -> None:
        base.fields(self, {"deviation": 2})
        object.__setattr__(self, "max_iter", validation.whole("max_iter", self.max_iter))

    @classmethod
    def fit(
        cls,
        images: Images,
        encoder: Encoder | str,
        *,
        n_components: int = 1024,
        max_iter: int = 200,
        progress: bool = True,
    ) -> DirectOptimization:
        """Learn how strong the lowest cosines of images are.

        Parameters
        ----------
        images : iterable of array or path, or path
            Arrays (H, W) or (H, W, 3), of floats in [0, 1] or integers that stand for fractions of
            white; paths of images; or that of a folder of images.
        encoder : Encoder
            Φ, which is inverted.
        n_components : int
            Of the basis; the largest square that is not above is taken.
        max_iter : int
            Evaluations of an inversion.
        progress : bool
            Show a progress bar.

        Raises
        ------
        ValueError
            If there are no images.
        """
        encoder = expressions.encoder_of(encoder)
        side = int(validation.whole("n_components", n_components) ** 0.5)
        power, count = np.zeros((side, side)), 0
        for given in tqdm(stream(images), total=total(images), disable=not progress, unit="image"):
            image = base.gray(given)
            found = dctn(image.astype(np.float64) - 0.5, norm="ortho")[:side, :side]
            power[: found.shape[0], : found.shape[1]] += found**2 / image.size
            count += 1
        if not count:
            raise ValueError("expected at least one image to learn from; got none.")
        return cls(encoder, np.sqrt(power / count).astype(np.float32), max_iter)

    def _image(self, features: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
        result = invert(
            features,
            self.encoder,
            shape=image_shape[1:],
            layout=self.encoder.layout,
            parametrization=CosineBasis(self.deviation),
            priors=(),
            solver=LBFGS(),
            max_iter=self.max_iter,
        )
        return np.asarray(result.image)
