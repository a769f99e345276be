"""scikit-image's SIFT descriptors of one image at keypoints."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders.keypoints import gaussian_blur, patches, pyramid, scaling
from repinv.encoders.keypoints.patches import Patches
from repinv.encoders.keypoints.pyramid import Pyramid, Rules
from repinv.encoders.keypoints.pyramid_patches import Plan

_RULES = Rules(near=0.75, edge=1, border=gaussian_blur.BESIDE, rounds_up=True)
#: Where a Gaussian is cut, in σ.
_TRUNCATE = 4.0


@dataclasses.dataclass(frozen=True)
class SkimageSIFT:
    """Descriptors of one gray image at keypoints, whose size is twice their σ.

    Parameters
    ----------
    upsampling : int
        1, or 2 for the doubled image.
    n_scales : int
        Layers that an octave has beside the three that it shares with its neighbours.
    sigma_min, sigma_in : float
        Blur of the first layer of an octave in its pixels, and that of the image in its own.
    lambda_descr : float
        Half the width of a patch, in σ.
    rounded : bool
        Round descriptors down to 0 … 255.
    rootsift : bool
        The root of each descriptor over its sum.
    slope_width : float
        Of the surrogate slope of the clip, in units of it; 0 leaves it sharp.
    """

    upsampling: int = 2
    n_scales: int = 3
    sigma_min: float = 1.6
    sigma_in: float = 0.5
    lambda_descr: float = 6.0
    rounded: bool = True
    rootsift: bool = False
    slope_width: float = 0.0
    #: Of glyphs: the orientation of the bin that points right, and where patches are turned to.
    rightward: ClassVar[int] = 2
    clockwise: ClassVar[int] = -1

    def check(self, keypoints: np.ndarray) -> None:
        """Raise ValueError if keypoints lie in octaves or layers that there are not."""
        pyramid.check(keypoints, 1 - self.upsampling, self.n_scales)

    def vjp(self, image: np.ndarray, keypoints: np.ndarray) -> tuple[np.ndarray, ImagePullback]:
        """Descriptors (K, 128) of an image (H, W), and the pullback."""
        plan = self.plan(keypoints, image.shape, image.dtype)
        rounding = scaling.DOWN if self.rounded else scaling.NOT
        root = scaling.AFTER if self.rootsift else scaling.NO_ROOT
        return plan.vjp(image, rounding, root, self.slope_width)

    def plan(self, keypoints: np.ndarray, size: tuple[int, ...], dtype: np.dtype) -> Plan:
        """What is computed for an image of a size (H, W)."""
        members = pyramid.members_of(keypoints)
        own = math.sqrt(self.sigma_min**2 - (self.upsampling * self.sigma_in) ** 2)
        sigmas = [own, *gaussian_blur.blur_sigmas(self.sigma_min, self.n_scales)[1:]]
        kernels = tuple(
            gaussian_blur.taps(s, int(_TRUNCATE * s + 0.5), np.dtype(dtype)) for s in sigmas
        )
        first = 1 - self.upsampling
        held = (size[0], size[1]), first, self.n_scales, tuple(members), kernels, _RULES
        return Plan(Pyramid(*held), members, self._placed(keypoints), one_sided=True)

    def _placed(self, keypoints: np.ndarray) -> Patches:
        """Patches of keypoints (K, 5) in their layers with a line more above and on the left."""
        scale = pyramid.unpacked(keypoints[:, 4]).scale.astype(np.float64)
        column, row = keypoints[:, 0] * scale + 1, keypoints[:, 1] * scale + 1
        spacing = 2 * self.lambda_descr * (keypoints[:, 2] / 2 * scale) / patches.BINS
        angle = np.radians(keypoints[:, 3])
        nearest = np.rint(row), np.rint(column)
        # Orientations are counted from down on towards the right, ours from the right upwards.
        turn = angle * patches.ORIENTATIONS / (2 * math.pi) - patches.ORIENTATIONS / 4
        reach = spacing * math.sqrt(2) * (patches.BINS + 1) / 2
        return Patches(
            nearest[0].astype(np.int64),
            nearest[1].astype(np.int64),
            row - nearest[0],
            column - nearest[1],
            np.ceil(reach).astype(np.int64) + 1,
            np.cos(angle) / spacing,
            np.sin(angle) / spacing,
            turn % patches.ORIENTATIONS,
        )


def of_detector(detector: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Keypoints (K, 5) of a ``skimage.feature.SIFT`` that has detected, and its options.

    Raises
    ------
    ValueError
        If it has not detected yet, or has another number of histograms or orientations.
    """
    if detector.positions is None:
        raise ValueError(
            "the detector holds no keypoints. Call detector.detect(image) before it is given here."
        )
    if (detector.n_hist, detector.n_ori) != (patches.BINS, patches.ORIENTATIONS):
        raise ValueError(
            f"descriptors have 4 histograms a side and 8 orientations; got n_hist="
            f"{detector.n_hist}, n_ori={detector.n_ori}. Leave these at their defaults."
        )
    up = int(detector.upsampling)
    octave = np.asarray(detector.octaves, np.int64) - int(math.log2(up))
    packed = (octave & 255) | (np.asarray(detector.scales, np.int64) << 8)
    keypoints = np.stack(
        [
            detector.positions[:, 1],
            detector.positions[:, 0],
            2 * np.asarray(detector.sigmas, np.float64),
            np.degrees(np.asarray(detector.orientations, np.float64)),
            packed,
        ],
        axis=-1,
    )
    return keypoints, {
        "upsampling": up,
        "n_scales": int(detector.n_scales),
        "sigma_min": float(detector.sigma_min) * up,
        "sigma_in": float(detector.sigma_in),
        "lambda_descr": float(detector.lambda_descr),
    }
