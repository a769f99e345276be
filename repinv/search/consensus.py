"""What the several starts of an image come to: their average, restored, or the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from array_api_compat import array_namespace

from repinv._core.batch import column
from repinv._core.typing import Array
from repinv.search import polarity
from repinv.search.restoration import restorer as restorers
from repinv.solvers.minimize import to_host
from repinv.variables.base import Parametrization
from repinv.variables.dct import blurred

#: Deviation of an average of starts within so many pixels, where the whole image has 1, below which
#: a region is pulled to the restored image and not replaced by it: residual artefacts of a network
#: in flat regions would stay, since normalized features give no gradient that removes them.
LOW_CONTRAST, NEAR = 0.4, 4.0
#: Deviation of what is restored as the run goes on from it, out of 1, that of photographs rich in
#: contrast: the fainter an image, the further do normalized features drive it away at first.
CONTRAST = 0.25


def averaged(
    x: Array,
    starts: int,
    restore: Callable[[Array, Array], Array] | None,
    parametrization: Parametrization,
    is_aligned: bool = False,
) -> tuple[Array, Array]:
    """Variables of the averages of each image's starts, and the averages, restored or not.

    If `is_aligned` is true the starts of an image are first given one polarity in each region.
    `restore` takes the mean and the spread of starts.
    """
    xp = array_namespace(x)
    several = xp.reshape(x, (-1, starts, *x.shape[1:]))
    if is_aligned:
        several = xp.stack([polarity.aligned(one) for one in several])
    mean, spread = restorers.averaged(several)
    begin = reference = mean
    contrast = xp.mean(xp.std(several, axis=(2, 3, 4)), axis=1)
    if restore is not None:
        reference = restore(mean, spread)
        level = blurred(mean, NEAR)
        variance = xp.maximum(blurred(mean * mean, NEAR) - level * level, 0 * mean)
        begin = mean + variance / (variance + LOW_CONTRAST**2) * (reference - mean)
        contrast = xp.full_like(contrast, CONTRAST)
    centred = begin - xp.mean(begin, axis=(1, 2, 3), keepdims=True)
    deviation = xp.std(centred, axis=(1, 2, 3))
    gain = contrast / xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    return parametrization.inverse(0.5 + centred * column(gain, centred)), reference


def best(
    starts: int, images: Array, features: Array, scores: dict[str, Array]
) -> tuple[Array, Array, dict[str, Array]]:
    """Of the starts of each image, the one of least error."""
    error = to_host(scores["error"]).reshape(-1, starts)
    chosen = [int(k) for k in np.arange(len(error)) * starts + error.argmin(axis=1)]
    xp = array_namespace(images)

    def take(values: Array) -> Array:
        return xp.stack([values[k, ...] for k in chosen])

    return take(images), take(features), {name: take(values) for name, values in scores.items()}


def averaged_trace(trace: Mapping[str, np.ndarray], starts: int) -> dict[str, np.ndarray]:
    """A trace (iterations, N · starts) as one of images: means over the starts of each."""
    return {
        name: values.reshape(len(values), -1, starts).mean(axis=2) for name, values in trace.items()
    }
