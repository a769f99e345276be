"""What a run turns and where it starts, where the user does not say: asked of the encoder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from array_api_compat import array_namespace
from array_api_compat import device as device_of
from scipy import ndimage

from repinv.batch import rows
from repinv.colour import Decorrelated
from repinv.cosine import dct, frequencies
from repinv.encoder import Array, Encoder
from repinv.parametrizations import Parametrization, Spectral

#: Numbers from which noise is drawn by several threads.
_LARGE = 2**18
#: Gray of a start where the encoder asks for no other.
MIDDLE = 0.5
#: Scales of a start: one that is not faint, and those to choose from.
_FULL, _FAINT = 1e-2, (1e-3, 3e-4, 1e-4, 3e-5)
#: Evenness of encoders, and how steep a spectrum suits them: nearly flat from where features tell
#: all alike; steeper than usual, as photographs' own is, where layers that end with a rectifier
#: leave nearly all of an image open.
_EVENNESS, _FLAT = (0.2, 0.55), 0.25
_OPEN, _PHOTOGRAPHS = (0.02, 0.04), (1.0, Spectral.exponent)
#: Where others leave less open: growth of what is pulled back, and how steep a spectrum suits it.
_GROWTH, _FALLS = (0.45, 0.7), (0.78, Spectral.exponent)
#: Octaves that growth is told between; see `frequencies`.
_OCTAVES = ((1 / 16, 1 / 8), (1 / 2, 1))
#: Cotangents that are pulled back to see what an encoder's view of an image is like.
_PROBES = 8
#: Grays that a run may begin about, the middle one first.
_GRAYS = (MIDDLE, 0.2, 0.35, 0.65, 0.8)
#: Contrast of the texture that encoders are asked about, and of the change in it, both in units of
#: natural images'; and how much more of it another gray must show them to be preferred.
_TEXTURE, _CHANGE, _CLEARLY = 0.1, 1e-3, 1.1
#: Flat areas that are kept flat at most, the largest.
_AREAS = 32
#: Squared difference, relative to the features, below which an encoder does not see brightness.
_BLIND = 1e-3


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
        Gray about which the encoder is asked.
    """
    exponent = _exponent(encoder, encoder.asarray(one), level)
    spectral = Spectral(exponent, start_scale=start_scale)
    return Decorrelated(spectral) if one.shape[1] == 3 else spectral


def gray(encoder: Encoder, one: np.ndarray) -> float:
    """The gray about which features answer most to a small change: where a run had best begin.

    In a ResNet-20 trained on photographs more units are awake about a dark gray than about the
    middle one, from which the solver takes longer, or ends where dark places have come out bright.
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
    answers = [
        _square(encoder.encode(image + change) - before)
        for image, before in zip((first, second, *others), features, strict=True)
    ]
    best = int(np.argmax(answers))
    return _GRAYS[best] if answers[best] > _CLEARLY * answers[0] else MIDDLE


def _texture(noise: Array, scale: float, level: float) -> Array:
    """Noise of the natural spectrum about a gray, its contrast in units of natural images'."""
    space = Spectral(start_scale=scale)
    return space.image(space.start(noise)) + (level - MIDDLE)


def _square(values: Array) -> float:
    """Sum of squares."""
    return float(array_namespace(values).sum(values * values))


def faint_scale(encoder: Encoder, one: np.ndarray, level: float = MIDDLE) -> float:
    """How faint a start must be for the encoder to see that it is faint.

    Normalized features are those of full contrast until contrast is down at the epsilon of the
    normalization. The start is the strongest whose features are plainly nearer to those of gray
    than that; for encoders that do not let go, the faintest that the solver grows out of in time.
    """
    noise = encoder.asarray(one)
    constant = encoder.encode(0 * noise + level)

    def strength(scale: float) -> float:
        return _square(encoder.encode(_texture(noise, scale, level)) - constant)

    full = strength(_FULL)
    weak = (scale for scale in _FAINT if strength(scale) <= 0.6 * full)
    return next(weak, _FAINT[-1])


def about(level: float, parametrization: Parametrization, noise: Array) -> Array:
    """The start of a parametrization that is gray there, about another gray."""
    z = parametrization.start(noise)
    if level == MIDDLE:
        return z
    return parametrization.inverse(parametrization.image(z) + (level - MIDDLE))


def flat_areas(
    encoder: Encoder, target: Array, image_shape: tuple[int, int, int]
) -> np.ndarray | None:
    """Areas that features say to be exactly flat, (H, W), numbered from 1; None if there are none.

    Features that normalize contrast are as far from those of a flat place in what is all but flat
    as in any texture: no small step leads there, and so the image is made flat from the start.
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
    """Share of the directions in which an image may change that features tell alike.

    The participation ratio of the eigenvalues of JᵀJ, tr(JᵀJ)² / tr((JᵀJ)²), over the number of
    pixels: 1 where features are a rotation of the image, small where they tell little of it. For
    cotangents v white, ‖Jᵀv‖² has the mean tr(JᵀJ) and ⟨Jᵀv, Jᵀw⟩² the mean tr((JᵀJ)²).
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
    """How fast the power that features answer with grows with frequency: p of f^p, or NaN.

    On average the power of Jᵀv at a frequency is the curvature of the squared distance along it.
    NaN for images too small to have both octaves that it is told between, and for blind features.
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


def _exponent(encoder: Encoder, noise: Array, level: float) -> float:
    """How steep a spectrum the solver should turn.

    Where features tell all directions alike, a steep spectrum only makes them unequal, and slows
    the solver down; where features leave most of an image open, it decides what fills it. Between,
    it makes up for features that tell high frequencies more strongly: less so, it falls less.
    """
    pulled = pulled_back(encoder, _texture(noise, 1.0, level))
    if encoder.unrectified is not None:
        first, middle = _PHOTOGRAPHS
    else:
        first, grown = Spectral.exponent, growth(pulled)
        middle = first if np.isnan(grown) else float(np.interp(grown, _GROWTH, _FALLS))
    return float(np.interp(evenness(pulled), _OPEN + _EVENNESS, (first, middle, middle, _FLAT)))
