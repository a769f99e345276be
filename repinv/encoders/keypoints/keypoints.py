"""Keypoints as people have them: of OpenCV, as arrays, or in files; read and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

#: Numbers of a keypoint, in the order of the columns of an array.
COLUMNS = ("x", "y", "size", "angle", "octave")
_FORMS = (
    "a list of cv2.KeyPoint, an array (K, 5) of x, y, size, angle and octave, a structured array "
    "or a mapping with these names, or a .npz or .json file of them"
)
#: OpenCV packs octave, layer and offset in 24 bits.
_PACKED = 2**31


def read(given: Any) -> np.ndarray:
    """Keypoints as a read-only array (K, 5), float64: x, y, size, angle, octave.

    Parameters
    ----------
    given : sequence of cv2.KeyPoint, array, mapping or path
        Positions and sizes in pixels, angles in degrees, octaves as OpenCV packs them.

    Raises
    ------
    TypeError
        If it is nothing of that kind.
    ValueError
        If there are no keypoints, or their numbers are impossible.

    Examples
    --------
    >>> read({"x": [3.0], "y": [4.0], "size": [2.0], "angle": [0.0], "octave": [255]})
    array([[  3.,   4.,   2.,   0., 255.]])
    """
    if isinstance(given, str | os.PathLike):
        given = _of_file(Path(given))
    found = np.array(_columns(given), np.float64, order="C")
    _check(found)
    found.setflags(write=False)
    return found


def _columns(given: Any) -> np.ndarray:
    """Whatever keypoints are given as, as an array (K, 5)."""
    if isinstance(given, Mapping):
        return _of_names(given, list(given))
    if isinstance(given, np.ndarray) and given.dtype.names:
        return _of_names(given, list(given.dtype.names))
    if isinstance(given, list | tuple) and given and isinstance(given[0], Mapping):
        named = {name: [one.get(name) for one in given] for name in COLUMNS if name in given[0]}
        return _of_names(named, list(given[0]))
    if isinstance(given, list | tuple) and given and hasattr(given[0], "pt"):
        return np.array([(*k.pt, k.size, k.angle, k.octave) for k in given], np.float64)
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"keypoints must be {_FORMS}; got {type(given).__name__}. Give one of these."
        ) from None
    if array.size == 0 and array.ndim:
        return np.empty((0, len(COLUMNS)))
    if array.ndim != 2 or array.shape[1] != len(COLUMNS):
        raise ValueError(
            f"an array of keypoints must have the shape (K, 5), for x, y, size, angle and octave; "
            f"got {array.shape}. Give a row for each keypoint."
        )
    return array


def _of_names(given: Any, names: list[str]) -> np.ndarray:
    """Keypoints from arrays by name."""
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(
            f"keypoints need {', '.join(COLUMNS)}; got {', '.join(map(str, names)) or 'none'}. "
            f"Add {' and '.join(missing)}."
        )
    columns = []
    for name in COLUMNS:
        try:
            columns.append(np.asarray(given[name], np.float64).reshape(-1))
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} of keypoints must be numbers; got {given[name]!r}. Give a number for each."
            ) from None
    counts = {name: column.size for name, column in zip(COLUMNS, columns, strict=True)}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"keypoints need as many numbers of each kind; got {counts}. Give one of each."
        )
    return np.stack(columns, axis=-1)


def _of_file(path: Path) -> Any:
    """What a file holds: arrays by name, an array (K, 5), or a list of keypoints."""
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".json"):
        raise ValueError(
            f"keypoints are read from .npz and .json files; got {path}. Save them as one of these."
        )
    try:
        if suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError:
        raise
    except Exception as error:  # a damaged archive fails in as many ways as it has parts
        raise ValueError(f"{path} holds no keypoints, or is damaged ({error}).") from None
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _check(keypoints: np.ndarray) -> None:
    """Raise ValueError where an array (K, 5) cannot be one of keypoints."""
    if not len(keypoints):
        raise ValueError("there are no keypoints. Give at least one, or detect more.")
    finite = np.isfinite(keypoints)
    for k, column in np.argwhere(~finite)[:1]:
        raise ValueError(
            f"keypoints must be finite; {COLUMNS[column]} of keypoint {k} is "
            f"{keypoints[k, column]}. Remove it."
        )
    for k in np.flatnonzero(keypoints[:, 2] <= 0)[:1]:
        raise ValueError(
            f"sizes of keypoints must be positive; keypoint {k} has {keypoints[k, 2]:g}. "
            "Give its diameter in pixels."
        )
    octave = keypoints[:, 4]
    for k in np.flatnonzero((octave != np.rint(octave)) | (np.abs(octave) >= _PACKED))[:1]:
        raise ValueError(
            f"octaves of keypoints must be whole numbers, as OpenCV packs them; keypoint {k} has "
            f"{octave[k]:g}. Give octave & 255 | layer << 8."
        )


def check_inside(keypoints: np.ndarray, height: int, width: int) -> None:
    """Raise ValueError if keypoints lie outside of an image; its pixels' centres are whole."""
    x, y = keypoints[:, 0], keypoints[:, 1]
    outside = (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)
    for k in np.flatnonzero(outside)[:1]:
        raise ValueError(
            f"keypoint {k} lies at x = {x[k]:g}, y = {y[k]:g}, outside of an image of "
            f"{height}x{width} pixels ({int(outside.sum())} of {len(keypoints)} do). Give the "
            "image that the keypoints are of, or remove them."
        )
