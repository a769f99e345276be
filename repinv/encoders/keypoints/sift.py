"""SIFT descriptors at keypoints."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from repinv._core.typing import Array
from repinv.encoders._parts import validation
from repinv.encoders.keypoints import colmap_frames, detection, skimage_sift
from repinv.encoders.keypoints import keypoints as _keypoints
from repinv.encoders.keypoints.colmap_sift import COLMAPSIFT
from repinv.encoders.keypoints.keypoint_encoder import Flavour, KeypointEncoder
from repinv.encoders.keypoints.opencv_sift import OpenCVSIFT
from repinv.encoders.keypoints.skimage_sift import SkimageSIFT


@dataclasses.dataclass(frozen=True, eq=False)
class SIFT(KeypointEncoder):
    """SIFT descriptors at keypoints, exact and differentiable.

    Made by `SIFT.opencv`, `SIFT.skimage` or `SIFT.colmap` of keypoints, or by `SIFT.detect` of a
    photograph.
    Features are (K, 128), a row for each keypoint, in their order. Batches are NumPy arrays
    (N, 1, H, W) of float32 or float64 in [0, 1]; images of a batch are shared out between as many
    threads as ``numba.get_num_threads()`` says.

    Parameters
    ----------
    flavour : OpenCVSIFT, SkimageSIFT or COLMAPSIFT
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

    scikit-image mirrors images at other places, gives patches their exact centres, and rounds down.
    COLMAP's SIFT is VLFeat's: blurs continue the border, patches have their exact centres, and
    angles are those of a polynomial. Roots are taken before descriptors are scaled and rounded.

    Features are rounded, exactly as the library rounds them, and the pullback is that of the
    unrounded numbers; `softened` is the encoder without rounding. Where features have a kink the
    pullback takes one side: entries at the clip or above, and those of 255, pass nothing; where
    |g| < 1e-10, of COLMAP's 1e-4, it is zero; a vote exactly at an orientation's centre does not
    turn. Roots pass nothing where their slope exceeds 1e5. The descriptor of a flat patch is zero,
    and so is its cotangent.

    Descriptors have the norm 512, or 1 with `rootsift`; those of COLMAP always 512. Temperatures
    of soft words are in squared units of the descriptors, and their defaults suit norms of about 1.

    References
    ----------
    .. [1] D. G. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004,
       doi:10.1023/B:VISI.0000029664.99615.94
    .. [2] OpenCV 4, modules/features2d/src/sift.dispatch.cpp and sift.simd.hpp, for the constants,
       https://github.com/opencv/opencv
    .. [3] VLFeat 0.9.21, vl/sift.c, as COLMAP builds it, for the constants; COLMAP,
       src/colmap/feature/sift.cc and utils.cc, https://github.com/colmap/colmap
    .. [4] R. Arandjelović and A. Zisserman, "Three things everyone should know to improve object
       retrieval", CVPR 2012, doi:10.1109/CVPR.2012.6248018
    .. [5] P. Weinzaepfel, H. Jégou and P. Pérez, "Reconstructing an image from its local
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

    flavour: Flavour
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
        n_octave_layers : int
            Layers of an octave.
        sigma : float
            Blur of the first layer of an octave, in its pixels.
        enable_precise_upscale : bool
            Whether doubling the image maps pixel x to 2x.
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
    def skimage(
        cls,
        keypoints: Any,
        *,
        upsampling: int = 2,
        n_scales: int = 3,
        sigma_min: float = 1.6,
        sigma_in: float = 0.5,
        lambda_descr: float = 6.0,
        rootsift: bool = False,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> SIFT:
        """The descriptors of ``skimage.feature.SIFT``.

        Parameters
        ----------
        keypoints : skimage.feature.SIFT, or as of `opencv`
            A detector after ``detect``, whose own options are taken; or keypoints as of `opencv`,
            with twice σ for their size, orientations in degrees as angles, and octaves that begin
            with −1 if the image is doubled.
        upsampling : {1, 2}
            Whether the image is doubled.
        n_scales : int
            Layers of an octave.
        sigma_min, sigma_in : float
            Blur of the first layer of an octave in its pixels, and of the image in its own.
        lambda_descr : float
            Half the width of a patch, in σ.
        rootsift : bool
            The root of each rounded descriptor over its sum.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for; they change nothing but rounding.

        Returns
        -------
        SIFT
            With features (K, 128), which are rounded down.

        Raises
        ------
        TypeError, ValueError
            As of `opencv`, or if a detector has not detected or has another geometry.

        Examples
        --------
        >>> import repinv, skimage.data, skimage.feature
        >>> image, detector = skimage.data.camera()[::4, ::4], skimage.feature.SIFT()
        >>> detector.detect(image)
        >>> repinv.SIFT.skimage(detector)(image).shape == (len(detector.keypoints), 128)
        True
        """
        options = {
            "upsampling": upsampling,
            "n_scales": n_scales,
            "sigma_min": sigma_min,
            "sigma_in": sigma_in,
            "lambda_descr": lambda_descr,
        }
        if hasattr(keypoints, "detect_and_extract"):
            keypoints, options = skimage_sift.of_detector(keypoints)
        flavour = SkimageSIFT(
            validation.whole("upsampling", options["upsampling"], 1, 2),
            validation.whole("n_scales", options["n_scales"]),
            validation.real("sigma_min", options["sigma_min"], above=2 * options["sigma_in"]),
            validation.real("sigma_in", options["sigma_in"]),
            validation.real("lambda_descr", options["lambda_descr"], above=0),
            rootsift=validation.flag("rootsift", rootsift),
        )
        return cls(flavour, keypoints, value_range)

    @classmethod
    def colmap(
        cls,
        frames: Any,
        *,
        normalization: str = "l1_root",
        first_octave: int = -1,
        num_octaves: int = 4,
        octave_resolution: int = 3,
        value_range: tuple[float, float] = (0.0, 255.0),
    ) -> SIFT:
        """What COLMAP's SIFT gives on the CPU for an 8-bit gray image and frames.

        Parameters
        ----------
        frames : pycolmap.FeatureKeypoints, array, mapping or path
            Frames as pycolmap's extractors and databases give them; or an array (K, 4) of x, y,
            scale and orientation, or (K, 6) of x, y, a11, a12, a21 and a22; a structured array, or
            a mapping of arrays, with these names; or a .npz or .json file of one of these.
            Positions in pixels, ½ being the centre of the first pixel; scales are σ in pixels,
            orientations radians.
        normalization : {"l1_root", "l2"}
            COLMAP's own: the root of each descriptor over its sum, which is RootSIFT, or none.
        first_octave : {-1, 0}
            Whether the image is doubled.
        num_octaves, octave_resolution : int
            Number of octaves, and layers of each.
        value_range : tuple of float
            Pixel values that 0 and 1 of a batch stand for.

        Returns
        -------
        SIFT
            With features (K, 128), whole numbers from 0 to 255, as `pycolmap.FeatureExtractor` and
            databases have them. `pycolmap.Sift` divides them by 512.

        Raises
        ------
        TypeError, ValueError
            If frames are of another kind, not finite, of a scale that is not positive, or sheared.

        Notes
        -----
        A descriptor is taken from the layer in which its keypoint was found, which frames do not
        say. COLMAP lists them octave by octave, layer by layer and row by row: give them in this
        order, all or some. In another order they are taken to lie in the layers nearest to their
        scales, and 7 % of them lie in others.

        COLMAP drops gradients below 1e-4 of white, and of 8-bit pixels they count here. Of 25816
        frames of 39 photographs, 99.9 % of the entries are COLMAP's and nearly all others differ by
        1; 17 frames of low contrast have entries that differ by up to 4. In 4 frames more do: one
        is taken to lie in the layer beside its own, and three lie in the last row of their octave,
        where COLMAP repeats the descriptor before. SIFT on the GPU, affine shapes and domain-size
        pooling are computed in other ways.

        Examples
        --------
        >>> import numpy as np, repinv
        >>> frames = np.array([[20.5, 30.5, 2.1, 0.0]])
        >>> repinv.SIFT.colmap(frames).feature_shape((1, 64, 64))
        (1, 128)
        """
        if normalization not in ("l1_root", "l2"):
            raise ValueError(
                f'normalization must be "l1_root" or "l2"; got {normalization!r}. Give that of '
                "COLMAP's SiftExtractionOptions."
            )
        flavour = COLMAPSIFT(
            validation.whole("first_octave", first_octave, -1, 0),
            validation.whole("octave_resolution", octave_resolution),
            rootsift=normalization == "l1_root",
        )
        octaves = validation.whole("num_octaves", num_octaves)
        layers = flavour.first_octave, octaves, flavour.octave_resolution
        return cls(flavour, colmap_frames.read(frames, *layers), value_range)

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
        n_octave_layers : int
            Layers of an octave.
        contrast_threshold, edge_threshold : float
            As of ``cv2.SIFT_create``: keypoints of lower contrast, and those along edges, are left
            out.
        sigma : float
            Blur of the first layer of an octave, in its pixels.
        enable_precise_upscale : bool
            Whether doubling the image maps pixel x to 2x.
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
