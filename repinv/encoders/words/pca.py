"""Principal components of local descriptors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from repinv._core.typing import SizeRange
from repinv.encoders._parts import array_fields, learning, local_descriptors, validation
from repinv.encoders._parts.descriptor_encoder import DescriptorEncoder
from repinv.encoders.base import Encoder
from repinv.io.streams import Images


@dataclasses.dataclass(frozen=True, eq=False)
class PCA(DescriptorEncoder):
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

    @property
    def of_nothing(self) -> np.ndarray:
        """Components (K,) of a descriptor that is zero, as those of flat places are."""
        found: np.ndarray = self._projected(np.zeros((1, len(self.mean)), np.float64))[0]
        return found

    @property
    def annealing(self) -> tuple[tuple[float, float], ...]:
        """Legs in which an inversion hardens this encoder: those of the local one."""
        return self.local.annealing

    @property
    def _codebook(self) -> tuple[int, int]:
        count, width = self.components.shape
        return count, width

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

    def _code(
        self, x: np.ndarray, image_shape: tuple[int, ...], keep: bool
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Components of an image's descriptors x (F, D), laid out as the local features are."""
        found = self._projected(x)
        shape = self._with(tuple(self.local.feature_shape(image_shape)), len(self.components))

        def pullback(v: np.ndarray) -> np.ndarray:
            given = local_descriptors.descriptors(self.local, v[None])[0]
            if self.deviations is not None:
                given = given / self.deviations.astype(v.dtype)
            pulled: np.ndarray = given @ self.components.astype(v.dtype)
            return pulled

        laid_out = local_descriptors.from_descriptors(self.local, found[None], (1, *shape))[0]
        return np.ascontiguousarray(laid_out), pullback

    def _projected(self, x: np.ndarray) -> np.ndarray:
        """Components (F, K) of descriptors (F, D)."""
        found: np.ndarray = (x - self.mean.astype(x.dtype)) @ self.components.T.astype(x.dtype)
        return found if self.deviations is None else found / self.deviations.astype(x.dtype)

    def _with(self, shape: tuple[int, ...], count: int) -> tuple[int, ...]:
        """A shape with so many numbers at every position."""
        axis = self.descriptor_axis
        return (*shape[:axis], count, *shape[axis + 1 :])
