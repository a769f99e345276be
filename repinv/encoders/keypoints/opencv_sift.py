"""OpenCV's SIFT descriptors of one image at keypoints."""

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

#: Standard deviation of the blur that a photograph is taken to have, in pixels.
_CAMERA_SIGMA = 0.5
#: Width of a spatial bin, in units of half a keypoint's size.
_BIN_WIDTH = 3.0
#: A doubled image keeps its edges, or its first pixel.
_RULES = Rules(near=0.75, edge=0, border=gaussian_blur.MIDDLE, rounds_up=False)
_PRECISE = _RULES._replace(near=1.0)


@dataclasses.dataclass(frozen=True)
class OpenCVSIFT:
    """Descriptors of one gray image at keypoints.

    Parameters
    ----------
    n_octave_layers : int
        Layers that an octave has beside the three that it shares with its neighbours.
    sigma : float
        Blur of the first layer of an octave, in its pixels.
    precise_upscale : bool
        Double the image so that pixel x becomes pixel 2x.
    rounded : bool
        Round descriptors to 0 … 255.
    rootsift : bool
        The root of each descriptor over its sum.
    slope_width : float
        Of the surrogate slope of the clip, in units of it; 0 leaves it sharp.
    """

    n_octave_layers: int = 3
    sigma: float = 1.6
    precise_upscale: bool = False
    rounded: bool = True
    rootsift: bool = False
    slope_width: float = 0.0
    #: Of glyphs: the orientation of the bin that points right, and where patches are turned to.
    rightward: ClassVar[int] = 0
    clockwise: ClassVar[int] = 1

    def check(self, keypoints: np.ndarray) -> None:
        """Raise ValueError if keypoints lie in octaves or layers that there are not."""
        pyramid.check(keypoints, -1, self.n_octave_layers)

    def vjp(self, image: np.ndarray, keypoints: np.ndarray) -> tuple[np.ndarray, ImagePullback]:
        """Descriptors (K, 128) of an image (H, W) with pixels in 0 … 255, and the pullback."""
        plan = self.plan(keypoints, image.shape, image.dtype)
        rounding = scaling.NEAREST if self.rounded else scaling.NOT
        root = scaling.AFTER if self.rootsift else scaling.NO_ROOT
        return plan.vjp(image, rounding, root, self.slope_width)

    def plan(self, keypoints: np.ndarray, size: tuple[int, ...], dtype: np.dtype) -> Plan:
        """What is computed for an image of a size (H, W)."""
        members = pyramid.members_of(keypoints)
        first = min(0, *(octave for octave, _ in members))
        blurred = _CAMERA_SIGMA * (2 if first < 0 else 1)
        own = math.sqrt(max(self.sigma**2 - blurred**2, 0.01))
        sigmas = [own, *gaussian_blur.blur_sigmas(self.sigma, self.n_octave_layers)[1:]]
        kernels = tuple(gaussian_blur.taps(s, _reach(s), dtype) for s in sigmas)
        rules = _PRECISE if self.precise_upscale else _RULES
        held = (size[0], size[1]), first, self.n_octave_layers, tuple(members), kernels, rules
        return Plan(Pyramid(*held), members, _placed(keypoints, size))


def _reach(sigma: float) -> int:
    """Taps beside the middle one: of images of floats, round(8σ + 1) or one more are odd."""
    return (int(np.rint(8 * sigma + 1)) | 1) // 2


def _placed(keypoints: np.ndarray, size: tuple[int, ...]) -> Patches:
    """Patches of keypoints (K, 5) in their layers, in OpenCV's float32."""
    single = np.float32
    scale = pyramid.unpacked(keypoints[:, 4]).scale
    x, y, diameter, angle = keypoints[:, :4].T.astype(single)
    rotation = single(360) - angle
    rotation = np.where(np.abs(rotation - single(360)) < np.finfo(single).eps, single(0), rotation)
    radians = rotation * single(math.pi / 180)
    width = single(_BIN_WIDTH) * (diameter * scale * single(0.5))
    # The half diagonal of the patch with the half bin that interpolation adds around it.
    reach = width * single(math.sqrt(2)) * single(patches.BINS + 1) * single(0.5)
    diagonal = math.hypot(*size) * scale
    turn = (rotation.astype(np.float64) * patches.ORIENTATIONS / 360) % patches.ORIENTATIONS
    none = np.zeros(len(keypoints))
    return Patches(
        np.rint(y * scale).astype(np.int64),
        np.rint(x * scale).astype(np.int64),
        none,
        none,
        np.minimum(np.rint(reach), np.floor(diagonal)).astype(np.int64),
        np.cos(radians) / width,
        np.sin(radians) / width,
        turn,
    )
