"""Encoders that do not tell light from dark: how they are recognized, and what is done about it."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv._core.batch import column, rows
from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.energy.priors import gradient_energy
from repinv.variables.dct import blurred, dct, idct
from repinv.variables.spectral import Spectral

#: Squared difference of features of x and 1 − x, in units of that of unrelated images, below which
#: an encoder does not tell them apart: HOG without signs has at most .15, where it takes square
#: roots of pixels; with signs it has .77 and more.
_SAME = 0.3
#: Contrast of the images that this is tried on: that of photographs, nearly all within [0, 1].
_CONTRAST = 0.7
#: Deviation in pixels of the Gaussian under which a picture's light and dark are judged.
_NEAR = 4.0
#: Weights of `statistics`, fitted by `scripts/polarity.py` to 94 photographs and their pre-images.
#: On 39 others they are right for 77 % of photographs, and for 57 % of those pre-images that have
#: one polarity: a preference, and no knowledge.
_WEIGHTS = (-0.67, 1.23, 1.69, -2.09, -0.12)
#: Deviation in pixels of the windows within which several images are given one polarity, and how
#: sharply it changes from one to the other.
_WINDOW, _SHARPNESS, _ROUNDS = 24.0, 3.0, 4
#: Deviation of images to which noise is added.
_DEVIATION = 0.2
#: Contrast of the noise that a run starts from, in units of natural images': features that are
#: normalized are those of full contrast there.
START_SCALE = 1e-2
#: Deviation in pixels of the Gaussian that leaves of an image what decides its polarity.
_OUTLINE = 6.0
#: What the notes of a result say.
NOTE = (
    "light and dark may be swapped, in all of the image or in regions: the features of an image "
    "and of its negative are the same"
)


def is_blind(encoder: Encoder, noise: np.ndarray) -> bool:
    """Whether the features of an image and of its negative are the same.

    Parameters
    ----------
    encoder : Encoder
    noise : ndarray, shape (1, C, H, W)
        White noise; the encoder is tried on a texture of natural spectrum that is made of it.
    """
    white = encoder.asarray(noise)
    xp, space = array_namespace(white), Spectral(start_scale=_CONTRAST)
    image = xp.clip(space.image(space.start(white)), 0.0, 1.0)
    features = encoder.encode(image)
    own = features - encoder.encode(1.0 - image)
    other = features - encoder.encode(xp.flip(image, axis=(-2, -1)))
    return float(xp.sum(own * own)) < _SAME * float(xp.sum(other * other))


def with_noise(x: Array, white: Array, strength: float) -> Array:
    """Images (N, C, H, W) with noise of the natural spectrum.

    The root mean square of its gradient is `strength` times that of each image, whose contrast is
    made that of photographs: it drifts as long as normalized features leave it free.
    """
    xp = array_namespace(x)
    factor = _DEVIATION / xp.clip(xp.std(rows(x), axis=1), 1e-12, None)
    level = column(xp.mean(rows(x), axis=1), x)
    x = level + column(factor, x) * (x - level)
    noise = Spectral().image(xp.flip(white, axis=(-2, -1))) - 0.5
    noise = xp.mean(noise, axis=1, keepdims=True) + xp.zeros_like(x)
    sizes = [xp.mean(rows(gradient_energy(y)[0]), axis=1) for y in (x, noise)]
    gain = strength * xp.sqrt(sizes[0] / xp.where(sizes[1] > 0, sizes[1], xp.ones_like(sizes[1])))
    return x + column(gain, x) * noise


def statistics(x: Array) -> Array:
    """Numbers (N, 5) that change sign as an image becomes its negative.

    Skewness, the middle of the range in units of the deviation, the median, and the means of the
    lower half and of the inner part, of the image's mean channel, blurred. In photographs
    highlights are few, and further from the mean than shadows.
    """
    xp = array_namespace(x)
    near = blurred(xp.mean(x, axis=1, keepdims=True), _NEAR)
    flat = rows(near)
    flat = flat - xp.mean(flat, axis=1, keepdims=True)
    deviation = xp.std(flat, axis=1, keepdims=True)
    flat = flat / xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    middle = xp.sort(flat, axis=1)[:, flat.shape[1] // 2]
    ends = xp.max(flat, axis=1) + xp.min(flat, axis=1)
    height, width = x.shape[-2:]
    square = flat.reshape((-1, height, width))
    below = xp.mean(rows(square[:, height // 2 :, :]), axis=1)
    inside = square[:, height // 8 : height - height // 8, width // 8 : width - width // 8]
    within = xp.mean(rows(inside), axis=1)
    skewness = xp.tanh(xp.mean(flat**3, axis=1))
    return xp.stack([skewness, ends, middle, below, within], axis=1)


def likelier(x: Array) -> Array:
    """Of each image and its negative, the one that is likelier to be a photograph."""
    xp = array_namespace(x)
    found = statistics(x)
    weights = xp.asarray(_WEIGHTS, dtype=x.dtype, device=device_of(x))
    return xp.where(column(xp.sum(found * weights, axis=1) < 0, x), 1.0 - x, x)


def outline(x: Array) -> Array:
    """What of images a run begins with that follows their polarity: their low frequencies."""
    return blurred(x, _OUTLINE)


def within(x: Array) -> Array:
    """Images of any contrast at that of a photograph, within [0, 1]."""
    return array_namespace(x).clip(0.5 + _DEVIATION * _unit(x), 0.0, 1.0)


def aligned(images: Array) -> Array:
    """Several images of one scene (K, C, H, W), each negated where it is against the others.

    Gradients are negated, smoothly from region to region, and integrated: the sign of a region is
    that of the correlation with the mean of the images, in turns.
    """
    xp = array_namespace(images)
    unit = _unit(images)
    near = blurred(unit, _NEAR / 2)
    strength = xp.std(blurred(unit, 2 * _NEAR), axis=(1, 2, 3))
    mean = near[int(xp.argmax(strength)), ...][None, ...]
    gradients, smooth = _gradient(unit), _gradient(near)
    found = unit
    for _ in range(_ROUNDS):
        towards = _gradient(mean)
        agreement = _correlation(smooth, towards)
        sign = xp.tanh(_SHARPNESS * agreement)
        found = _integrated(*(sign * g for g in gradients))
        mean = blurred(xp.mean(found, axis=0, keepdims=True), _NEAR / 2)
    return found + 0.5


def _unit(x: Array) -> Array:
    """Images (N, C, H, W) at zero mean and unit standard deviation."""
    xp = array_namespace(x)
    centred = x - xp.mean(x, axis=(1, 2, 3), keepdims=True)
    return centred / xp.maximum(xp.std(centred, axis=(1, 2, 3), keepdims=True), 1e-12 + 0 * centred)


def _gradient(x: Array) -> tuple[Array, Array]:
    """Differences to the next pixel across and down, zero at the far edges."""
    xp = array_namespace(x)
    across = xp.concat([x[..., 1:] - x[..., :-1], 0 * x[..., :1]], axis=-1)
    down = xp.concat([x[..., 1:, :] - x[..., :-1, :], 0 * x[..., :1, :]], axis=-2)
    return across, down


def _correlation(a: tuple[Array, Array], b: tuple[Array, Array]) -> Array:
    """Correlation of gradients in windows about every pixel, of all channels together."""
    xp = array_namespace(a[0])

    def local(u: tuple[Array, Array], v: tuple[Array, Array]) -> Array:
        product = u[0] * v[0] + u[1] * v[1]
        return blurred(xp.sum(product, axis=1, keepdims=True), _WINDOW)

    sizes = xp.clip(local(a, a), 1e-12, None) * xp.clip(local(b, b), 1e-12, None)
    return local(a, b) / xp.sqrt(sizes)


def _integrated(across: Array, down: Array) -> Array:
    """The images of mean zero whose gradients are nearest: Poisson's equation, by cosines."""
    xp = array_namespace(across)
    first = across[..., :1], down[..., :1, :]
    divergence = xp.concat([first[0], across[..., 1:] - across[..., :-1]], axis=-1)
    divergence = divergence + xp.concat([first[1], down[..., 1:, :] - down[..., :-1, :]], axis=-2)
    height, width = across.shape[-2:]
    cosines = [2 * np.cos(np.pi * np.arange(size) / size) - 2 for size in (height, width)]
    laplacian = cosines[0][:, None] + cosines[1]
    laplacian[0, 0] = np.inf
    inverse = xp.asarray(1 / laplacian, dtype=across.dtype, device=device_of(across))
    return idct(inverse * dct(divergence))
