"""Descriptors of patches of a pyramid's layers, whatever library's these are; the pullback."""

from __future__ import annotations

import dataclasses

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders.keypoints import patches, scaling
from repinv.encoders.keypoints.patches import Patches
from repinv.encoders.keypoints.pyramid import Key, Pyramid


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What is computed for an image.

    Parameters
    ----------
    pyramid : Pyramid
    members : dict of Key to ndarray
        Which patches lie in which layers.
    patches : Patches
    one_sided : bool
        Give the first row and column of a layer one-sided differences; else they have no gradient.
    rough : bool
        Take angles as VLFeat does; see `patches`.
    """

    pyramid: Pyramid
    members: dict[Key, np.ndarray]
    patches: Patches
    one_sided: bool = False
    rough: bool = False

    def _bordered(self, layer: np.ndarray) -> np.ndarray:
        """A layer with a line more above and on the left, which continues its first difference.

        Half the difference of the lines beside a line is then its own to the next.
        """
        if not self.one_sided:
            return layer
        found = np.empty((layer.shape[0] + 1, layer.shape[1] + 1), layer.dtype)
        found[1:, 1:] = layer
        found[0, 1:] = 2 * layer[0] - layer[1]
        found[:, 0] = 2 * found[:, 1] - found[:, 2]
        return found

    def _pull_bordered(self, v: np.ndarray) -> np.ndarray:
        """Adjoint of `_bordered`; `v` is changed."""
        if not self.one_sided:
            return v
        v[:, 1] += 2 * v[:, 0]
        v[:, 2] -= v[:, 0]
        v[1, 1:] += 2 * v[0, 1:]
        v[2, 1:] -= v[0, 1:]
        return np.ascontiguousarray(v[1:, 1:])

    def vjp(
        self, image: np.ndarray, rounding: int, root: int, slope_width: float
    ) -> tuple[np.ndarray, ImagePullback]:
        """Descriptors (K, 128) of an image (H, W), and the pullback."""
        layers = self.pyramid.layers(image)
        used = {key: self._bordered(layers[key]) for key in self.members}
        count, size = len(self.patches.row), patches.CELLS**2 * patches.LANES
        histograms = np.empty((count, size), image.dtype)
        for key, members in self.members.items():
            patches.votes_of(used[key], self.patches, members, self.rough, histograms)
        features = np.empty((count, scaling.SIZE), image.dtype)
        scaling.describe(histograms, rounding, root, features)

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            from_scaling = np.empty_like(histograms)
            v = np.ascontiguousarray(cotangent)
            scaling.pull_describe(v, histograms, root, slope_width, from_scaling)
            grads = {}
            for key, members in self.members.items():
                grad = np.zeros_like(used[key])
                kind = self.patches, members, self.rough
                patches.pull_votes(from_scaling, used[key], *kind, grad)
                grads[key] = self._pull_bordered(grad)
            return self.pyramid.pull(grads, image.dtype)

        return features, pullback

    def coverage(self) -> np.ndarray:
        """The weights of all patches, pulled back to the pixels (H, W) of an image."""
        grads, more = {}, int(self.one_sided)
        for key, members in self.members.items():
            height, width = self.pyramid.sizes[key]
            weights = np.zeros((height + more, width + more))
            patches.weigh(self.patches, members, weights)
            grads[key] = np.ascontiguousarray(weights[more:, more:])
        return self.pyramid.pull(grads, np.dtype(np.float64))
