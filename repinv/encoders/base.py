"""Encoder: what every representation offers."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from array_api_compat import is_numpy_array, to_device

from repinv._core import positions
from repinv._core.typing import Array, Pullback, Pushforward, SizeRange
from repinv.io import image as _image


class Encoder(ABC):
    """A differentiable image representation Φ.

    A concrete encoder is a frozen dataclass with `vjp` and `feature_shape`; everything else has a
    default. Batches of images are ``(N, C, H, W)``, floating, in [0, 1]; features are ``(N, *F)``,
    F being the layout of the library that the encoder mirrors.

    Attributes
    ----------
    channels : int or None
        Number of image channels taken: 1, 3, or None for any.
    value_range : tuple of float
        Pixel values that 0 and 1 of a batch stand for. An encoder with another range than
        (0, 1) scales inside, pullback included.
    precision : numpy dtype
        What integer pixels are converted to in `__call__`.
    unit_pixels : bool
        Whether `__call__` reads integer pixels as fractions of white, as networks do, and not as
        the numbers that they are.
    is_network : bool
        Whether features are those of a network, which patterns that nobody sees may excite:
        `repinv.maximize` then looks at random views.
    is_rounded : bool
        Whether features are rounded to whole numbers, and `softened` is the encoder without that.
    channel_axis : int
        Axis of the channels of images that a call is given.
    any_channels : bool
        Whether these may have any number of channels, as where a ``channel_axis`` was named; else
        three axes are an image in gray or in RGB, or of `channels` channels.

    See Also
    --------
    repinv.HOG : Histograms of oriented gradients, exact and differentiable.
    repinv.DSIFT : Dense SIFT descriptors, exact and differentiable.
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.
    repinv_cnn.TorchEncoder : The output of a layer of a torch model, as a differentiable image
        representation.

    Notes
    -----
    Methods and properties come in three groups.

    *What every encoder needs, or has by default*: `vjp`, `jvp`, `feature_shape`, `encode`, a call,
    `image_shapes`, and for maps and local descriptors `descriptor_axis`, `layout`, `both_layouts`
    and `frames`. `plot` draws features.

    *What makes inversions better*: `softened`, `compared`, `softened_features` and `annealing` for
    hard assignments, `with_surrogate_slopes` and `pre_activations` for rectifiers and clips,
    `balance` for parts of different scale, `flat_places` and `still_pixels` for flat areas,
    `local_features` and the name of a `restorer`.

    *What a device can do*: `asarray`, and `repeated` for a step that is run many times.

    Examples
    --------
    >>> import dataclasses, numpy as np, repinv
    >>> @dataclasses.dataclass(frozen=True)
    ... class Square(repinv.Encoder):
    ...     def feature_shape(self, image_shape):
    ...         return image_shape
    ...     def vjp(self, x):
    ...         return x**2, lambda v: 2 * x * v
    >>> repinv.testing.check_encoder(Square(), (1, 8, 8))
    >>> Square()(np.full((2, 2), 0.5))[0]
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """

    channels: int | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    precision: Any = np.float32
    unit_pixels: ClassVar[bool] = False
    is_network: ClassVar[bool] = False
    is_rounded: ClassVar[bool] = False
    channel_axis: int = -1
    any_channels: bool = False

    @abstractmethod
    def vjp(self, x: Array, /) -> tuple[Array, Pullback]:
        """Encode a batch, and return the map that pulls cotangents back.

        Parameters
        ----------
        x : array, shape (N, C, H, W), floating
            Images in [0, 1].

        Returns
        -------
        features : array, shape (N, *F)
        pullback : callable
            v (N, *F) → (N, C, H, W), the product of v with the Jacobian at `x`.
        """

    def jvp(self, x: Array, /) -> tuple[Array, Pushforward] | None:
        """Encode a batch, and return the map that pushes changes of the images forward.

        None where the encoder has no such map: `repinv.eigendistortions` then takes differences of
        features.

        Parameters
        ----------
        x : array, shape (N, C, H, W), floating
            Images in [0, 1].

        Returns
        -------
        features : array, shape (N, *F)
        pushforward : callable
            v (N, C, H, W) → (N, *F), the product of the Jacobian at `x` with v. It is the adjoint
            of the pullback, at kinks too.
        """
        return None

    @abstractmethod
    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape F of the features of one image of shape (C, H, W).

        Raises
        ------
        ValueError
            If the image is too small; the message names the smallest size.
        """

    def encode(self, x: Array, /) -> Array:
        """Features ``(N, *F)`` of a batch, without the intermediates of a pullback."""
        return self.vjp(x)[0]

    def __call__(self, image: Array) -> np.ndarray:
        """Features of one image, in the layout of the library that the encoder mirrors.

        Parameters
        ----------
        image : array, shape (H, W) or (H, W, C), any real dtype
            Pixel values are taken as they are, without rescaling, unless `unit_pixels` is set.
            Channels stand on `channel_axis`.

        Returns
        -------
        features : ndarray, shape F
        """
        image = self.in_layout(image)
        if self.unit_pixels:
            image = _image.as_unit(image, precision=self.precision)
        pixels = _image.as_batch(
            image,
            precision=self.precision,
            channels=self.channels,
            any_channels=self.any_channels,
        )
        encoder = self
        if self.value_range != (0.0, 1.0):
            encoder = dataclasses.replace(self, value_range=(0.0, 1.0))  # type: ignore[type-var]
        features = encoder.encode(encoder.asarray(pixels))[0]
        return np.asarray(features if is_numpy_array(features) else to_device(features, "cpu"))

    def in_layout(self, image: Array) -> Array:
        """A user's image with its channels, if it has any, on the last axis."""
        return _image.channels_last(image, self.channel_axis)

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Image sizes whose features have this shape; None where features carry no size."""
        return None

    @property
    def descriptor_axis(self) -> int | None:
        """Axis of F along which local descriptors lie; None where features are not of that kind.

        The other axes of F, in C order, run through the positions that `frames` returns.
        """
        return None

    @property
    def layout(self) -> str | None:
        """Layout of features that are maps: "channels_first" or "channels_last"; else None."""
        axis = self.descriptor_axis
        return None if axis is None else "channels_last" if axis else "channels_first"

    @property
    def both_layouts(self) -> str | None:
        """Library whose bindings return maps in both layouts, so that a shape may leave it open."""
        return None

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Centres of the local descriptors of an image of shape (C, H, W).

        Unless an encoder says otherwise, those of a map divide the image evenly.

        Returns
        -------
        frames : ndarray, shape (F, 2), float64
            (y, x) in pixels, 0 being the centre of the first pixel.

        Raises
        ------
        TypeError
            If the features are not local descriptors, or not on a map.
        """
        counts = list(self.feature_shape(image_shape))
        axis = self.descriptor_axis
        if axis is None or len(counts) != 3:
            raise TypeError(
                f"expected an encoder of local descriptors; the features of {type(self).__name__} "
                "have no frames. Use one whose descriptor_axis is not None."
            )
        del counts[axis]
        centres = [
            positions.even(count, size) for count, size in zip(counts, image_shape[1:], strict=True)
        ]
        return positions.grid(*centres)

    def local_features(
        self, features: Array, image_shape: tuple[int, ...], /
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Features as vectors at positions of the image; None where they are not local.

        Parameters
        ----------
        features : array, shape (N, *F)
            Of N images of one size.
        image_shape : tuple of int
            (C, H, W) of the images.

        Returns
        -------
        vectors : ndarray, shape (N, M, D)
            D numbers at each of M positions.
        positions : ndarray, shape (M, 2)
            (y, x) in pixels, 0 being the centre of the first pixel.
        """
        axis = self.descriptor_axis
        if axis is None:
            return None
        given = np.moveaxis(_image.on_host(features), 1 + axis, -1)
        return given.reshape(len(given), -1, given.shape[-1]), self.frames(image_shape)

    def softened(self, softness: float, /) -> Encoder | None:
        """A smoothed version of this encoder; None if it makes no hard assignments.

        Parameters
        ----------
        softness : float
            In (0, 1]; 1 is the smoothest, and towards 0 the smoothed version tends to this encoder.
        """
        return None

    def compared(self, softness: float, /) -> Encoder | None:
        """The encoder whose features an inversion compares while it is softened so.

        `softened`, or this at another power, from which images are found that this one's features
        do not lead to. Compared with are the `softened_features` of the target.

        Parameters
        ----------
        softness : float
            As of `softened`.
        """
        return self.softened(softness)

    def softened_features(self, features: Array, softness: float, /) -> Array:
        """About the features of `compared` of an image, from those of this encoder.

        An inversion compares the features of a smoothed version with these. Most encoders return
        the features as they are.

        Parameters
        ----------
        features : array, shape (N, *F)
            Of this encoder.
        softness : float
            As of `softened`.

        Returns
        -------
        features : array, shape (N, *F)
        """
        return features

    @property
    def annealing(self) -> tuple[tuple[float, float], ...]:
        """Pairs (share of the evaluations, softness) by which an inversion hardens this encoder.

        Softness falls; where `softened` gives None, the pair is of the encoder itself. Empty for
        encoders without hard assignments.
        """
        if self.softened(1.0) is None:
            return ()
        return ((0.2, 1.0), (0.2, 1.0), (0.18, 0.3), (0.18, 0.055), (0.19, 0.01))

    def with_surrogate_slopes(self, width: float, /) -> Encoder | None:
        """The same features with surrogate slopes of rectifiers and clips in the pullback.

        None where there are neither. Units that are off or clipped have no gradient; with a smooth
        slope in its place they do. The pullback is then not that of the features, but a step along
        it reaches images whose features are nearer to the target.

        Parameters
        ----------
        width : float
            Of the smooth part of a slope, in units of the root mean square of the inputs of each
            rectifier, and of the threshold of each clip.
        """
        return None

    @property
    def pre_activations(self) -> Encoder | None:
        """The encoder of the inputs of the rectifier that ends this one; None without one.

        Its features are this encoder's where these are positive, and at most zero elsewhere.
        """
        return None

    @property
    def is_classifier(self) -> bool:
        """Whether features are logits (F,) of classes of which an image has one."""
        return False

    @property
    def start(self) -> tuple[float | None, float | None]:
        """Contrast of an inversion's start, natural images' being 1, and exponent of its spectrum.

        None of what is measured.
        """
        return None, None

    def balance(self, target: Array, image_shape: tuple[int, ...], /) -> Array | None:
        """Weights of the squared differences from one image's features; None if all are alike.

        For representations made of parts that differ in scale, such as several layers.

        Parameters
        ----------
        target : array, shape F
            Features Φ₀ of one image.
        image_shape : tuple of int
            (C, H, W) of the image.
        """
        return None

    def flat_places(self, features: Array, image_shape: tuple[int, ...], /) -> Array | None:
        """Where features prove that an image is exactly flat; None where they prove nothing.

        Parameters
        ----------
        features : array, shape F
            Of one image.
        image_shape : tuple of int
            (C, H, W) of the image.

        Returns
        -------
        flat : ndarray of bool, shape (H, W), or None
        """
        return None

    def still_pixels(
        self, silent: np.ndarray, image_shape: tuple[int, ...], /
    ) -> np.ndarray | None:
        """Where silent features prove that an image has no gradient across, and none down.

        None where it is not known which pixels a feature is made of.

        Parameters
        ----------
        silent : ndarray of bool, shape F
            Which features of one image are those of a constant image.
        image_shape : tuple of int
            (C, H, W) of the image.

        Returns
        -------
        still : ndarray of bool, shape (2, H, W), or None
        """
        return None

    @property
    def restorer(self) -> str | None:
        """Name of the shipped restorer whose training data are such pre-images, if there is one."""
        return None

    def plot(
        self, features: Array, /, *, shape: tuple[int, ...] | None = None, axes: Any = None
    ) -> Any:
        """Draw features: as glyphs, maps of channels, words, or bars.

        Parameters
        ----------
        features : array, shape F
            Of one image.
        shape : tuple of int, optional
            (H, W) or (H, W, C) of the image, where the picture needs it: for flat features, and for
            dense SIFT.
        axes : matplotlib Axes, optional
            Where to draw one picture; by default a figure of its own.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        from repinv.plot.features import features_figure  # which loads matplotlib

        return features_figure(self, features, shape=shape, axes=axes)

    def asarray(self, a: Array, /) -> Array:
        """Bring an array to the library and device that this encoder computes with."""
        return _image.on_host(a)

    def repeated(self, step: Callable[..., Any], /) -> Callable[..., Any]:
        """A step of a run, in the form that this encoder's device repeats in the least time.

        Parameters
        ----------
        step : callable
            Arrays to arrays, by this encoder and operations of its library. Every call computes
            the same of what it is given, numbers that count steps aside.

        Returns
        -------
        repeated : callable
            The same; but it may write its results where those of its last call were. Numbers that
            change from step to step may come back as arrays (1,).
        """
        return step
