"""Dense SIFT in layers of torch: votes, pooling by convolution, normalization."""

from __future__ import annotations

from typing import Any

import torch

import repinv
from repinv_cnn.nets import validation
from repinv_cnn.nets.orientation_votes import OrientedVotes, Shared, squares_in
from repinv_cnn.nets.sift_grids import Smoothing, grid_layers
from repinv_cnn.nets.sift_normalization import NormalizedDescriptors


class DSIFTNet(torch.nn.Module):
    """Dense SIFT as a network of fixed layers, for any device, differentiated by autograd.

    Parameters
    ----------
    dsift : repinv.DSIFT
        Whose features are computed, in its layout. All flavours are covered: vlfeat with all of its
        options, phow, natural and kornia, and their smoothed versions.

    Attributes
    ----------
    encoder : repinv.DSIFT
    smoothing, votes, grids, normalize : callable
        The layers, in this order, with one of `smoothing`, `grids` and `normalize` for each grid.

    See Also
    --------
    repinv.DSIFT : Dense SIFT descriptors, exact and differentiable.
    repinv_cnn.HOGNet : HOG as a network of fixed layers, for any device, differentiated by
        autograd.
    repinv_cnn.BoVWNet : A bag of visual words as a network of fixed layers, differentiated by
        autograd.

    Notes
    -----
    As `HOGNet`, it shares no code with the encoder, agrees with it to rounding in float64, takes
    its sides at kinks, and has nothing to save. kornia's epsilon turns the gradient by a
    trifle, which the encoder's pullback leaves out: gradients differ by 1e-10/|g|.

    Examples
    --------
    >>> import repinv, repinv_cnn, torch
    >>> net = repinv_cnn.DSIFTNet(repinv.DSIFT.natural())
    >>> net(torch.rand(2, 1, 64, 64)).shape
    torch.Size([2, 3, 3, 128])
    """

    encoder: repinv.DSIFT

    def __init__(self, dsift: repinv.DSIFT) -> None:
        super().__init__()
        validation.encoder_of(dsift, repinv.DSIFT, "DSIFTNet")
        self.encoder = dsift
        flavour: Any = dsift.flavour
        rule = Shared(flavour.orientations, 0.0, True, epsilon=flavour.epsilon)
        scale = 0.5 * (dsift.value_range[1] - dsift.value_range[0])
        self.smoothing = torch.nn.ModuleList(Smoothing(sigma) for sigma in flavour.smoothing)
        self.votes = OrientedVotes(rule, scale, flavour.edge, squares_in(torch.float32))
        self.grids = torch.nn.ModuleList(grid_layers(grid) for grid in flavour.grids)
        self.normalize = torch.nn.ModuleList(
            NormalizedDescriptors(flavour.normalization, grid.area) for grid in flavour.grids
        )

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
        validation.check_batch(x, self.encoder, "DSIFTNet")
        with validation.exact(x):
            channels = x.to(validation.working(x.dtype)).flatten(0, 1)[:, None]
            features = self._arranged(self._described(channels), x)
        return features.to(x.dtype)

    def descriptors(self, x: torch.Tensor) -> torch.Tensor:
        """Descriptors (N, frames, D)."""
        axis = self.encoder.descriptor_axis
        features: torch.Tensor = self(x).movedim(1 + axis, -1)
        return features.flatten(1, -2)

    def frames(self, height: int, width: int) -> torch.Tensor:
        """Centres (y, x) of the descriptors (frames, 2), float64."""
        centres = []
        for grid in self.grids:
            along: Any = grid.centres
            centres.append(torch.cartesian_prod(along(0, height), along(1, width)))
        return torch.cat(centres)

    def _described(self, x: torch.Tensor) -> torch.Tensor:
        """Descriptors (N, frames, bins, T) of gray images (N, 1, H, W), of all grids."""
        found = []
        for smooth, pool, normalize in zip(self.smoothing, self.grids, self.normalize, strict=True):
            pooled = pool(self.votes(smooth(x)))
            # (N, T, bins_y, bins_x, y, x) → (N, y, x, bins_y, bins_x, T)
            raw = pooled.permute(0, 4, 5, 2, 3, 1).flatten(3, 4).flatten(1, 2)
            found.append(normalize(raw.flatten(2)).reshape(raw.shape))
        return torch.cat(found, dim=1)

    def _arranged(self, descriptors: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(N·C, frames, bins, T) → features, the descriptors of all channels side by side."""
        count, channels = x.shape[:2]
        shape = self.encoder.feature_shape(tuple(x.shape[1:]))
        several = descriptors.reshape(count, channels, *descriptors.shape[1:])
        if self.encoder.descriptor_axis == 0:
            # kornia's angles run slowest, and descriptors along the first axis.
            return several.permute(0, 1, 4, 3, 2).reshape(count, *shape)
        return several.transpose(1, 2).reshape(count, *shape)

    def extra_repr(self) -> str:
        """The encoder, for the module's text."""
        return repr(self.encoder)
