"""The Gaussian pyramid that keypoints lie in, as far as they need it, and its pullback."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple, TypeAlias

import numpy as np

from repinv.encoders.keypoints import gaussian_blur

#: Octave, −1 being that of the doubled image, and layer of it.
Key: TypeAlias = tuple[int, int]
Size: TypeAlias = tuple[int, int]


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


class Rules(NamedTuple):
    """How a library builds a pyramid; see `gaussian_blur`."""

    near: float  # weight of the pixel itself when an image is doubled
    edge: int  # which pixel is taken beyond the border then: its own, or the one beside it
    border: int  # what blurs take beyond the border
    rounds_up: bool  # whether an octave has half as many pixels rounded up


def check(keypoints: np.ndarray, first: int, layers: int) -> None:
    """Raise ValueError if keypoints (K, 5) lie in octaves or layers that there are not."""
    octave, layer, _ = unpacked(keypoints[:, 4])
    last = layers + 2
    for k in np.flatnonzero((octave < first) | (layer > last))[:1]:
        raise ValueError(
            f"keypoint {k} lies in octave {octave[k]}, layer {layer[k]}; octaves begin with "
            f"{first} and have the layers 0 to {last} where the encoder has {layers} layers an "
            "octave. Give octaves as OpenCV packs them: octave & 255 | layer << 8."
        )


def check_size(keypoints: np.ndarray, height: int, width: int) -> None:
    """Raise ValueError if an image is too small for the octaves of its keypoints."""
    octave, _, _ = unpacked(keypoints[:, 4])
    deepest = int(np.argmax(octave))
    doubled = int(octave.min() < 0)
    if (min(height, width) << doubled) >> (int(octave[deepest]) + doubled) < 1:
        raise ValueError(
            f"keypoint {deepest} lies in octave {octave[deepest]}, which an image of "
            f"{height}x{width} pixels does not have. Give the image that the keypoints are of."
        )


def members_of(keypoints: np.ndarray) -> dict[Key, np.ndarray]:
    """Which keypoints (K, 5) lie in which layers."""
    octave, layer, _ = unpacked(keypoints[:, 4])
    keys = sorted(set(zip(octave.tolist(), layer.tolist(), strict=True)))
    return {(o, s): np.flatnonzero((octave == o) & (layer == s)) for o, s in keys}


@dataclasses.dataclass(frozen=True, eq=False)
class Pyramid:
    """The layers of an image that are needed, and how they are made.

    Parameters
    ----------
    size : tuple of int
        (H, W) of the image.
    first : int
        The first octave: −1 if the image is doubled, else 0.
    octave_layers : int
        The layer that the next octave is made of.
    keys : tuple of Key
        Layers that are needed.
    kernels : tuple of ndarray
        Right halves of the Gaussian of the first layer, and of those that lead to the others.
    rules : Rules
    """

    size: Size
    first: int
    octave_layers: int
    keys: tuple[Key, ...]
    kernels: tuple[np.ndarray, ...]
    rules: Rules

    @functools.cached_property
    def depth(self) -> dict[int, int]:
        """The last layer that is needed of each octave."""
        deepest = max((o for o, _ in self.keys), default=self.first - 1)
        last = dict.fromkeys(range(self.first, deepest), self.octave_layers)
        for o, layer in self.keys:
            last[o] = max(last.get(o, 0), layer)
        return last

    @functools.cached_property
    def sizes(self) -> dict[Key, Size]:
        """Heights and widths of the layers that are computed."""
        height, width = self._base
        found: dict[Key, Size] = {}
        for o, last in self.depth.items():
            found |= {(o, i): (height, width) for i in range(last + 1)}
            height, width = len(self._kept(height)), len(self._kept(width))
        return found

    @property
    def _base(self) -> Size:
        factor = 2 if self.first < 0 else 1
        return factor * self.size[0], factor * self.size[1]

    def _kept(self, size: int) -> np.ndarray:
        """The pixels along an axis of which the next octave is made."""
        return np.arange(0, size, 2) if self.rules.rounds_up else gaussian_blur.halved(size)

    def _halved(self, octave: int) -> tuple[np.ndarray, ...]:
        """Index of the pixels of the octave before that an octave is made of."""
        rows, columns = self.sizes[octave - 1, self.octave_layers]
        return np.ix_(self._kept(rows), self._kept(columns))

    def layers(self, image: np.ndarray) -> dict[Key, np.ndarray]:
        """The layers of an image (H, W)."""
        rules, source = self.rules, image
        found: dict[Key, np.ndarray] = {}
        if self.first < 0:
            source = np.empty(self._base, image.dtype)
            gaussian_blur.double(image, rules.near, rules.edge, source)
        for o, last in self.depth.items():
            for i in range(last + 1):
                if i == 0 and o > self.first:
                    found[o, 0] = found[o - 1, self.octave_layers][self._halved(o)]
                    continue
                found[o, i] = np.empty(self.sizes[o, i], image.dtype)
                before = source if i == 0 else found[o, i - 1]
                gaussian_blur.blur(before, self.kernels[i], rules.border, found[o, i])
        return found

    def pull(self, grads: dict[Key, np.ndarray], dtype: np.dtype) -> np.ndarray:
        """Pullback of `layers` (H, W); `grads` is used up."""
        rules, kernels = self.rules, self.kernels
        base = np.zeros(self._base, dtype)

        def of(key: Key) -> np.ndarray:
            if key not in grads:
                grads[key] = np.zeros(self.sizes[key], dtype)
            return grads[key]

        for o, last in reversed(self.depth.items()):
            for i in range(last, 0, -1):
                above = of((o, i))
                gaussian_blur.pull_blur(above, kernels[i], rules.border, of((o, i - 1)))
                del grads[o, i]
            if o > self.first:
                of((o - 1, self.octave_layers))[self._halved(o)] += of((o, 0))
            else:
                gaussian_blur.pull_blur(of((o, 0)), kernels[0], rules.border, base)
        if self.first == 0:
            return base
        grad = np.zeros(self.size, dtype)
        gaussian_blur.pull_double(base, rules.near, rules.edge, grad)
        return grad
