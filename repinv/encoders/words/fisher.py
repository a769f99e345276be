"""Fisher vectors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from repinv.encoders._parts import array_fields, learning, local_descriptors, validation
from repinv.encoders._parts.descriptor_encoder import DescriptorEncoder
from repinv.encoders.base import Encoder
from repinv.encoders.words import assignment, pooling, scaling
from repinv.encoders.words.assignment import Words
from repinv.encoders.words.moments import add_moments, pull_moments
from repinv.encoders.words.softmax import pull_softmax_rows, softmax_rows
from repinv.io.streams import Images

#: Power of softened encoders.
_ROOT = 0.5


def _lifted(x: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(y, y²) with y = x − centre: all that log densities of diagonal Gaussians are linear in."""
    y = x - centre
    return np.concatenate([y, y * y], axis=1)


def _pull_lifted(grad: np.ndarray, x: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Adjoint of `_lifted`'s derivative."""
    from_y, from_square = np.split(grad, 2, axis=1)
    pulled: np.ndarray = from_y + 2 * (x - centre) * from_square
    return pulled


@dataclasses.dataclass(frozen=True)
class _Posterior:
    """Posteriors of the components of a Gaussian mixture, as an assignment."""

    centre: np.ndarray

    def assign(self, x: np.ndarray, words: Words, codes: np.ndarray) -> np.ndarray:
        """Write the posteriors (B, K) of descriptors (B, D), which are all that `pull` needs."""
        np.matmul(_lifted(x, self.centre), words.slope.T, out=codes)
        softmax_rows(codes, words.offset)
        return codes

    def pull(
        self, x: np.ndarray, words: Words, kept: Any, from_codes: np.ndarray, grad: np.ndarray
    ) -> None:
        """Add the cotangent of x that belongs to one of the posteriors, which is overwritten."""
        pull_softmax_rows(kept, from_codes)
        grad += _pull_lifted(from_codes @ words.slope, x, self.centre)


@dataclasses.dataclass(frozen=True, eq=False)
class FisherVector(DescriptorEncoder):
    """Improved Fisher vector of local descriptors under a mixture of diagonal Gaussians.

    Parameters
    ----------
    local : Encoder
        Of local descriptors: one whose `descriptor_axis` is not None. It decides the channels,
        the range of values and the precision of images.
    weights : array, shape (K,)
        π, positive; they sum to one.
    means, variances : array, shape (K, D)
        μ and σ², in the units of the descriptors. All three are kept as private copies.
    grid : (int, int)
        Cells down and across, which divide the image evenly.
    interpolate : bool
        Share a descriptor linearly between the four nearest cell centres; otherwise it belongs to
        the cell that it lies in.
    power : float
        Exponent of a signed power; 1 for none, ½ for the root.
    norm : {None, "l1", "l2"}
        What the whole code of an image is divided by, at last.
    temperature : float
        What the logarithms of the posteriors are divided by; 1 for those of the mixture.
    warm : float
        The temperature that an inversion begins with.

    See Also
    --------
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.
    repinv.VLAD : Vector of locally aggregated descriptors: what is left of descriptors beside their
        words.

    Notes
    -----
    Features (cells down, cells across, 2, K, D) follow VLFeat's ``vl_fisher`` with its option
    ``Improved``: with q the posteriors, u = Σ q_k (x − μ_k)/σ_k / (N√π_k), and then
    v = Σ q_k ((x − μ_k)²/σ_k² − 1) / (N√(2π_k)), N being the descriptors of the cell. VLFeat
    leaves out posteriors and priors below 1e-6; here they count, and the code is smooth.

    Entries that a power would pass with a slope above 1e5 pass nothing, and codes with a norm
    below 1e-12 are zero and pass nothing.

    References
    ----------
    .. [1] F. Perronnin, J. Sánchez and T. Mensink, "Improving the Fisher kernel for large-scale
       image classification", ECCV 2010, doi:10.1007/978-3-642-15561-1_11

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> images = np.random.default_rng(0).random((4, 64, 64), dtype=np.float32)
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> fisher = repinv.FisherVector.fit(images, hog, n_components=3, progress=False)
    >>> fisher(images[0]).shape
    (1, 1, 2, 3, 31)
    """

    local: Encoder
    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    _: dataclasses.KW_ONLY
    grid: tuple[int, int] = (1, 1)
    interpolate: bool = True
    power: float = 0.5
    norm: str | None = "l2"
    temperature: float = 1.0
    warm: float = 300.0

    def __post_init__(self) -> None:
        weights = array_fields.private("weights", self.weights, 1)
        means = array_fields.private("means", self.means, 2)
        variances = array_fields.private("variances", self.variances, 2)
        if not len(weights) == len(means) == len(variances) or means.shape != variances.shape:
            raise ValueError(
                "expected weights (K,), means and variances (K, D); got shapes "
                f"{weights.shape}, {means.shape} and {variances.shape}. Take them of one mixture."
            )
        if (weights <= 0).any() or abs(float(weights.sum()) - 1) > 1e-3 or (variances <= 0).any():
            raise ValueError(
                "weights must be positive and sum to one, and variances be positive; got weights "
                f"from {weights.min():.3g} with sum {weights.sum():.4g}, variances from "
                f"{variances.min():.3g}. Leave out empty components, and give floors to variances."
            )
        local_descriptors.accept(self, self.local, "FisherVector", means.shape[1])
        checked = {
            "weights": weights,
            "means": means,
            "variances": variances,
            "grid": validation.pair("grid", self.grid),
            "interpolate": validation.flag("interpolate", self.interpolate),
            "power": scaling.power(self.power),
            "norm": scaling.norm(self.norm),
            "temperature": validation.real("temperature", self.temperature, above=0),
            "warm": validation.real("warm", self.warm, above=0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def fit(
        cls,
        images: Images,
        local: Encoder | str,
        n_components: int = 64,
        *,
        descriptors: bool | None = None,
        seed: int = 0,
        descriptors_per_image: int = 1000,
        sample_size: int = 50_000,
        progress: bool = True,
        grid: tuple[int, int] = (1, 1),
        interpolate: bool = True,
        power: float = 0.5,
        norm: str | None = "l2",
    ) -> FisherVector:
        """Learn a mixture from images that are looked at once, in turn.

        Parameters
        ----------
        images : iterable of array or path, or path
            Arrays (H, W) or (H, W, C), whose pixel values are taken as they are, as in a call of
            the local encoder; paths of images; or that of a folder of images. Generators and
            memory maps are looked at once, one image at a time. Or descriptors that are there
            already: arrays (n, D), or one of them.
        local : Encoder or str
            Of local descriptors, or its expression on the command line.
        n_components : int
            Number K of Gaussians.
        descriptors : bool, optional
            Whether `images` are descriptors. By default they are images, and what seems to be
            descriptors is refused.
        seed : int
            Of the choice of descriptors and of the mixture.
        descriptors_per_image : int
            How many to learn from; those that are zero, as flat places have, are left out.
        sample_size : int
            How many to learn from in all: a uniform sample of those of the images.
        progress : bool
            Show a progress bar.
        grid, interpolate, power, norm : optional
            As of `FisherVector`.

        Returns
        -------
        FisherVector

        Raises
        ------
        ValueError
            If there are fewer descriptors than components.
        """
        count = validation.whole("n_components", n_components)
        local = local_descriptors.encoder_of(local)
        samples = learning.samples(
            images, local, descriptors_per_image, seed, progress, descriptors
        )
        weights, means, variances = learning.mixture(samples, count, seed, sample_size)
        return cls(
            local,
            weights,
            means,
            variances,
            grid=grid,
            interpolate=interpolate,
            power=power,
            norm=norm,
        )

    def softened(self, softness: float, /) -> FisherVector | None:
        """The same with warmer posteriors and a softened local encoder, where these are hard.

        Parameters
        ----------
        softness : float
            s in (0, 1]. The temperature is the larger of the encoder's own and s·`warm`.

        Returns
        -------
        FisherVector or None
        """
        s = validation.softness(softness)
        local, temperature = self.local.softened(s), max(self.temperature, s * self.warm)
        if local is None and temperature == self.temperature:
            return None
        return dataclasses.replace(self, local=local or self.local, temperature=temperature)

    def compared(self, softness: float, /) -> FisherVector | None:
        """The softened encoder, its power ½ at most from s = 0.1 up; see `Encoder.compared`.

        Otherwise few large second moments decide. The power is the encoder's own from 0.01 down.
        """
        soft = self.softened(softness)
        if soft is None:
            return None
        power = scaling.softer_power(self.power, min(self.power, _ROOT), softness)
        return dataclasses.replace(soft, power=power)

    def softened_features(self, features: np.ndarray, softness: float, /) -> np.ndarray:
        """Features with the power of `compared`; see `Encoder.softened_features`."""
        soft = self.compared(softness) or self
        return scaling.with_power(features, self.power, soft.power, self.norm)

    @property
    def annealing(self) -> tuple[tuple[float, float], ...]:
        """Pairs by which an inversion lowers the temperature; see `Encoder.annealing`.

        Posteriors in as many dimensions as descriptors have are all but hard.
        """
        return assignment.ANNEALING if self.softened(1.0) is not None else ()

    @property
    def _codebook(self) -> tuple[int, int]:
        count, width = self.means.shape
        return count, width

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape F of the features of one image (C, H, W); raises as the local encoder does."""
        local_descriptors.count(self.local, image_shape, self.means.shape[1])
        return (*self.grid, 2, *self.means.shape)

    def _mixture(self, dtype: Any) -> tuple[_Posterior, Words, np.ndarray, np.ndarray]:
        """How posteriors are found; the means less their centre, and the deviations."""
        means, variances = self.means.astype(np.float64), self.variances.astype(np.float64)
        # Squares cancel less where descriptors are small.
        centre = self.weights.astype(np.float64) @ means
        means = means - centre
        offset = np.log(self.weights) - 0.5 * np.sum(means**2 / variances + np.log(variances), 1)
        slope = np.concatenate([means / variances, -0.5 / variances], axis=1) / self.temperature
        offset /= self.temperature
        words = Words(means.astype(dtype), slope.astype(dtype), offset.astype(dtype))
        return _Posterior(centre.astype(dtype)), words, words.points, np.sqrt(variances)

    def _code(
        self, x: np.ndarray, image_shape: tuple[int, ...], keep: bool
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Code of an image with descriptors x (F, D), and its pullback to them."""
        posterior, words, means, deviations = self._mixture(x.dtype)
        memory: list[assignment.Coded] | None = [] if keep else None
        size = (image_shape[1], image_shape[2])
        frames = self.local.frames(image_shape)
        cells = pooling.mean(frames, size, (self.grid,), self.interpolate, x.dtype)
        mass = np.zeros((cells.count, len(means)), x.dtype)
        sums = np.zeros((*mass.shape, 2 * x.shape[1]), x.dtype)
        for rows, codes, _ in assignment.coded(x, posterior, words, memory):
            add_moments(_lifted(x[rows], posterior.centre), codes, cells, rows, mass, sums)
        first, second = np.split(sums, 2, axis=2)
        root = np.sqrt(self.weights.astype(np.float64))[:, None]
        to_u = (1 / (deviations * root)).astype(x.dtype)
        to_v = (1 / (deviations**2 * root * math.sqrt(2))).astype(x.dtype)
        to_one = (1 / (root * math.sqrt(2))).astype(x.dtype)
        m = mass[..., None]
        u = to_u * (first - m * means)
        v = to_v * (second - 2 * means * first + m * means**2) - to_one * m
        strong, pull_power = scaling.powered(np.stack([u, v], axis=1), self.power)
        scaled, pull_norm = scaling.normed(strong.reshape(-1), self.norm)

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            from_strong = pull_norm(cotangent.reshape(-1)).reshape(strong.shape)
            from_u, from_v = np.moveaxis(pull_power(from_strong), 1, 0)
            a, b = to_u * from_u, to_v * from_v
            from_sums = np.concatenate([a - 2 * means * b, b], axis=2)
            from_mass = np.sum(means * (means * b - a) - to_one * from_v, axis=2)
            grad = np.zeros(x.shape, x.dtype)
            for rows, codes, kept in assignment.coded(x, posterior, words, memory):
                lifted = _lifted(x[rows], posterior.centre)
                from_codes, from_lifted = pull_moments(
                    lifted, codes, cells, rows, from_mass, from_sums
                )
                grad[rows] = _pull_lifted(from_lifted, x[rows], posterior.centre)
                posterior.pull(x[rows], words, kept, from_codes, grad[rows])
            return grad

        return scaled.reshape(*self.grid, 2, *self.means.shape), pullback
