"""Where an inversion with flat areas starts: their gray levels, and what lies between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from repinv.encoders.base import Encoder
from repinv.energy.losses import Loss
from repinv.solvers.minimize import to_host

#: Half the range of the levels; levels that are drawn at random, as many of them black or white
#: alone; and those that are tried in place of each, for the largest areas, and how often.
_RANGE, _DRAWS, _BINARY, _TRIED, _LARGEST, _PASSES = 0.4, 32, 12, (-0.4, 0.4, -0.1, 0.1), 16, 2
#: Contrast of the noise that what lies between areas starts with.
_NOISE = 0.02
#: Images that are encoded at once.
_TOGETHER = 8


def start(
    encoder: Encoder, loss: Loss, areas: np.ndarray, noise: np.ndarray, seed: int
) -> np.ndarray:
    """Images (N, C, H, W) to start from: of the levels that were drawn, those of least error.

    Parameters
    ----------
    encoder : Encoder
    loss : Loss
        Of the features.
    areas : ndarray, shape (H, W)
        Numbers of the areas from 1, 0 for none.
    noise : ndarray, shape (N, C, H, W)
        White noise, for what lies between.
    seed : int
        Of the levels.

    Notes
    -----
    Between areas the start is harmonic, as smooth as their levels allow, so that its gradients are
    across the edges there; or the level of the nearest area, so that there is a sharp edge midway.
    Of normalized features a start of low contrast would not find the levels, whose differences are
    to be large beside the noise.
    """
    shape = noise.shape[1:]
    bases = (_harmonic(areas), _nearest(areas))

    def image(levels: np.ndarray, basis: np.ndarray) -> np.ndarray:
        gray = 0.5 + np.tensordot(levels, basis, 1)
        return np.broadcast_to(gray[:, None], (len(levels), *shape)).astype(np.float32)

    def errors(levels: np.ndarray, basis: np.ndarray) -> np.ndarray:
        parts = [levels[k : k + _TOGETHER] for k in range(0, len(levels), _TOGETHER)]
        features = (encoder.encode(encoder.asarray(image(part, basis))) for part in parts)
        return np.concatenate([to_host(loss.value_and_grad(one)[0]) for one in features])

    found = []
    for number in range(len(noise)):
        tried = [_levels(partial(errors, basis=b), areas, (seed, number)) for b in bases]
        best = int(np.argmin([error for _, error in tried]))
        found.append(image(tried[best][0][None], bases[best]))
    return np.concatenate(found) + np.float32(_NOISE) * noise


def _levels(
    errors: Callable[[np.ndarray], np.ndarray], areas: np.ndarray, seed: tuple[int, ...]
) -> tuple[np.ndarray, float]:
    """The best of some levels, and then of others for one area after the other; and its error."""
    count, rng = int(areas.max()), np.random.default_rng(seed)
    drawn = rng.uniform(-_RANGE, _RANGE, (_DRAWS, count)).astype(np.float32)
    drawn[:_BINARY] = _RANGE * np.sign(drawn[:_BINARY])
    values = errors(drawn)
    best, least = drawn[values.argmin()], values.min()
    sizes = np.bincount(areas.ravel().astype(np.int64), minlength=count + 1)[1:]
    largest = np.argsort(-sizes, kind="stable")[:_LARGEST]
    for _ in range(_PASSES if count > 1 else 0):
        for area in largest:
            tried = np.repeat(best[None], len(_TRIED), axis=0)
            tried[:, area] = _TRIED
            values = errors(tried)
            if values.min() < least:
                best, least = tried[values.argmin()], values.min()
    return best, float(least)


def _nearest(areas: np.ndarray) -> np.ndarray:
    """Functions (K, H, W), each 1 where its area is the nearest."""
    places = ndimage.distance_transform_edt(areas == 0, return_distances=False, return_indices=True)
    nearest = areas[tuple(places)]
    basis: np.ndarray = nearest == np.arange(1, int(areas.max()) + 1)[:, None, None]
    return basis.astype(np.float32)


def _harmonic(areas: np.ndarray) -> np.ndarray:
    """Functions (K, H, W), each 1 on its area, 0 on others, and harmonic between them."""
    count = int(areas.max())
    basis: np.ndarray = (areas == np.arange(1, count + 1)[:, None, None]).astype(np.float32)
    free = areas == 0
    if not free.any():
        return basis
    unknowns = int(free.sum())
    number = np.full(areas.shape, -1)
    number[free] = np.arange(unknowns)
    numbers = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
    owners = [(areas[:, :-1], areas[:, 1:]), (areas[:-1], areas[1:])]
    degree = np.full(unknowns, 1e-6)
    given = np.zeros((unknowns, count))
    pairs: list[np.ndarray] = []
    for (one, other), (its, others) in zip(numbers, owners, strict=True):
        for here, there, owner in ((one, other, others), (other, one, its)):
            inside = here >= 0
            np.add.at(degree, here[inside], 1)
            within = inside & (there >= 0)
            pairs.append(np.stack([here[within], there[within]]))
            border = inside & (there < 0)
            np.add.at(given, (here[border], owner[border].astype(np.int64) - 1), 1)
    rows, columns = np.concatenate(pairs, axis=1)
    laplacian = sparse.coo_array(
        (np.full(rows.size, -1.0), (rows, columns)), shape=(unknowns, unknowns)
    )
    system = sparse.csc_array(laplacian + sparse.diags_array(degree))
    basis[:, free] = splu(system).solve(given).T
    return basis
