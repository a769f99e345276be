"""The exact last step of a run: images within [0, 1], and how good they are."""

from __future__ import annotations

from array_api_compat import array_namespace

from repinv._core.batch import column, rows
from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.energy.losses import Loss, SquaredError

#: Standard deviations of images: of photographs, and of what is just well seen.
NATURAL, VISIBLE = 0.25, 0.05
#: How much larger the error of a network's image may become for a visible contrast, and the largest
#: error that may become larger at all.
NETWORK_COST, NETWORK_SMALL = 1.1, 0.01
#: Standard deviations that a pattern may be given, and the share of its response that must be left.
CONTRASTS, SAME_RESPONSE = (VISIBLE, 0.1, 0.15, 0.2, NATURAL), 0.9
#: Relative feature error that a visible contrast may cost, and the largest that it may lead to
#: where it makes an error several times as large.
SMALL_ERROR, LARGE_ERROR = 0.03, 0.2


def finished(
    encoder: Encoder, x: Array, loss: Loss, start: Array | None = None
) -> tuple[Array, Array, dict[str, Array]]:
    """The exact last step: images within [0, 1], their features, and how good they are.

    Images that the run started from are returned where they are better than what it found: the
    variables that stand for them are rounded, which may change hard assignments.
    """
    if start is not None:
        x = _better(encoder, start, x, loss)
    if isinstance(loss, SquaredError):
        return _contrasted(encoder, x, loss)
    xp = array_namespace(x)
    best = xp.clip(x, 0.0, 1.0)
    features = encoder.encode(best)
    response = loss.response(features)
    if getattr(loss, "free_contrast", False):
        least = SAME_RESPONSE * response
        for contrast in CONTRASTS:
            stretched = _stretched(x, contrast)
            its_features = encoder.encode(stretched)
            its_response = loss.response(its_features)
            better = its_response >= least
            one, other = (stretched, its_features, its_response), (best, features, response)
            best, features, response = _where(better, one, other)
    return best, features, {"error": response + float("nan"), "response": response}


def _better(encoder: Encoder, start: Array, x: Array, loss: Loss) -> Array:
    """Of two images of each problem, the one of smaller loss."""
    xp = array_namespace(x)
    before, after = (
        loss.value_and_grad(encoder.encode(xp.clip(images, 0.0, 1.0)))[0] for images in (start, x)
    )
    return xp.where(column(before < after, x), start, x)


def _contrasted(
    encoder: Encoder, x: Array, loss: SquaredError
) -> tuple[Array, Array, dict[str, Array]]:
    """Images within [0, 1] of natural contrast, where that is free.

    Encoders that normalize contrast leave it undetermined: the contrast that fills [0, 1] is taken
    where the error stays as it is, and at least a visible one where the error stays of the same
    order, or small. Networks do not: their images are clipped, or brought into [0, 1] by less
    contrast, whichever has the smaller error, and contrast is raised only where that costs little.
    """
    xp = array_namespace(x)
    best = xp.clip(x, 0.0, 1.0)
    features = encoder.encode(best)
    error = loss.value_and_grad(features)[0]
    visible, least_visible, natural = 5.0 + 0 * error, SMALL_ERROR, 1.02 + 0 * error
    if encoder.is_network:
        best, features, error = _better_inside(encoder, x, loss, (best, features, error))
        small = error <= NETWORK_SMALL
        visible, least_visible = xp.where(small, NETWORK_COST, 1.0 + 0 * error), 0.0
        natural = xp.where(small, natural, 1.0 + 0 * error)
    # An image that is constant has no contrast, and its gray may matter.
    flat = xp.max(rows(best), axis=1) == xp.min(rows(best), axis=1)
    for contrast, factor, least in ((VISIBLE, visible, least_visible), (NATURAL, natural, 0.0)):
        stretched = _stretched(x, contrast)
        its_features = encoder.encode(stretched)
        its_error = loss.value_and_grad(its_features)[0]
        faint = xp.std(rows(best), axis=1) < contrast
        # A large error is not made larger for the sake of contrast.
        most = xp.where(its_error <= LARGE_ERROR, factor, xp.minimum(factor, 1.1 + 0 * factor))
        better = faint & ~flat & ((its_error <= most * error) | (its_error <= least))
        one, other = (stretched, its_features, its_error), (best, features, error)
        best, features, error = _where(better, one, other)
    return best, features, {"error": error}


def _better_inside(
    encoder: Encoder, x: Array, loss: SquaredError, clipped: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Images, features, errors: clipped, or with so little contrast that they fit into [0, 1]."""
    xp = array_namespace(x)
    flat = rows(x)
    mean = xp.clip(xp.mean(flat, axis=1), 0.01, 0.99)
    above, below = xp.max(flat, axis=1) - mean, mean - xp.min(flat, axis=1)
    gain = xp.minimum(
        xp.where(above > 0, (1 - mean) / xp.where(above > 0, above, 1.0), 1.0),
        xp.where(below > 0, mean / xp.where(below > 0, below, 1.0), 1.0),
    )
    gain = xp.minimum(gain, xp.ones_like(gain))
    fitted = column(mean, x) + column(gain, x) * (x - column(mean, x))
    fitted = xp.clip(fitted, 0.0, 1.0)
    its_features = encoder.encode(fitted)
    its_error = loss.value_and_grad(its_features)[0]
    return _where(its_error < clipped[2], (fitted, its_features, its_error), clipped)


def _where(
    better: Array, one: tuple[Array, Array, Array], other: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Images, features and scores (N,): `one` where it is better, else the other."""
    xp = array_namespace(better)
    image, features, score = (
        xp.where(column(better, a), a, b) for a, b in zip(one, other, strict=True)
    )
    return image, features, score


def _stretched(x: Array, contrast: float) -> Array:
    """Images with a standard deviation of at least `contrast`, or as much as [0, 1] has room for.

    The middle of their range goes to ½; contrast is never taken away but where [0, 1] is left,
    and an image that has enough is left as it is.
    """
    xp = array_namespace(x)
    flat = rows(x)
    low, high = xp.min(flat, axis=1), xp.max(flat, axis=1)
    half = (high - low) / 2
    deviation = xp.std(flat, axis=1)
    room = 0.5 / xp.where(half > 0, half, xp.ones_like(half))
    wanted = contrast / xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    gain = xp.minimum(room, xp.maximum(wanted, xp.ones_like(wanted)))
    middle = column((low + high) / 2, x)
    stretched = xp.clip((x - middle) * column(gain, x) + 0.5, 0.0, 1.0)
    fine = (wanted <= 1) & (low >= 0) & (high <= 1)
    return xp.where(column(fine, x), x, stretched)
