"""Runs that were saved, continued."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.io import serialization
from repinv.search.problem import HANDED_ON, Problem, check_position
from repinv.search.result import Result
from repinv.search.retries import attempted
from repinv.search.run import moved
from repinv.search.schedules import PRIORS as PRIORS
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
        rest = {
            name: moved(serialization.restore(value), given.asarray)
            for name, value in described.items()
            if name != "encoder"
        }
        problem = Problem(encoder=given, **rest)
        position = dict(header["position"])
        seconds, notes = float(header["seconds"]), tuple(header["notes"])
        position["z"] = given.asarray(arrays["z"])
        position["seen"] = arrays.get("seen")
        position |= {name: given.asarray(arrays[name]) for name in HANDED_ON if name in arrays}
        if position["state"] is not None:
            position["state"] = dict(position["state"]) | {
                name: given.asarray(values) for name, values in _under("state/", arrays).items()
            }
        trace = _under("trace/", arrays)
        check_position(problem, position, trace)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} is not a whole run saved by repinv ({error!r}).") from None
    return attempted(problem, position, trace, seconds, notes, time_limit, callback, progress)


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays whose name begins with a prefix, by the rest of their name."""
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }
