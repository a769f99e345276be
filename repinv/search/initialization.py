"""Where a run starts: noise of low contrast about a gray that the encoder responds to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.search import probing
from repinv.search.probing import MIDDLE
from repinv.variables.base import Parametrization
from repinv.variables.colour import Decorrelated, faint_colours
from repinv.variables.spectral import Spectral

#: Numbers from which noise is drawn by several threads.
_LARGE = 2**18


def noise(seed: int, count: int, image_shape: tuple[int, int, int]) -> np.ndarray:
    """White noise (N, C, H, W); that of an image depends on the seed and its number alone."""
    found = np.empty((count, *image_shape), np.float32)

    def draw(number: int) -> None:
        found[number] = np.random.default_rng((seed, number)).standard_normal(image_shape)

    if found.size <= _LARGE:
        for number in range(count):
            draw(number)
    else:  # which one thread takes as long for as a GPU for many steps
        with ThreadPoolExecutor() as threads:
            list(threads.map(draw, range(count)))
    return found


def parametrization(
    encoder: Encoder,
    one: np.ndarray,
    start_scale: float = Spectral.start_scale,
    level: float = MIDDLE,
) -> Parametrization:
    """A spectrum that suits an encoder, in natural colours where there are three.

    Parameters
    ----------
    encoder : Encoder
    one : ndarray, shape (1, C, H, W)
        White noise.
    start_scale : float
        Of the start that the parametrization makes of noise.
    level : float
        Gray about which the encoder is measured.
    """
    exponent = encoder.start[1]
    if exponent is None:
        exponent = probing.exponent(encoder, encoder.asarray(one), level)
    return in_natural_colours(Spectral(exponent, start_scale=start_scale), encoder, one)


def in_natural_colours(base: Parametrization, encoder: Encoder, one: np.ndarray) -> Parametrization:
    """Variables whose channels are mixed into natural colours, if there are three.

    Into faint ones where features do not tell which channel is which, as HOG's do not: no colour
    would be taken back that a run begins with, or gets into on the way.
    """
    channels = one.shape[1]
    if channels > 1 and not probing.tells_channels(encoder, one):
        return Decorrelated(base, faint_colours(channels))
    return Decorrelated(base) if channels == 3 else base


def about(level: float, parametrization: Parametrization, noise: Array) -> Array:
    """The start of a parametrization that is gray there, about another gray."""
    z = parametrization.start(noise)
    if level == MIDDLE:
        return z
    return parametrization.inverse(parametrization.image(z) + (level - MIDDLE))
