"""COLMAP's SIFT descriptors of one image at keypoints: those of VLFeat, scaled by COLMAP."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders.keypoints import gaussian_blur, patches, pyramid, scaling
from repinv.encoders.keypoints.patches import Patches
from repinv.encoders.keypoints.pyramid import Pyramid, Rules
from repinv.encoders.keypoints.pyramid_patches import Plan

_RULES = Rules(near=1.0, edge=0, border=gaussian_blur.LAST, rounds_up=False)
#: Blur of the first layer of an octave in its pixels, and that of the image in its own.
SIGMA, _CAMERA_SIGMA = 1.6, 0.5
#: Where a Gaussian is cut, and the width of a spatial bin, in σ.
_TRUNCATE, _BIN_WIDTH = 4.0, 3.0


@dataclasses.dataclass(frozen=True)
class COLMAPSIFT:
    """Descriptors of one gray image at keypoints, whose size is twice their σ.

    Parameters
    ----------
    first_octave : int
        −1 for the doubled image, or 0.
    octave_resolution : int
        Layers that an octave has beside the three that it shares with its neighbours.
    rootsift : bool
        The root of each descriptor over its sum.
    rounded : bool
        Round descriptors to 0 … 255.
    slope_width : float
        Of the surrogate slope of the clip, in units of it; 0 leaves it sharp.
    """

    first_octave: int = -1
    octave_resolution: int = 3
    rootsift: bool = True
    rounded: bool = True
    slope_width: float = 0.0
    #: Of glyphs: the orientation of the bin that points right, and where patches are turned to.
    rightward: ClassVar[int] = 0
    clockwise: ClassVar[int] = 1

    def check(self, keypoints: np.ndarray) -> None:
        """Raise ValueError if keypoints lie in octaves or layers that there are not."""
        pyramid.check(keypoints, self.first_octave, self.octave_resolution)

    def vjp(self, image: np.ndarray, keypoints: np.ndarray) -> tuple[np.ndarray, ImagePullback]:
        """Descriptors (K, 128) of an image (H, W), and the pullback."""
        plan = self.plan(keypoints, image.shape, image.dtype)
        rounding = scaling.NEAREST if self.rounded else scaling.NOT
        root = scaling.BEFORE if self.rootsift else scaling.NO_ROOT
        return plan.vjp(image, rounding, root, self.slope_width)

    def plan(self, keypoints: np.ndarray, size: tuple[int, ...], dtype: np.dtype) -> Plan:
        """What is computed for an image of a size (H, W)."""
        members = pyramid.members_of(keypoints)
        own = math.sqrt(SIGMA**2 - (_CAMERA_SIGMA * 2**-self.first_octave) ** 2)
        sigmas = [own, *gaussian_blur.blur_sigmas(SIGMA, self.octave_resolution)[1:]]
        kernels = tuple(
            gaussian_blur.taps(s, math.ceil(_TRUNCATE * s), np.dtype(dtype)) for s in sigmas
        )
        layers = self.first_octave, self.octave_resolution, tuple(members)
        built = Pyramid((size[0], size[1]), *layers, kernels, _RULES)
        return Plan(built, members, self._placed(keypoints), rough=True)

    def _placed(self, keypoints: np.ndarray) -> Patches:
        """Patches of keypoints (K, 5) in their layers."""
        scale = pyramid.unpacked(keypoints[:, 4]).scale.astype(np.float64)
        column, row = keypoints[:, 0] * scale, keypoints[:, 1] * scale
        nearest = np.floor(row + 0.5), np.floor(column + 0.5)
        width = _BIN_WIDTH * (keypoints[:, 2] / 2 * scale)
        angle = np.radians(keypoints[:, 3])
        reach = width * math.sqrt(2) * (patches.BINS + 1) / 2
        return Patches(
            nearest[0].astype(np.int64),
            nearest[1].astype(np.int64),
            row - nearest[0],
            column - nearest[1],
            np.floor(reach + 0.5).astype(np.int64),
            np.cos(angle) / width,
            -np.sin(angle) / width,
            (-angle * patches.ORIENTATIONS / (2 * math.pi)) % patches.ORIENTATIONS,
        )
