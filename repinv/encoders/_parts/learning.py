"""Vocabularies and mixtures learned from a stream of images; scikit-learn does the work."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from repinv._core.threads import libraries_limited
from repinv.encoders._parts import validation
from repinv.encoders._parts.local_descriptors import descriptors, width
from repinv.encoders.base import Encoder
from repinv.io.image import on_host
from repinv.io.streams import Images, stream, total

#: Descriptors that k-means is shown at a time, at least, and for each word.
_BATCH, _BATCH_PER_WORD = 4096, 4
#: Descriptors of a user's that are looked at at a time; variation of the norms of rows, relative to
#: their mean, from which an array of their width is no image.
_PART, _EQUAL = 16_384, 0.02
#: Windows that a dictionary is shown at a time.
_CODED = 256


def samples(
    images: Images,
    local: Encoder,
    per_image: int,
    seed: int,
    progress: bool,
    given: bool | None = None,
) -> Iterator[np.ndarray]:
    """At most so many descriptors (n, D) of each image in turn, drawn from those not zero.

    Where descriptors are `given` in place of images, all of them that are not zero. None is for
    images; what seems to be descriptors is refused then.
    """
    most = validation.whole("descriptors_per_image", per_image)
    size = width(local, type(local).__name__)
    nothing = getattr(local, "of_nothing", np.zeros(size))
    if given:
        yield from _given(images, size, nothing, progress)
        return
    found = stream(images, local)
    bar = tqdm(found, total=total(images), disable=not progress, unit="image")
    for number, image in enumerate(bar):
        if given is None and _seem_descriptors(image, size):
            raise ValueError(
                f"an array of shape {np.shape(image)} could be descriptors or an image: its rows "
                f"have {size} numbers and one norm. Say which: descriptors=True or "
                "descriptors=False."
            )
        rows = descriptors(local, local(image)[None])[0]
        rows = rows[~_are(rows, nothing)]
        rng = np.random.default_rng((seed, number))
        yield rows[rng.permutation(len(rows))[:most]]


def _given(arrays: Any, size: int, nothing: np.ndarray, progress: bool) -> Iterator[np.ndarray]:
    """Descriptors (n, D) that a user has, in parts."""
    parts = [arrays] if getattr(arrays, "ndim", 0) == 2 else arrays
    for part in tqdm(parts, disable=not progress, unit="array"):
        shape = np.shape(part)
        if len(shape) != 2 or shape[1] != size:
            raise ValueError(
                f"expected descriptors (n, {size}), as the local encoder's; got shape {shape}. "
                "Transpose them, or give the local encoder that they are of."
            )
        for first in range(0, len(part), _PART):
            rows = on_host(part[first : first + _PART])
            rows = rows.astype(np.float64 if rows.dtype == np.float64 else np.float32, copy=False)
            if not np.isfinite(rows).all():
                raise ValueError("descriptors must be finite; these hold NaN or infinity.")
            yield rows[~_are(rows, nothing)]


def _are(rows: np.ndarray, nothing: np.ndarray) -> np.ndarray:
    """Which descriptors are those of a flat region."""
    alike = np.isclose(rows, nothing, rtol=1e-4, atol=1e-6) if nothing.any() else rows == 0
    are: np.ndarray = np.all(alike, axis=1)
    return are


def _seem_descriptors(image: Any, size: int) -> bool:
    """Whether an array has the width and the equal norms of descriptors, as SIFT's and HOG's."""
    shape = np.shape(image) if not hasattr(image, "shape") else tuple(image.shape)
    if len(shape) != 2 or shape[1] != size or shape[0] < 2:
        return False
    rows = np.abs(on_host(image).astype(np.float64))
    for norms in (rows.sum(axis=1), np.sqrt((rows * rows).sum(axis=1))):
        seen = norms[norms > 0]
        if len(seen) > 1 and float(seen.std()) <= _EQUAL * float(seen.mean()):
            return True
    return False


def principal(
    samples: Iterator[np.ndarray], count: int, seed: int, sample_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (D,), principal components (count, D) and their standard deviations (count,)."""
    from sklearn.decomposition import PCA

    chosen = reservoir(samples, validation.whole("sample_size", sample_size), seed)
    _check_enough(len(chosen), max(count, 2), "n_components")
    with libraries_limited():
        found = PCA(count, svd_solver="full").fit(chosen.astype(np.float64))
    return found.mean_, found.components_, np.sqrt(found.explained_variance_)


def words(samples: Iterator[np.ndarray], count: int, seed: int) -> np.ndarray:
    """Centres (count, D) of a k-means that reads every sample once."""
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(count, random_state=seed, n_init=1)
    waiting: list[np.ndarray] = []
    seen = held = 0
    for sample in samples:
        waiting.append(sample)
        held += len(sample)
        if held >= max(_BATCH, _BATCH_PER_WORD * count):
            _partial_fit(means, waiting)
            seen, held, waiting = seen + held, 0, []
    # The rest after a first batch may be few; alone, it has to do for all words.
    if held and (seen or held >= count):
        _partial_fit(means, waiting)
    _check_enough(seen + held, count, "n_words")
    return np.asarray(means.cluster_centers_)


def _partial_fit(means: Any, samples: list[np.ndarray]) -> None:
    """Show k-means some samples; on one thread, lest words depend on how many there are."""
    with libraries_limited():
        means.partial_fit(np.concatenate(samples))


def mixture(
    samples: Iterator[np.ndarray], count: int, seed: int, sample_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (count,), means and variances (count, D) of a Gaussian mixture."""
    from sklearn.mixture import GaussianMixture

    chosen = reservoir(samples, validation.whole("sample_size", sample_size), seed)
    _check_enough(len(chosen), count, "n_components")
    # Numbers that never vary, as some descriptors have, would divide by nothing.
    least = 1e-4 * float(np.var(chosen, axis=0).mean()) + 1e-12
    found = GaussianMixture(
        count, covariance_type="diag", random_state=seed, reg_covar=least, max_iter=200
    )
    with libraries_limited():
        found.fit(chosen.astype(np.float64))
    return found.weights_, found.means_, found.covariances_


def reservoir(samples: Iterator[np.ndarray], size: int, seed: int) -> np.ndarray:
    """A uniform sample of at most `size` rows (Vitter's algorithm R)."""
    rng = np.random.default_rng(seed)
    held: list[np.ndarray] = []
    seen = 0
    for sample in samples:
        places = rng.integers(0, np.arange(seen + 1, seen + len(sample) + 1))
        for row, place in zip(sample, places, strict=True):
            if len(held) < size:
                held.append(row)
            elif place < size:
                held[place] = row
        seen += len(sample)
    return np.stack(held) if held else np.empty((0, 1))


def _check_enough(found: int, count: int, name: str) -> None:
    """Raise ValueError if there are fewer descriptors than centres to find."""
    if found < count:
        raise ValueError(
            f"expected at least {name}={count} descriptors that are not zero; got {found}. "
            "Give more or larger images, or ask for less."
        )


def dictionary(samples: Iterator[np.ndarray], count: int, penalty: float, seed: int) -> np.ndarray:
    """Atoms (count, D) of positive codes with few entries, learned online from rows (n, D).

    Interrupted from the keyboard it ends with what it has, if it has all atoms, and warns.
    """
    from sklearn.decomposition import MiniBatchDictionaryLearning

    learner: Any = None
    waiting: list[np.ndarray] = []
    held = seen = 0
    try:
        for sample in samples:
            if not len(sample):
                continue
            waiting.append(sample)
            held += len(sample)
            if held >= (count if learner is None else _CODED):
                batch = np.concatenate(waiting).astype(np.float32, copy=False)
                if learner is None:
                    rng = np.random.default_rng(seed)
                    # A norm of one for both halves of a pair together.
                    start = batch[rng.permutation(len(batch))[:count]] / np.sqrt(2)
                    learner = MiniBatchDictionaryLearning(
                        count,
                        alpha=penalty,
                        batch_size=_CODED,
                        fit_algorithm="cd",
                        positive_code=True,
                        dict_init=start,
                        random_state=seed,
                    )
                with libraries_limited(), warnings.catch_warnings():
                    # What a batch's codes lack in convergence the next batches make up for.
                    warnings.simplefilter("ignore")
                    for part in np.array_split(batch, max(1, len(batch) // _CODED)):
                        learner.partial_fit(part)
                seen, held, waiting = seen + held, 0, []
    except KeyboardInterrupt:
        if learner is None:
            raise
        warnings.warn(f"interrupted after {seen} windows; the atoms are of these", stacklevel=3)
    _check_enough(seen + held, count, "n_atoms")
    return np.asarray(learner.components_, dtype=np.float32)
