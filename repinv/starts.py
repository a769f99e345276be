"""What a run turns and where it starts, where the user does not say: asked of the encoder."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from repinv.batch import rows
from repinv.colour import Decorrelated
from repinv.encoder import Array, Encoder
from repinv.parametrizations import Parametrization, Spectral

#: Scales of a start: one that is not faint, and those to choose from.
_FULL, _FAINT = 1e-2, (1e-3, 3e-4, 1e-4, 3e-5)
#: Evenness up to which the spectrum is that of natural images, and from which it is nearly flat.
_UNEVEN, _EVEN = 0.2, 0.55
_FLAT = 0.25
#: Cotangents that are pulled back to see how even an encoder's view of an image is.
_PROBES = 8


def noise(seed: int, count: int, image_shape: tuple[int, int, int]) -> np.ndarray:
    """White noise (N, C, H, W); that of an image depends on the seed and its number alone."""
    draws = [np.random.default_rng((seed, k)).standard_normal(image_shape) for k in range(count)]
    return np.stack(draws).astype(np.float32)


def parametrization(
    encoder: Encoder, one: np.ndarray, start_scale: float = Spectral.start_scale
) -> Parametrization:
    """A spectrum that suits an encoder, in natural colours where there are three.

    Parameters
    ----------
    encoder : Encoder
    one : ndarray, shape (1, C, H, W)
        White noise.
    start_scale : float
        Of the start that the parametrization makes of noise.
    """
    spectral = Spectral(_exponent(encoder, encoder.asarray(one)), start_scale=start_scale)
    return Decorrelated(spectral) if one.shape[1] == 3 else spectral


def faint_scale(encoder: Encoder, one: np.ndarray) -> float:
    """How faint a start must be for the encoder to see that it is faint.

    Normalized features are those of full contrast until contrast is down at the epsilon of the
    normalization. The start is the strongest whose features are plainly nearer to those of gray
    than that; for encoders that do not let go, the faintest that the solver grows out of in time.
    """
    noise = encoder.asarray(one)
    gray = encoder.encode(0 * noise + 0.5)

    def strength(scale: float) -> float:
        space = Spectral(start_scale=scale)
        features = encoder.encode(space.image(space.start(noise))) - gray
        return float(array_namespace(features).sum(features * features))

    full = strength(_FULL)
    weak = (scale for scale in _FAINT if strength(scale) <= 0.6 * full)
    return next(weak, _FAINT[-1])


def evenness(encoder: Encoder, x: Array) -> float:
    """Share of the directions in which an image may change that features tell alike.

    The participation ratio of the eigenvalues of JᵀJ, tr(JᵀJ)² / tr((JᵀJ)²), over the number of
    pixels: 1 where features are a rotation of the image, small where they tell little of it. For
    cotangents v white, ‖Jᵀv‖² has the mean tr(JᵀJ) and ⟨Jᵀv, Jᵀw⟩² the mean tr((JᵀJ)²).
    """
    features, pullback = encoder.vjp(x)
    rng = np.random.default_rng(0)
    probes = (rng.standard_normal(features.shape, np.float32) for _ in range(_PROBES))
    xp = array_namespace(x)
    pulled = xp.concat([rows(pullback(encoder.asarray(v))) for v in probes], axis=0)
    # In units of the largest, lest squares overflow in float32.
    largest = xp.max(xp.abs(pulled))
    pulled = pulled / xp.where(largest > 0, largest, xp.ones_like(largest))
    products = xp.matmul(pulled, pulled.mT)
    own = xp.linalg.diagonal(products)
    trace = float(xp.mean(own))
    pairs = _PROBES * (_PROBES - 1)
    squares = float(xp.sum(products * products) - xp.sum(own * own)) / pairs
    found = trace * trace / (squares * pulled.shape[1]) if squares > 0 else np.nan
    return found if np.isfinite(found) else 0.0


def _exponent(encoder: Encoder, noise: Array) -> float:
    """How steep a spectrum the solver should turn.

    Where features tell all directions alike, a steep spectrum only makes them unequal, and slows
    the solver down; where features leave most of an image open, it decides what fills it.
    """
    natural = Spectral.exponent
    space = Spectral(start_scale=1.0)
    share = (evenness(encoder, space.image(space.start(noise))) - _UNEVEN) / (_EVEN - _UNEVEN)
    return natural + (_FLAT - natural) * min(max(share, 0.0), 1.0)
