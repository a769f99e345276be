"""Maximal differentiation: images that one distance calls equally far, and another does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from repinv._core.typing import Array
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.io.image import as_batch, as_unit, from_batch, on_host
from repinv.search import validation
from repinv.solvers.lbfgs import LBFGS
from repinv.solvers.minimize import minimize
from repinv.tasks.distortions.linearization import read_image
from repinv.tasks.distortions.shown import Shown

#: (images, reference), both (1, C, H, W) float64, → distance and its gradient for the first.
Metric: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]
#: Relative accuracy to which the held distance is met, and trials for it at most.
_HELD, _TRIALS = 1e-6, 40


@dataclass(frozen=True)
class MaximalDifferentiation(Shown):
    """Two images at an equal distance by one metric: the nearest and the farthest by another.

    Attributes
    ----------
    nearest, farthest : ndarray, shape (H, W) or (H, W, C), float64, in [0, 1]
        The images that were found.
    start : ndarray, of this shape
        The image with noise that both began at.
    held : float
        The distance of the start by the first metric.
    distances_a, distances_b : ndarray, shape (2,)
        Distances of the nearest and the farthest from the image, by either metric.
    start_b : float
        Distance of the start by the second metric.
    image : ndarray, of this shape
        The reference.
    evaluations : int
        Of the second metric, for both images together.
    seconds : float

    See Also
    --------
    repinv.mad : Find images that one distance calls equally far, and another near and far.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((32, 32))
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> found = repinv.mad(hog, repinv.DSIFT.vlfeat(step=8), image, max_iter=5)
    >>> found.nearest.shape
    (32, 32)
    """

    nearest: np.ndarray
    farthest: np.ndarray
    start: np.ndarray
    held: float
    distances_a: np.ndarray
    distances_b: np.ndarray
    start_b: float
    image: np.ndarray
    evaluations: int
    seconds: float

    @property
    def ratio(self) -> float:
        """How many times as far the farthest is as the nearest, by the second metric."""
        return float(self.distances_b[1] / self.distances_b[0])

    def __repr__(self) -> str:
        """A summary of one line for each thing worth reading."""
        apart = np.abs(self.distances_a / self.held - 1).max()
        near, far = self.distances_b
        return (
            f"MaximalDifferentiation: images of {self.image.shape} at {self.held:.4g} by the "
            f"first metric (to {apart:.1g}), at {near:.4g} and {far:.4g} by the second\n"
            f"  {self.evaluations} evaluations in {self.seconds:.2f} s"
        )

    def plot(self, *, axes: Any = None) -> Any:
        """Draw the image, the start, the nearest and the farthest.

        Parameters
        ----------
        axes : sequence of four matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        from repinv.plot.distortions import mad_figure  # which loads matplotlib

        return mad_figure(self, axes=axes)


def mad(
    metric_a: Encoder | str | Metric,
    metric_b: Encoder | str | Metric,
    image: Array,
    *,
    noise: float = 0.05,
    max_iter: int = 200,
    seed: int = 0,
) -> MaximalDifferentiation:
    """Find images that one distance calls equally far from an image, and another near and far.

    Parameters
    ----------
    metric_a, metric_b : Encoder, str or callable
        Of an encoder, or its expression, the distance is ‖Φ(x) − Φ(x₀)‖². A callable takes an image
        and the reference, both (1, C, H, W), float64 in [0, 1], and returns the distance and its
        gradient for the image.
    image : array, shape (H, W) or (H, W, C)
        The reference x₀: floats in [0, 1], or integers that stand for fractions of white.
    noise : float
        Standard deviation of the white noise that is added to the reference to start with. The
        distance of the start by `metric_a` is held.
    max_iter : int
        Evaluations of `metric_b` for each of the two images.
    seed : int
        Of the noise.

    Returns
    -------
    found : MaximalDifferentiation
        With the two images, and their distances by both metrics.

    Raises
    ------
    TypeError, ValueError
        If a metric does not take the image, or the noise has no distance by one of them.

    See Also
    --------
    repinv.eigendistortions : Find the changes of an image that features notice most and least.
    repinv.minimize : Minimize a batch of independent functions, one evaluation of each an
        iteration.

    Notes
    -----
    The variable is a change u of the image. It stands for the image clip(x₀ + r u), where the
    factor r is such that the distance by `metric_a` is the one held: the constraint is met by every
    image that is evaluated, and no pixel leaves [0, 1]. With ∂a and ∂b the gradients of the two
    distances at the pixels that are not clipped, the gradient for u is
    r (∂b − ∂a ⟨∂b, u⟩ / ⟨∂a, u⟩). In [1]_ it is projected likewise, and a correction follows each
    step.

    References
    ----------
    .. [1] Wang and Simoncelli, "Maximum differentiation (MAD) competition: a methodology for
       comparing computational models of perceptual quantities", Journal of Vision 8(12), 2008.
       :doi:`10.1167/8.12.8`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> def squared(x, reference):
    ...     apart = x - reference
    ...     return float((apart**2).mean()), 2 * apart / apart.size
    >>> image = np.random.default_rng(0).uniform(0.2, 0.8, (32, 32))
    >>> found = repinv.mad(squared, "hog.vlfeat(bilinear_orientations=True)", image, max_iter=50)
    >>> bool(found.ratio > 5), bool(np.ptp(found.distances_a) < 1e-3 * found.held)
    (True, True)
    """
    began = time.perf_counter()
    validation.check_counts(max_iter=max_iter)
    if not 0 < noise < 1:
        raise ValueError(f"noise must lie between 0 and 1; got {noise}.")
    a, b = (
        expressions.encoder_of(metric, image) if isinstance(metric, str) else metric
        for metric in (metric_a, metric_b)
    )
    reference = _reference(image, (a, b))
    held = _Held(_distance(a, reference), reference)
    distance_b = _distance(b, reference)
    start = np.random.default_rng(seed).normal(0, noise, reference.shape)
    held.value = held.metric(held.image(start, 1.0))[0]
    start_b = distance_b(held.image(start, 1.0))[0]
    for name, value in (("metric_a", held.value), ("metric_b", start_b)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(
                f"the noise is at a distance of {value} by {name}; it must be positive. Take more "
                "noise, or another image."
            )
    found, evaluations = [], 0
    for sign in (1.0, -1.0):
        x, count = _extreme(held, distance_b, start, sign / start_b, max_iter)
        found.append(x)
        evaluations += count
    return MaximalDifferentiation(
        nearest=from_batch(found[0][0]),
        farthest=from_batch(found[1][0]),
        start=from_batch(held.image(start, 1.0)[0]),
        held=held.value,
        distances_a=np.array([held.metric(x)[0] for x in found]),
        distances_b=np.array([distance_b(x)[0] for x in found]),
        start_b=start_b,
        image=from_batch(reference[0]),
        evaluations=evaluations,
        seconds=time.perf_counter() - began,
    )


def _extreme(
    held: _Held,
    distance: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    factor: float,
    max_iter: int,
) -> tuple[np.ndarray, int]:
    """The image of least factor · distance among those held, and how often that was evaluated."""

    def objective(u: np.ndarray, iteration: int) -> tuple[np.ndarray, np.ndarray, dict[str, Array]]:
        found = held.scaled(u)
        if found is None:
            return np.array([np.inf]), np.zeros_like(u), {}
        x, scale, grad_a = found
        value, grad = distance(x)
        free = (x > 0) & (x < 1)
        grad_a, grad_b = free * grad_a, free * grad
        along = float(np.vdot(grad_a, u))
        share = float(np.vdot(grad_b, u)) / along if along else 0.0
        projected = factor * scale * (grad_b - share * grad_a)
        return np.array([factor * value]), projected, {}

    found = minimize(objective, start, LBFGS(first_step=0.05), max_iter=max_iter)
    x = held.scaled(found.z)
    assert x is not None  # the best point was evaluated
    return x[0], found.iteration


class _Held:
    """Images x₀ + r u, within [0, 1], whose distance by a metric is the one held."""

    def __init__(
        self, metric: Callable[[np.ndarray], tuple[float, np.ndarray]], reference: np.ndarray
    ) -> None:
        self.metric, self._reference, self.value = metric, reference, 0.0

    def image(self, u: np.ndarray, scale: float) -> np.ndarray:
        """The image of a change, scaled and clipped."""
        return np.asarray(np.clip(self._reference + scale * u, 0, 1))

    def scaled(self, u: np.ndarray) -> tuple[np.ndarray, float, np.ndarray] | None:
        """Image, factor r and gradient of the held distance; None where no factor meets it.

        Distances grow with a power of r, which is estimated from the last two trials; what lies
        outside the interval known to hold the factor is halved geometrically.
        """
        scale, power = 1.0, 2.0
        low, high = 0.0, np.inf
        before: tuple[float, float] | None = None
        for _ in range(_TRIALS):
            x = self.image(u, scale)
            value, grad = self.metric(x)
            if not np.isfinite(value) or value <= 0:
                return None
            if abs(value - self.value) <= _HELD * self.value:
                return x, scale, grad
            low, high = (scale, high) if value < self.value else (low, scale)
            if before is not None and before[0] != scale and before[1] != value:
                power = np.log(value / before[1]) / np.log(scale / before[0])
            before = scale, value
            guess = scale * (self.value / value) ** (1 / power) if power > 0.1 else np.nan
            if not low < guess < high:
                guess = 2 * low if np.isinf(high) else np.sqrt(max(low, 0.25 * high) * high)
                guess = 0.5 * (low + high) if not low < guess < high else guess
            scale = float(guess)
        return None


def _distance(
    metric: Encoder | Metric, reference: np.ndarray
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Distance of an image (1, C, H, W) from the reference, and its gradient."""
    if not isinstance(metric, Encoder):
        given = metric

        def called(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, grad = given(x, reference)
            return float(value), np.asarray(on_host(grad), dtype=np.float64).reshape(x.shape)

        return called
    encoder = metric
    target = encoder.encode(encoder.asarray(reference))

    def of_features(x: np.ndarray) -> tuple[float, np.ndarray]:
        features, pullback = encoder.vjp(encoder.asarray(x))
        apart = features - target
        grad = np.asarray(on_host(pullback(2 * apart)), dtype=np.float64)
        return float((apart * apart).sum()), grad

    return of_features


def _reference(image: Array, metrics: tuple[Any, Any]) -> np.ndarray:
    """The reference as a batch of one, float64, that both metrics take."""
    for metric in metrics:
        if not (isinstance(metric, Encoder) or callable(metric)):
            raise TypeError(
                "a metric is an encoder, its expression, or a function of an image and the "
                f"reference; got {type(metric).__name__}."
            )
    found = [read_image(image, metric) for metric in metrics if isinstance(metric, Encoder)]
    if not found:
        return as_batch(as_unit(image, precision=np.float64).astype(np.float64))
    if any(x.shape != found[0].shape for x in found):
        raise ValueError("the two encoders take channels on different axes of this image.")
    return found[0]
