"""Ridge regression from windows of cells to patches."""

from __future__ import annotations

import dataclasses

import numpy as np

from repinv.encoders import expressions
from repinv.encoders._parts import validation
from repinv.encoders.base import Encoder
from repinv.inverters import base
from repinv.io import shipped
from repinv.io.streams import Images

#: SHA-256 of the file that ships; `scripts/learn_hoggles.py` prints it.
CHECKSUM = "c20664c363be22a1fdcfa463dd0000ba290fe5c67ef25a669d58afb39795e4b1"


@dataclasses.dataclass(frozen=True, eq=False)
class Ridge(base.Windowed):
    """The linear map from windows of cells to gray patches that is best in the mean square.

    Parameters
    ----------
    encoder : Encoder
        Φ, which is inverted.
    side : int
        Cells along a window.
    weights : array, shape (side² · D, p²)
        From a window's features to what is seen in its middle.
    intercept : array, shape (p²,)
        Added to it.

    See Also
    --------
    repinv.inverters.DirectOptimization : The image in a basis of natural images whose features are
        nearest, without other priors.
    repinv.inverters.ExemplarLDA : For each window the mean patch of what a detector trained on that
        window alone finds best.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import repinv, skimage
    >>> from repinv.inverters import Ridge
    >>> image = skimage.data.camera()[::4, ::4]
    >>> ridge = Ridge.pretrained()
    >>> result = ridge.invert(ridge.encoder(image), shape=image.shape)
    >>> result.image.shape, bool(result.error[0] < 0.6)
    ((128, 128), True)
    """

    encoder: Encoder
    side: int
    weights: np.ndarray
    intercept: np.ndarray

    def __post_init__(self) -> None:
        base.fields(self, {"weights": 2, "intercept": 1})

    @classmethod
    def fit(
        cls,
        images: Images,
        encoder: Encoder | str,
        *,
        window: int | None = None,
        regularization: float = 0.1,
        windows_per_image: int = 200,
        seed: int = 0,
        progress: bool = True,
    ) -> Ridge:
        """Learn from images, each read once; nothing of them is kept.

        Parameters
        ----------
        images : iterable of array or path, or path
            Arrays (H, W) or (H, W, 3), of floats in [0, 1] or integers that stand for fractions of
            white; paths of images; or that of a folder of images.
        encoder : Encoder or str
            With cells, blocks or descriptors on one grid.
        window : int, optional
            Cells along a window; by default 5, or fewer where these are wide.
        regularization : float
            In units of the mean variance of a window's numbers.
        windows_per_image : int
            How many of a photograph are learned from.
        seed : int
            Of the draw of windows.
        progress : bool
            Show a progress bar.

        Raises
        ------
        ValueError
            If there are fewer than two windows.
        """
        encoder = expressions.encoder_of(encoder)
        share = validation.real("regularization", regularization, above=0)
        count, side = 0, 0
        total = products = np.zeros(())
        for side, windows, patches in base.pairs(  # noqa: B007
            images, encoder, window, windows_per_image, seed, progress
        ):
            ones = np.ones((len(windows), 1))
            inputs = np.concatenate([ones, windows], axis=1)
            total = total + inputs.T @ inputs
            products = products + inputs.T @ patches.astype(np.float64)
            count += len(windows)
        base.check_enough(count, 2)
        mean, mean_patch = total[0, 1:] / count, products[0] / count
        covariance = total[1:, 1:] / count - np.outer(mean, mean)
        shared = products[1:] / count - np.outer(mean, mean_patch)
        ridge = share * max(float(np.trace(covariance)) / len(covariance), 1e-12)
        weights = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), shared)
        return cls(encoder, side, weights.astype(np.float32), mean_patch - mean @ weights)

    @classmethod
    def pretrained(cls) -> Ridge:
        """The one that ships with repinv, for `HOG.vlfeat`.

        Raises
        ------
        ValueError
            If its file is missing or damaged.
        """
        return shipped.loaded(cls.load, "repinv.inverters", "dictionaries", "ridge_5.npz", CHECKSUM)

    @property
    def _width(self) -> int:
        return len(self.weights)

    def _patches(self, windows: np.ndarray) -> np.ndarray:
        return np.asarray(windows @ self.weights + self.intercept)
