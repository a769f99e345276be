"""HOG in layers of torch: votes, pooling by convolution, normalization."""

from __future__ import annotations

import functools
from typing import Any

import torch

import repinv
from repinv_cnn.nets import (
    hog_per_block,
    hog_per_cell,
    hog_per_channel,
    hog_per_window,
    validation,
)


class HOGNet(torch.nn.Module):
    """HOG as a network of fixed layers, for any device, differentiated by autograd.

    Parameters
    ----------
    hog : repinv.HOG
        Whose features are computed, in its layout. All flavours are covered, and so are their
        smoothed versions.

    Attributes
    ----------
    encoder : repinv.HOG
    pixels, votes, pool, normalize : callable
        The layers, in this order: square roots of pixels where these are asked for, the image
        gradient's votes (N, bins, H, W), histograms of cells, and features.

    See Also
    --------
    repinv.HOG : Histograms of oriented gradients, exact and differentiable.
    repinv_cnn.DSIFTNet : Dense SIFT as a network of fixed layers, for any device, differentiated by
        autograd.
    repinv_cnn.EncoderModule : What `as_module` returns: a NumPy encoder under torch's autograd.

    Notes
    -----
    The construction of Mahendran and Vedaldi: HOG is a convolution with derivative filters, a
    rectification into orientations, a convolution with bilinear windows, and a normalization.
    It shares no code with the encoder, so that one checks the other: in float64 they agree to
    rounding, gradients included. It computes in the dtype of its input, in float32 at least.

    At kinks it takes the encoder's sides: entries at the clip or above pass nothing; what is
    flat (|g| < 1e-10) passes nothing; a vote exactly at an orientation's centre does not turn;
    of tied channels the first counts, and of tied bins the one that the mirrored library takes.
    Of ties that hang on rounding, as between angles of 45° in the encoder's arithmetic, either may
    decide otherwise.

    There are no parameters, and nothing to save. Constants are kept in float64; a network that was
    converted to a narrower dtype computes with rounded ones.

    References
    ----------
    .. [1] A. Mahendran and A. Vedaldi, "Visualizing deep convolutional neural networks using
       natural pre-images", IJCV 2016, doi:10.1007/s11263-016-0911-8, section 4

    Examples
    --------
    >>> import repinv, repinv_cnn, torch
    >>> net = repinv_cnn.HOGNet(repinv.HOG.vlfeat(bilinear_orientations=True))
    >>> net(torch.rand(2, 3, 64, 80)).shape
    torch.Size([2, 31, 8, 10])
    """

    encoder: repinv.HOG

    def __init__(self, hog: repinv.HOG) -> None:
        super().__init__()
        validation.encoder_of(hog, repinv.HOG, "HOGNet")
        self.encoder = hog
        layers = _layers_by_flavour().get(type(hog.flavour))
        if layers is None:
            raise ValueError(
                f"HOGNet covers the flavours vlfeat, dpm, skimage, opencv and maskfeat; got "
                f"{type(hog.flavour).__name__}. Use repinv_cnn.as_module for others."
            )
        self.pixels, self.votes, self.pool, self.normalize = layers(hog)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of a batch.

        Parameters
        ----------
        x : Tensor, shape (N, C, H, W), floating, in [0, 1]
            Images.

        Returns
        -------
        features : Tensor, shape (N, *F)
            In the layout of the encoder, on the device and of the dtype of `x`.

        Raises
        ------
        TypeError
            If `x` is no floating tensor.
        ValueError
            If its shape does not fit the encoder.
        """
        validation.check_batch(x, self.encoder, "HOGNet")
        with validation.exact(x):
            pixels = self.pixels(x.to(validation.working(x.dtype)))
            features: torch.Tensor = self.normalize(self.pool(self.votes(pixels)))
        return features.to(x.dtype)

    def descriptors(self, x: torch.Tensor) -> torch.Tensor:
        """Vectors of the cells (N, cells, D), for flavours that have one a cell."""
        features: torch.Tensor = self(x).movedim(1 + _axis_of(self.encoder), -1)
        return features.flatten(1, 2)

    def frames(self, height: int, width: int) -> torch.Tensor:
        """Centres (y, x) of the cells (cells, 2), float64, for flavours with a vector a cell."""
        _axis_of(self.encoder)
        return hog_per_cell.frames(self.encoder, height, width)

    def extra_repr(self) -> str:
        """The encoder, for the module's text."""
        return repr(self.encoder)


def _axis_of(hog: repinv.HOG) -> int:
    """Axis of a cell's vector."""
    if hog.descriptor_axis is None:
        raise ValueError(
            "expected a HOG with a vector a cell, as vlfeat and dpm have; got one of blocks. "
            "Use one of these."
        )
    return hog.descriptor_axis


@functools.cache
def _layers_by_flavour() -> dict[type, Any]:
    """What makes the layers of each kind of flavour."""
    return {
        type(repinv.HOG.vlfeat().flavour): hog_per_cell.layers,
        type(repinv.HOG.skimage().flavour): hog_per_block.layers,
        type(repinv.HOG.opencv().flavour): hog_per_window.layers,
        type(repinv.HOG.maskfeat().flavour): hog_per_channel.layers,
    }
