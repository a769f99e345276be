"""Vectors of locally aggregated descriptors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from repinv.encoders._parts import array_fields, learning, local_descriptors, validation
from repinv.encoders._parts.descriptor_encoder import DescriptorEncoder
from repinv.encoders.base import Encoder
from repinv.encoders.words import assignment as assignments
from repinv.encoders.words import pooling, scaling
from repinv.encoders.words.assignment import Assignment
from repinv.encoders.words.moments import add_moments, pull_moments
from repinv.io.streams import Images


@dataclasses.dataclass(frozen=True, eq=False)
class VLAD(DescriptorEncoder):
    """Vector of locally aggregated descriptors: what is left of descriptors beside their words.

    Parameters
    ----------
    local : Encoder
        Of local descriptors: one whose `descriptor_axis` is not None. It decides the channels,
        the range of values and the precision of images.
    vocabulary : array, shape (words, D), float32 or float64
        In the units of the descriptors. Kept as a private copy.
    grid : (int, int)
        Cells down and across, which divide the image evenly.
    assignment : {"hard", "soft", "llc"} or HardAssignment, SoftAssignment or LLC
        How a descriptor is shared out between words.
    interpolate : bool
        Share a descriptor linearly between the four nearest cell centres; otherwise it belongs to
        the cell that it lies in.
    power : float
        Exponent of a signed power; 1 for none, ½ for the root.
    intra : bool
        Divide the residual of each word of each cell by its Euclidean norm, after the power.
    norm : {None, "l1", "l2"}
        What the whole code of an image is divided by, at last.
    warm : float
        Temperature of the assignment that the softest of the `softened` encoders has.

    See Also
    --------
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.
    repinv.FisherVector : Improved Fisher vector of local descriptors under a mixture of diagonal
        Gaussians.

    Notes
    -----
    Features (cells down, cells across, words, D) are Σ q_k(x)·(x − c_k), weighted so that the
    descriptors of a cell count as one, and then scaled as said.

    With hard assignments the pullback is that of the residuals alone; `softened` has one of the
    decisions as well. Entries that a power would pass with a slope above 1e5 pass nothing, and
    what has a norm below 1e-12 is zero and passes nothing.

    References
    ----------
    .. [1] H. Jégou et al., "Aggregating local descriptors into a compact image representation",
       CVPR 2010, doi:10.1109/CVPR.2010.5540039
    .. [2] R. Arandjelović and A. Zisserman, "All about VLAD", CVPR 2013,
       doi:10.1109/CVPR.2013.207

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> images = np.random.default_rng(0).random((4, 64, 64), dtype=np.float32)
    >>> vlad = repinv.VLAD.fit(images, repinv.HOG.vlfeat(), n_words=4, progress=False)
    >>> vlad(images[0]).shape
    (1, 1, 4, 31)
    """

    local: Encoder
    vocabulary: np.ndarray
    _: dataclasses.KW_ONLY
    grid: tuple[int, int] = (1, 1)
    assignment: Assignment | str = "hard"
    interpolate: bool = True
    power: float = 0.5
    intra: bool = False
    norm: str | None = "l2"
    warm: float = 0.5

    def __post_init__(self) -> None:
        words = array_fields.private("vocabulary", self.vocabulary, 2)
        local_descriptors.accept(self, self.local, "VLAD", words.shape[1])
        checked = {
            "vocabulary": words,
            "grid": validation.pair("grid", self.grid),
            "assignment": assignments.assignment(self.assignment),
            "interpolate": validation.flag("interpolate", self.interpolate),
            "power": scaling.power(self.power),
            "intra": validation.flag("intra", self.intra),
            "norm": scaling.norm(self.norm),
            "warm": validation.real("warm", self.warm, above=0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def fit(
        cls,
        images: Images,
        local: Encoder | str,
        n_words: int = 64,
        *,
        descriptors: bool | None = None,
        seed: int = 0,
        descriptors_per_image: int = 1000,
        progress: bool = True,
        grid: tuple[int, int] = (1, 1),
        assignment: Assignment | str = "hard",
        interpolate: bool = True,
        power: float = 0.5,
        intra: bool = False,
        norm: str | None = "l2",
        warm: float = 0.5,
    ) -> VLAD:
        """Learn a vocabulary by k-means from images, each read once.

        Parameters
        ----------
        images : iterable of array or path, or path
            Arrays (H, W) or (H, W, C), whose pixel values are taken as they are, as in a call of
            the local encoder; paths of images; or that of a folder of images. Generators and
            memory maps are looked at once, one image at a time. Or descriptors that are there
            already: arrays (n, D), or one of them.
        local : Encoder or str
            Of local descriptors, or its expression on the command line.
        n_words : int
            Number of words.
        descriptors : bool, optional
            Whether `images` are descriptors. By default they are images, and what seems to be
            descriptors is refused.
        seed : int
            Of the choice of descriptors and of k-means.
        descriptors_per_image : int
            How many to learn from; those that are zero, as flat regions have, are left out.
        progress : bool
            Show a progress bar.
        grid, assignment, interpolate, power, intra, norm, warm : optional
            As of `VLAD`.

        Returns
        -------
        VLAD

        Raises
        ------
        ValueError
            If there are fewer descriptors than words.
        """
        count = validation.whole("n_words", n_words)
        local = local_descriptors.encoder_of(local)
        samples = learning.samples(
            images, local, descriptors_per_image, seed, progress, descriptors
        )
        return cls(
            local,
            learning.words(samples, count, seed),
            grid=grid,
            assignment=assignment,
            interpolate=interpolate,
            power=power,
            intra=intra,
            norm=norm,
            warm=warm,
        )

    def softened(self, softness: float, /) -> VLAD | None:
        """The same with softer assignments and a softened local encoder, where these are hard.

        Parameters
        ----------
        softness : float
            s in (0, 1]. The temperature is the larger of the encoder's own and s·`warm`, the
            regularization of LLC the larger of its own and s/10.

        Returns
        -------
        VLAD or None
        """
        soft: VLAD | None = assignments.softened_encoder(self, softness)
        return soft

    def compared(self, softness: float, /) -> VLAD | None:
        """The softened encoder, its power 1 from s = 0.1 up; see `Encoder.compared`.

        A root has an infinite slope at zero. The power is the encoder's own from 0.01 down, and
        with `intra`.
        """
        soft = self.softened(softness)
        if soft is None or self.intra:
            return soft
        return dataclasses.replace(soft, power=scaling.softer_power(self.power, 1.0, softness))

    def softened_features(self, features: np.ndarray, softness: float, /) -> np.ndarray:
        """Features with the power of `compared`; see `Encoder.softened_features`."""
        soft = self.compared(softness) or self
        return scaling.with_power(features, self.power, soft.power, self.norm)

    @property
    def annealing(self) -> tuple[tuple[float, float], ...]:
        """Pairs by which an inversion hardens this encoder; see `Encoder.annealing`.

        At the first temperatures all words have a part in every descriptor; from lower ones,
        regions of low contrast get no gradient towards their words.
        """
        return assignments.ANNEALING if self.softened(1.0) is not None else ()

    @property
    def _codebook(self) -> tuple[int, int]:
        count, width = self.vocabulary.shape
        return count, width

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape F of the features of one image (C, H, W); raises as the local encoder does."""
        local_descriptors.count(self.local, image_shape, self.vocabulary.shape[1])
        return (*self.grid, *self.vocabulary.shape)

    def _code(
        self, x: np.ndarray, image_shape: tuple[int, ...], keep: bool
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Code of an image with descriptors x (F, D), and its pullback to them."""
        own = assignments.assignment(self.assignment)
        words = own.words(self.vocabulary.astype(x.dtype, copy=False))
        memory: list[assignments.Coded] | None = [] if keep else None
        size = (image_shape[1], image_shape[2])
        frames = self.local.frames(image_shape)
        cells = pooling.mean(frames, size, (self.grid,), self.interpolate, x.dtype)
        mass = np.zeros((cells.count, len(words.points)), x.dtype)
        sums = np.zeros((*mass.shape, x.shape[1]), x.dtype)
        for rows, codes, _ in assignments.coded(x, own, words, memory):
            add_moments(x[rows], codes, cells, rows, mass, sums)
        residual = sums - mass[..., None] * words.points
        strong, pull_power = scaling.powered(residual, self.power)
        each_word, pull_intra = scaling.normed(strong, "l2" if self.intra else None)
        scaled, pull_norm = scaling.normed(each_word.reshape(-1), self.norm)

        def pullback(v: np.ndarray) -> np.ndarray:
            from_sums = pull_power(pull_intra(pull_norm(v.reshape(-1)).reshape(strong.shape)))
            from_mass = -np.einsum("ckd,kd->ck", from_sums, words.points)
            grad = np.zeros(x.shape, x.dtype)
            for rows, codes, kept in assignments.coded(x, own, words, memory):
                from_codes, grad[rows] = pull_moments(
                    x[rows], codes, cells, rows, from_mass, from_sums
                )
                own.pull(x[rows], words, kept, from_codes, grad[rows])
            return grad

        return scaled.reshape(*self.grid, *self.vocabulary.shape), pullback
