"""What dense SIFT computes, whatever its flavour: descriptors, and their pullback."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self

import numpy as np

from repinv._core.typing import Array, ImagePullback, SizeRange
from repinv.encoders._parts import star_glyphs, validation
from repinv.encoders._parts.image_encoder import ImageEncoder
from repinv.encoders.sift.flavours import DenseSIFT
from repinv.encoders.sift.normalization import Normalization
from repinv.io import image as _image


class DSIFTEncoder(ImageEncoder):
    """Dense SIFT descriptors by a flavour that computes those of one image.

    A subclass is a frozen dataclass.
    """

    flavour: DenseSIFT
    value_range: tuple[float, float]
    _names: ClassVar[tuple[str, str]] = ("DSIFT", "DSIFTNet")

    @property
    def restorer(self) -> str:
        """Name of the shipped restorer."""
        return "dsift"

    def softened(self, softness: float, /) -> Self | None:
        """The same with descriptors of low contrast weakened, not zero; None without a threshold.

        Parameters
        ----------
        softness : float
            s in (0, 1]. With u the norm of a descriptor over the threshold, it has the weight
            clip(½ + (u − 1)/(2s), 0, 1): at 1 it grows from nothing with its contrast, and
            towards 0 it is dropped below the threshold.

        Returns
        -------
        DSIFT or None

        Raises
        ------
        ValueError
            If `softness` is not in (0, 1].
        """
        softness = validation.softness(softness)
        rule = self.flavour.normalization
        if rule.threshold <= 0 or rule.softness > 0:
            return None
        return self._normalized_by(rule._replace(softness=softness))

    def still_pixels(
        self, silent: np.ndarray, image_shape: tuple[int, ...], /
    ) -> np.ndarray | None:
        """Where silent features prove that an image has no gradient; see `Encoder`.

        None where descriptors of low contrast are zero, which proves nothing.
        """
        self.feature_shape(image_shape)
        if self.flavour.normalization.threshold > 0:
            return None
        channels, height, width = image_shape
        return self.flavour.still(silent, channels, height, width)

    def with_surrogate_slopes(self, width: float, /) -> Self:
        """The same features with a surrogate slope of the clip, in units of it; see `Encoder`."""
        slope_width = validation.real("width", width, above=0)
        return self._normalized_by(self.flavour.normalization._replace(slope_width=slope_width))

    def _normalized_by(self, rule: Normalization) -> Self:
        """The same with another normalization of descriptors."""
        flavour = dataclasses.replace(self.flavour, normalization=rule)
        return dataclasses.replace(self, flavour=flavour)  # type: ignore[type-var]

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape F of the features of one image (C, H, W).

        Raises
        ------
        ValueError
            If the image is too small, or has another number of channels than are taken.
        """
        least = self.flavour.smallest()
        channels, height, width = validation.image_shape(
            "DSIFT", image_shape, self.channels, least, "Pad the image or use smaller bins."
        )
        return self.flavour.feature_shape(channels, height, width)

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Smallest and largest height and width that give this shape.

        None where features do not determine them, as (frames, D) does not.
        """
        return self.flavour.image_shapes(tuple(feature_shape))

    @property
    def descriptor_axis(self) -> int:
        """Axis of a descriptor's numbers; see `Encoder`."""
        return self.flavour.descriptor_axis

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Centres (y, x) of the descriptors, (frames, 2); see `Encoder.frames`.

        Examples
        --------
        >>> import repinv
        >>> repinv.DSIFT.vlfeat(step=5, size=4).frames((1, 64, 64))[:2].tolist()
        [[6.0, 6.0], [6.0, 11.0]]
        """
        self.feature_shape(image_shape)
        return self.flavour.frames(*image_shape[1:])

    def glyph(self, features: Array, /, *, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """A picture of features: a star for every spatial bin of descriptors that hardly overlap.

        Rays point along the image gradient and are as bright as their bin is strong.

        Parameters
        ----------
        features : ndarray, shape F
            Of one image, in the layout that a call returns, or flat; or one descriptor (D,).
        shape : tuple of int
            (H, W) or (H, W, C) of the image; not needed for one descriptor.

        Returns
        -------
        picture : ndarray, shape (height, width)
            From 0 up, in units of the features.

        Raises
        ------
        ValueError
            If the features are not those of such an image.

        Examples
        --------
        >>> import numpy as np, repinv
        >>> sift = repinv.DSIFT.vlfeat(step=4, size=4)
        >>> sift.glyph(sift(np.eye(64)), shape=(64, 64)).ndim
        2
        """
        given = _image.on_host(features)
        if given.size == self.flavour.size:
            bins = self.flavour.grids[0].bins
            return star_glyphs.draw(given.reshape(1, 1, *bins, self.flavour.orientations))
        if shape is None:
            raise ValueError("give the size of the features' image: glyph(features, shape=(H, W)).")
        given = validation.of_image(self, given, shape)
        return self.flavour.glyph(given, (*shape, self.channels or 1)[2], *shape[:2])

    def norms(self, image: Array, /) -> np.ndarray:
        """What VLFeat calls the norm of each frame: the mean of the unnormalized descriptor.

        Parameters
        ----------
        image : array, shape (H, W), any real dtype
            Pixel values are taken as they are.

        Returns
        -------
        norms : ndarray, shape (frames,), float64
        """
        x = _image.as_batch(image, precision=self.precision, channels=1)
        self.feature_shape((self.channels or 1, *x.shape[2:]))
        return self.flavour.norms(x[0])

    def _of_image(self, image: np.ndarray, *, keep: bool) -> tuple[np.ndarray, ImagePullback]:
        """Features of one image, and its pullback."""
        return self.flavour.vjp(image, value_range=self.value_range, keep=keep)
