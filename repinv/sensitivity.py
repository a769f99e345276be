"""How strongly features answer to each place of an image, asked of the encoder itself."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from repinv.cosine import blurred
from repinv.encoder import Array, Encoder

#: Random cotangents that are pulled back.
_DRAWS = 4
#: Sensitivity whose places are turned most, in units of that where the texture is.
_FLOOR = 0.1


def evening_weights(encoder: Encoder, x: Array, weight: Array | None, deviation: float) -> Array:
    """Weights of changes of images that make features answer alike to all places.

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
    root, weights go as 1/s; but places that the features hardly see would drift, and so they go
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
    texture = blurred(_gradient_energy(x), deviation)
    total = xp.sum(texture, axis=(-2, -1), keepdims=True)
    usual = xp.sum(squared * texture, axis=(-2, -1), keepdims=True)
    usual = xp.where(total > 0, usual / xp.where(total > 0, total, 1.0), 0.0)
    largest = xp.max(squared, axis=(-2, -1), keepdims=True)
    usual = xp.where(usual > 0, usual, xp.where(largest > 0, largest, 1.0))
    share = squared / usual
    weights = xp.sqrt(share) / (share + _FLOOR**2)
    length = xp.sqrt(xp.mean(weights * weights, axis=(-2, -1), keepdims=True))
    # Of features that see nothing of an image all places are alike.
    return xp.where(length > 0, weights / xp.where(length > 0, length, 1.0), 1.0)


def _gradient_energy(x: Array) -> Array:
    """Squared differences to the next pixels, all channels together (N, 1, H, W)."""
    xp = array_namespace(x)
    energy = xp.zeros_like(x[:, :1, ...])
    across, down = x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]
    energy[..., :, :-1] += xp.sum(across * across, axis=1, keepdims=True)
    energy[..., :-1, :] += xp.sum(down * down, axis=1, keepdims=True)
    return energy
