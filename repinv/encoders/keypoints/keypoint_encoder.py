"""What encoders of local descriptors at given keypoints have in common."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self, TypeAlias

import numpy as np

from repinv._core.typing import Array, ImagePullback
from repinv.encoders._parts import validation
from repinv.encoders._parts.array_fields import ArrayEncoder
from repinv.encoders._parts.image_encoder import ImageEncoder
from repinv.encoders.keypoints import keypoint_glyphs, pyramid, scaling
from repinv.encoders.keypoints import keypoints as _keypoints
from repinv.encoders.keypoints.colmap_sift import COLMAPSIFT
from repinv.encoders.keypoints.opencv_sift import OpenCVSIFT
from repinv.encoders.keypoints.skimage_sift import SkimageSIFT
from repinv.io import image as _image

#: What computes descriptors of one image.
Flavour: TypeAlias = OpenCVSIFT | SkimageSIFT | COLMAPSIFT
_ADVICE = "Give the image that the keypoints are of."


class KeypointEncoder(ImageEncoder, ArrayEncoder):
    """Descriptors at keypoints of a gray image, by a flavour that computes those of one image.

    A subclass is a frozen dataclass without a comparison of its own (``eq=False``).
    """

    flavour: Flavour
    keypoints: np.ndarray
    value_range: tuple[float, float]
    _names: ClassVar[tuple[str, str]] = ("SIFT", "as_module")

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape (K, 128) of the features of one image (1, H, W).

        Raises
        ------
        ValueError
            If keypoints lie outside of the image, it is too small for their octaves, or it is not
            gray.
        """
        _, height, width = validation.image_shape(
            "SIFT", image_shape, self.channels, (3, 3), _ADVICE
        )
        _keypoints.check_inside(self.keypoints, height, width)
        pyramid.check_size(self.keypoints, height, width)
        return len(self.keypoints), scaling.SIZE

    @property
    def descriptor_axis(self) -> int:
        """Axis of a descriptor's numbers; see `Encoder`."""
        return 1

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Positions (y, x) of the keypoints, (K, 2); see `Encoder.frames`.

        Examples
        --------
        >>> import numpy as np, repinv
        >>> sift = repinv.SIFT.opencv(np.array([[20, 30, 4.0, 90, 256]]))
        >>> sift.frames((1, 64, 64)).tolist()
        [[30.0, 20.0]]
        """
        self.feature_shape(image_shape)
        return self.keypoints[:, [1, 0]]

    def coverage(self, shape: tuple[int, ...]) -> np.ndarray:
        """How strongly each pixel of an image counts in the descriptors.

        Parameters
        ----------
        shape : tuple of int
            (H, W) of the image.

        Returns
        -------
        coverage : ndarray, shape (H, W), float64
            The sum over all descriptors of a pixel's weight in each: that of the Gaussian over the
            patch, pulled back through the pyramid. The weights of a descriptor sum to one. Zero
            where no descriptor depends on a pixel.

        Examples
        --------
        >>> import numpy as np, repinv
        >>> sift = repinv.SIFT.opencv(np.array([[32, 32, 4.0, 90, 256]]))
        >>> round(float(sift.coverage((64, 64)).sum()), 3)
        1.0
        """
        height, width = shape[:2]
        self.feature_shape((1, height, width))
        return self.flavour.plan(self.keypoints, (height, width), np.dtype(np.float64)).coverage()

    def glyph(self, features: Array, /, *, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """A picture of features: for each keypoint its patch, with a star in every spatial bin.

        Rays point along the image gradient and are as bright as their bin is strong. Small patches
        lie over large ones.

        Parameters
        ----------
        features : ndarray, shape (K, 128)
            Of one image, or flat; or one descriptor (128,), which is drawn upright.
        shape : tuple of int
            (H, W) of the image; not needed for one descriptor.

        Returns
        -------
        picture : ndarray, shape (height, width)
            From 0 up, in units of the features.

        Raises
        ------
        ValueError
            If the features are not those of such an image.
        """
        given = _image.on_host(features)
        if given.size == scaling.SIZE:
            return keypoint_glyphs.star(given.reshape(-1), self.flavour.rightward)
        if shape is None:
            raise ValueError("give the size of the features' image: glyph(features, shape=(H, W)).")
        given = validation.of_image(self, given, shape[:2])
        rules = self.flavour.rightward, self.flavour.clockwise
        return keypoint_glyphs.draw(given, self.keypoints, (shape[0], shape[1]), *rules)

    def _of_image(self, image: np.ndarray, *, keep: bool) -> tuple[np.ndarray, ImagePullback]:
        """Descriptors of one image, and its pullback."""
        low, high = self.value_range
        scale, shift = image.dtype.type(high - low), image.dtype.type(low)
        features, pull = self.flavour.vjp(image[0] * scale + shift, self.keypoints)
        return features, lambda v: (scale * pull(v))[None]

    def softened(self, softness: float, /) -> Self | None:
        """The same without rounding; None if descriptors are not rounded.

        Parameters
        ----------
        softness : float
            In (0, 1]. Whatever it is, nothing is rounded.
        """
        validation.softness(softness)
        if not self.flavour.rounded:
            return None
        return self._with(dataclasses.replace(self.flavour, rounded=False))

    @property
    def annealing(self) -> tuple[tuple[float, float], ...]:
        """Pairs by which an inversion hardens this encoder; see `Encoder.annealing`."""
        return ((0.1, 1.0), (0.25, 1.0), (0.6, 1.0)) if self.flavour.rounded else ()

    def with_surrogate_slopes(self, width: float, /) -> Self:
        """The same features with a surrogate slope of the clip, in units of it; see `Encoder`."""
        slope_width = validation.real("width", width, above=0)
        return self._with(dataclasses.replace(self.flavour, slope_width=slope_width))

    def _with(self, flavour: Flavour) -> Self:
        """The same with another flavour."""
        return dataclasses.replace(self, flavour=flavour)  # type: ignore[type-var]
