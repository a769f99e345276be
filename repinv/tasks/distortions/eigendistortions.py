"""Eigendistortions: the changes of an image that a representation notices most and least."""

from __future__ import annotations

import math
import time

import numpy as np

from repinv._core.typing import Array
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.io.image import from_batch
from repinv.search import validation
from repinv.tasks.distortions import eigenpairs
from repinv.tasks.distortions.distortions import Distortions
from repinv.tasks.distortions.eigenpairs import Eigenpairs
from repinv.tasks.distortions.linearization import Linearization, linearized, read_image

METHODS = ("auto", "exact", "lanczos", "lobpcg")
#: Pixels, and numbers of the Jacobian, up to which it is computed as a whole.
_PIXELS, _NUMBERS = 1024, 2**24
#: Numbers of the Jacobian that are too many for it to be held.
_MOST = 2**28


def eigendistortions(
    encoder: Encoder | str,
    image: Array,
    *,
    largest: int = 1,
    smallest: int = 1,
    method: str = "auto",
    seed: int = 0,
    tol: float = 1e-5,
    max_iter: int = 1000,
) -> Distortions:
    """Find the changes of an image that an encoder's features notice most and least.

    These are eigenvectors of JᵀJ, where J is the derivative of the features at the image. A small
    change v changes the features by J v, and ‖J v‖² = λ for an eigenvector of unit norm.

    Parameters
    ----------
    encoder : Encoder or str
        Φ; or its expression on the command line.
    image : array, shape (H, W) or (H, W, C)
        Floats in [0, 1], or integers that stand for fractions of white. Channels stand where a call
        of the encoder takes them.
    largest, smallest : int
        How many of the largest and of the smallest eigenvalues.
    method : {"auto", "exact", "lanczos", "lobpcg"}
        "exact" takes the singular values of the whole Jacobian. "lanczos" finds the largest by
        Lanczos' method and the smallest by projections of random images onto directions that
        features do not change in. "lobpcg" finds both by LOBPCG. "auto" is "exact" up to 1024
        pixels, and else "lanczos", followed by "lobpcg" where projections miss `tol`.
    seed : int
        Of the starts, and of the noise that moves an image off kinks.
    tol : float
        Residual ‖JᵀJv − λv‖, in units of the largest eigenvalue, at which a search stops.
    max_iter : int
        Products with JᵀJ at most, for the largest and for the smallest each.

    Returns
    -------
    distortions : Distortions
        First the largest eigenvalues, in falling order; then the smallest, in rising order.

    Raises
    ------
    TypeError, ValueError
        If the encoder does not take the image, more eigenvectors than pixels are wanted, or
        features do not change with the image at all.

    See Also
    --------
    repinv.walk : Change an image along directions that its features do not notice.
    repinv.sensitivity : Measure where, and at which frequencies, features notice changes.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Notes
    -----
    Features are smooth only between kinks: edges of bins, clips, maxima, magnitudes of zero. The
    derivative is that of the encoder's pullback, without surrogate slopes. Encoders without `jvp`
    are differentiated by differences in float64. Photographs of 8 bits lie on kinks, where
    differences are not adjoint to the pullback; uniform noise of half a gray level is then added to
    the image, and `Distortions.notes` says so. Of hard assignments the derivative is that of the
    smooth part: jumps have none.

    Where J has a null space of many dimensions, the smallest eigenvalue belongs to all of it. The
    directions that are found by projection are orthonormal random samples of it with a spectrum
    near that of photographs; other seeds give others.

    References
    ----------
    .. [1] Berardino, Ballé, Laparra and Simoncelli, "Eigen-distortions of hierarchical
       representations", NeurIPS, 2017. :doi:`10.48550/arXiv.1710.02266`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((24, 24))
    >>> found = repinv.eigendistortions(repinv.HOG.vlfeat(), image, largest=2, smallest=1)
    >>> found.images.shape, bool(found.eigenvalues[0] > 1e6 * found.eigenvalues[2])
    ((3, 24, 24), True)
    """
    began = time.perf_counter()
    encoder = expressions.encoder_of(encoder, image)
    x = read_image(image, encoder)
    _check(x, encoder, largest, smallest, method, tol, max_iter)
    rng = np.random.default_rng(seed)
    used = _chosen(encoder, x, method)
    linear, notes = linearized(encoder, x, rng)
    top, bottom, unit = _SEARCHES[used](linear, largest, smallest, tol, max_iter, rng)
    if not unit > 0:
        raise ValueError(
            f"the features of {type(encoder).__name__} do not change with this image (JᵀJ = 0). "
            "Take an image with more in it, or another encoder."
        )
    apart = eigenpairs.residuals(linear, bottom, unit)
    if method == "auto" and used != "exact" and np.any(apart > tol):
        bottom = eigenpairs.by_lobpcg(
            linear, bottom.vectors, is_largest=False, tol=tol * unit, max_iter=max_iter
        )
        apart = eigenpairs.residuals(linear, bottom, unit)
    apart = np.concatenate([eigenpairs.residuals(linear, top, unit), apart])
    if np.any(apart > tol):
        notes += (
            f"{int(np.sum(apart > tol))} of {apart.size} directions have a residual above "
            f"tol={tol:g}, up to {apart.max():.2g}. Raise max_iter.",
        )
    vectors = _signed(np.concatenate([top.vectors, bottom.vectors], axis=1))
    return Distortions(
        images=np.stack([from_batch(v.reshape(x.shape[1:])) for v in vectors.T]),
        eigenvalues=np.concatenate([top.values, bottom.values]),
        residuals=apart,
        n_largest=largest,
        unit=unit,
        image=from_batch(linear.image),
        method=used,
        encodings=linear.encodings,
        pullbacks=linear.pullbacks,
        seconds=time.perf_counter() - began,
        notes=notes,
        encoder=encoder,
    )


def _check(
    x: np.ndarray,
    encoder: Encoder,
    largest: int,
    smallest: int,
    method: str,
    tol: float,
    max_iter: int,
) -> None:
    """Raise unless the options are possible for an image."""
    validation.check_counts(max_iter=max_iter)
    validation.check_counts(least=0, largest=largest, smallest=smallest)
    if largest + smallest < 1:
        raise ValueError("largest and smallest are both 0; find at least one eigenvector.")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    if not 0 < tol < 1:
        raise ValueError(f"tol must lie between 0 and 1; got {tol}.")
    # ARPACK and LOBPCG need a few more directions than they find.
    size = x.size
    if largest + smallest > size:
        raise ValueError(
            f"an image of {size} pixels has {size} eigenvectors; got largest={largest} and "
            f"smallest={smallest}. Lower one of them."
        )
    count = math.prod(encoder.feature_shape(tuple(x.shape[1:])))
    if method == "exact" and count * size > _MOST:
        raise ValueError(
            f"the Jacobian of {count} features and {size} pixels has {count * size:.2g} numbers, "
            'too many for method="exact". Take method="lanczos".'
        )


def _chosen(encoder: Encoder, x: np.ndarray, method: str) -> str:
    """The method that is taken."""
    if method != "auto":
        return method
    count = math.prod(encoder.feature_shape(tuple(x.shape[1:])))
    is_small = x.size <= _PIXELS and count * x.size <= _NUMBERS
    return "exact" if is_small else "lanczos"


def _by_exact(
    linear: Linearization,
    largest: int,
    smallest: int,
    tol: float,
    max_iter: int,
    rng: np.random.Generator,
) -> tuple[Eigenpairs, Eigenpairs, float]:
    """Largest and smallest pairs, and the largest eigenvalue, of the whole Jacobian."""
    top, bottom = eigenpairs.exact(linear, max(1, largest), smallest)
    return top.first(largest), bottom, float(top.values[0])


def _by_lanczos(
    linear: Linearization,
    largest: int,
    smallest: int,
    tol: float,
    max_iter: int,
    rng: np.random.Generator,
) -> tuple[Eigenpairs, Eigenpairs, float]:
    """The same by Lanczos' method and projections."""
    accuracy = tol if largest else eigenpairs.ROUGH
    top = eigenpairs.largest_by_lanczos(
        linear, max(1, largest), tol=accuracy, max_iter=max_iter, rng=rng
    )
    unit = float(top.values[0])
    bottom = eigenpairs.none_of(linear)
    if smallest and unit > 0:
        starts = rng.standard_normal((smallest, linear.shape[1]))
        bottom = eigenpairs.unseen(linear, starts, unit=unit, tol=tol, max_iter=max_iter)
    return top.first(largest), bottom, unit


def _by_lobpcg(
    linear: Linearization,
    largest: int,
    smallest: int,
    tol: float,
    max_iter: int,
    rng: np.random.Generator,
) -> tuple[Eigenpairs, Eigenpairs, float]:
    """The same by LOBPCG."""
    unit = eigenpairs.largest_value(linear, rng, max_iter)
    found = []
    for count, is_largest in ((largest, True), (smallest, False)):
        if not (count and unit > 0):
            found.append(eigenpairs.none_of(linear))
            continue
        start = eigenpairs.block_of(linear, count, rng)
        pairs = eigenpairs.by_lobpcg(
            linear, start, is_largest=is_largest, tol=tol * unit, max_iter=max_iter
        )
        found.append(pairs.first(count))
    top, bottom = found
    return top, bottom, float(top.values[0]) if largest and unit > 0 else unit


_SEARCHES = {"exact": _by_exact, "lanczos": _by_lanczos, "lobpcg": _by_lobpcg}


def _signed(vectors: np.ndarray) -> np.ndarray:
    """Eigenvectors whose entry of largest magnitude is positive."""
    peaks = np.argmax(np.abs(vectors), axis=0)
    return np.asarray(vectors * np.sign(vectors[peaks, np.arange(vectors.shape[1])]))
