"""Whether a run has converged, and how many evaluations more would about halve its error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from repinv.io.tables import percent

#: Share of a run at its end over which the fall of its error is measured, and the least of them.
_END, _FEWEST = 0.1, 5
#: Relative feature error that is small enough for the eye, whatever else would be gained.
_NEGLIGIBLE = 1e-4
#: Relative feature error that few encoders end with, and the evaluations after which it is said.
_LARGE, _LONG = 0.15, 100
#: Power of the number of evaluations as which an error falls that has not converged: it is halved
#: before the run is twice as long.
_STEEP = 1.0
#: How much longer it takes than that power predicts, since errors fall ever more slowly.
_SLOWER = 1.25


def forecast(data: np.ndarray, last: int) -> int | None:
    """How many evaluations more would about halve an error; None for a run that has converged.

    Parameters
    ----------
    data : ndarray, shape (iterations,)
        The relative feature error at every evaluation.
    last : int
        Evaluations of the last stage: errors of the ones before may be of another encoder.

    Notes
    -----
    The least error so far is taken to fall as a power of the number of evaluations, and somewhat
    more slowly later.
    """
    count = len(data)
    window = min(round(_END * count), last)
    if window < _FEWEST:
        return None
    least = np.minimum.accumulate(data[count - window :].astype(np.float64))
    if not 0 < least[-1] < least[0]:
        return None
    power = np.log(least[0] / least[-1]) / np.log(count / (count - window + 1))
    return round(_SLOWER * count * (2 ** (1 / power) - 1)) if power > _STEEP else None


def remark(
    trace: Mapping[str, np.ndarray], error: np.ndarray, last: int, stop_reason: str
) -> tuple[str, ...]:
    """What the notes of a run say of its end: nothing where its error is negligible.

    Parameters
    ----------
    trace : mapping of str to ndarray, shape (iterations, N)
    error : ndarray, shape (N,)
        Of the images that the run ended with.
    last : int
        Evaluations of its last stage.
    stop_reason : str
    """
    worst = int(np.argmax(error))
    if stop_reason != "max_iter" or not error[worst] > _NEGLIGIBLE or len(trace["data"]) == 0:
        return ()
    notes = []
    if error[worst] > _LARGE and len(trace["data"]) >= _LONG:
        notes.append(
            f"an error of {percent(error[worst], 2)} is large: so end features of another encoder "
            "or of other options, flat ones if shape is not (height, width), and codes that are "
            "hard to invert"
        )
    more = forecast(trace["data"][:, worst], last)
    if more is not None:
        notes.append(
            f"not converged: the error still falls; about {more} evaluations more would halve it"
        )
    return tuple(notes)
