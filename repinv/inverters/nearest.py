"""Patches of the windows that are nearest, or that a detector of the window finds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from repinv.encoders import expressions
from repinv.encoders._parts import learning, validation
from repinv.encoders.base import Encoder
from repinv.encoders.sparse import cell_windows
from repinv.inverters import base
from repinv.io.streams import Images


@dataclasses.dataclass(frozen=True, eq=False)
class NearestPatches(base.Windowed):
    """For each window of cells the mean patch of the most similar windows that it has seen.

    Parameters
    ----------
    encoder : Encoder
        Φ, which is inverted.
    side : int
        Cells along a window.
    windows : array, shape (M, side² · D)
        Features of windows of photographs.
    patches : array, shape (M, p²)
        What is seen in the middle of each.
    n_neighbors : int
        How many are averaged; similar is what correlates.

    See Also
    --------
    repinv.inverters.DirectOptimization : The image in a basis of natural images whose features are
        nearest, without other priors.
    repinv.inverters.ExemplarLDA : For each window the mean patch of what a detector trained on that
        window alone finds best.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> from repinv import metrics
    >>> from repinv.inverters import NearestPatches
    >>> images = np.random.default_rng(0).random((3, 64, 64))
    >>> hog = repinv.HOG.vlfeat()
    >>> inverter = NearestPatches.fit(images, hog, n_neighbors=1, progress=False)
    >>> result = inverter.invert(hog(images[0]), shape=(64, 64))
    >>> metrics.ncc(result.image, images[0]) > 0.3
    True
    """

    encoder: Encoder
    side: int
    windows: np.ndarray
    patches: np.ndarray
    n_neighbors: int = 4

    def __post_init__(self) -> None:
        base.fields(self, {"windows": 2, "patches": 2})
        most = len(self.windows)
        object.__setattr__(
            self, "n_neighbors", validation.whole("n_neighbors", self.n_neighbors, most=most)
        )

    @classmethod
    def fit(
        cls,
        images: Images,
        encoder: Encoder | str,
        *,
        window: int | None = None,
        n_neighbors: int = 4,
        max_windows: int = 10_000,
        windows_per_image: int = 200,
        seed: int = 0,
        progress: bool = True,
    ) -> NearestPatches:
        """Keep a sample of the windows of images, each read once.

        Parameters
        ----------
        images : iterable of array or path, or path
            Arrays (H, W) or (H, W, 3), of floats in [0, 1] or integers that stand for fractions of
            white; paths of images; or that of a folder of images.
        encoder : Encoder or str
            With cells, blocks or descriptors on one grid.
        window : int, optional
            Cells along a window; by default 5, or fewer where these are wide.
        n_neighbors : int
            Windows that are averaged at every position.
        max_windows, windows_per_image : int
            How many are kept, and how many of an image are drawn.
        seed : int
            Of these draws.
        progress : bool
            Show a progress bar.

        Raises
        ------
        ValueError
            If there are fewer windows than neighbours.
        """
        encoder = expressions.encoder_of(encoder)
        side, windows, patches = _sample(
            images, encoder, window, windows_per_image, max_windows, seed, progress
        )
        base.check_enough(len(windows), validation.whole("n_neighbors", n_neighbors))
        return cls(encoder, side, windows, patches, n_neighbors)

    @property
    def _width(self) -> int:
        return int(self.windows.shape[1])

    def _patches(self, windows: np.ndarray) -> np.ndarray:
        units = [cell_windows.standardized(one)[0] for one in (windows, self.windows)]
        return _mean_of_best(units[0] @ units[1].T, self.patches, self.n_neighbors)


@dataclasses.dataclass(frozen=True, eq=False)
class ExemplarLDA(base.Windowed):
    """For each window the mean patch of what a detector trained on that window alone finds best.

    Parameters
    ----------
    encoder : Encoder
        Φ, which is inverted.
    side : int
        Cells along a window.
    windows : array, shape (M, side² · D)
        Features of windows of photographs.
    patches : array, shape (M, p²)
        What is seen in the middle of each.
    mean : array, shape (side² · D,)
        Mean of the windows.
    precision : array, shape (side² · D, side² · D)
        Inverse of the covariance of windows.
    n_detections : int
        How many are averaged.

    See Also
    --------
    repinv.inverters.DirectOptimization : The image in a basis of natural images whose features are
        nearest, without other priors.
    repinv.inverters.Inverter : Finds images of features by what it has learned, and not by
        minimizing an energy.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Notes
    -----
    The detector of a window y is the linear discriminant Σ⁻¹ (y − μ) against all windows.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> from repinv.inverters import ExemplarLDA
    >>> images = np.random.default_rng(0).random((3, 64, 64))
    >>> hog = repinv.HOG.vlfeat()
    >>> inverter = ExemplarLDA.fit(images, hog, n_detections=2, progress=False)
    >>> inverter.invert(hog(images[0]), shape=(64, 64)).image.shape
    (64, 64)
    """

    encoder: Encoder
    side: int
    windows: np.ndarray
    patches: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    n_detections: int = 16

    def __post_init__(self) -> None:
        base.fields(self, {"windows": 2, "patches": 2, "mean": 1, "precision": 2})
        most = len(self.windows)
        object.__setattr__(
            self, "n_detections", validation.whole("n_detections", self.n_detections, most=most)
        )

    @classmethod
    def fit(
        cls,
        images: Images,
        encoder: Encoder | str,
        *,
        window: int | None = None,
        n_detections: int = 16,
        regularization: float = 0.01,
        max_windows: int = 10_000,
        windows_per_image: int = 200,
        seed: int = 0,
        progress: bool = True,
    ) -> ExemplarLDA:
        """Learn the covariance of windows, and keep a sample of them, of images seen once.

        Parameters
        ----------
        images : iterable of array or path, or path
            Arrays (H, W) or (H, W, 3), of floats in [0, 1] or integers that stand for fractions of
            white; paths of images; or that of a folder of images.
        encoder : Encoder or str
            With cells, blocks or descriptors on one grid.
        window : int, optional
            Cells along a window; by default 5, or fewer where these are wide.
        n_detections : int
            Windows that are averaged at every position.
        regularization : float
            Of the covariance, in units of the mean variance.
        max_windows, windows_per_image : int
            How many are kept, and how many of an image are drawn.
        seed : int
            Of these draws.
        progress : bool
            Show a progress bar.

        Raises
        ------
        ValueError
            If there are fewer windows than detections.
        """
        encoder = expressions.encoder_of(encoder)
        side, windows, patches = _sample(
            images, encoder, window, windows_per_image, max_windows, seed, progress
        )
        base.check_enough(len(windows), max(2, validation.whole("n_detections", n_detections)))
        exact = windows.astype(np.float64)
        mean = exact.mean(axis=0)
        covariance = np.cov(exact, rowvar=False, bias=True).reshape(len(mean), -1)
        share = validation.real("regularization", regularization, above=0)
        ridge = share * max(float(np.trace(covariance)) / len(mean), 1e-12)
        precision = np.linalg.inv(covariance + ridge * np.eye(len(mean))).astype(np.float32)
        return cls(
            encoder, side, windows, patches, mean.astype(np.float32), precision, n_detections
        )

    @property
    def _width(self) -> int:
        return int(self.windows.shape[1])

    def _patches(self, windows: np.ndarray) -> np.ndarray:
        detectors = (windows - self.mean) @ self.precision
        scores = detectors @ (self.windows - self.mean).T
        return _mean_of_best(scores, self.patches, self.n_detections)


def _sample(
    images: Images,
    encoder: Encoder,
    window: int | None,
    per_image: int,
    most: int,
    seed: int,
    progress: bool,
) -> tuple[int, np.ndarray, np.ndarray]:
    """The side of windows, and a uniform sample of windows and patches of a stream of images."""
    side, cut = 0, 0

    def rows() -> Any:
        nonlocal side, cut
        for side, windows, patches in base.pairs(  # noqa: B007
            images, encoder, window, per_image, seed, progress
        ):
            cut = windows.shape[1]
            yield np.concatenate([windows, patches], axis=1).astype(np.float32)

    found = learning.reservoir(rows(), validation.whole("max_windows", most), seed)
    return side, found[:, :cut], found[:, cut:]


def _mean_of_best(scores: np.ndarray, patches: np.ndarray, count: int) -> np.ndarray:
    """For each row of scores (L, M) the mean of the `count` patches that score best."""
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    return np.asarray(patches[best].mean(axis=1))
