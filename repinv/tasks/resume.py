"""Runs that were saved, continued."""

from __future__ import annotations

import os
from collections.abc import Callable

from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.io import serialization
from repinv.search.problem import Problem, check_state
from repinv.search.result import Result
from repinv.search.retries import attempted
from repinv.search.run import Watch
from repinv.search.state import RunState
from repinv.solvers.minimize import Snapshot


def resume(
    path: str | os.PathLike[str],
    *,
    encoder: Encoder | str | None = None,
    time_limit: float | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    progress: bool = False,
) -> Result:
    """Continue a run that was stopped early and saved, to the end it would have had.

    Parameters
    ----------
    path : path
        What `Result.save` wrote.
    encoder : Encoder or str, optional
        Needed for encoders that are not repinv's own.
    time_limit, callback, progress : optional
        As for `invert`.

    Returns
    -------
    result : Result
        Bit for bit what the run would have ended with, had it not been stopped.

    Raises
    ------
    ValueError
        If the file is not a run, or is damaged.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.Result : Images that a task found, and how.

    Examples
    --------
    >>> import numpy as np, os, repinv, tempfile
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> features = hog(np.random.default_rng(0).random((32, 32)))
    >>> whole = repinv.invert(features, hog, shape=(32, 32), max_iter=60)
    >>> part = repinv.invert(features, hog, shape=(32, 32), max_iter=60,
    ...                      callback=lambda snapshot: snapshot.iteration == 20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     part.save(os.path.join(folder, "run.npz"))
    ...     continued = repinv.resume(os.path.join(folder, "run.npz"))
    >>> bool(np.all(continued.image == whole.image))
    True
    """
    named = None if encoder is None else expressions.encoder_of(encoder)
    header, arrays = serialization.load(path)
    try:
        described = dict(header["problem"])
        if encoder is None and described["encoder"] is None:
            raise ValueError(
                f"{path}: the run's encoder is not one of repinv's own; pass it as encoder=."
            )
        given = serialization.restore(described["encoder"]) if named is None else named
        problem = Problem.restored(described, given)
        state = RunState.unpacked(header, arrays, given.asarray)
        check_state(problem, state)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} is not a whole run saved by repinv ({error!r}).") from None
    return attempted(problem, state, Watch(time_limit, callback, progress))
