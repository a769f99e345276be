"""Parametrization: the variables z of a run, and the image x that they stand for.

A parametrization is a differentiable map z → x with a pullback, a way to make a start z from
white noise or from an image, and the projection onto the z that are allowed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, Self

from repinv._core.typing import Array


class Parametrization(Protocol):
    """What `repinv.Energy` needs of a parametrization.

    Three more are optional. ``is_steady = True`` says that the map is the same at every iteration,
    so that a GPU may repeat a recorded step. ``is_centred = True`` says that z = 0 stands for gray
    and that changes of the image may be weighted from pixel to pixel; ``about(around, weights)``
    then returns the parametrization of such changes, a `repinv.Local`. Without them a
    parametrization is run as it is.
    """

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """Images x (N, C, H, W) of variables z, and the pullback of cotangents of x to z.

        `iteration` counts the steps of the run, for maps that change from step to step.
        """
        ...

    def image(self, z: Array, /) -> Array:
        """The images (N, C, H, W) that variables z stand for."""
        ...

    def start(self, noise: Array, /) -> Array:
        """A start z made from white noise (N, C, H, W) of unit variance."""
        ...

    def inverse(self, x: Array, /) -> Array:
        """Variables z whose image is x, as nearly as the parametrization allows."""
        ...

    def project(self, z: Array, /) -> Array:
        """The allowed z that is nearest."""
        ...


def is_steady(parametrization: Any) -> bool:
    """Whether a parametrization says that its map is the same at every iteration."""
    return bool(getattr(parametrization, "is_steady", False))


def is_centred(parametrization: Any) -> bool:
    """Whether a parametrization says that changes about its z = 0 may be weighted."""
    return bool(getattr(parametrization, "is_centred", False))


class OnBase:
    """What parametrizations share that change the images of another one, `base`."""

    base: Parametrization

    @property
    def is_steady(self) -> bool:
        """Whether the base's map is the same at every iteration."""
        return is_steady(self.base)

    @property
    def is_centred(self) -> bool:
        """Whether changes about the base's z = 0 may be weighted."""
        return is_centred(self.base)

    def with_exponent(self, exponent: float) -> Self:
        """The same over a base whose spectrum falls as another power of the frequency."""
        base = self.base.with_exponent(exponent)  # type: ignore[attr-defined]
        return dataclasses.replace(self, base=base)  # type: ignore[type-var]

    def start(self, noise: Array, /) -> Array:
        """The base's start."""
        return self.base.start(noise)

    def inverse(self, x: Array, /) -> Array:
        """The base's inverse."""
        return self.base.inverse(x)

    def project(self, z: Array, /) -> Array:
        """The base's projection."""
        return self.base.project(z)
