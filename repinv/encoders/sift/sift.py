"""SIFT descriptors at keypoints."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, ClassVar

import numpy as np

from repinv._core.typing import Array, ImagePullback, Pullback
from repinv.encoders._parts import array_fields, validation
from repinv.encoders._parts.batching import encode_images, pullback_of
from repinv.encoders.base import Encoder
from repinv.encoders.sift import detection, keypoint_glyphs, scaling
from repinv.encoders.sift import keypoints as _keypoints
from repinv.encoders.sift.opencv_sift import OpenCVSIFT
from repinv.io import image as _image

_ADVICE = "Give the image that the keypoints are of."


@dataclasses.dataclass(frozen=True, eq=False)
class SIFT(Encoder):
    """SIFT descriptors at keypoints, exact and differentiable.

    Made by `SIFT.opencv` of keypoints, or by `SIFT.detect` of a photograph. Features are (K, 128),
    a row for each keypoint, in their order. Batches are NumPy arrays (N, 1, H, W) of float32 or
    float64 in [0, 1]; images of a batch are shared out between as many threads as
    ``numba.get_num_threads()`` says.

    Parameters
    ----------
    flavour : OpenCVSIFT
        What is computed for one image.
    keypoints : array, shape (K, 5), or what `opencv` takes
        x, y and size in pixels, angle in degrees, packed octave. Kept as a private copy.
    value_range : tuple of float
        Pixel values that 0 and 1 of a batch stand for.
    channels : int
        Number of image channels taken: 1.

    Attributes
    ----------
    keypoints : ndarray, shape (K, 5), float64
        As above, read-only.

    See Also
    --------
    repinv.DSIFT : Dense SIFT descriptors, exact and differentiable.
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.

    Notes
    -----
    The image is doubled, if a keypoint lies in octave −1, and blurred to a pyramid, of which only
    the layers that keypoints lie in and those before them are computed. A keypoint's patch of its
    layer is rotated; the gradients of its pixels vote for the nearest of 4×4 bins and 8
    orientations under a Gaussian. Descriptors are divided by their norm, clipped at 0.2, scaled to
    the norm 512 and rounded to whole numbers from 0 to 255.

    Features are rounded, exactly as the library rounds them, and the pullback is that of the
    unrounded numbers; `softened` is the encoder without rounding. Where features have a kink the
    pullback takes one side: entries at the clip or above, and those of 255, pass nothing; where
    |g| < 1e-10 it is zero; a vote exactly at an orientation's centre does not turn. Roots pass
    nothing where their slope exceeds 1e5. The descriptor of a flat patch is zero, and so is its
    cotangent.

    References
    ----------
    .. [1] D. G. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004,
       doi:10.1023/B:VISI.0000029664.99615.94
    .. [2] OpenCV 4, modules/features2d/src/sift.dispatch.cpp and sift.simd.hpp, for the constants,
       https://github.com/opencv/opencv
    .. [3] R. Arandjelović and A. Zisserman, "Three things everyone should know to improve object
       retrieval", CVPR 2012, doi:10.1109/CVPR.2012.6248018
    .. [4] P. Weinzaepfel, H. Jégou and P. Pérez, "Reconstructing an image from its local
       descriptors", CVPR 2011, doi:10.1109/CVPR.2011.5995616

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> one = {"x": [20.0], "y": [30.0], "size": [4.0], "angle": [90.0], "octave": [256]}
    >>> sift = repinv.SIFT.opencv(one)
    >>> sift(np.eye(64, dtype=np.float32)).shape
    (1, 128)
    """

    flavour: OpenCVSIFT
    keypoints: np.ndarray
    value_range: tuple[float, float] = (0.0, 255.0)
    channels: int | None = 1
    is_rounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        found = _keypoints.read(self.keypoints)
        self.flavour.check(found)
        object.__setattr__(self, "keypoints", found)
        object.__setattr__(self, "value_range", validation.value_range(self.value_range))

    @classmethod
    def opencv(
        cls,
        keypoints: Any,
        *,
        n_octave_layers: int = 3,
        sigma: float = 1.6,
        enable_precise_upscale: bool = False,
        rootsift: bool = False,
        value_range: tuple[float, float] = (0.0, 255.0),
    ) -> SIFT:
        """What ``cv2.SIFT_create(...).compute`` gives for an 8-bit gray image and keypoints.

        Parameters
        ----------
        keypoints : list of cv2.KeyPoint, array, mapping or path
            Keypoints as ``cv2.SIFT_create().detect`` returns them; or an array (K, 5) of x, y,
            size (the diameter), angle and octave; a structured array, or a mapping of arrays, with
            these names; or a .npz or .json file of one of these. Positions and sizes in pixels,
            0 being the centre of the first pixel; angles in degrees, clockwise; octaves packed as
            OpenCV has them, octave & 255 | layer << 8.
        n_octave_layers, sigma, enable_precise_upscale
            As of ``cv2.SIFT_create``: layers of an octave, blur of its first layer, and whether
            doubling the image maps pixel x to 2x.
        rootsift : bool
            The root of each rounded descriptor over its sum.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        SIFT
            With features (K, 128).

        Raises
        ------
        TypeError, ValueError
            If keypoints are of another kind, not finite, of a size that is not positive, or in an
            octave or layer that there is not.

        Notes
        -----
        OpenCV computes angles by a polynomial of lower degree, and adds in another order: on 39
        photographs, 0.1 % of the entries differ from its own by 1, and none by more.

        Examples
        --------
        >>> import numpy as np, repinv
        >>> repinv.SIFT.opencv(np.array([[20, 30, 4.0, 90, 256]])).feature_shape((1, 64, 64))
        (1, 128)
        """
        flavour = OpenCVSIFT(
            validation.whole("n_octave_layers", n_octave_layers),
            validation.real("sigma", sigma, above=0),
            validation.flag("enable_precise_upscale", enable_precise_upscale),
            rootsift=validation.flag("rootsift", rootsift),
        )
        return cls(flavour, keypoints, value_range)

    @classmethod
    def detect(
        cls,
        image: Array,
        *,
        n_features: int = 0,
        n_octave_layers: int = 3,
        contrast_threshold: float = 0.04,
        edge_threshold: float = 10.0,
        sigma: float = 1.6,
        enable_precise_upscale: bool = False,
        rootsift: bool = False,
    ) -> SIFT:
        """The encoder of the keypoints that OpenCV finds in a photograph.

        Parameters
        ----------
        image : array, shape (H, W), bool, uint8, uint16 or floating
            Gray; floats lie in [0, 1]. It is rounded to 8 bits, as OpenCV needs it.
        n_features : int
            How many of the strongest keypoints are kept; 0 for all.
        n_octave_layers, contrast_threshold, edge_threshold, sigma, enable_precise_upscale
            As of ``cv2.SIFT_create``.
        rootsift : bool
            The root of each rounded descriptor over its sum.

        Returns
        -------
        SIFT

        Raises
        ------
        ImportError
            If OpenCV is not installed.
        ValueError
            If it finds no keypoint.

        Examples
        --------
        >>> import repinv, skimage.data
        >>> image = skimage.data.camera()[::2, ::2]
        >>> sift = repinv.SIFT.detect(image, n_features=100)
        >>> sift(image).shape
        (100, 128)
        """
        found = detection.detected(
            image,
            "SIFT.detect",
            nfeatures=validation.whole("n_features", n_features, 0),
            nOctaveLayers=validation.whole("n_octave_layers", n_octave_layers),
            contrastThreshold=validation.real("contrast_threshold", contrast_threshold),
            edgeThreshold=validation.real("edge_threshold", edge_threshold, above=0),
            sigma=validation.real("sigma", sigma, above=0),
            enable_precise_upscale=validation.flag(
                "enable_precise_upscale", enable_precise_upscale
            ),
        )
        return cls.opencv(
            found[:n_features] if n_features else found,
            n_octave_layers=n_octave_layers,
            sigma=sigma,
            enable_precise_upscale=enable_precise_upscale,
            rootsift=rootsift,
        )

    def softened(self, softness: float, /) -> SIFT | None:
        """The same without rounding; None if descriptors are not rounded.

        Parameters
        ----------
        softness : float
            In (0, 1]. Whatever it is, nothing is rounded.
        """
        validation.softness(softness)
        if not self.flavour.rounded:
            return None
        return dataclasses.replace(self, flavour=dataclasses.replace(self.flavour, rounded=False))

    @property
    def annealing(self) -> tuple[tuple[float, float], ...]:
        """Pairs by which an inversion hardens this encoder; see `Encoder.annealing`."""
        return ((0.1, 1.0), (0.25, 1.0), (0.6, 1.0)) if self.flavour.rounded else ()

    def with_surrogate_slopes(self, width: float, /) -> SIFT:
        """The same features with a surrogate slope of the clip, in units of it; see `Encoder`."""
        slope_width = validation.real("width", width, above=0)
        flavour = dataclasses.replace(self.flavour, slope_width=slope_width)
        return dataclasses.replace(self, flavour=flavour)

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
        self.flavour.check_size(self.keypoints, height, width)
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
        return self.flavour.coverage(self.keypoints, height, width)

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
            return keypoint_glyphs.star(given.reshape(-1))
        if shape is None:
            raise ValueError("give the size of the features' image: glyph(features, shape=(H, W)).")
        given = validation.of_image(self, given, shape[:2])
        return keypoint_glyphs.draw(given, self.keypoints, shape[0], shape[1])

    def vjp(self, x: Array, /) -> tuple[Array, Pullback]:
        """Encode a batch, and return the map that pulls cotangents back; see `Encoder.vjp`.

        Parameters
        ----------
        x : ndarray, shape (N, 1, H, W), float32 or float64, in [0, 1]
            Images.

        Returns
        -------
        features : ndarray, shape (N, K, 128), of the same dtype
        pullback : callable

        Raises
        ------
        TypeError
            If `x` is no NumPy array of float32 or float64.
        ValueError
            If its shape does not fit.
        """
        images = validation.batch(x, "SIFT", "as_module")
        features, pulls = self._encode(images)
        return features, pullback_of(images, features.shape, pulls)

    def encode(self, x: Array, /) -> Array:
        """Features (N, K, 128) of a batch; see `vjp`."""
        return self._encode(validation.batch(x, "SIFT", "as_module"))[0]

    def _encode(self, images: np.ndarray) -> tuple[np.ndarray, list[Pullback]]:
        """Features of a batch, and each image's pullback."""
        low, high = self.value_range
        scale, shift = images.dtype.type(high - low), images.dtype.type(low)

        def encode(image: np.ndarray) -> tuple[np.ndarray, ImagePullback]:
            pixels = image[0] * scale + shift
            features, pull = self.flavour.vjp(pixels, self.keypoints)
            return features, lambda v: (scale * pull(v))[None]

        return encode_images(images, self.feature_shape(images.shape[1:]), encode)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder to an npz file without pickle; it appears whole or not at all."""
        array_fields.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SIFT:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is something else, or is damaged.
        """
        return array_fields.load(cls, path)

    def __eq__(self, other: object) -> bool:
        return array_fields.same(self, other)

    def __hash__(self) -> int:
        return array_fields.hashed(self)
