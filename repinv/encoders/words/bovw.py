"""Bags of visual words over local descriptors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from repinv._core import positions
from repinv._core.typing import Array
from repinv.encoders._parts import array_fields, learning, local_descriptors, validation
from repinv.encoders._parts.descriptor_encoder import DescriptorEncoder
from repinv.encoders.base import Encoder
from repinv.encoders.words import assignment as assignments
from repinv.encoders.words import flat_places, pooling, pretrained, scaling, softer_codes
from repinv.encoders.words.assignment import Assignment
from repinv.encoders.words.pooling import Grid
from repinv.io.image import on_host
from repinv.io.streams import Images


@dataclasses.dataclass(frozen=True, eq=False)
class BoVW(DescriptorEncoder):
    """Bag of visual words: local descriptors, assigned to words and pooled over cells.

    Parameters
    ----------
    local : Encoder
        Of local descriptors: one whose `descriptor_axis` is not None. It decides the channels,
        the range of values and the precision of images.
    vocabulary : array, shape (words, D), float32 or float64
        In the units of the descriptors. Kept as a private copy.
    assignment : {"hard", "soft", "llc"} or HardAssignment, SoftAssignment or LLC
        How a descriptor is shared out between words.
    aggregation : {"sum", "max"}
        A cell's code is the weighted sum of its descriptors' (the weights sum to one), or the
        largest entry for each word.
    grid : (int, int), or tuple of these, or None
        Cells down and across, which divide the image evenly; several make a spatial pyramid. None
        for the code of every descriptor.
    cell_size : int, optional
        Side of cells in pixels, in place of `grid`: as many cells as come nearest to it, of which
        larger images have more.
    interpolate : bool
        Share a descriptor linearly between the four nearest cell centres. Otherwise, and for
        maxima, it belongs to the cell that it lies in.
    power : float
        Exponent of a signed power of the code; 1 for none, ½ for the root.
    norm : {None, "l1", "l2"}
        What the code of an image is divided by; without a grid, that of a descriptor.
    warm : float
        Temperature of the assignment that the softest of the `softened` encoders has.

    See Also
    --------
    repinv.DSIFT : Dense SIFT descriptors, exact and differentiable.
    repinv.VLAD : Vector of locally aggregated descriptors: what is left of descriptors beside their
        words.
    repinv.FisherVector : Improved Fisher vector of local descriptors under a mixture of diagonal
        Gaussians.
    repinv_cnn.BoVWNet : A bag of visual words as a network of fixed layers, differentiated by
        autograd.

    Notes
    -----
    Features are (cells down, cells across, words) for a grid, (cells, words) for a pyramid with
    its grids one after the other, and (descriptors, words) without one. A cell without descriptors
    is zero.

    The derivative of hard assignments is zero: `softened` has one. Assignments to a fixed number
    of nearest words jump where these change; of tied maxima the first counts. Entries that a power
    would pass with a slope above 1e5 pass nothing, and codes with a norm below 1e-12 are zero and
    pass nothing.

    Assignments are kept for the pullback up to 64 MiB, and computed again beyond that.

    References
    ----------
    .. [1] J. Sivic and A. Zisserman, "Video Google", ICCV 2003, doi:10.1109/ICCV.2003.1238663
    .. [2] S. Lazebnik, C. Schmid and J. Ponce, "Beyond bags of features: spatial pyramid matching
       for recognizing natural scene categories", CVPR 2006, doi:10.1109/CVPR.2006.68

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> images = np.random.default_rng(0).random((4, 64, 64), dtype=np.float32)
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> bovw = repinv.BoVW.fit(images, hog, n_words=10, grid=(2, 2), progress=False)
    >>> bovw(images[0]).shape
    (2, 2, 10)
    """

    local: Encoder
    vocabulary: np.ndarray
    _: dataclasses.KW_ONLY
    assignment: Assignment | str = "soft"
    aggregation: str = "sum"
    grid: Grid | tuple[Grid, ...] | None = (4, 4)
    cell_size: int | None = None
    interpolate: bool = True
    power: float = 1.0
    norm: str | None = None
    warm: float = 0.5

    def __post_init__(self) -> None:
        words = array_fields.private("vocabulary", self.vocabulary, 2)
        local_descriptors.accept(self, self.local, "BoVW", words.shape[1])
        validation.choice("aggregation", self.aggregation, {"sum": 0, "max": 1})
        checked: dict[str, Any] = {
            "vocabulary": words,
            "assignment": assignments.assignment(self.assignment),
            "grid": None if self.grid is None else pooling.grid(self.grid),
            "interpolate": validation.flag("interpolate", self.interpolate),
            "power": scaling.power(self.power),
            "norm": scaling.norm(self.norm),
            "warm": validation.real("warm", self.warm, above=0),
        }
        if self.cell_size is not None:
            checked["cell_size"] = validation.whole("cell_size", self.cell_size)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def fit(
        cls,
        images: Images,
        local: Encoder | str,
        n_words: int = 1024,
        *,
        descriptors: bool | None = None,
        seed: int = 0,
        descriptors_per_image: int = 1000,
        progress: bool = True,
        assignment: Assignment | str = "soft",
        aggregation: str = "sum",
        grid: Grid | tuple[Grid, ...] | None = (4, 4),
        cell_size: int | None = None,
        interpolate: bool = True,
        power: float = 1.0,
        norm: str | None = None,
        warm: float = 0.5,
    ) -> BoVW:
        """Learn a vocabulary by k-means from images that are looked at once, in turn.

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
            How many to learn from; those that are zero, as flat places have, are left out.
        progress : bool
            Show a progress bar.
        assignment, aggregation, grid, cell_size, interpolate, power, norm, warm : optional
            As of `BoVW`.

        Returns
        -------
        BoVW

        Raises
        ------
        ValueError
            If there are fewer descriptors than words.

        References
        ----------
        .. [1] D. Sculley, "Web-scale k-means clustering", WWW 2010, doi:10.1145/1772690.1772862
        """
        count = validation.whole("n_words", n_words)
        local = local_descriptors.encoder_of(local)
        sizes = descriptors_per_image, seed, progress, descriptors
        words = learning.words(learning.samples(images, local, *sizes), count, seed)
        return cls(
            local, words, assignment=assignment, aggregation=aggregation, grid=grid,
            cell_size=cell_size, interpolate=interpolate, power=power, norm=norm, warm=warm,
        )  # fmt: skip

    @classmethod
    def pretrained(
        cls,
        n_words: int = 256,
        *,
        assignment: Assignment | str = "soft",
        aggregation: str = "sum",
        grid: Grid | tuple[Grid, ...] | None = None,
        cell_size: int | None = 8,
        interpolate: bool = True,
        power: float = 1.0,
        norm: str | None = None,
        warm: float = 0.5,
    ) -> BoVW:
        """Bag of words of dense SIFT, with a vocabulary that ships with repinv.

        Parameters
        ----------
        n_words : {256, 1024}
            Number of words.
        assignment, aggregation : optional
            As of `BoVW`.
        grid : (int, int), or tuple of these, optional
            Cells down and across, in place of `cell_size`; several make a spatial pyramid.
        cell_size : int or None
            Side of cells in pixels where there is no grid. By default photographs can be
            recognized in their bags; None for the code of every descriptor.
        interpolate, power, norm, warm : optional
            As of `BoVW`.

        Returns
        -------
        BoVW
            Of gray images of at least 16x16 pixels.

        Raises
        ------
        ValueError
            If there is no vocabulary of so many words, or its file is damaged.

        Notes
        -----
        Words were learned of ``DSIFT.vlfeat(step=5, size=5, fast=True)`` in ten photographs that
        scikit-image and scikit-learn ship with; the README beside the vocabularies names them.
        Astronaut and cat are among them, the camera man is not.

        Examples
        --------
        >>> import repinv
        >>> repinv.BoVW.pretrained().feature_shape((1, 128, 256))
        (16, 32, 256)
        >>> repinv.BoVW.pretrained(grid=(4, 4)).feature_shape((1, 128, 256))
        (4, 4, 256)
        """
        return cls(
            pretrained.LOCAL, pretrained.vocabulary(n_words), assignment=assignment, grid=grid,
            aggregation=aggregation, cell_size=cell_size if grid is None else None,
            interpolate=interpolate, power=power, norm=norm, warm=warm,
        )  # fmt: skip

    def softened(self, softness: float, /) -> BoVW | None:
        """The same with softer assignments and a softened local encoder, where these are hard.

        Parameters
        ----------
        softness : float
            s in (0, 1]. The temperature is the larger of the encoder's own and s·`warm`, the
            regularization of LLC the larger of its own and s/10.

        Returns
        -------
        BoVW or None
        """
        soft: BoVW | None = assignments.softened_encoder(self, softness)
        return soft

    def compared(self, softness: float, /) -> BoVW | None:
        """The softened encoder with roots, LLC as soft assignment; see `Encoder.compared`."""
        return softer_codes.compared(self, self.softened(softness), softness)

    def softened_features(self, features: np.ndarray, softness: float, /) -> np.ndarray:
        """About the features of `compared`; see `Encoder.softened_features`.

        As if every descriptor were a word; of maxima the power changes alone.
        """
        soft = self.compared(softness)
        return features if soft is None else softer_codes.softer_features(features, self, soft)

    def local_features(
        self, features: Array, image_shape: tuple[int, ...], /
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The words of each cell, as the mean of their descriptors, and its centre; see `Encoder`.

        None for spatial pyramids, whose cells overlap.
        """
        if len(grids := self.grids(image_shape)) > 1:
            return None
        given = on_host(features)
        vectors = given.reshape(len(given), -1, len(self.vocabulary)) @ self.vocabulary
        total = np.abs(given).sum(axis=-1).reshape(len(given), -1, 1)
        vectors = vectors / np.where(total > 0, total, 1)
        if not grids:
            return vectors, self.frames(image_shape)
        cells = zip(given.shape[1:3], image_shape[1:], strict=True)
        return vectors, positions.grid(*(positions.even(*cell) for cell in cells))

    @property
    def _assigned(self) -> assignments.Assignment:
        return assignments.assignment(self.assignment)

    @property
    def restorer(self) -> str:
        """Name of the shipped restorer."""
        return "bovw"

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
        count = local_descriptors.count(self.local, image_shape, self.vocabulary.shape[1])
        return self._shape(count, image_shape)

    def _shape(self, count: int, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the features of an image with so many descriptors."""
        grids, words = self.grids(image_shape), len(self.vocabulary)
        if not grids:
            return count, words
        if self.cell_size is not None or self.grid == grids[0]:
            return (*grids[0], words)
        return sum(map(math.prod, grids)), words

    def grids(self, image_shape: tuple[int, ...], /) -> tuple[Grid, ...]:
        """Cells down and across, a pair for each level; none where descriptors are not pooled."""
        if self.cell_size is not None:
            return (pooling.of_size(self.cell_size, image_shape),)
        return () if self.grid is None else pooling.grids(self.grid)

    @property
    def descriptor_axis(self) -> int | None:
        """Axis of the words where there is no grid; see `Encoder`."""
        return 1 if self.grid is None and self.cell_size is None else None

    def flat_places(self, features: Array, image_shape: tuple[int, ...], /) -> np.ndarray | None:
        """Where words say that an image is exactly flat; see `Encoder.flat_places`.

        Told by means over the cells of one grid, or by every position: where a cell holds the
        words of flat places in their proportions, and places around it still do in part.
        """
        pooled = self.aggregation == "sum" and self.power == 1 and self.norm is None
        if not pooled or len(self.grids(image_shape)) > 1:
            return None
        return flat_places.places(self, features, image_shape)

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Centres (y, x) of the local descriptors, where there is no grid; see `Encoder`."""
        pooled = bool(self.grids(image_shape))
        return super().frames(image_shape) if pooled else self.local.frames(image_shape)

    def _code(
        self, x: np.ndarray, image_shape: tuple[int, ...], keep: bool
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Code of an image with descriptors x (F, D), and its pullback to them."""
        own = self._assigned
        words = own.words(self.vocabulary.astype(x.dtype, copy=False))
        memory: list[assignments.Coded] | None = [] if keep else None
        pooling = self.pooling(len(x), image_shape, x.dtype)
        pooled = pooling.start(len(self.vocabulary), x.dtype)
        for rows, codes, _ in assignments.coded(x, own, words, memory):
            pooling.add(rows, codes, pooled)
        strong, pull_power = scaling.powered(pooled[0], self.power)
        flat = strong.reshape(1, -1) if self.grids(image_shape) else strong
        scaled, pull_norm = scaling.normed(flat, self.norm)

        def pullback(v: np.ndarray) -> np.ndarray:
            from_pooled = pull_power(pull_norm(v.reshape(flat.shape)).reshape(strong.shape))
            grad = np.zeros(x.shape, x.dtype)
            for rows, _, kept in assignments.coded(x, own, words, memory):
                from_codes = pooling.pull(rows, from_pooled, pooled)
                own.pull(x[rows], words, kept, from_codes, grad[rows])
            return grad

        return scaled.reshape(self._shape(len(x), image_shape)), pullback

    def pooling(
        self, count: int, image_shape: tuple[int, ...], dtype: Any
    ) -> pooling.Everywhere | pooling.Mean | pooling.Largest:
        """What becomes of the codes of an image's descriptors."""
        grids = self.grids(image_shape)
        if not grids:
            return pooling.Everywhere(count)
        frames, size = self.local.frames(image_shape), (image_shape[1], image_shape[2])
        if self.aggregation == "max":
            return pooling.largest(frames, size, grids)
        return pooling.mean(frames, size, grids, self.interpolate, dtype)
