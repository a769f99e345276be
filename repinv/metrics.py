"""How near a pre-image is: in features, in the paper's unit, and to the photograph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from repinv.io.image import as_unit

#: Variance of pixels in [0, 1] below which there is only rounding: an image is constant then.
_NO_CONTRAST = 1e-20


def feature_error(features: Any, target: Any) -> np.ndarray:
    """Relative feature error ‖Φ − Φ₀‖² / ‖Φ₀‖² of each item.

    Parameters
    ----------
    features, target : array, shape (N, *F)
        Features Φ of N images and those Φ₀ that they should have; `target` may have N = 1.

    Returns
    -------
    error : ndarray, shape (N,), float64

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    A target of norm zero has no scale of its own; the distance is then absolute, as in
    `repinv.SquaredError`.

    Examples
    --------
    >>> import numpy as np
    >>> feature_error(np.array([[3.0, 3.0]]), np.array([[3.0, 4.0]]))
    array([0.04])
    """
    phi, phi_0 = _flat(features), _flat(target)
    if phi.shape[1] != phi_0.shape[1] or len(phi_0) not in (1, len(phi)):
        raise ValueError(
            f"expected features of the target's shape {np.shape(target)}; got "
            f"{np.shape(features)}. Encode both with the same encoder and image size."
        )
    scale = np.sum(phi_0**2, axis=1)
    error: np.ndarray = np.sum((phi - phi_0) ** 2, axis=1) / np.where(scale > 0, scale, 1)
    return error


def pairwise_error(features: Any, target: Any, targets: Any) -> np.ndarray:
    """The paper's unit: 100 · ‖Φ − Φ₀‖ over the root mean squared distance of two targets.

    Parameters
    ----------
    features, target : array, shape (N, *F)
        Features Φ of N images and those Φ₀ that they should have.
    targets : array, shape (M, *F), M ≥ 2
        Features of the photographs of the study, whose spread makes the unit.

    Returns
    -------
    error : ndarray, shape (N,), float64
        In percent; 100 is as far as two of the photographs are from each other.

    References
    ----------
    Mahendran and Vedaldi, IJCV 2016, doi:10.1007/s11263-016-0911-8.

    Examples
    --------
    >>> import numpy as np
    >>> from repinv import metrics
    >>> photographs = np.array([[0.0, 0.0], [2.0, 0.0]])
    >>> metrics.pairwise_error(np.array([[0.0, 1.0]]), photographs[:1], photographs)
    array([50.])
    """
    phi, phi_0, spread = _flat(features), _flat(target), _flat(targets)
    if len(spread) < 2:
        raise ValueError(f"expected the features of two photographs or more; got {len(spread)}.")
    if phi.shape[1] != phi_0.shape[1] or phi.shape[1] != spread.shape[1]:
        raise ValueError(
            f"expected features of one size; got {phi.shape[1]}, {phi_0.shape[1]} and "
            f"{spread.shape[1]} numbers an image."
        )
    unit = pairwise_distance(spread)
    error: np.ndarray = 100 * np.sqrt(np.sum((phi - phi_0) ** 2, axis=1)) / unit
    return error


def pairwise_distance(targets: Iterable[Any]) -> float:
    """Root mean squared distance of two photographs' features: 100 in the paper's unit.

    Parameters
    ----------
    targets : iterable of array, shape F
        Features of two photographs or more, one at a time, so that all need not be in memory.

    Returns
    -------
    distance : float

    Raises
    ------
    ValueError
        If there are fewer than two, or all are equal.

    Notes
    -----
    The mean runs over the M (M − 1) / 2 pairs of different photographs; by Lagrange's identity it
    is 2 / (M − 1) times the summed squared distance to their mean, which Welford's recurrence
    gathers in one pass.

    Examples
    --------
    >>> pairwise_distance([[0.0, 0.0], [3.0, 4.0]])
    5.0
    """
    count, mean, scatter = 0, np.zeros(()), 0.0
    for features in targets:
        phi = np.asarray(features, dtype=np.float64).ravel()
        count += 1
        change = phi - mean
        mean = mean + change / count
        scatter += float(np.dot(change, phi - mean))
    if count < 2:
        raise ValueError(f"expected the features of two photographs or more; got {count}.")
    if not scatter > 0:
        raise ValueError("expected photographs of different features; all of them are equal.")
    return float(np.sqrt(2 * scatter / (count - 1)))


def affine_match(image: Any, photograph: Any) -> np.ndarray:
    """The a·x + b nearest to a photograph, by least squares over its pixels.

    Most representations leave brightness and contrast free: this takes them out before images are
    compared.

    Parameters
    ----------
    image, photograph : array, shape (H, W) or (H, W, 3), in [0, 1] or any integer image dtype
        A colour image is matched by one a and b for all channels.

    Returns
    -------
    matched : ndarray of the same shape, float64
        Not clipped. Where the image is constant, a is 0.
    """
    x, y = _pair(image, photograph)
    centred = x - x.mean()
    variance = np.mean(centred**2)
    slope = np.mean(centred * y) / variance if variance > _NO_CONTRAST else 0.0
    matched: np.ndarray = slope * centred + y.mean()
    return matched


def ncc(image: Any, photograph: Any) -> float:
    """Normalized cross-correlation, -1 to 1; 0 where one of the two is constant.

    Parameters
    ----------
    image, photograph : array, shape (H, W) or (H, W, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from repinv import metrics
    >>> image = np.random.default_rng(0).random((16, 16))
    >>> round(metrics.ncc(0.3 * image + 0.5, image), 6)
    1.0
    """
    x, y = _pair(image, photograph)
    x, y = x - x.mean(), y - y.mean()
    variances = np.mean(x**2), np.mean(y**2)
    if min(variances) <= _NO_CONTRAST:
        return 0.0
    return float(np.mean(x * y) / np.sqrt(variances[0] * variances[1]))


def ssim(image: Any, photograph: Any) -> float:
    """Structural similarity to a photograph, after affine intensity matching.

    Parameters
    ----------
    image, photograph : array, shape (H, W) or (H, W, 3), at least 7 pixels a side

    Returns
    -------
    ssim : float
        scikit-image's, window of 7 pixels, data range 1.

    Examples
    --------
    >>> import numpy as np
    >>> from repinv import metrics
    >>> image = np.random.default_rng(0).random((16, 16))
    >>> round(metrics.ssim(0.3 * image + 0.5, image), 6)
    1.0
    """
    from skimage.metrics import structural_similarity

    x, y = affine_match(image, photograph), as_unit(photograph).astype(np.float64)
    if min(y.shape[:2]) < 7:
        raise ValueError(f"expected at least 7x7 pixels; got {y.shape[0]}x{y.shape[1]}.")
    channel_axis = -1 if y.ndim == 3 else None
    return float(structural_similarity(x, y, data_range=1.0, channel_axis=channel_axis))


def psnr(image: Any, photograph: Any) -> float:
    """Peak signal-to-noise ratio in dB, after affine intensity matching; inf where they agree.

    Parameters
    ----------
    image, photograph : array, shape (H, W) or (H, W, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from repinv import metrics
    >>> image = np.random.default_rng(0).random((16, 16))
    >>> noisy = image + 0.01 * np.random.default_rng(1).standard_normal((16, 16))
    >>> 35 < metrics.psnr(noisy, image) < 45
    True
    """
    y = as_unit(photograph).astype(np.float64)
    error = float(np.mean((affine_match(image, photograph) - y) ** 2))
    # Rounding of the match itself stays below this.
    return float(-10 * np.log10(error)) if error > 1e-28 else float("inf")


def _flat(features: Any) -> np.ndarray:
    """Features (N, *F) as (N, numbers), float64."""
    array = np.asarray(features)
    if array.ndim < 2:
        raise ValueError(f"expected features (N, *F); got shape {array.shape}. Use features[None].")
    return array.reshape(len(array), -1).astype(np.float64)


def _pair(image: Any, photograph: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two images of one shape, float64, in [0, 1]."""
    x, y = as_unit(image).astype(np.float64), as_unit(photograph).astype(np.float64)
    if x.shape != y.shape:
        raise ValueError(
            f"expected an image of the photograph's shape {y.shape}; got {x.shape}. "
            "Crop or convert one of them."
        )
    return x, y
