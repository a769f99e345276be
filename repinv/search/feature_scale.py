"""Whether features are at the scale of their encoder's: norms against those of probe images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io.sample_images import photographs
from repinv.solvers.minimize import to_host
from repinv.variables.spectral import Spectral

#: How far a norm may be from that of one texture before photographs are looked at.
_SUSPICIOUS = 2.0
#: Contrast of faint copies of photographs, relative to them; largest ratio of a norm, between all
#: of them, that counts as fixed.
_FAINT, _FIXED = 0.1, 1.03
#: By how much norms may vary more than the one that varies least, and still tell the factor.
_ALIKE = 1.005
#: Rows of a smaller norm, relative to the largest, are those of flat places.
_FLAT = 1e-3
#: Factors from which features are of another scale, of encoders with a fixed norm and of others.
#: Between images of all kinds the former's differ by 1.7 at most, the latter's by 3.
_FACTOR, _FACTOR_OF_OTHERS = 3.0, 8.0


def factor(
    features: Array, encoder: Encoder, size: tuple[int, int, int], counts: Array | None = None
) -> tuple[float, bool]:
    """How many times the encoder's own scale features are, and whether its norm is fixed.

    Features are of another scale where none of many norms says otherwise: sums, Euclidean norms
    and largest entries, of all features and the median of those of descriptors or blocks. Where an
    encoder's norm is not fixed, as that of most layers of networks, features that are too small
    may be those of a faint image, and only those that are too large are reported.

    Parameters
    ----------
    features : array, shape F
        Of one image.
    encoder : Encoder
    size : tuple of int
        (C, H, W) of the image.
    counts : array, broadcastable to F, or None
        Which features count; those of weight zero are left out.

    Returns
    -------
    factor : float
        1 where they are of the encoder's scale.
    is_fixed : bool
        Whether the norm of features depends on the image not at all, as far as probes tell.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> hog = repinv.HOG.vlfeat()
    >>> features = hog(np.random.default_rng(0).random((64, 64)).astype(np.float32))
    >>> factor(features, hog, (1, 64, 64))[0], round(factor(255 * features, hog, (1, 64, 64))[0])
    (1.0, 255)
    """
    axis = encoder.descriptor_axis
    which = 1.0 if counts is None else (to_host(counts) > 0).astype(np.float32)

    def norms(values: Array) -> np.ndarray:
        return _norms(np.asarray(to_host(values), np.float64) * which, axis)

    def of(image: np.ndarray) -> np.ndarray:
        return norms(encoder.encode(encoder.asarray(image[None]))[0, ...])

    given = norms(features)
    if not given.any():
        return 1.0, True
    least, most = _bounds(given, of(_texture(size))[None])
    if least <= _SUSPICIOUS and most >= 1 / _SUSPICIOUS:
        return 1.0, True
    images = photographs(size, whole=True)
    faint = 0.5 + _FAINT * (images - 0.5)
    found = [of(image) for image in (*images, *faint)]
    # What is too faint for a threshold of contrast has no features at all.
    probes = np.stack([one for one in found if one.any()] or found[:1])
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.nan_to_num(probes.max(axis=0) / probes.min(axis=0), nan=np.inf)
    is_fixed = bool(spread.min() <= _FIXED)
    least, most = _bounds(given, probes)
    enough = _FACTOR if is_fixed else _FACTOR_OF_OTHERS
    if least < enough and not (is_fixed and most <= 1 / enough):
        return 1.0, is_fixed
    # Of norms that are as good as fixed, the largest: in a sparse image others are smaller.
    tight = spread <= _ALIKE * spread.min()
    ratios = given[tight] / np.exp(np.log(probes[:, tight]).mean(axis=0))
    return float(ratios.max()), is_fixed


def told(number: float, is_fixed: bool) -> str:
    """What to say of features of another scale, which were not scaled."""
    much = _in_words(number)
    remedy = "pass rescale=True (on the command line --rescale), or " if is_fixed else ""
    return (
        f"features are about {much} as large as those of photographs: at another scale? "
        f"No image may have them. If so, {remedy}divide them by {number:.3g}"
    )


def scaled(number: float) -> str:
    """What to say of features that were scaled."""
    return f"features were about {_in_words(number)} as large as the encoder's, and were scaled"


def unscalable(number: float, encoder: Encoder) -> ValueError:
    """Why features of another scale are not scaled."""
    return ValueError(
        f"rescale=True goes with encoders whose features have a fixed norm; those of "
        f"{type(encoder).__name__} grow with contrast. These are about {_in_words(number)} as "
        f"large as those of photographs: divide them by what they were multiplied by."
    )


def _in_words(number: float) -> str:
    """A factor: '512 times', '1/255 times'."""
    return f"{number:.3g} times" if number >= 1 else f"1/{1 / number:.3g} times"


def _texture(size: tuple[int, int, int]) -> np.ndarray:
    """Noise (C, H, W) of the spectrum and the contrast of photographs."""
    noise = np.random.default_rng(0).standard_normal((1, *size)).astype(np.float32)
    space = Spectral(start_scale=1.0)
    image: np.ndarray = np.clip(np.asarray(space.image(space.start(noise)))[0], 0, 1)
    return image


def _norms(features: np.ndarray, axis: int | None) -> np.ndarray:
    """Sums, Euclidean norms and largest entries of the rows of every grouping of features."""
    shape = features.shape
    groups = [features.reshape(1, -1)]
    if axis is not None:
        groups.append(np.moveaxis(features, axis, -1).reshape(-1, shape[axis]))
    else:
        groups += [features.reshape(math.prod(shape[:k]), -1) for k in range(1, len(shape))]
    found: list[Any] = []
    for rows in groups:
        size = np.abs(rows)
        for norm in (size.sum(axis=1), np.sqrt((size * size).sum(axis=1)), size.max(axis=1)):
            seen = norm[norm > _FLAT * norm.max()]
            found.append(np.median(seen) if seen.size else 0.0)
    return np.array(found)


def _bounds(given: np.ndarray, probes: np.ndarray) -> tuple[float, float]:
    """Least and largest ratio of norms to the largest, and to the least, of probes."""
    low, high = probes.min(axis=0), probes.max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(high > 0, given / high, 0.0)
        most = np.where(low > 0, given / low, np.inf)
    return float(least.min()), float(most.max())
