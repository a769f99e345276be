"""Several inversions by one encoder in one run: what a GPU needs to be kept busy."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.search.feature_layout import read
from repinv.search.result import Result
from repinv.search.setup import posed
from repinv.tasks.invert import invert
from repinv.tasks.stacks import Asked, found
from repinv.variables.base import Parametrization

#: Options of an inversion that has no watcher.
_TAKEN = {*inspect.signature(posed).parameters, "shape", "layout"}
#: What `repinv.invert` takes where nothing is said.
_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(invert).parameters.items()
    if parameter.default is not parameter.empty and name in _TAKEN
}


def invert_each(
    wanted: Sequence[tuple[Array, int]], encoder: Encoder, **options: Any
) -> list[Result]:
    """Invert several features, those together that are asked for alike.

    Every image is a problem of its own, and takes the steps that it would take alone, up to the
    rounding of kernels that work on several images at once. Whether a run begins anew in changes
    to which the features answer alike, its first image decides. Those with places that are kept
    flat run alone.

    Parameters
    ----------
    wanted : sequence of (array, int)
        Features, and the seed of each inversion.
    encoder : Encoder
    **options
        Of `repinv.invert`, the same for all, but for what watches a run.

    Returns
    -------
    results : list of Result
        As `repinv.invert` would find them, one after the other. Their seconds are shares of those
        of the run.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> from repinv.lockstep import invert_each
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> images = np.random.default_rng(0).random((3, 32, 32)).astype(np.float32)
    >>> wanted = [(hog(image), seed) for seed, image in enumerate(images)]
    >>> found = invert_each(wanted, hog, shape=(32, 32), max_iter=30)
    >>> [result.images.shape for result in found]
    [(1, 32, 32), (1, 32, 32), (1, 32, 32)]
    """
    asked: list[Asked] = []
    spaces: dict[int, Parametrization] = {}
    for features, seed in wanted:
        settled = _DEFAULTS | options | {"seed": seed}
        reading = read(features, encoder, settled.pop("shape"), settled.pop("layout"))
        if len(reading) > 1:
            raise ValueError(
                f"expected features of one image each; got those of {len(reading)}. Give each of "
                "them."
            )
        if seed in spaces:
            # What to turn depends on the seed, and the encoder is asked a dozen times for it.
            settled["parametrization"] = spaces[seed]
        asked.append(posed(reading, encoder, **settled))
        if not settled["jitter"] and asked[-1][0].max_iter > 0:  # a blank target takes no search
            spaces[seed] = asked[-1][0].parametrization
    return found(asked)
