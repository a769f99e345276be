"""OpenCV's SIFT descriptors of one image at keypoints: pyramid, patches, scaling; the pullback."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np

from repinv._core.typing import ImagePullback
from repinv.encoders.sift import gaussian_blur, patches, scaling
from repinv.encoders.sift.patches import Patches

#: Standard deviation of the blur that a photograph is taken to have, in pixels.
_CAMERA_SIGMA = 0.5
#: Width of a spatial bin, in units of half a keypoint's size.
_BIN_WIDTH = 3.0
#: Weight of the pixel itself when an image is doubled: its edges stay, or its first pixel does.
_NEAR, _PRECISE = 0.75, 1.0


class Unpacked(NamedTuple):
    """OpenCV's packed octaves: eight bits with a sign, then eight of the layer; and the scale."""

    octave: np.ndarray  # (K,) int64
    layer: np.ndarray  # (K,) int64
    scale: np.ndarray  # (K,) float32, pixels of the octave in one of the image


def unpacked(packed: np.ndarray) -> Unpacked:
    """Octaves and layers of packed octaves (K,)."""
    whole = packed.astype(np.int64)
    octave = whole & 255
    octave = np.where(octave < 128, octave, octave - 256)
    return Unpacked(octave, (whole >> 8) & 255, np.exp2(-octave).astype(np.float32))


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

    def check(self, keypoints: np.ndarray) -> None:
        """Raise ValueError if keypoints lie in octaves or layers that there are not."""
        octave, layer, _ = unpacked(keypoints[:, 4])
        last = self.n_octave_layers + 2
        for k in np.flatnonzero((octave < -1) | (layer > last))[:1]:
            raise ValueError(
                f"keypoint {k} lies in octave {octave[k]}, layer {layer[k]}; octaves begin with "
                f"-1 and have the layers 0 to {last} with n_octave_layers={self.n_octave_layers}. "
                "Give octaves as OpenCV packs them: octave & 255 | layer << 8."
            )

    def check_size(self, keypoints: np.ndarray, height: int, width: int) -> None:
        """Raise ValueError if an image is too small for the octaves of its keypoints."""
        octave, _, _ = unpacked(keypoints[:, 4])
        if not octave.size:
            return
        deepest = int(np.argmax(octave))
        doubled = 2 if octave.min() < 0 else 1
        halvings = int(octave[deepest]) + (doubled - 1)
        if (min(height, width) * doubled) >> halvings < 1:
            raise ValueError(
                f"keypoint {deepest} lies in octave {octave[deepest]}, which an image of "
                f"{height}x{width} pixels does not have. Give the image that the keypoints are of."
            )

    def vjp(self, image: np.ndarray, keypoints: np.ndarray) -> tuple[np.ndarray, ImagePullback]:
        """Descriptors (K, 128) of an image (H, W) with pixels in 0 … 255, and the pullback."""
        plan = self._plan(keypoints, image.shape)
        layers = plan.layers(image)
        size = patches.CELLS**2 * patches.LANES
        histograms = np.empty((len(keypoints), size), image.dtype)
        for key, members in plan.members.items():
            patches.votes_of(layers[key], plan.patches, members, histograms)
        features = np.empty((len(keypoints), scaling.SIZE), image.dtype)
        scaling.describe(histograms, self.rounded, self.rootsift, features)

        def pullback(cotangent: np.ndarray) -> np.ndarray:
            from_scaling = np.empty_like(histograms)
            v = np.ascontiguousarray(cotangent)
            scaling.pull_describe(v, histograms, self.rootsift, self.slope_width, from_scaling)
            grads = {}
            for key, members in plan.members.items():
                grads[key] = np.zeros_like(layers[key])
                patches.pull_votes(from_scaling, layers[key], plan.patches, members, grads[key])
            return plan.pull_layers(grads, image.dtype)

        return features, pullback

    def coverage(self, keypoints: np.ndarray, height: int, width: int) -> np.ndarray:
        """The weights of all patches, pulled back to the pixels (H, W) of an image."""
        plan = self._plan(keypoints, (height, width))
        grads = {}
        for key, members in plan.members.items():
            grads[key] = np.zeros(plan.sizes[key])
            patches.weigh(plan.patches, members, grads[key])
        return plan.pull_layers(grads, np.dtype(np.float64))

    def _plan(self, keypoints: np.ndarray, size: tuple[int, ...]) -> _Plan:
        """What is computed for an image of a size (H, W)."""
        octave, layer, _ = unpacked(keypoints[:, 4])
        first = int(min(octave.min(initial=0), 0))
        members = {
            (int(o), int(s)): np.flatnonzero((octave == o) & (layer == s))
            for o, s in sorted(set(zip(octave.tolist(), layer.tolist(), strict=True)))
        }
        return _Plan(self, first, (size[0], size[1]), members, placed(keypoints, size))


@dataclasses.dataclass(frozen=True, eq=False)
class _Plan:
    """The layers that keypoints of an image are in, by (octave, layer), and how they are made."""

    sift: OpenCVSIFT
    first: int
    size: tuple[int, int]
    members: dict[tuple[int, int], np.ndarray]
    patches: Patches

    @functools.cached_property
    def depth(self) -> dict[int, int]:
        """The last layer that is needed of each octave."""
        deepest = max((o for o, _ in self.members), default=self.first - 1)
        last = dict.fromkeys(range(self.first, deepest), self.sift.n_octave_layers)
        for o, layer in self.members:
            last[o] = max(last.get(o, 0), layer)
        return last

    @functools.cached_property
    def sizes(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Heights and widths of the layers that are needed."""
        height, width = (n * (2 if self.first < 0 else 1) for n in self.size)
        found: dict[tuple[int, int], tuple[int, int]] = {}
        for o, last in self.depth.items():
            found |= {(o, i): (height, width) for i in range(last + 1)}
            height, width = height // 2, width // 2
        return found

    def _kernels(self, dtype: np.dtype) -> list[np.ndarray]:
        """Taps of the first blur, and of the one that leads to each further layer."""
        sift = self.sift
        blurred = _CAMERA_SIGMA * (2 if self.first < 0 else 1)
        own = math.sqrt(max(sift.sigma**2 - blurred**2, 0.01))
        sigmas = [own, *gaussian_blur.blur_sigmas(sift.sigma, sift.n_octave_layers)[1:]]
        return [gaussian_blur.taps(sigma, dtype) for sigma in sigmas]

    def layers(self, image: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
        """The layers of an image (H, W)."""
        kernels, kind = self._kernels(image.dtype), image.dtype
        found: dict[tuple[int, int], np.ndarray] = {}
        source = image
        if self.first < 0:
            source = np.empty((2 * image.shape[0], 2 * image.shape[1]), kind)
            gaussian_blur.double(image, self._near, source)
        for o, last in self.depth.items():
            for i in range(last + 1):
                if i == 0 and o > self.first:
                    before = found[o - 1, self.sift.n_octave_layers]
                    rows, columns = (gaussian_blur.halved(n) for n in before.shape)
                    found[o, 0] = before[np.ix_(rows, columns)]
                    continue
                found[o, i] = np.empty(self.sizes[o, i], kind)
                gaussian_blur.blur(source if i == 0 else found[o, i - 1], kernels[i], found[o, i])
        return found

    def pull_layers(self, grads: dict[tuple[int, int], np.ndarray], dtype: np.dtype) -> np.ndarray:
        """Pullback of `layers` (H, W); `grads` is used up."""
        kernels = self._kernels(dtype)
        base = np.zeros(tuple(n * (2 if self.first < 0 else 1) for n in self.size), dtype)

        def of(key: tuple[int, int]) -> np.ndarray:
            return grads.setdefault(key, np.zeros(self.sizes[key], dtype))

        for o, last in reversed(self.depth.items()):
            for i in range(last, 0, -1):
                gaussian_blur.pull_blur(grads.pop((o, i)), kernels[i], of((o, i - 1)))
            if o > self.first:
                before = of((o - 1, self.sift.n_octave_layers))
                rows, columns = (gaussian_blur.halved(n) for n in before.shape)
                before[np.ix_(rows, columns)] += of((o, 0))
            else:
                gaussian_blur.pull_blur(of((o, 0)), kernels[0], base)
        if self.first == 0:
            return base
        grad = np.zeros(self.size, dtype)
        gaussian_blur.pull_double(base, self._near, grad)
        return grad

    @property
    def _near(self) -> float:
        return _PRECISE if self.sift.precise_upscale else _NEAR


def placed(keypoints: np.ndarray, size: tuple[int, ...]) -> Patches:
    """Patches of keypoints (K, 5) in their layers, in OpenCV's float32."""
    single = np.float32
    scale = unpacked(keypoints[:, 4]).scale
    x, y, diameter, angle = keypoints[:, :4].T.astype(single)
    rotation = single(360) - angle
    rotation = np.where(np.abs(rotation - single(360)) < np.finfo(single).eps, single(0), rotation)
    radians = rotation * single(math.pi / 180)
    width = single(_BIN_WIDTH) * (diameter * scale * single(0.5))
    # The half diagonal of the patch with the half bin that interpolation adds around it.
    reach = width * single(math.sqrt(2)) * single(patches.BINS + 1) * single(0.5)
    diagonal = math.hypot(*size) * scale
    turn = (rotation.astype(np.float64) * patches.ORIENTATIONS / 360) % patches.ORIENTATIONS
    return Patches(
        np.rint(y * scale).astype(np.int64),
        np.rint(x * scale).astype(np.int64),
        np.minimum(np.rint(reach), np.floor(diagonal)).astype(np.int64),
        np.cos(radians) / width,
        np.sin(radians) / width,
        turn,
    )
