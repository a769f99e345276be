"""What an encoder is measured on before a run: how its features respond to changes of an image."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from repinv._core.batch import rows
from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.energy.priors import gradient_energy
from repinv.variables.dct import blurred, dct, frequencies
from repinv.variables.spectral import Spectral

#: Gray of a start where no other suits the encoder better.
MIDDLE = 0.5
#: Scales of a start: one of full contrast, and those of low contrast to choose from.
_FULL, _LOW = 1e-2, (1e-3, 3e-4, 1e-4, 3e-5)
#: Evenness of encoders, and how steep a spectrum suits them: nearly flat where features are equally
#: sensitive to all directions; that of photographs, which is steeper than usual, where layers that
#: end with a rectifier leave nearly all of an image undetermined.
_EVENNESS, _FLAT = 0.55, 0.25
_OPEN, _PHOTOGRAPHS = (0.02, 0.04), (1.0, Spectral.exponent)
#: For others between these: growth of what is pulled back, and how steep a spectrum suits it.
_GROWTH, _FALLS = (0.45, 0.7), (0.78, Spectral.exponent)
#: Growth between which a flat spectrum comes to suit features that determine much of an image,
#: from the second evenness on: averages tell low frequencies best, as those of scattering do, and
#: under a steep spectrum high ones would be found last. Features at a few keypoints tell low
#: frequencies best as well, but there the spectrum fills what no keypoint looks at.
_FALLING, _MUCH = (-0.7, -0.4), (0.1, 0.2)
#: Octaves between which growth is measured; see `frequencies`.
_OCTAVES = ((1 / 16, 1 / 8), (1 / 2, 1))
#: Cotangents that are pulled back to estimate evenness and growth.
_PROBES = 8
#: Grays that a run may begin about, the middle one first.
_GRAYS = (MIDDLE, 0.2, 0.35, 0.65, 0.8)
#: Contrast of the texture on which encoders are measured, and of the change in it, both in units of
#: natural images'; and how much more sensitive features must be at another gray to take it.
_TEXTURE, _CHANGE, _CLEARLY = 0.1, 1e-3, 1.1
#: Squared difference, relative to the features or to that of another image, below which an encoder
#: does not see a change: of brightness, or which channel is which.
_BLIND = 1e-3
#: Random cotangents that are pulled back.
_DRAWS = 4
#: Sensitivity at which the weight of changes is largest, in units of that where the texture is.
_FLOOR = 0.1


def gray(encoder: Encoder, one: np.ndarray) -> float:
    """The gray about which features are most sensitive to a small change, to start a run from.

    In a ResNet-20 trained on photographs more units are active about a dark gray than about the
    middle one, from which the solver takes longer, or ends with dark regions come out bright.
    Encoders that do not see brightness, and those to which all grays are much the same, are given
    the middle one.
    """
    noise = encoder.asarray(one)
    first, second, *others = (_texture(noise, _TEXTURE, level) for level in _GRAYS)
    features = [encoder.encode(first), encoder.encode(second)]
    if _square(features[1] - features[0]) <= _BLIND * _square(features[0]):
        return MIDDLE
    features += [encoder.encode(image) for image in others]
    change = (_CHANGE / _TEXTURE) * array_namespace(first).flip(first - MIDDLE, axis=(-2, -1))
    responses = [
        _square(encoder.encode(image + change) - before)
        for image, before in zip((first, second, *others), features, strict=True)
    ]
    best = int(np.argmax(responses))
    return _GRAYS[best] if responses[best] > _CLEARLY * responses[0] else MIDDLE


def tells_channels(encoder: Encoder, one: np.ndarray) -> bool:
    """Whether features change as the first and last channel of an image change places.

    In units of how much they change as the image is rotated by half a turn.
    """
    texture = _texture(encoder.asarray(one), 1.0, MIDDLE)
    features, xp = encoder.encode(texture), array_namespace(texture)
    exchanged, rotated = (
        _square(encoder.encode(xp.flip(texture, axis=axes)) - features) for axes in (1, (-2, -1))
    )
    return exchanged > _BLIND * rotated


def _texture(noise: Array, scale: float, level: float) -> Array:
    """Noise of the natural spectrum about a gray, its contrast in units of natural images'."""
    space = Spectral(start_scale=scale)
    return space.image(space.start(noise)) + (level - MIDDLE)


def _square(values: Array) -> float:
    """Sum of squares."""
    return float(array_namespace(values).sum(values * values))


def start_scale(encoder: Encoder, one: np.ndarray, level: float = MIDDLE) -> float:
    """The contrast of a start, in units of natural images': the encoder's, or `low_contrast`."""
    own = encoder.start[0]
    return low_contrast(encoder, one, level) if own is None else own


def low_contrast(encoder: Encoder, one: np.ndarray, level: float = MIDDLE) -> float:
    """The contrast of a start at which the encoder's features depend on contrast.

    Normalized features are those of full contrast until contrast is near the epsilon of the
    normalization. The scale is the largest at which features are clearly nearer to those of gray;
    where there is none, the smallest from which the solver still reaches contrast in time.
    """
    noise = encoder.asarray(one)
    constant = encoder.encode(0 * noise + level)

    def strength(scale: float) -> float:
        return _square(encoder.encode(_texture(noise, scale, level)) - constant)

    full = strength(_FULL)
    weak = (scale for scale in _LOW if strength(scale) <= 0.6 * full)
    return next(weak, _LOW[-1])


def pulled_back(encoder: Encoder, x: Array) -> Array:
    """White cotangents at one image, pulled back: (_PROBES, C, H, W), in units of the largest."""
    features, pullback = encoder.vjp(x)
    rng = np.random.default_rng(0)
    probes = (rng.standard_normal(features.shape, np.float32) for _ in range(_PROBES))
    xp = array_namespace(x)
    pulled = xp.concat([pullback(encoder.asarray(v)) for v in probes], axis=0)
    # Lest squares overflow in float32.
    largest = xp.max(xp.abs(pulled))
    return pulled / xp.where(largest > 0, largest, xp.ones_like(largest))


def evenness(pulled: Array) -> float:
    """Share of an image's directions to which features are equally sensitive.

    The participation ratio of the eigenvalues of JᵀJ, tr(JᵀJ)² / tr((JᵀJ)²), over the number of
    pixels: 1 where features are a rotation of the image, small where they determine little of it.
    For cotangents v white, ‖Jᵀv‖² has the mean tr(JᵀJ) and ⟨Jᵀv, Jᵀw⟩² the mean tr((JᵀJ)²).
    """
    pulled = rows(pulled)
    xp = array_namespace(pulled)
    products = xp.matmul(pulled, pulled.mT)
    own = xp.linalg.diagonal(products)
    trace = float(xp.mean(own))
    pairs = _PROBES * (_PROBES - 1)
    squares = float(xp.sum(products * products) - xp.sum(own * own)) / pairs
    found = trace * trace / (squares * pulled.shape[1]) if squares > 0 else np.nan
    return found if np.isfinite(found) else 0.0


def growth(pulled: Array) -> float:
    """How fast the sensitivity of features grows with frequency: p of f^p, or NaN.

    On average the power of Jᵀv at a frequency is the curvature of the squared distance along it.
    NaN for images too small to have both octaves, and for features that do not respond.
    """
    xp = array_namespace(pulled)
    turned = dct(pulled)
    power = xp.sum(turned * turned, axis=(0, 1))
    frequency = frequencies(*power.shape)
    means, centres = [], []
    for low, high in _OCTAVES:
        inside = (low <= frequency) & (frequency < high)
        if not inside.any():
            return float("nan")
        weights = xp.asarray(inside / inside.sum(), dtype=power.dtype, device=device_of(power))
        means.append(float(xp.sum(power * weights)))
        centres.append(np.log(frequency[inside]).mean())
    if min(means) <= 0:
        return float("nan")
    return float(np.log(means[1] / means[0]) / (centres[1] - centres[0]))


def exponent(encoder: Encoder, noise: Array, level: float) -> float:
    """How steep the spectrum of the variables should be.

    Where features are equally sensitive to all directions, a steep spectrum only makes these
    unequal, and slows the solver down; where features leave most of an image undetermined, the
    spectrum decides what fills it. Between, it compensates for a sensitivity that grows with
    frequency: where that grows slowly, the spectrum falls less, and where it falls, not at all.
    """
    pulled = pulled_back(encoder, _texture(noise, 1.0, level))
    grown = growth(pulled)
    if encoder.pre_activations is not None:
        first, middle = _PHOTOGRAPHS
    else:
        first = Spectral.exponent
        middle = first if np.isnan(grown) else float(np.interp(grown, _GROWTH, _FALLS))
    much = middle if np.isnan(grown) else float(np.interp(grown, _FALLING, (0.0, middle)))
    falls = (first, middle, middle, much, min(much, _FLAT))
    return float(np.interp(evenness(pulled), (*_OPEN, *_MUCH, _EVENNESS), falls))


def evening_weights(encoder: Encoder, x: Array, weight: Array | None, deviation: float) -> Array:
    """Weights of changes of images under which features are equally sensitive at all pixels.

    Parameters
    ----------
    encoder : Encoder
    x : array, shape (N, C, H, W)
        The images that are to be changed.
    weight : array, broadcastable to the features (1, *F), or None
        Of the squared differences of features.
    deviation : float
        Of the Gaussian that sensitivities are averaged under, in pixels.

    Returns
    -------
    weights : array, shape (N, 1, H, W)
        With mean square one.

    Notes
    -----
    With r of random signs, the squares of Jᵀr are on average the diagonal of JᵀJ, J the
    derivative of the features: the curvature of their squared distance to a target. With s its
    root, weights go as 1/s; but pixels that the features hardly see would drift, and so they go
    as s/(s² + τ²), τ being small beside s where the image has its texture.
    """
    xp = array_namespace(x)
    features, pullback = encoder.vjp(x)
    shape, dtype = features.shape, features.dtype
    del features  # of local descriptors there are many
    rng = np.random.default_rng(0)
    squared = xp.zeros_like(x[:, :1, ...])
    for _ in range(_DRAWS):
        draw = rng.integers(0, 2, (1, *shape[1:]), dtype=np.int8)
        cotangent = 2 * xp.astype(encoder.asarray(draw), dtype) - 1
        if weight is not None:
            cotangent = cotangent * xp.sqrt(weight)
        grad = pullback(xp.concat([cotangent] * shape[0]))
        squared += xp.sum(grad * grad, axis=1, keepdims=True)
    squared = xp.clip(blurred(squared, deviation), 0.0, None)
    texture = blurred(gradient_energy(x)[0], deviation)
    total = xp.sum(texture, axis=(-2, -1), keepdims=True)
    usual = xp.sum(squared * texture, axis=(-2, -1), keepdims=True)
    usual = xp.where(total > 0, usual / xp.where(total > 0, total, 1.0), 0.0)
    largest = xp.max(squared, axis=(-2, -1), keepdims=True)
    usual = xp.where(usual > 0, usual, xp.where(largest > 0, largest, 1.0))
    share = squared / usual
    weights = xp.sqrt(share) / (share + _FLOOR**2)
    length = xp.sqrt(xp.mean(weights * weights, axis=(-2, -1), keepdims=True))
    # To features that see nothing of an image all pixels are equal.
    return xp.where(length > 0, weights / xp.where(length > 0, length, 1.0), 1.0)
