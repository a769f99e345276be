"""Principal components of local descriptors."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from repinv._core.typing import Array, Pullback, SizeRange
from repinv.encoders._parts import array_fields, learning, local_descriptors, validation
from repinv.encoders.base import Encoder
from repinv.io.streams import Images


@dataclasses.dataclass(frozen=True, eq=False)
class PCA(Encoder):
    """Principal components of local descriptors: what Fisher vectors are usually made of.

    Parameters
    ----------
    local : Encoder
        Of local descriptors: one whose `descriptor_axis` is not None. It decides the channels,
        the range of values and the precision of images.
    mean : array, shape (D,)
        Of the descriptors.
    components : array, shape (K, D)
        Directions, as ``sklearn.decomposition.PCA.components_``.
    deviations : array, shape (K,), optional
        What each component is divided by, such as the root of
        ``sklearn.decomposition.PCA.explained_variance_``, which whitens. By default nothing. All
        three are kept as private copies.

    See Also
    --------
    repinv.FisherVector : Improved Fisher vector of local descriptors under a mixture of diagonal
        Gaussians.
    repinv.VLAD : Vector of locally aggregated descriptors: what is left of descriptors beside their
        words.

    Notes
    -----
    Features are those of `local` with K numbers in place of D at every position: C (x − m), each
    divided by its deviation. They are local descriptors themselves, from which bags of words, VLAD
    and Fisher vectors can be made.

    References
    ----------
    .. [1] F. Perronnin, J. Sánchez and T. Mensink, "Improving the Fisher kernel for large-scale
       image classification", ECCV 2010, doi:10.1007/978-3-642-15561-1_11

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> images = np.random.default_rng(0).random((4, 64, 64), dtype=np.float32)
    >>> pca = repinv.PCA.fit(images, repinv.HOG.vlfeat(), n_components=8, progress=False)
    >>> pca(images[0]).shape
    (8, 8, 8)
    >>> fisher = repinv.FisherVector.fit(images, pca, n_components=3, progress=False)
    >>> fisher(images[0]).shape
    (1, 1, 2, 3, 8)
    """

    local: Encoder
    mean: np.ndarray
    components: np.ndarray
    _: dataclasses.KW_ONLY
    deviations: np.ndarray | None = None

    def __post_init__(self) -> None:
        mean = array_fields.private("mean", self.mean, 1)
        components = array_fields.private("components", self.components, 2)
        if components.shape[1] != len(mean):
            raise ValueError(
                f"expected a mean (D,) and components (K, D); got shapes {mean.shape} and "
                f"{components.shape}. Take them of one analysis."
            )
        local_descriptors.accept(self, self.local, "PCA", len(mean))
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "components", components)
        if self.deviations is not None:
            deviations = array_fields.private("deviations", self.deviations, 1)
            if len(deviations) != len(components) or not (deviations > 0).all():
                raise ValueError(
                    f"expected {len(components)} deviations above zero; got {len(deviations)}, the "
                    f"least {deviations.min():.3g}. Leave out components that do not vary."
                )
            object.__setattr__(self, "deviations", deviations)

    @classmethod
    def fit(
        cls,
        images: Images,
        local: Encoder | str,
        n_components: int = 64,
        *,
        whiten: bool = False,
        descriptors: bool | None = None,
        seed: int = 0,
        descriptors_per_image: int = 1000,
        sample_size: int = 50_000,
        progress: bool = True,
    ) -> PCA:
        """Find principal components of the descriptors of images that are looked at once, in turn.

        Parameters
        ----------
        images : iterable of array or path, or path
            As for `repinv.BoVW.fit`: images, files of images or a folder of them; or descriptors.
        local : Encoder or str
            Of local descriptors, or its expression on the command line.
        n_components : int
            Number K of components.
        whiten : bool
            Divide each component by its standard deviation.
        descriptors : bool, optional
            Whether `images` are descriptors, arrays (n, D).
        seed : int
            Of the choice of descriptors.
        descriptors_per_image : int
            How many to learn from; those that are zero, as flat places have, are left out.
        sample_size : int
            How many to learn from in all: a uniform sample of those of the images.
        progress : bool
            Show a progress bar.

        Returns
        -------
        PCA

        Raises
        ------
        ValueError
            If there are fewer descriptors than components.
        """
        local = local_descriptors.encoder_of(local)
        count = validation.whole(
            "n_components", n_components, 1, local_descriptors.width(local, "PCA")
        )
        samples = learning.samples(
            images, local, descriptors_per_image, seed, progress, descriptors
        )
        mean, components, deviations = learning.principal(samples, count, seed, sample_size)
        return cls(local, mean, components, deviations=deviations if whiten else None)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder to an npz file without pickle; it appears whole or not at all.

        Raises
        ------
        TypeError
            If the local encoder is not one of repinv's own.
        """
        array_fields.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PCA:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is something else, or is damaged.
        """
        return array_fields.load(cls, path)

    def __eq__(self, other: object) -> bool:
        return array_fields.same(self, other)

    def __hash__(self) -> int:
        return array_fields.hashed(self)

    @property
    def of_nothing(self) -> np.ndarray:
        """Components (K,) of a descriptor that is zero, as those of flat places are."""
        found: np.ndarray = self._projected(np.zeros((1, 1, len(self.mean)), np.float64))[0, 0]
        return found

    def softened(self, softness: float, /) -> PCA | None:
        """The same of a softened local encoder, or None; see `Encoder.softened`."""
        local = self.local.softened(softness)
        return None if local is None else dataclasses.replace(self, local=local)

    def relaxed(self, width: float, /) -> PCA | None:
        """The same features with a relaxed local encoder, or None; see `Encoder.relaxed`."""
        local = self.local.relaxed(width)
        return None if local is None else dataclasses.replace(self, local=local)

    @property
    def annealing(self) -> tuple[tuple[float, float], ...]:
        """Legs in which an inversion hardens this encoder: those of the local one."""
        return self.local.annealing

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape F of the features of one image (C, H, W); raises as the local encoder does."""
        local_descriptors.places(self.local, image_shape, len(self.mean))
        return self._with(tuple(self.local.feature_shape(image_shape)), len(self.components))

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Image sizes of the local encoder; see `Encoder.image_shapes`."""
        axis = self.descriptor_axis
        if len(feature_shape) <= axis or feature_shape[axis] != len(self.components):
            return None
        return self.local.image_shapes(self._with(feature_shape, len(self.mean)))

    @property
    def descriptor_axis(self) -> int:
        """Axis of the components; see `Encoder`."""
        return self.local.descriptor_axis or 0

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Centres (y, x) of the local descriptors; see `Encoder.frames`."""
        return self.local.frames(image_shape)

    def vjp(self, x: Array, /) -> tuple[Array, Pullback]:
        """Encode a batch, and return the map that pulls cotangents back; see `Encoder.vjp`.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W), float32 or float64, in [0, 1]
            Images.

        Returns
        -------
        features : ndarray, shape (N, *F), of the same dtype
        pullback : callable
        """
        rows, shape, pull_local = local_descriptors.rows_vjp(self.local, x)
        features = self._laid_out(self._projected(rows), shape)

        def pullback(cotangent: Array) -> Array:
            v = validation.cotangent(cotangent, features.shape, features.dtype)
            given = local_descriptors.descriptors(self.local, v)
            if self.deviations is not None:
                given = given / self.deviations.astype(v.dtype)
            return pull_local(given @ self.components.astype(v.dtype))

        return features, pullback

    def encode(self, x: Array, /) -> Array:
        """Features (N, *F) of a batch, without what a pullback needs; see `vjp`."""
        rows, shape = local_descriptors.rows(self.local, x)
        return self._laid_out(self._projected(rows), shape)

    def __call__(self, image: Array) -> np.ndarray:
        """Features of one image, whose pixel values the local encoder takes as they are."""
        found = self.local(image)[None]
        rows = local_descriptors.descriptors(self.local, found)
        features: np.ndarray = self._laid_out(self._projected(rows), found.shape)[0]
        return features

    def _projected(self, rows: np.ndarray) -> np.ndarray:
        """Components (N, places, K) of descriptors (N, places, D)."""
        found: np.ndarray = (rows - self.mean.astype(rows.dtype)) @ self.components.T.astype(
            rows.dtype
        )
        return found if self.deviations is None else found / self.deviations.astype(rows.dtype)

    def _laid_out(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Rows (N, places, K) in the layout of the local encoder's features of a shape (N, ...)."""
        return np.ascontiguousarray(local_descriptors.from_descriptors(self.local, rows, shape))

    def _with(self, shape: tuple[int, ...], count: int) -> tuple[int, ...]:
        """A shape with so many numbers at every position."""
        axis = self.descriptor_axis
        return (*shape[:axis], count, *shape[axis + 1 :])
