"""Bags of visual words in layers of torch, over HOG or dense SIFT in such layers."""

from __future__ import annotations

from typing import Any

import torch

import repinv
from repinv_cnn.nets import validation
from repinv_cnn.nets.dsift_net import DSIFTNet
from repinv_cnn.nets.hog_net import HOGNet
from repinv_cnn.nets.word_assignment import HardCodes, LocalCodes, SoftCodes
from repinv_cnn.nets.word_pooling import Largest, Mean, Powered, Unit


class BoVWNet(torch.nn.Module):
    """A bag of visual words as a network of fixed layers, differentiated by autograd.

    Parameters
    ----------
    bovw : repinv.BoVW
        Whose features are computed, in its layout, with any assignment, grid, aggregation, power
        and norm. Its local encoder is a `repinv.DSIFT`, or a `repinv.HOG` with a vector a cell.

    Attributes
    ----------
    encoder : repinv.BoVW
    local : HOGNet or DSIFTNet
    codes, pool, power, norm : Module
        The layers on its descriptors, in this order; without a grid there is no pooling.

    Raises
    ------
    TypeError
        If it is no `repinv.BoVW`.
    ValueError
        If the local encoder is another.

    See Also
    --------
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.
    repinv_cnn.DSIFTNet : Dense SIFT as a network of fixed layers, for any device, differentiated by
        autograd.
    repinv_cnn.HOGNet : HOG as a network of fixed layers, for any device, differentiated by
        autograd.

    Notes
    -----
    As `HOGNet`, it shares no code with the encoder, agrees with it to rounding in float64, takes
    its sides at kinks (of equally near words the first counts, of tied maxima too), and has
    nothing to save. Hard assignments pass nothing: of a hard bag, the gradient is zero.

    Codes of all descriptors are held at once: words times descriptors times images numbers, and
    several times so many where gradients are asked for.

    Examples
    --------
    >>> import repinv, repinv_cnn, torch
    >>> net = repinv_cnn.BoVWNet(repinv.BoVW.pretrained(grid=(2, 2)))
    >>> net(torch.rand(1, 1, 64, 64)).shape
    torch.Size([1, 2, 2, 256])
    """

    encoder: repinv.BoVW

    def __init__(self, bovw: repinv.BoVW) -> None:
        super().__init__()
        validation.encoder_of(bovw, repinv.BoVW, "BoVWNet")
        self.encoder = bovw
        self.local = _local_net(bovw.local)
        self.codes = _codes_of(bovw)
        self.pool = Largest() if bovw.aggregation == "max" else Mean(bovw.interpolate)
        self.power = Powered(bovw.power)
        self.norm = Unit(bovw.norm)

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
        validation.check_batch(x, self.encoder, "BoVWNet")
        height, width = x.shape[2:]
        with validation.exact(x):
            found = self.codes(self.local.descriptors(x.to(validation.working(x.dtype))))
            grids = self.encoder.grids(tuple(x.shape[1:]))
            if grids:
                found = self.pool(found, self.local.frames(height, width), (height, width), grids)
            strong = self.power(found)
            whole = strong.flatten(1) if grids else strong
            shape = self.encoder.feature_shape(tuple(x.shape[1:]))
            features: torch.Tensor = self.norm(whole).reshape(len(x), *shape)
        return features.to(x.dtype)

    def extra_repr(self) -> str:
        """What is in the bag, for the module's text."""
        words, size = self.encoder.vocabulary.shape
        cell_size, grid = self.encoder.cell_size, self.encoder.grid
        cells = f"grid={grid}" if cell_size is None else f"cell_size={cell_size}"
        return f"{words} words of {size} numbers, {cells}"


def _local_net(local: repinv.Encoder) -> HOGNet | DSIFTNet:
    """The network of a local encoder."""
    if isinstance(local, repinv.DSIFT):
        return DSIFTNet(local)
    if isinstance(local, repinv.HOG):
        return HOGNet(local)
    raise ValueError(
        f"BoVWNet covers bags of words of repinv.DSIFT and repinv.HOG; got one of "
        f"{type(local).__name__}. Use repinv_cnn.as_module for others."
    )


def _codes_of(bovw: repinv.BoVW) -> torch.nn.Module:
    """The layer of a bag's assignment."""
    given: Any = bovw.assignment
    if isinstance(given, repinv.HardAssignment):
        return HardCodes(bovw.vocabulary)
    if isinstance(given, repinv.SoftAssignment):
        return SoftCodes(bovw.vocabulary, given.temperature, given.neighbours)
    if isinstance(given, repinv.LLC):
        return LocalCodes(bovw.vocabulary, given.neighbours, given.regularization)
    raise ValueError(
        f"BoVWNet covers hard, soft and LLC assignments; got {type(given).__name__}. "
        "Use repinv_cnn.as_module for others."
    )
