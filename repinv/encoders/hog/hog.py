"""Histograms of oriented gradients, and the named flavours of the libraries they mirror."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from repinv._core.typing import Array, Pullback, SizeRange
from repinv.encoders._parts import validation
from repinv.encoders._parts.batching import encode_images, pullback_of
from repinv.encoders.base import Encoder
from repinv.encoders.hog import per_block, per_cell, per_channel, per_window
from repinv.encoders.hog.per_block import BoxHOG
from repinv.encoders.hog.per_cell import CellHOG
from repinv.encoders.hog.per_channel import ChannelHOG
from repinv.encoders.hog.per_window import WindowHOG
from repinv.io.image import on_host

#: Numbers of a cell, and bins, that restorers were trained on.
_SIGNED, _UNSIGNED = 31, 9
#: Width in pixels up to which cells are small, and contrast and exponent of the start then.
#: Four photographs, 400 evaluations: cells of 4 end at half the error (8.7, 4.4, 9.1 and 6.4 % ->
#: 4.4, 3.1, 5.3 and 4.0 %; NCC .72, .85, .50, -.01 -> .86, .92, .61, .54).
_SMALL_CELL, _START = 5, (0.3, 0.85)


@dataclasses.dataclass(frozen=True)
class HOG(Encoder):
    """Histograms of oriented gradients, exact and differentiable.

    Made by one of `HOG.vlfeat`, `HOG.skimage`, `HOG.opencv` and `HOG.dpm`, which take the words
    of the library they mirror, raise ValueError for options out of bounds, and return features
    in its layout. Batches are NumPy arrays
    (N, C, H, W) of float32 or float64 in [0, 1]; images of a batch are shared out between as
    many threads as ``numba.get_num_threads()`` says.

    Parameters
    ----------
    flavour : CellHOG, BoxHOG, WindowHOG or ChannelHOG
        What is computed for one image.
    value_range : tuple of float
        Pixel values that 0 and 1 of a batch stand for.
    channels : int or None
        Number of image channels taken, None for any.
    precision : dtype
        What integer pixels become in a call.
    channel_axis : int
        Axis of the channels in a call with a colour image.
    any_channels : bool
        Whether images of a call may have any number of channels.

    See Also
    --------
    repinv.DSIFT : Dense SIFT descriptors, exact and differentiable.
    repinv.HOGgle : Positive sparse codes of all windows of cells, in a dictionary paired with gray
        patches.
    repinv_cnn.HOGNet : HOG as a network of fixed layers, for any device, differentiated by
        autograd.

    Notes
    -----
    Equation :eq:`vote` of the documentation.

    With u = g/|g| the unit vector of an image gradient g and t ⟂ u, a vote |g|·w(θ) has the
    differential w·u·dg + w′(θ)·t·dg, which is bounded and free of inverse functions. Hard
    orientations have w′ = 0: their derivative knows magnitudes only; see `softened`.

    Where the features have a kink, the pullback takes one side. Where |g| < 1e-10 it is zero.
    Of tied channels the first counts. Halfway between two hard bins the lower one counts
    (scikit-image's bins hold their lower border), and a vote that is exactly at a bin's centre,
    or at the end of a softened step, does not turn. Entries at the clip or above pass nothing.
    Square roots (of pixels or of L1 blocks) pass nothing where their slope exceeds about 1e5,
    and pixels below zero count as zero under them.

    In float32, angles come from a polynomial with an error below 1e-6 rad; float64 is exact.

    References
    ----------
    .. [1] N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection",
       CVPR 2005, doi:10.1109/CVPR.2005.177
    .. [2] P. F. Felzenszwalb et al., "Object detection with discriminatively trained
       part-based models", PAMI 2010, doi:10.1109/TPAMI.2009.167
    .. [3] A. Mahendran and A. Vedaldi, "Visualizing deep convolutional neural networks using
       natural pre-images", IJCV 2016, doi:10.1007/s11263-016-0911-8

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> hog = repinv.HOG.vlfeat(cell_size=8)
    >>> hog(np.eye(64, dtype=np.float32)).shape
    (31, 8, 8)
    """

    flavour: CellHOG | BoxHOG | WindowHOG | ChannelHOG
    value_range: tuple[float, float] = (0.0, 1.0)
    channels: int | None = None
    precision: Any = np.float32
    channel_axis: int = -1
    any_channels: bool = dataclasses.field(default=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_range", validation.value_range(self.value_range))

    @classmethod
    def vlfeat(
        cls,
        cell_size: int = 8,
        variant: str = "uoctti",
        num_orientations: int = 9,
        bilinear_orientations: bool = False,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> HOG:
        """VLFeat's ``vl_hog``; with `bilinear_orientations` the HOGb of Mahendran & Vedaldi.

        Parameters
        ----------
        cell_size : int
            Width of a cell in pixels. The last cell may hang over the edge by half.
        variant : {"uoctti", "dalal-triggs"}
            Mean over the four blocks, and texture; or each of the four.
        num_orientations : int
            Undirected orientations n.
        bilinear_orientations : bool
            Share votes between the two nearest directed orientations.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for; VLFeat's 1e-4 notices.

        Returns
        -------
        HOG
            With features (D, cells_y, cells_x), D = 3n + 4 or 4n.

        Examples
        --------
        >>> import repinv
        >>> repinv.HOG.vlfeat(variant="dalal-triggs").feature_shape((3, 64, 80))
        (36, 8, 10)
        """
        flavour = per_cell.vlfeat(cell_size, variant, num_orientations, bilinear_orientations)
        return cls(flavour, value_range)

    @classmethod
    def dpm(
        cls,
        sbin: int = 8,
        normalize: bool = True,
        truncator: float = 0.2,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> HOG:
        """The 32-channel ``features.cc`` of voc-release and ihog.

        Parameters
        ----------
        sbin : int
            Width of a cell in pixels.
        normalize : bool
            Divide by the blocks' energy, or else multiply by 0.15.
        truncator : float
            Where normalized entries are clipped.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        HOG
            With features (y, x, 32); the outer ring of cells is left out, and the last channel
            is zero.

        Examples
        --------
        >>> import repinv
        >>> repinv.HOG.dpm().feature_shape((3, 64, 80))
        (6, 8, 32)
        """
        return cls(per_cell.dpm(sbin, normalize, truncator), value_range, precision=np.float64)

    @classmethod
    def skimage(
        cls,
        orientations: int = 9,
        pixels_per_cell: tuple[int, int] = (8, 8),
        cells_per_block: tuple[int, int] = (3, 3),
        block_norm: str = "L2-Hys",
        transform_sqrt: bool = False,
        *,
        channel_axis: int | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> HOG:
        """scikit-image's ``skimage.feature.hog(..., feature_vector=False)``.

        Parameters
        ----------
        orientations : int
            Number of undirected bins, [i, i+1)·180°/orientations.
        pixels_per_cell, cells_per_block : tuple of int
            (y, x).
        block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}
        transform_sqrt : bool
            Take the square root of pixels first.
        channel_axis : int or None
            None for gray images, else the axis of channels, of any number, in a call.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        HOG
            With features (blocks_y, blocks_x, cells_y, cells_x, orientations).

        Notes
        -----
        Sums are taken in the precision of the image; scikit-image takes those of magnitudes in
        float32, which differs by less than 1e-6. Integer pixels become float64, as there.

        Examples
        --------
        >>> import repinv
        >>> repinv.HOG.skimage(orientations=8).feature_shape((1, 64, 80))
        (6, 8, 3, 3, 8)
        """
        flavour = per_block.skimage(
            orientations, pixels_per_cell, cells_per_block, block_norm, transform_sqrt
        )
        if channel_axis is None:
            return cls(flavour, value_range, 1, np.float64)
        axis = validation.whole("channel_axis", channel_axis, -3, 2)
        return cls(flavour, value_range, None, np.float64, axis, any_channels=True)

    @classmethod
    def opencv(
        cls,
        win_size: tuple[int, int] | None = None,
        block_size: tuple[int, int] | None = None,
        block_stride: tuple[int, int] | None = None,
        cell_size: tuple[int, int] | None = None,
        nbins: int | None = None,
        win_sigma: float | None = None,
        l2_hys_threshold: float | None = None,
        gamma_correction: bool | None = None,
        signed_gradient: bool | None = None,
        win_stride: tuple[int, int] | None = None,
        padding: tuple[int, int] | None = None,
        *,
        value_range: tuple[float, float] = (0.0, 255.0),
    ) -> HOG:
        """OpenCV's ``cv2.HOGDescriptor(...).compute``.

        Parameters
        ----------
        win_size, block_size, block_stride, cell_size : tuple of int, optional
            (width, height) in pixels; (64, 128), (16, 16), (8, 8) and (8, 8) unless given.
        nbins : int, optional
            Bins of 180°, or of 360° if `signed_gradient`; 9 unless given.
        win_sigma : float, optional
            Width of the Gaussian that weights the pixels of a block; unless given, or if not
            positive, an eighth of the sum of the block's sides.
        l2_hys_threshold : float, optional
            Where normalized entries are clipped; 0.2 unless given.
        gamma_correction : bool, optional
            Take the square root of pixels first. Unless given, it is what OpenCV's constructor
            does: True where none of the sizes and `nbins` is given, as in ``HOGDescriptor()``;
            False where any of them is, as in ``HOGDescriptor(win, block, stride, cell, nbins)``.
        signed_gradient : bool, optional
            Tell opposite gradients apart; False unless given.
        win_stride, padding : tuple of int, optional
            (width, height); a cell and nothing unless given. OpenCV rounds `padding` to
            ``(p + n - 1) & -n``, n being the greatest common divisor of the strides of windows
            and blocks: up to a multiple where n is a power of two, to other numbers elsewhere.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        HOG
            With flat features: windows row by row, in each (blocks_x, blocks_y, cells_x,
            cells_y, bins).

        Notes
        -----
        OpenCV's arctangent is approximate; features differ from its own by up to 5e-4.
        `HOG.from_opencv` reads all settings from a descriptor that is there already. OpenCV 4
        clips all features of a process at the threshold of the first descriptor that computed any;
        here each has its own.

        Examples
        --------
        >>> import repinv
        >>> repinv.HOG.opencv().feature_shape((1, 128, 64))
        (3780,)
        >>> repinv.HOG.opencv().flavour.gamma_correction
        True
        >>> repinv.HOG.opencv((32, 32)).flavour.gamma_correction
        False
        """
        flavour = per_window.opencv(
            win_size,
            block_size,
            block_stride,
            cell_size,
            nbins,
            win_sigma,
            l2_hys_threshold,
            gamma_correction,
            signed_gradient,
            win_stride,
            padding,
        )
        return cls(flavour, value_range)

    @classmethod
    def from_opencv(
        cls,
        descriptor: Any,
        win_stride: tuple[int, int] | None = None,
        padding: tuple[int, int] | None = None,
        *,
        value_range: tuple[float, float] = (0.0, 255.0),
    ) -> HOG:
        """The features of a ``cv2.HOGDescriptor`` that is there already: every setting is read.

        Parameters
        ----------
        descriptor : cv2.HOGDescriptor
            However it was made: with or without sizes, changed afterwards, or loaded from a file.
        win_stride, padding : tuple of int, optional
            (width, height), as they are given to its method ``compute``.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        HOG
            As `HOG.opencv` makes them.

        Raises
        ------
        TypeError
            If `descriptor` has no such settings.
        ValueError
            If OpenCV does not compute features with these settings either.

        Examples
        --------
        >>> import cv2, repinv
        >>> descriptor = cv2.HOGDescriptor((32, 32), (16, 16), (8, 8), (8, 8), 9)
        >>> repinv.HOG.from_opencv(descriptor) == repinv.HOG.opencv((32, 32))
        True
        """
        settings = per_window.settings(descriptor)
        return cls.opencv(
            **settings, win_stride=win_stride, padding=padding, value_range=value_range
        )

    @classmethod
    def maskfeat(
        cls,
        nbins: int = 9,
        pool: int = 8,
        gaussian_window: int | None = None,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> HOG:
        """The targets that MaskFeat predicts: the HOG layer of SlowFast, in colour.

        Parameters
        ----------
        nbins : int
            Undirected bins of each colour channel.
        pool : int
            Width of a cell in pixels.
        gaussian_window : int, optional
            Side in pixels of a Gaussian window that weights votes, repeated over the image.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for; they change nothing but what counts as
            zero, since cells are normalized.

        Returns
        -------
        HOG
            With features (3, nbins, H // pool, W // pool), of unit norm over the bins.

        Notes
        -----
        Sobel derivatives of each channel under a reflected border vote with their magnitude for
        the bin that atan2(across, down) lies in. [1]_

        References
        ----------
        .. [1] C. Wei et al., "Masked feature prediction for self-supervised visual pre-training",
           CVPR 2022, arXiv:2112.09133.

        Examples
        --------
        >>> import repinv
        >>> repinv.HOG.maskfeat().feature_shape((3, 64, 80))
        (3, 9, 8, 10)
        """
        flavour = per_channel.maskfeat(nbins, pool, gaussian_window)
        return cls(flavour, value_range, 3)

    @property
    def restorer(self) -> str | None:
        """Name of the shipped restorer, for nine orientations with signs or without; else None."""
        flavour = self.flavour
        if isinstance(flavour, CellHOG):
            return "hog" if flavour.numbers() == _SIGNED else None
        bins = None
        if isinstance(flavour, BoxHOG):
            bins = flavour.orientations
        elif isinstance(flavour, WindowHOG) and not flavour.signed_gradient:
            bins = flavour.nbins
        return "hog-unsigned" if bins == _UNSIGNED else None

    @property
    def start(self) -> tuple[float | None, float | None]:
        """Contrast and exponent of an inversion's start; see `Encoder.start`.

        From a faint start, cells of few pixels let whole regions come out dark that are light.
        """
        is_small = isinstance(self.flavour, CellHOG) and self.flavour.cell_size <= _SMALL_CELL
        return _START if is_small else (None, None)

    def softened(self, softness: float, /) -> HOG | None:
        """The same features with orientations shared by two bins; None if they already are.

        Parameters
        ----------
        softness : float
            τ in (0, 1]. With f the fraction of the way from one bin centre to the next, the
            next has the weight clip(½ + (f − ½)/τ, 0, 1): 1 is linear, and towards 0 votes
            become hard.

        Returns
        -------
        HOG or None

        Raises
        ------
        ValueError
            If `softness` is not in (0, 1].
        """
        softness = validation.softness(softness)
        if self.flavour.softness > 0:
            return None
        flavour = dataclasses.replace(self.flavour, softness=softness)
        return dataclasses.replace(self, flavour=flavour)

    def still_pixels(self, silent: np.ndarray, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Where silent features prove that an image has no gradient; see `Encoder`."""
        self.feature_shape(image_shape)
        return self.flavour.still(silent, *image_shape[1:])

    def with_surrogate_slopes(self, width: float, /) -> HOG | None:
        """The same features with surrogate slopes of clips, in units of these; see `Encoder`."""
        width = validation.real("width", width, above=0)
        if isinstance(self.flavour, ChannelHOG):
            return None
        if isinstance(self.flavour, BoxHOG) and not self.flavour.clips:
            return None
        flavour = dataclasses.replace(self.flavour, slope_width=width)
        return dataclasses.replace(self, flavour=flavour)

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape F of the features of one image (C, H, W).

        Raises
        ------
        ValueError
            If the image is too small, or has another number of channels than are taken.
        """
        least = self.flavour.smallest()
        _, height, width = validation.image_shape(
            "HOG", image_shape, self.channels, least, "Pad the image or use smaller cells."
        )
        return self.flavour.feature_shape(height, width)

    @property
    def descriptor_axis(self) -> int | None:
        """Axis of a cell's vector; None for block by block flavours; see `Encoder`."""
        return self.flavour.descriptor_axis if isinstance(self.flavour, CellHOG) else None

    @property
    def both_layouts(self) -> str | None:
        """VLFeat's C code puts channels first, cyvlfeat and MATLAB put them last."""
        is_vlfeat = isinstance(self.flavour, CellHOG) and not self.flavour.descriptor_axis
        return "VLFeat" if is_vlfeat else None

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Centres (y, x) of the cells; see `Encoder.frames`."""
        self.feature_shape(image_shape)
        if not isinstance(self.flavour, CellHOG):
            return super().frames(image_shape)
        return self.flavour.frames(*image_shape[1:])

    def local_features(
        self, features: Array, image_shape: tuple[int, ...], /
    ) -> tuple[np.ndarray, np.ndarray]:
        """Histograms of cells, in each block that they lie in, and their centres; see `Encoder`."""
        height, width = image_shape[1:]
        return self.flavour.histograms(on_host(features), height, width)

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Smallest and largest height and width of this shape; None if it does not determine them.

        OpenCV's flat features determine them for a single window only.
        """
        return self.flavour.image_shapes(tuple(feature_shape))

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

        Raises
        ------
        TypeError
            If `x` is no NumPy array of float32 or float64.
        ValueError
            If its shape does not fit.
        """
        images = validation.batch(x, "HOG", "HOGNet")
        features, pulls = self._encode(images, keep=True)
        return features, pullback_of(images, features.shape, pulls)

    def encode(self, x: Array, /) -> Array:
        """Features (N, *F) of a batch, without what a pullback needs; see `vjp`."""
        images = validation.batch(x, "HOG", "HOGNet")
        return self._encode(images, keep=False)[0]

    def _encode(self, images: np.ndarray, *, keep: bool) -> tuple[np.ndarray, list[Pullback]]:
        """Features of a batch, and each image's pullback."""
        encode = functools.partial(self.flavour.vjp, value_range=self.value_range, keep=keep)
        return encode_images(images, self.feature_shape(images.shape[1:]), encode)

    def glyph(self, features: Array, /, *, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """A picture of features: a bar for every bin of every cell, along the edge.

        Bars are orthogonal to the gradients they stand for, and as bright as their bin is
        strong, summed over directions or averaged over blocks. A cell takes 21x21 pixels.

        Parameters
        ----------
        features : ndarray, shape F
            Of one image, in the layout that a call returns; or flat, with `shape`.
        shape : tuple of int, optional
            (H, W) or (H, W, C) of the image that flat features are of.

        Returns
        -------
        picture : ndarray, shape (height, width)
            From 0 up, in units of the features. OpenCV's windows stand below each other.

        Raises
        ------
        ValueError
            If the features are not those of this encoder.

        Examples
        --------
        >>> import numpy as np
        >>> import repinv
        >>> hog = repinv.HOG.vlfeat()
        >>> hog.glyph(hog(np.eye(64))).shape
        (168, 168)
        >>> hog.glyph(hog(np.eye(64)).ravel(), shape=(64, 64)).shape
        (168, 168)
        """
        features = on_host(features)
        if shape is not None:
            features = validation.of_image(self, features, shape)
        elif features.ndim == 1 and len(self.flavour.example()) > 1:
            raise ValueError(
                f"flat features do not show how their {features.size} numbers are laid out. Give "
                "the shape of their image: glyph(features, shape=(H, W))."
            )
        if not self.flavour.holds(features.shape):
            raise ValueError(
                f"expected features of this HOG, such as {self.flavour.example()}; got shape "
                f"{features.shape}. Give the features of one image as a call returns them."
            )
        return self.flavour.glyph(features)
