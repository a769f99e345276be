"""HOG by the names of the libraries that it mirrors: a constructor for each flavour."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from repinv.encoders._parts import validation
from repinv.encoders.hog import per_block, per_cell, per_channel, per_window
from repinv.encoders.hog.hog_encoder import Flavour, HOGEncoder


@dataclasses.dataclass(frozen=True)
class HOG(HOGEncoder):
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

    flavour: Flavour
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
