"""Check that an encoder keeps its contract; shipped, so that a user's own can be checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from repinv._core.typing import Pullback
from repinv.encoders.base import Encoder


def check_vjp(
    vjp: Callable[[np.ndarray], tuple[np.ndarray, Pullback]],
    x: np.ndarray,
    *,
    step: float = 1e-6,
    tolerance: float = 1e-6,
    directions: int = 3,
    seed: int = 0,
) -> float:
    """Compare a pullback with central differences along random directions.

    The slope of <v, f(x + h·d)> at h = 0, for random v and d, is taken from the steps ±h and
    ±h/2 by Richardson's extrapolation, and compared with <pullback(v), d>. The error is
    relative to the slope; of four random directions the steepest is taken, lest a slope next
    to zero makes much of rounding.

    Parameters
    ----------
    vjp : callable
        x → f(x), pullback.
    x : ndarray, float64
        A point where f is smooth within `step` of it.
    step : float
        Largest change of an entry of x along the first direction, in units of x.
    tolerance : float
        Largest relative error accepted.
    directions : int
        Number of random pairs (v, d).
    seed : int
        Of the random numbers.

    Returns
    -------
    error : float
        Largest relative error met.

    Raises
    ------
    AssertionError
        With the figures, where the error exceeds the tolerance or is not a number.

    Examples
    --------
    >>> import numpy as np
    >>> from repinv.testing import check_vjp
    >>> check_vjp(lambda x: (x**3, lambda v: 3 * v * x**2), np.ones(4)) < 1e-6
    True
    """
    rng = np.random.default_rng(seed)
    x = np.asarray(x, dtype=np.float64)
    features, pullback = vjp(x)
    worst = 0.0
    for number in range(directions):
        cotangent = rng.standard_normal(features.shape)

        def slope(d: np.ndarray, h: float, v: np.ndarray = cotangent) -> float:
            difference = vjp(x + h * d)[0] - vjp(x - h * d)[0]
            return float(np.vdot(v, difference)) / (2 * h)

        candidates = [rng.uniform(-1, 1, x.shape) for _ in range(4)]
        slopes = [slope(d, step) for d in candidates]
        steepest = int(np.argmax(np.abs(slopes)))
        direction = candidates[steepest]
        expected = (4 * slope(direction, step / 2) - slopes[steepest]) / 3
        got = float(np.vdot(pullback(cotangent), direction))
        error = abs(got - expected) / max(abs(expected), np.finfo(float).tiny)
        if got == expected:
            error = 0.0
        if not error <= tolerance:
            raise AssertionError(
                f"the pullback gives the slope {got:.9g} along random direction {number}; "
                f"central differences give {expected:.9g} (relative error {error:.2g}, "
                f"tolerance {tolerance:.2g}). Check the derivation, or move x off a kink."
            )
        worst = max(worst, error)
    return worst


def _same(name: str, got: np.ndarray, expected: np.ndarray, tolerance: float = 0.0) -> None:
    """Raise if two arrays differ by more than a share of the largest entry."""
    if got.shape != expected.shape:
        raise AssertionError(f"{name}: shape {got.shape}; expected {expected.shape}.")
    if not got.size:
        return
    difference = float(np.max(np.abs(got - expected)))
    largest = float(np.max(np.abs(expected)))
    if not difference <= tolerance * largest:
        raise AssertionError(
            f"{name}: largest difference {difference:.3g}, largest entry {largest:.3g}; "
            f"expected {'equal arrays' if tolerance == 0 else f'at most {tolerance:.1g} of it'}."
        )


def check_encoder(
    encoder: Encoder,
    image_shape: tuple[int, ...],
    *,
    gradient: bool = True,
    tolerance: float = 1e-6,
    step: float = 1e-7,
    seed: int = 0,
) -> None:
    """Check that an encoder of NumPy arrays keeps the contract of `Encoder`.

    Shape and dtype of features and gradients in float32 and float64, input untouched,
    ``encode(x)`` equal to ``vjp(x)[0]``, repeatable, a batch of three equal to three singles,
    `feature_shape` and `image_shapes` right, a pullback that is linear, finite (on a constant
    and on a saturated image too) and the derivative of what is returned.

    Parameters
    ----------
    encoder : Encoder
    image_shape : tuple of int
        (C, H, W) of the images to try.
    gradient : bool
        Compare the pullback with central differences; leave it out for an encoder that is
        piecewise constant by intention.
    tolerance, step : float
        Of `check_vjp`.
    seed : int
        Of the random images.

    Raises
    ------
    AssertionError
        With figures, where the contract is broken.

    Examples
    --------
    >>> import repinv
    >>> repinv.testing.check_encoder(repinv.HOG.vlfeat(bilinear_orientations=True), (1, 32, 40))
    """
    rng = np.random.default_rng(seed)
    images = rng.uniform(0.05, 0.95, (3, *image_shape))
    shape = tuple(encoder.feature_shape(image_shape))
    for dtype in (np.float32, np.float64):
        _check_batch(encoder, images.astype(dtype), shape, rng)
    _check_sizes(encoder, image_shape, shape)
    for level in (0.0, 0.5, 1.0):
        _check_finite(encoder, np.full((1, *image_shape), level), f"a constant image of {level}")
    _check_finite(encoder, np.round(images), "a saturated image")
    if gradient:
        check_vjp(encoder.vjp, images, step=step, tolerance=tolerance, seed=seed)


def _check_batch(
    encoder: Encoder, x: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    """One dtype: shapes, purity, repeatability, and a batch as its images one by one."""
    before = x.copy()
    features, pullback = encoder.vjp(x)
    _expect(f"features of {x.dtype}", features, (len(x), *shape), x.dtype)
    cotangent = rng.standard_normal(features.shape).astype(x.dtype)
    kept = cotangent.copy()
    grad = pullback(cotangent)
    _expect(f"pullback of {x.dtype}", grad, x.shape, x.dtype)
    _same("image after vjp and pullback", x, before)
    _same("cotangent after pullback", cotangent, kept)
    _same("encode(x) against vjp(x)[0]", encoder.encode(x), features)
    again, pull_again = encoder.vjp(x)
    _same("features on repetition", again, features)
    _same("pullback on repetition", pull_again(cotangent), grad)
    _same("the same pullback called twice", pullback(cotangent), grad)
    rounding = 100 * float(np.finfo(x.dtype).eps)
    _same("pullback of twice a cotangent", pullback(2 * cotangent), 2 * grad, rounding)
    for i in range(len(x)):
        single, pull_single = encoder.vjp(x[i : i + 1])
        _same(f"image {i} alone against in its batch", single[0], features[i], rounding)
        pulled = pull_single(cotangent[i : i + 1])[0]
        _same(f"pullback of image {i} alone", pulled, grad[i], rounding)


def _expect(name: str, array: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Raise if an array has another shape or dtype, or is not finite."""
    if tuple(array.shape) != tuple(shape):
        raise AssertionError(f"{name}: shape {tuple(array.shape)}; expected {tuple(shape)}.")
    if array.dtype != dtype:
        raise AssertionError(f"{name}: dtype {array.dtype}; expected {dtype}.")
    broken = array.size - int(np.isfinite(array).sum())
    if broken:
        raise AssertionError(f"{name}: {broken} of {array.size} entries are not finite.")


def _check_sizes(encoder: Encoder, image_shape: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """`image_shapes` holds the image's size, and its corners have features of this shape."""
    sizes = encoder.image_shapes(shape)
    if sizes is None:
        return
    channels, height, width = image_shape
    (low, high), (left, right) = sizes
    if not (low <= height <= high and left <= width <= right):
        raise AssertionError(
            f"image_shapes{shape}: {low}..{high} x {left}..{right} leaves out {height}x{width}."
        )
    for corner in ((low, left), (high, right)):
        got = tuple(encoder.feature_shape((channels, *corner)))
        if got != shape:
            raise AssertionError(f"image_shapes: {corner} gives features {got}; expected {shape}.")


def _check_finite(encoder: Encoder, x: np.ndarray, name: str) -> None:
    """Features and gradient without NaN or infinity."""
    for dtype in (np.float32, np.float64):
        features, pullback = encoder.vjp(x.astype(dtype))
        _expect(f"features of {name}", features, features.shape, dtype)
        _expect(f"pullback at {name}", pullback(np.ones_like(features)), x.shape, dtype)
