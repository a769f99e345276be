"""Dense SIFT by the names of the libraries that it mirrors: a constructor for each flavour."""

from __future__ import annotations

import dataclasses

from repinv.encoders._parts import validation
from repinv.encoders.sift import flavours
from repinv.encoders.sift.dsift_encoder import DSIFTEncoder
from repinv.encoders.sift.flavours import DenseSIFT


@dataclasses.dataclass(frozen=True)
class DSIFT(DSIFTEncoder):
    """Dense SIFT descriptors, exact and differentiable.

    Made by one of `DSIFT.vlfeat`, `DSIFT.phow`, `DSIFT.kornia` and `DSIFT.natural`, which take
    the words of what they mirror and return features in its layout. Batches are NumPy arrays
    (N, C, H, W) of float32 or float64 in [0, 1]; images of a batch are shared out between as
    many threads as ``numba.get_num_threads()`` says.

    Parameters
    ----------
    flavour : DenseSIFT
        What is computed for one image.
    value_range : tuple of float
        Pixel values that 0 and 1 of a batch stand for.
    channels : int or None
        Number of image channels taken, None for any. Descriptors of several channels are
        those of each, side by side.
    channel_axis : int
        Axis of the channels in a call with a colour image.
    any_channels : bool
        Whether images of a call may have any number of channels.

    See Also
    --------
    repinv.HOG : Histograms of oriented gradients, exact and differentiable.
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.
    repinv_cnn.DSIFTNet : Dense SIFT as a network of fixed layers, for any device, differentiated by
        autograd.

    Notes
    -----
    The image gradient votes for the two nearest of the directed orientations, centred on
    multiples of 360° over their number and counted clockwise from the right, since y points
    down. Votes are pooled by separable windows about the centres of the bins, which overlap.

    The pullback is that of `HOG` up to the votes. Where features have a kink it takes one side:
    entries at the clip or above pass nothing; where |g| < 1e-10 it is zero; a vote exactly at an
    orientation's centre does not turn; a descriptor below the threshold of contrast is zero and
    passes nothing. Roots pass nothing where their slope exceeds 1e5. A descriptor of a flat place
    is zero, and so is its cotangent.

    References
    ----------
    .. [1] D. G. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004,
       doi:10.1023/B:VISI.0000029664.99615.94
    .. [2] A. Vedaldi and B. Fulkerson, "VLFeat: an open and portable library of computer vision
       algorithms", 2008, https://www.vlfeat.org/api/dsift.html
    .. [3] R. Arandjelović and A. Zisserman, "Three things everyone should know to improve object
       retrieval", CVPR 2012, doi:10.1109/CVPR.2012.6248018
    .. [4] A. Mahendran and A. Vedaldi, "Visualizing deep convolutional neural networks using
       natural pre-images", IJCV 2016, doi:10.1007/s11263-016-0911-8

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> dsift = repinv.DSIFT.vlfeat(step=4, size=5, fast=True)
    >>> dsift(np.eye(64, dtype=np.float32)).shape
    (169, 128)
    """

    flavour: DenseSIFT
    value_range: tuple[float, float] = (0.0, 1.0)
    channels: int | None = 1
    channel_axis: int = -1
    any_channels: bool = dataclasses.field(default=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_range", validation.value_range(self.value_range))

    @classmethod
    def _of(
        cls, flavour: DenseSIFT, channel_axis: int | None, value_range: tuple[float, float]
    ) -> DSIFT:
        """Of gray images, or of those whose channels lie along an axis."""
        if channel_axis is None:
            return cls(flavour, value_range)
        axis = validation.whole("channel_axis", channel_axis, -3, 2)
        return cls(flavour, value_range, None, axis, any_channels=True)

    @classmethod
    def vlfeat(
        cls,
        step: int | tuple[int, int] = 1,
        size: int | tuple[int, int] = 3,
        *,
        fast: bool = False,
        window_size: float = 2.0,
        bounds: tuple[int, int, int, int] | None = None,
        geometry: tuple[int, int, int] = (4, 4, 8),
        rootsift: bool = False,
        contrast_threshold: float = 0.0,
        channel_axis: int | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> DSIFT:
        """VLFeat's ``vl_dsift``.

        Parameters
        ----------
        step : int or tuple of int
            Pixels between descriptors; pairs are (y, x).
        size : int or tuple of int
            Width of a bin in pixels.
        fast : bool
            Weigh a bin by the mean of the Gaussian window over it: a flat window.
        window_size : float
            Standard deviation of the Gaussian window, in bins.
        bounds : tuple of int, optional
            (min_y, min_x, max_y, max_x) of the centres of bins, inclusive; the whole image
            unless given.
        geometry : tuple of int
            (bins_y, bins_x, orientations).
        rootsift : bool
            The root of each descriptor over its sum, so that inner products compare by
            Hellinger's kernel.
        contrast_threshold : float
            Descriptors with a norm below it (see `norms`) are zero.
        channel_axis : int or None
            None for gray images, else the axis of channels, of any number, in a call.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        DSIFT
            With features (frames, D), frames row by row; of a descriptor's axes (y, x,
            orientation) the last runs fastest, as in VLFeat's C interface.

        Notes
        -----
        Stock VLFeat computes angles by a polynomial, which moves entries by up to 0.011.

        Examples
        --------
        >>> import repinv
        >>> repinv.DSIFT.vlfeat(step=5, size=5).feature_shape((1, 256, 256))
        (2401, 128)
        """
        flavour = flavours.vlfeat(
            step, size, fast, window_size, bounds, geometry, rootsift, contrast_threshold
        )
        return cls._of(flavour, channel_axis, value_range)

    @classmethod
    def phow(
        cls,
        step: int | tuple[int, int] = 2,
        sizes: tuple[int, ...] = (4, 6, 8, 10),
        *,
        fast: bool = True,
        magnification: float = 6.0,
        window_size: float = 1.5,
        contrast_threshold: float = 0.005,
        rootsift: bool = False,
        channel_axis: int | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> DSIFT:
        """VLFeat's ``vl_phow``: several bin sizes, each on the image smoothed for it.

        Parameters
        ----------
        step : int or tuple of int
            Pixels between descriptors; pairs are (y, x).
        sizes : tuple of int
            Widths of bins in pixels; descriptors of the first come first.
        fast : bool
            Flat windows.
        magnification : float
            The image is smoothed by a Gaussian of a deviation of a bin over this.
        window_size : float
            Standard deviation of the Gaussian window, in bins.
        contrast_threshold : float
            Descriptors with a norm below it (see `norms`) are zero.
        rootsift : bool
            The root of each descriptor over its sum.
        channel_axis : int or None
            None for gray images, else the axis of channels, of any number, in a call. The
            threshold is each channel's own.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        DSIFT
            With features (frames, 128).

        Examples
        --------
        >>> import repinv
        >>> repinv.DSIFT.phow(step=8).feature_shape((1, 64, 64))
        (111, 128)
        """
        flavour = flavours.phow(
            step, sizes, fast, magnification, window_size, contrast_threshold, rootsift
        )
        return cls._of(flavour, channel_axis, value_range)

    @classmethod
    def natural(cls, bin_size: int = 5, *, value_range: tuple[float, float] = (0.0, 1.0)) -> DSIFT:
        """The DSIFT network of Mahendran & Vedaldi.

        Descriptors have four by four cells with a Gaussian of 1.5 cells over them, and lie three
        cells apart; they are divided by their length, clipped at 0.2, and not normalized again.

        Parameters
        ----------
        bin_size : int
            Width of a cell in pixels.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for. The paper's network saw 0 to 255, and
            normalizes specks of noise accordingly: its 1e-6 under the root notices.

        Returns
        -------
        DSIFT
            With features (y, x, 128), as those of `vlfeat` within a descriptor.

        Examples
        --------
        >>> import repinv
        >>> repinv.DSIFT.natural().feature_shape((1, 256, 256))
        (16, 16, 128)
        """
        return cls(flavours.natural(bin_size), value_range)

    @classmethod
    def kornia(
        cls,
        num_ang_bins: int = 8,
        num_spatial_bins: int = 4,
        spatial_bin_size: int = 4,
        rootsift: bool = True,
        clipval: float = 0.2,
        stride: int = 1,
        padding: int = 1,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> DSIFT:
        """kornia's ``kornia.feature.DenseSIFTDescriptor``.

        Parameters
        ----------
        num_ang_bins, num_spatial_bins, spatial_bin_size : int
            Orientations, bins along a side, and taps of the triangle that pools them.
        rootsift : bool
            The root of each descriptor over its sum.
        clipval : float
            Where normalized entries are clipped.
        stride, padding : int
            Of the descriptors, in pixels.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        DSIFT
            With features (D, y, x); of a descriptor's axes (orientation, y, x) the last runs
            fastest.

        Notes
        -----
        As in kornia 0.9, bins lie `spatial_bin_size` pixels apart. A squared magnitude
        that is not zero has 1e-10 added to it, so that specks of noise count for more.

        Examples
        --------
        >>> import repinv
        >>> repinv.DSIFT.kornia(stride=4).feature_shape((1, 64, 64))
        (128, 14, 14)
        """
        flavour = flavours.kornia(
            num_ang_bins,
            num_spatial_bins,
            spatial_bin_size,
            rootsift,
            clipval,
            stride,
            padding,
        )
        return cls(flavour, value_range)
