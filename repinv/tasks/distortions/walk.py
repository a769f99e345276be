"""Walks: images that differ more and more, and whose features stay the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repinv._core.typing import Array
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.energy.energy import Energy, Weighted
from repinv.energy.losses import SquaredError
from repinv.energy.priors import IntensityRange
from repinv.io.image import from_batch, on_host
from repinv.search import validation
from repinv.search.result import Result
from repinv.solvers.lbfgs import LBFGS
from repinv.solvers.minimize import minimize
from repinv.tasks.distortions import eigenpairs
from repinv.tasks.distortions.distortions import Distortions
from repinv.tasks.distortions.linearization import linearized, read_image
from repinv.tasks.distortions.shown import Shown
from repinv.variables.base import Parametrization
from repinv.variables.colour import Decorrelated
from repinv.variables.pixels import Pixels
from repinv.variables.spectral import Spectral

#: Steps that a walk would take if all were accepted at their first length.
_STEPS = 12
#: Factors of the length after a step that was accepted, and after one that was not.
_LONGER, _SHORTER = 1.25, 0.5
#: Length, in units of the amount, below which corrections keep the distance, and then a walk ends.
_LEAST, _LEAST_HELD = 1 / 40, 1 / 400
#: Distance, in units of the amount, that the last step aims at: clipped pixels shorten it.
_PAST = 1.01
#: Evaluations of a correction at most, and between two looks at its error.
_CORRECTION, _CHECK = 60, 5
#: First step of a correction as a share of the image, and at a distance that is held of the change.
_FIRST, _FIRST_HELD = 0.01, 0.02
#: Share of the tolerance at which a correction ends, so that the next one has less to do.
_ENOUGH = 0.8
#: Products by which a random direction is projected onto what features do not notice.
_PROJECTION = 60
#: New directions that are drawn in vain before a walk ends, and the distance, in units of the
#: amount, from which one was not in vain.
_TURNS, _GAIN = 4, 0.01

#: An energy and its gradient, as the solver takes them.
ValueAndGrad = Callable[[Array, int], tuple[Array, Array, dict[str, Array]]]


@dataclass(frozen=True)
class Walk(Shown):
    """Images along directions that features do not notice, the first image first.

    Attributes
    ----------
    images : ndarray, shape (T, H, W) or (T, H, W, C), float, in [0, 1]
        The film: every image has nearly the features of the first.
    errors : ndarray, shape (T,)
        ‖Φ(x) − Φ₀‖²/‖Φ₀‖² of each, at most the tolerance; Φ₀ are the features of the first.
    distances : ndarray, shape (T,)
        Root mean square difference of each from the first, in units of the range of pixels.
    evaluations : int
        Of the encoder with its pullback.
    seconds : float
    stop_reason : str
        "amount" where the last distance is the one wanted; "max_iter"; "blocked": too short steps.
    notes : tuple of str
        What the caller may want to know.
    encoder : Encoder or None
        Φ.

    See Also
    --------
    repinv.walk : Change an image along directions that its features do not notice.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).uniform(0.2, 0.8, (32, 32))
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> found = repinv.walk(image, hog, amount=0.01, max_iter=300)
    >>> found.image.shape, bool(found.errors.max() <= 1e-3)
    ((32, 32), True)
    """

    images: np.ndarray
    errors: np.ndarray
    distances: np.ndarray
    evaluations: int
    seconds: float
    stop_reason: str
    notes: tuple[str, ...] = ()
    encoder: Encoder | None = field(repr=False, default=None)

    @property
    def image(self) -> np.ndarray:
        """The last image, (H, W) or (H, W, C)."""
        return np.asarray(self.images[-1])

    def __repr__(self) -> str:
        """A summary of one line for each thing worth reading."""
        lines = [
            f"Walk: {len(self.images)} images of {self.images.shape[1:]}, the last at a root mean "
            f"square distance of {self.distances[-1]:.3g}",
            f"  relative feature errors up to {self.errors.max():.2g}, {self.evaluations} "
            f"evaluations in {self.seconds:.2f} s, stopped by {self.stop_reason}",
        ]
        return "\n".join(lines + [f"  {note}" for note in self.notes])

    def plot(self, *, axes: Any = None) -> Any:
        """Draw the first image, some along the way, the last, and how it differs from the first.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, optional
            Where to draw, one for each picture.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        from repinv.plot.distortions import walk_figure  # which loads matplotlib

        return walk_figure(self, axes=axes)


def walk(
    image: Array | Result | Distortions,
    encoder: Encoder | str | None = None,
    direction: Array | None = None,
    amount: float = 0.05,
    *,
    tol: float = 1e-3,
    max_iter: int = 3000,
    parametrization: Parametrization | None = None,
    seed: int = 0,
) -> Walk:
    """Change an image along directions that its features do not notice.

    Steps along the direction alternate with corrections, which minimize the distance of features
    from those of the first image. A step after which the correction fails is taken again at half
    the length. Where steps become too short, corrections keep the distance from the first image;
    where that does not help either, a new direction is drawn at random.

    Parameters
    ----------
    image : array, shape (H, W) or (H, W, C), or Result or Distortions
        Where the walk begins: floats in [0, 1], or integers that stand for fractions of white; or
        the image of a result.
    encoder : Encoder or str, optional
        Φ, or its expression on the command line. By default the encoder of the result.
    direction : array, of the shape of the image, optional
        Of the steps, such as one of `Distortions.smallest`; its norm does not count. By
        default a random image with the spectrum of photographs, projected onto what features do not
        notice, with the sign that leads towards mid-gray.
    amount : float
        Root mean square difference from the first image at which the walk ends; pixels lie in
        [0, 1].
    tol : float
        Relative feature error ‖Φ(x) − Φ₀‖²/‖Φ₀‖² that no image exceeds.
    max_iter : int
        Evaluations of the encoder at most.
    parametrization : Parametrization, optional
        What corrections optimize; by default `Spectral`, in natural colours for three channels.
    seed : int
        Of the directions that are drawn.

    Returns
    -------
    walk : Walk
        With all images of the way; `Walk.stop_reason` says why it ended.

    Raises
    ------
    TypeError, ValueError
        If the encoder does not take the image, or the direction is not one of the image.

    See Also
    --------
    repinv.eigendistortions : Find the changes of an image that features notice most and least.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Notes
    -----
    A correction finds an image near the step, and may take the step back. One that keeps the
    distance cannot: its variable is the direction of the change alone, and the image is
    x₀ + d u/‖u‖ at the distance d that the step reached; the next step lengthens the change that it
    found. It reduces all that features notice, so that what they notice least takes over, such as
    brightness for HOG and SIFT. It is therefore used only where other corrections fail.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).uniform(0.2, 0.8, (32, 32))
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> unseen = repinv.eigendistortions(hog, image).smallest[0]
    >>> found = repinv.walk(image, hog, unseen, 0.01, max_iter=300)
    >>> bool(found.distances[-1] >= 0.01), found.stop_reason
    (True, 'amount')
    """
    began = time.perf_counter()
    if isinstance(image, Result | Distortions):
        encoder = image.encoder if encoder is None else encoder
        image = image.image
    if encoder is None:
        raise TypeError("walk needs an encoder where the image is not that of a result.")
    encoder = expressions.encoder_of(encoder, image)
    x = read_image(image, encoder)
    validation.check_counts(max_iter=max_iter)
    for name, value in (("amount", amount), ("tol", tol)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie between 0 and 1; got {value}.")
    towards = None if direction is None else _checked(direction, x)
    route = _Route(encoder, x, tol, parametrization, np.random.default_rng(seed))
    reason = route.follow(towards, amount, max_iter)
    notes: tuple[str, ...] = ()
    if route.turns:
        notes += (f"steps became too short {route.turns} times, and a new direction was drawn.",)
    if reason != "amount":
        notes += (
            f"the walk ended at {route.distances[-1]:.3g} of {amount:g}: "
            + ("raise max_iter." if reason == "max_iter" else "steps became too short."),
        )
    return Walk(
        images=np.stack([from_batch(on_host(frame)[0]) for frame in route.frames]),
        errors=np.array(route.errors),
        distances=np.array(route.distances),
        evaluations=route.evaluations,
        seconds=time.perf_counter() - began,
        stop_reason=reason,
        notes=notes,
        encoder=encoder,
    )


class _Route:
    """The images of a walk so far, and how it goes on."""

    def __init__(
        self,
        encoder: Encoder,
        x: np.ndarray,
        tol: float,
        space: Parametrization | None,
        rng: np.random.Generator,
    ) -> None:
        self.start = encoder.asarray(x)
        self.encoder, self.tol, self._rng = encoder, tol, rng
        self.evaluations, self.turns = 1, 0
        if space is None:
            space = Decorrelated(Spectral()) if x.shape[1] == 3 else Spectral()
        self._space = space
        features = encoder.encode(self.start)
        if not float((features * features).sum()) > 0:
            raise ValueError(
                "the features of this image are all zero, and no error is relative to them. Take "
                "an image with more in it."
            )
        range_of_pixels = Weighted("range", 1.0, IntensityRange())
        self._energy = Energy(encoder, SquaredError(features), space, (range_of_pixels,))
        self.frames, self.errors, self.distances = [self.start], [0.0], [0.0]

    def follow(self, towards: np.ndarray | None, amount: float, max_iter: int) -> str:
        """Walk along a direction (1, C, H, W) of unit mean square, and say why it ended."""
        unit = self._turned() if towards is None else self.encoder.asarray(towards)
        length, in_vain, is_held = amount / _STEPS, 0, False
        x = self.start + length * unit
        while self.distances[-1] < amount:
            if self.evaluations >= max_iter:
                return "max_iter"
            if length < (_LEAST_HELD if is_held else _LEAST) * amount:
                if in_vain == _TURNS:
                    return "blocked"
                length = amount / _STEPS
                if is_held:
                    in_vain += 1
                    self.turns += 1
                    unit = self._turned()
                is_held = not is_held
                x = self.frames[-1] + length * unit
            before = self.distances[-1]
            x = self._held(x) if is_held else self._corrected(x)
            length *= _LONGER if self._kept(x) else _SHORTER
            if not is_held:
                x = self.frames[-1] + length * unit
            elif (moved := self._distance(x)) > 0:
                # Further out along the change so far. A correction that failed has turned it too.
                ahead = min(self.distances[-1] + length, _PAST * amount)
                x = self.start + (ahead / moved) * (x - self.start)
            else:  # the step was clipped as a whole
                length = 0.0
            if self.distances[-1] > before + _GAIN * amount:
                in_vain = 0
        return "amount"

    def _turned(self) -> Array:
        """A random image, projected onto what features do not notice at the last image.

        Its sign is the one that leads away from the first image, and from there towards mid-gray,
        where pixels have most room.
        """
        x = np.asarray(on_host(self.frames[-1]), dtype=np.float64)
        linear, _ = linearized(self.encoder, x, self._rng)
        white = self._rng.standard_normal((1, x.size))
        found = eigenpairs.unseen(linear, white, unit=1.0, tol=0.0, max_iter=_PROJECTION)
        self.evaluations += linear.pullbacks
        unit = self.encoder.asarray(_normalized(found.vectors[:, 0].reshape(x.shape)))
        at_start = len(self.frames) == 1
        wanted = 0.5 - self.start if at_start else self.frames[-1] - self.start
        away = float((wanted * unit).sum())
        return -unit if away < 0 else unit

    def _kept(self, x: Array) -> bool:
        """Whether an image is farther than the last and its features near enough: it is added."""
        features = self.encoder.encode(x)
        error = float(self._energy.loss.value_and_grad(features)[0][0])
        distance = self._distance(x)
        self.evaluations += 1
        if error > self.tol or distance <= self.distances[-1]:
            return False
        self.frames.append(x)
        self.errors.append(error)
        self.distances.append(distance)
        return True

    def _distance(self, x: Array) -> float:
        """Root mean square difference from the first image."""
        return float(((x - self.start) ** 2).mean() ** 0.5)

    def _corrected(self, x: Array) -> Array:
        """An image near another one, with the features of the first."""
        xp = array_namespace(x)
        start = self._space.inverse(xp.clip(x, 0.0, 1.0))
        z = self._minimized(self._energy.value_and_grad, start, _FIRST)
        return xp.clip(self._space.image(z), 0.0, 1.0)

    def _held(self, x: Array) -> Array:
        """An image as far from the first as another one, with the features of the first."""
        xp = array_namespace(x)
        x = xp.clip(x, 0.0, 1.0)
        held = ((x - self.start) ** 2).sum()
        if not float(held) > 0:
            return x
        energy = replace(self._energy, parametrization=Pixels())
        # Variables are those of the change: the first step of the search is a share of its length.
        origin = self._space.inverse(self.start)

        def value_and_grad(z: Array, iteration: int) -> tuple[Array, Array, dict[str, Array]]:
            # x = x₀ + r u, with r = (held / ‖u‖²)^½. The length of r u is constant, so that the
            # gradient for u is r times the part of ∂E/∂x that is orthogonal to u.
            image, pull_to_z = self._space.vjp(origin + z, iteration)
            u = image - self.start
            squared = (u * u).sum()
            scale = (held / squared) ** 0.5
            value, grad, terms = energy.value_and_grad(self.start + scale * u)
            across = grad - u * ((grad * u).sum() / squared)
            return value, pull_to_z(scale * across), terms

        z = self._minimized(value_and_grad, self._space.inverse(x) - origin, _FIRST_HELD)
        u = self._space.image(origin + z) - self.start
        return xp.clip(self.start + (held / (u * u).sum()) ** 0.5 * u, 0.0, 1.0)

    def _minimized(self, value_and_grad: ValueAndGrad, z: Array, first_step: float) -> Array:
        """Variables of an energy below the tolerance, if few evaluations lead there."""
        found = minimize(
            value_and_grad,
            z,
            LBFGS(first_step=first_step),
            max_iter=_CORRECTION,
            check_every=_CHECK,
            callback=lambda snapshot: float(snapshot.value[0]) <= _ENOUGH * self.tol,
        )
        self.evaluations += found.iteration
        return found.z


def _checked(direction: Array, x: np.ndarray) -> np.ndarray:
    """A user's direction as a batch of one of unit mean square."""
    given = np.asarray(on_host(direction), dtype=np.float64)
    if given.shape != from_batch(x[0]).shape:
        raise ValueError(
            f"direction must have the shape of the image, {from_batch(x[0]).shape}; got "
            f"{given.shape}."
        )
    if not (np.isfinite(given).all() and given.any()):
        raise ValueError("direction must be finite, and not zero everywhere.")
    moved = given[..., None] if given.ndim == 2 else given
    return _normalized(np.moveaxis(moved, -1, 0)[None])


def _normalized(change: np.ndarray) -> np.ndarray:
    """A change of unit mean square."""
    return np.asarray(change / np.sqrt(np.mean(change**2)))
