"""Images that are changed at random in every step: shifted, or seen through random views."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv._core.typing import Array
from repinv.variables.base import OnBase, Parametrization
from repinv.variables.pixels import Pixels

#: Base of a transform that stands by itself, until a task gives it another one.
_OWN = Pixels()


@dataclass(frozen=True)
class Jitter(OnBase):
    """Another parametrization, its image shifted by a random whole number of pixels every step.

    Parameters
    ----------
    base : parametrization
        What gives the images that are shifted. Where a task takes `transforms`, this is the task's
        parametrization.
    amount : int
        Largest shift, up, down, left and right, in pixels; what leaves on one side enters on the
        other.
    seed : int
        Shifts are drawn from the seed and the iteration alone, so that a run can be continued.

    See Also
    --------
    repinv.RandomView : Another parametrization, its image seen through a random view in every step.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> jitter = repinv.Jitter(repinv.Pixels(), amount=2, seed=0)
    >>> x, _ = jitter.vjp(np.eye(8)[None, None], 3)
    >>> float(x.sum())
    8.0
    """

    base: Parametrization = _OWN
    amount: int = 2
    seed: int = 0

    is_steady = False

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError(f"Jitter needs an amount >= 0 pixels; got {self.amount}.")

    def about(self, around: Array, weights: Array, /) -> Jitter:
        """The same shifts of the base's changes of an image; see `Parametrization`."""
        return replace(self, base=self.base.about(around, weights))  # type: ignore[attr-defined]

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The base's x, shifted; and the base's pullback of the cotangent shifted back."""
        rng = np.random.default_rng((self.seed, iteration))
        down, right = (int(s) for s in rng.integers(-self.amount, self.amount, 2, endpoint=True))
        x, pullback = self.base.vjp(z, iteration)
        xp = array_namespace(x)

        def shifted_back(v: Array) -> Array:
            return pullback(xp.roll(v, (-down, -right), axis=(-2, -1)))

        return xp.roll(x, (down, right), axis=(-2, -1)), shifted_back

    def image(self, z: Array, /) -> Array:
        """The base's image, unshifted."""
        return self.base.image(z)


@dataclass(frozen=True)
class RandomView(OnBase):
    """Another parametrization, its image seen through a random view in every step.

    A view is a part of the image of its proportions, rotated, of random size and position, brought
    back to the image's size, with white noise added. Only patterns that an encoder responds to in
    most views are found; those that it responds to at one position and size alone average out.

    Parameters
    ----------
    base : parametrization
        What gives the images. Where a task takes `transforms`, this is the task's parametrization.
    rotation : float
        Largest angle, to either side, in degrees; at most 45.
    scale : tuple of float
        Smallest and largest side of a view, in units of the image's.
    shift : float
        Largest shift of a view beyond the border of the image, in units of its sides. Views
        smaller than the image lie anywhere in it.
    noise : float
        Standard deviation of the noise, in units of white.
    seed : int
        Views are drawn from the seed and the iteration alone, so that a run can be continued. All
        images of a batch have the same view.

    Raises
    ------
    ValueError
        If an option is out of bounds.

    See Also
    --------
    repinv.Jitter : Another parametrization, its image shifted by a random whole number of pixels
        every step.
    repinv.maximize : Find natural-looking images that excite a component of a representation.

    Notes
    -----
    What leaves a view on one side enters on the other, as with `Jitter`: views across the border
    join opposite sides, as the variables of `Fourier` and `Phase` do. The rotation is made of three
    shears. Each moves rows by linear interpolation, so that its adjoint is the shear by the
    opposite amount; the change of size is a product with one matrix for each axis. Nothing is
    scattered, and forward and adjoint are the same in every library.

    References
    ----------
    .. [1] Paeth, "A fast algorithm for general raster rotation", Graphics Interface, 1986.
    .. [2] Olah, Mordvintsev and Schubert, "Feature visualization", Distill, 2017, section
       "Transformation robustness". :doi:`10.23915/distill.00007`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> view = repinv.RandomView(rotation=10, scale=(0.5, 1.0), noise=0.0)
    >>> x, pullback = view.vjp(np.full((1, 3, 32, 32), 0.25), 7)
    >>> bool(np.allclose(x, 0.25)), pullback(x).shape
    (True, (1, 3, 32, 32))
    """

    base: Parametrization = _OWN
    rotation: float = 15.0
    scale: tuple[float, float] = (0.6, 1.2)
    shift: float = 0.07
    noise: float = 0.05
    seed: int = 0

    is_steady = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(self.scale))
        if not 0 <= self.rotation <= 45:
            raise ValueError(
                f"RandomView needs a rotation of 0 to 45 degrees; got {self.rotation}."
            )
        if not (len(self.scale) == 2 and 0 < self.scale[0] <= self.scale[1]):
            raise ValueError(
                f"RandomView needs a smallest and a largest scale > 0; got {self.scale}."
            )
        if not (self.shift >= 0 and self.noise >= 0):
            raise ValueError(
                f"RandomView needs shift >= 0 and noise >= 0; got {self.shift} and {self.noise}."
            )

    def about(self, around: Array, weights: Array, /) -> RandomView:
        """The same views of the base's changes of an image; see `Parametrization`."""
        return replace(self, base=self.base.about(around, weights))  # type: ignore[attr-defined]

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """A view of the base's x; and the base's pullback of the view's adjoint."""
        rng = np.random.default_rng((self.seed, iteration))
        x, pullback = self.base.vjp(z, iteration)
        height, width = x.shape[-2:]
        angle = math.radians(rng.uniform(-self.rotation, self.rotation))
        scale = rng.uniform(*self.scale)
        # Of the view's centre from the image's, in units of the sides.
        away = rng.uniform(-0.5, 0.5, 2) * max(0.0, 1 - scale)
        away += rng.uniform(-self.shift, self.shift, 2)
        down, right = (round(part * side) for part, side in zip(away, (height, width), strict=True))
        xp, kind = array_namespace(x), {"dtype": x.dtype, "device": device_of(x)}
        rows, columns = (xp.asarray(_resampling(side, scale), **kind) for side in (height, width))
        outer, inner = -math.tan(angle / 2), math.sin(angle)

        def rotated(a: Array, sign: int) -> Array:
            a = _sheared(a, sign * outer)
            a = _sheared(a.mT, sign * inner).mT
            return _sheared(a, sign * outer)

        def adjoint(v: Array) -> Array:
            v = rotated(rows.mT @ v @ columns, -1)
            return pullback(xp.roll(v, (down, right), axis=(-2, -1)))

        seen = rows @ rotated(xp.roll(x, (-down, -right), axis=(-2, -1)), 1) @ columns.mT
        if self.noise:
            noise = rng.standard_normal(tuple(x.shape[1:]), dtype=np.float32)
            seen = seen + xp.asarray(self.noise * noise, **kind)
        return seen, adjoint

    def image(self, z: Array, /) -> Array:
        """The base's image, all of it, without noise."""
        return self.base.image(z)


def transformed(
    parametrization: Parametrization, transforms: Sequence[Jitter | RandomView], seed: int
) -> Parametrization:
    """A parametrization whose image is changed at random in every step.

    Parameters
    ----------
    parametrization : Parametrization
    transforms : sequence of Jitter or RandomView
        The first is applied first. Their `base` and `seed` are replaced.
    seed : int
        What those of the transforms follow from.

    Raises
    ------
    TypeError
        If another kind of transform is among them.
    """
    found = parametrization
    for number, transform in enumerate(transforms):
        if not isinstance(transform, Jitter | RandomView):
            raise TypeError(
                "transforms must be a sequence of repinv.Jitter and repinv.RandomView; "
                f"got {type(transform).__name__}."
            )
        found = replace(transform, base=found, seed=int(seed) + number)
    return found


def untransformed(parametrization: Parametrization) -> Parametrization:
    """A parametrization without the random changes that it ends with."""
    found = parametrization
    while isinstance(found, Jitter | RandomView):
        found = found.base
    return found


def seen_through(parametrization: Parametrization, base: Parametrization) -> Parametrization:
    """The random changes that a parametrization ends with, of another base."""
    if not isinstance(parametrization, Jitter | RandomView):
        return base
    return replace(parametrization, base=seen_through(parametrization.base, base))


def _sheared(x: Array, slope: float) -> Array:
    """Rows of images (..., H, W) moved by `slope` times their distance from the middle.

    The adjoint is the shear by −slope: linear interpolation between two pixels gives each of them
    to the same two positions, with the same weights, when it is reversed.
    """
    if slope == 0:
        return x
    xp = array_namespace(x)
    height, width = x.shape[-2:]
    moved = slope * (np.arange(height) - (height - 1) / 2)
    whole = np.floor(moved).astype(np.int64)[:, None]
    part = xp.asarray((moved - whole[:, 0])[:, None], dtype=x.dtype, device=device_of(x))
    column, first = np.arange(width), width * np.arange(height)[:, None]
    flat = xp.reshape(x, (*x.shape[:-2], height * width))
    near, next_to = (
        xp.reshape(
            xp.take(
                flat,
                xp.asarray((first + (column + whole + k) % width).ravel(), device=device_of(x)),
                axis=-1,
            ),
            x.shape,
        )
        for k in (0, 1)
    )
    return near + part * (next_to - near)


def _resampling(side: int, scale: float) -> np.ndarray:
    """Matrix (side, side) that stretches the middle `scale` of an axis over all of it.

    Linear interpolation on a circle; where the view is larger than the image, over so many pixels
    that none is left out.
    """
    middle, pixels = (side - 1) / 2, np.arange(side)
    wanted = middle + scale * (pixels - middle)
    distance = (wanted[:, None] - pixels + side / 2) % side - side / 2
    weights = np.maximum(0, 1 - np.abs(distance) / max(scale, 1.0))
    found: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return found
