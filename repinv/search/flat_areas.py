"""Flat images and areas, as features prove them: the gray of a blank target, and flat areas."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from scipy import ndimage
from scipy.optimize import minimize_scalar
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.solvers.minimize import to_host

#: Grays whose features a target is compared with, the middle one first.
_GRAYS = (0.5, 0.0, 1.0, 0.25, 0.1)
#: Relative squared difference of features below which they are equal but for rounding, and below
#: which another gray may have them; and what a search has to reach in a few steps to go on.
_EQUAL, _NEAR, _NEARER = 1e-9, 0.5, 1e-2
#: Share of the largest slope that is above rounding; deviation of the blur of a texture in pixels,
#: and its contrast.
_ROUNDING, _SMOOTH, _CONTRAST = 1e-5, 2.0, 0.1
#: Difference, in units of the largest feature, from those of a constant image that is rounding.
_SILENT = 1e-6
#: Width in pixels of the least flat area, flat areas that have a level of their own at a start, and
#: the share of an image below which they are not worth another way to invert it.
_LEAST, _AREAS, _SHARE = 3, 32, 0.02
#: Share of an image above which it is a graphic.
_GRAPHIC = 0.6


def blank_gray(
    encoder: Encoder, target: Array, weight: Array | None, image_shape: tuple[int, int, int]
) -> float | None:
    """The gray of a constant image with a target's features; None if no such image has them.

    Parameters
    ----------
    encoder : Encoder
    target : array, shape (1, *F)
        Features Φ₀ of one image.
    weight : array, shape (1, *F), or None
        Of the squared differences from the target.
    image_shape : tuple of int
        (C, H, W) of the image.

    Notes
    -----
    The middle gray stands for all of them where an encoder does not respond to brightness. For
    others the gray is found by a search of one variable, from features near enough to the target's.
    """
    xp = array_namespace(target)
    scale = float(xp.sum((target if weight is None else weight * target) * target))

    def encoded(gray: float) -> Array:
        return encoder.encode(encoder.asarray(constant(gray, image_shape)))

    def error(features: Array) -> float:
        difference = features - target
        weighted = difference if weight is None else weight * difference
        return float(xp.sum(weighted * difference)) / (scale if scale > 0 else 1.0)

    middle = encoded(_GRAYS[0])
    errors = []
    for gray in _GRAYS:
        features = middle if gray == _GRAYS[0] else encoded(gray)
        errors.append(error(features))
        # Zero features have no unit in which others would be near to them.
        if errors[-1] <= (_EQUAL if scale > 0 else 0):
            return gray
        if gray == _GRAYS[1] and bool(xp.all(features == middle)):
            return None
    if scale == 0 or min(errors) > _NEAR:
        return None

    def nearest(width: float, steps: int) -> Any:
        return minimize_scalar(
            lambda gray: error(encoded(gray)),
            bounds=(0, 1),
            method="bounded",
            options={"xatol": width, "maxiter": steps},
        )

    # A few steps are enough to see that features are not those of a constant image.
    if nearest(1e-3, 8).fun > _NEARER:
        return None
    found = nearest(1e-7, 500)
    return float(found.x) if found.fun <= _EQUAL else None


def constant(gray: float, image_shape: tuple[int, int, int]) -> np.ndarray:
    """A constant image (1, C, H, W)."""
    return np.full((1, *image_shape), gray, np.float32)


class Areas(NamedTuple):
    """Areas of an image (H, W), numbered from 1; 0 is no area.

    `flat` are those that are flat, the largest; `joined` all sets of pixels that are alike, such as
    the lines along a straight edge.
    """

    flat: np.ndarray
    joined: np.ndarray

    @property
    def is_graphic(self) -> bool:
        """Whether most of an image is alike, as in a graphic, and not in a photograph."""
        return bool(np.mean(self.joined > 0) > _GRAPHIC)


def areas(encoder: Encoder, target: Array, image_shape: tuple[int, int, int]) -> Areas | None:
    """Where features say that an image is exactly flat; None if that is nearly nowhere.

    Parameters
    ----------
    encoder : Encoder
    target : array, shape F
        Features Φ₀ of one image.
    image_shape : tuple of int
        (C, H, W) of the image.

    Notes
    -----
    A feature is called silent where it is that of a constant image, of any gray. An encoder that
    knows which pixels vote for a feature says where silent features prove that there is no gradient
    across or down: the pixels that such a gradient compares are equal. For other encoders, a pixel
    is taken to be flat if silent features depend on its changes across and down, and no others do.
    """
    silent = _silent(encoder, target, image_shape)
    if silent is None:
        return None
    still = encoder.still_pixels(to_host(silent), image_shape)
    if still is None:
        flat = ndimage.label(_opened(_seen_by_silent_ones(encoder, silent, image_shape)))[0]
    else:
        flat = _grown(ndimage.label(_opened(still[0] & still[1]))[0])
    if np.mean(flat > 0) < _SHARE:
        return None
    joined = flat if still is None else _joined(still)
    return Areas(_renumbered(flat, _AREAS), joined)


def _renumbered(areas: np.ndarray, most: int | None = None, least: int = 1) -> np.ndarray:
    """Areas numbered by size, so many of them at most, and with so many pixels at least."""
    sizes = np.bincount(areas.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")[:most]
    order = order[sizes[order] >= least]
    number = np.zeros(sizes.size, np.float32)
    number[order] = np.arange(1, order.size + 1)
    found: np.ndarray = number[areas]
    return found


def _joined(still: np.ndarray) -> np.ndarray:
    """Sets of pixels that are alike since no gradient (2, H, W) lies across or down them."""
    number = np.arange(still[0].size).reshape(still[0].shape)
    links = []
    for along, where in ((number, still[0]), (number.T, still[1].T)):
        for step in (-1, 1):
            beside = np.clip(np.arange(along.shape[1]) + step, 0, along.shape[1] - 1)
            links.append(np.stack([along[where], along[:, beside][where]]))
    one, other = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(one.size, bool), (one, other)), shape=(number.size,) * 2)
    sets = connected_components(graph, directed=False)[1].reshape(number.shape)
    return _renumbered(sets + 1, least=2)


def _silent(encoder: Encoder, target: Array, image_shape: tuple[int, int, int]) -> Array | None:
    """Which features are those of constant images; None if none are, or these differ."""
    dark, light = (encoder.encode(encoder.asarray(constant(g, image_shape))) for g in (0.3, 0.7))
    xp = array_namespace(target)
    rounding = _SILENT * float(xp.max(xp.abs(dark)))
    if bool(xp.any(xp.abs(light - dark) > rounding)):
        return None
    silent = xp.abs(target - dark[0, ...]) <= rounding
    return silent if bool(xp.any(silent)) else None


def _grown(areas: np.ndarray) -> np.ndarray:
    """Areas and the pixels beside them; what lies beside several is of none."""
    padded = np.pad(areas, 1)
    around = np.stack([padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]])
    most = around.max(axis=0)
    alone = np.all((around == 0) | (around == most), axis=0)
    found: np.ndarray = np.where(areas > 0, areas, np.where(alone, most, 0))
    return found


def _seen_by_silent_ones(
    encoder: Encoder, silent: Array, image_shape: tuple[int, int, int]
) -> np.ndarray:
    """Pixels (H, W) whose change across and down silent features see, and no others."""
    texture = _texture(image_shape)
    found = ~_seen(encoder, texture, ~silent)
    for axis in (2, 3):
        # What varies along one axis alone is seen by encoders of differences along it.
        lines = np.broadcast_to(texture.mean(axis=axis, keepdims=True) - 0.5, texture.shape)
        found &= _seen(encoder, (0.5 + _CONTRAST / lines.std() * lines).astype(np.float32), silent)
    return found


def _opened(flat: np.ndarray) -> np.ndarray:
    """Without what is narrower than the least area; borders of the image are none of it."""
    padded = np.pad(flat, _LEAST, mode="edge")
    found: np.ndarray = np.asarray(ndimage.binary_opening(padded, np.ones((_LEAST, _LEAST), bool)))
    return found[_LEAST:-_LEAST, _LEAST:-_LEAST]


def _texture(image_shape: tuple[int, int, int]) -> np.ndarray:
    """A smooth texture of natural contrast."""
    noise = np.random.default_rng(0).standard_normal((1, *image_shape))
    smooth = ndimage.gaussian_filter(noise, (0, 0, _SMOOTH, _SMOOTH))
    found: np.ndarray = (0.5 + _CONTRAST * smooth / smooth.std()).astype(np.float32)
    return found


def _seen(encoder: Encoder, x: np.ndarray, which: Array) -> np.ndarray:
    """Pixels (H, W) that the features of a kind see in an image."""
    features, pullback = encoder.vjp(encoder.asarray(x))
    xp = array_namespace(features)
    draw = 0.5 + np.random.default_rng(1).random(tuple(features.shape), np.float32)
    cotangent = xp.astype(encoder.asarray(draw), features.dtype) * xp.astype(which, features.dtype)
    grad = np.abs(to_host(pullback(cotangent))).max(axis=(0, 1))
    found: np.ndarray = grad > _ROUNDING * grad.max()
    return found


def numbered(
    encoder: Encoder, target: Array, image_shape: tuple[int, int, int]
) -> np.ndarray | None:
    """Areas that features say to be exactly flat, (H, W), numbered from 1; None if there are none.

    Normalized features of a nearly flat region are as far from those of a flat one as features of
    any texture: no small step leads there, and so the image is made flat from the start.
    """
    flat = encoder.flat_places(target, image_shape)
    if flat is None:
        return None
    areas, count = ndimage.label(flat)
    sizes = np.bincount(areas.ravel(), minlength=count + 1)[1:]
    largest = np.argsort(-sizes, kind="stable")[:_AREAS]
    numbers = np.zeros(count + 1, np.float32)
    numbers[largest + 1] = np.arange(1, len(largest) + 1)
    return numbers[areas]
