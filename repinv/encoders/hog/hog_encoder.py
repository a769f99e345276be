"""What HOG computes, whatever its flavour: features, their pullback, and what inversions use."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self, TypeAlias

import numpy as np

from repinv._core.typing import Array, ImagePullback, SizeRange
from repinv.encoders._parts import validation
from repinv.encoders._parts.image_encoder import ImageEncoder
from repinv.encoders.hog.per_block import BoxHOG
from repinv.encoders.hog.per_cell import CellHOG
from repinv.encoders.hog.per_channel import ChannelHOG
from repinv.encoders.hog.per_window import WindowHOG
from repinv.io.image import on_host

#: What computes the features of one image.
Flavour: TypeAlias = CellHOG | BoxHOG | WindowHOG | ChannelHOG
#: Numbers of a cell, and bins, that restorers were trained on.
_SIGNED, _UNSIGNED = 31, 9
#: Width in pixels up to which cells are small, and contrast and exponent of the start then.
#: Four photographs, 400 evaluations: cells of 4 end at half the error (8.7, 4.4, 9.1 and 6.4 % ->
#: 4.4, 3.1, 5.3 and 4.0 %; NCC .72, .85, .50, -.01 -> .86, .92, .61, .54).
_SMALL_CELL, _START = 5, (0.3, 0.85)


class HOGEncoder(ImageEncoder):
    """Histograms of oriented gradients by a flavour that computes those of one image.

    A subclass is a frozen dataclass.
    """

    flavour: Flavour
    value_range: tuple[float, float]
    _names: ClassVar[tuple[str, str]] = ("HOG", "HOGNet")

    @property
    def restorer(self) -> str | None:
        """Name of the shipped restorer, for nine orientations with signs or without; else None."""
        flavour = self.flavour
        if isinstance(flavour, CellHOG):
            return "hog" if flavour.numbers() == _SIGNED else None
        bins = None
        if isinstance(flavour, BoxHOG):
            bins = flavour.orientations
        elif isinstance(flavour, WindowHOG) and not flavour.signed_gradient:
            bins = flavour.nbins
        return "hog-unsigned" if bins == _UNSIGNED else None

    @property
    def start(self) -> tuple[float | None, float | None]:
        """Contrast and exponent of an inversion's start; see `Encoder.start`.

        From a faint start, cells of few pixels let whole regions come out dark that are light.
        """
        is_small = isinstance(self.flavour, CellHOG) and self.flavour.cell_size <= _SMALL_CELL
        return _START if is_small else (None, None)

    def softened(self, softness: float, /) -> Self | None:
        """The same features with orientations shared by two bins; None if they already are.

        Parameters
        ----------
        softness : float
            τ in (0, 1]. With f the fraction of the way from one bin centre to the next, the
            next has the weight clip(½ + (f − ½)/τ, 0, 1): 1 is linear, and towards 0 votes
            become hard.

        Returns
        -------
        HOG or None

        Raises
        ------
        ValueError
            If `softness` is not in (0, 1].
        """
        softness = validation.softness(softness)
        if self.flavour.softness > 0:
            return None
        return self._with(dataclasses.replace(self.flavour, softness=softness))

    def still_pixels(self, silent: np.ndarray, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Where silent features prove that an image has no gradient; see `Encoder`."""
        self.feature_shape(image_shape)
        return self.flavour.still(silent, *image_shape[1:])

    def with_surrogate_slopes(self, width: float, /) -> Self | None:
        """The same features with surrogate slopes of clips, in units of these; see `Encoder`."""
        width = validation.real("width", width, above=0)
        if isinstance(self.flavour, ChannelHOG):
            return None
        if isinstance(self.flavour, BoxHOG) and not self.flavour.clips:
            return None
        return self._with(dataclasses.replace(self.flavour, slope_width=width))

    def _with(self, flavour: Flavour) -> Self:
        """The same with another flavour."""
        return dataclasses.replace(self, flavour=flavour)  # type: ignore[type-var]

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape F of the features of one image (C, H, W).

        Raises
        ------
        ValueError
            If the image is too small, or has another number of channels than are taken.
        """
        least = self.flavour.smallest()
        _, height, width = validation.image_shape(
            "HOG", image_shape, self.channels, least, "Pad the image or use smaller cells."
        )
        return self.flavour.feature_shape(height, width)

    @property
    def descriptor_axis(self) -> int | None:
        """Axis of a cell's vector; None for block by block flavours; see `Encoder`."""
        return self.flavour.descriptor_axis if isinstance(self.flavour, CellHOG) else None

    @property
    def both_layouts(self) -> str | None:
        """VLFeat's C code puts channels first, cyvlfeat and MATLAB put them last."""
        is_vlfeat = isinstance(self.flavour, CellHOG) and not self.flavour.descriptor_axis
        return "VLFeat" if is_vlfeat else None

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Centres (y, x) of the cells; see `Encoder.frames`."""
        self.feature_shape(image_shape)
        if not isinstance(self.flavour, CellHOG):
            return super().frames(image_shape)
        return self.flavour.frames(*image_shape[1:])

    def local_features(
        self, features: Array, image_shape: tuple[int, ...], /
    ) -> tuple[np.ndarray, np.ndarray]:
        """Histograms of cells, in each block that they lie in, and their centres; see `Encoder`."""
        height, width = image_shape[1:]
        return self.flavour.histograms(on_host(features), height, width)

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Smallest and largest height and width of this shape; None if it does not determine them.

        OpenCV's flat features determine them for a single window only.
        """
        return self.flavour.image_shapes(tuple(feature_shape))

    def _of_image(self, image: np.ndarray, *, keep: bool) -> tuple[np.ndarray, ImagePullback]:
        """Features of one image, and its pullback."""
        return self.flavour.vjp(image, value_range=self.value_range, keep=keep)

    def glyph(self, features: Array, /, *, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """A picture of features: a bar for every bin of every cell, along the edge.

        Bars are orthogonal to the gradients they stand for, and as bright as their bin is
        strong, summed over directions or averaged over blocks. A cell takes 21x21 pixels.

        Parameters
        ----------
        features : ndarray, shape F
            Of one image, in the layout that a call returns; or flat, with `shape`.
        shape : tuple of int, optional
            (H, W) or (H, W, C) of the image that flat features are of.

        Returns
        -------
        picture : ndarray, shape (height, width)
            From 0 up, in units of the features. OpenCV's windows stand below each other.

        Raises
        ------
        ValueError
            If the features are not those of this encoder.

        Examples
        --------
        >>> import numpy as np
        >>> import repinv
        >>> hog = repinv.HOG.vlfeat()
        >>> hog.glyph(hog(np.eye(64))).shape
        (168, 168)
        >>> hog.glyph(hog(np.eye(64)).ravel(), shape=(64, 64)).shape
        (168, 168)
        """
        features = on_host(features)
        if shape is not None:
            features = validation.of_image(self, features, shape)
        elif features.ndim == 1 and len(self.flavour.example()) > 1:
            raise ValueError(
                f"flat features do not show how their {features.size} numbers are laid out. Give "
                "the shape of their image: glyph(features, shape=(H, W))."
            )
        if not self.flavour.holds(features.shape):
            raise ValueError(
                f"expected features of this HOG, such as {self.flavour.example()}; got shape "
                f"{features.shape}. Give the features of one image as a call returns them."
            )
        return self.flavour.glyph(features)
