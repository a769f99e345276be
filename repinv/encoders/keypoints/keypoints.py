"""Keypoints as people have them: of OpenCV, as arrays, or in files; read and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

#: Names of columns, in their order.
Names: TypeAlias = tuple[str, ...]
#: Numbers of a keypoint, in the order of the columns of an array.
COLUMNS: Names = ("x", "y", "size", "angle", "octave")
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
    if isinstance(given, list | tuple) and given and hasattr(given[0], "pt"):
        given = [(*k.pt, k.size, k.angle, k.octave) for k in given]
    found = rows_of(given, (COLUMNS,), "keypoints", _FORMS)
    _check(found)
    found.setflags(write=False)
    return found


def rows_of(given: Any, kinds: tuple[Names, ...], what: str, forms: str) -> np.ndarray:
    """Whatever points are given as, as a new array with a row for each of them, float64.

    Parameters
    ----------
    given : array, mapping, sequence or path
        Numbers by position, by name, or as attributes; or a file of them.
    kinds : tuple of tuple of str
        Names of the columns, for each number of columns that there may be.
    what, forms : str
        What points are called, and how they may be given, for messages.

    Raises
    ------
    TypeError
        If it is nothing of that kind.
    ValueError
        If there are none, or of another number of columns, or they are not finite.
    """
    if isinstance(given, str | os.PathLike):
        given = _of_file(Path(given), what)
    rows = np.array(_columns(given, kinds, what, forms), np.float64, order="C")
    if not len(rows):
        raise ValueError(f"there are no {what}. Give at least one, or detect more.")
    names = next(names for names in kinds if len(names) == rows.shape[1])
    for k, column in np.argwhere(~np.isfinite(rows))[:1]:
        raise ValueError(
            f"{what} must be finite; {names[column]} of {what[:-1]} {k} is {rows[k, column]}. "
            "Remove it."
        )
    return rows


def _columns(given: Any, kinds: tuple[Names, ...], what: str, forms: str) -> np.ndarray:
    """Whatever points are given as, as an array (K, number of columns)."""
    if isinstance(given, Mapping):
        return _of_names(given, list(given), kinds, what)
    if isinstance(given, np.ndarray) and given.dtype.names:
        return _of_names(given, list(given.dtype.names), kinds, what)
    if isinstance(given, list | tuple) and given and isinstance(given[0], Mapping):
        every = [name for names in kinds for name in names if name in given[0]]
        named = {name: [one.get(name) for one in given] for name in every}
        return _of_names(named, list(given[0]), kinds, what)
    try:
        first = given[0] if len(given) else None
    except (TypeError, KeyError, IndexError):
        first = None
    for names in kinds:
        if first is not None and all(hasattr(first, name) for name in names):
            return np.array([[getattr(one, name) for name in names] for one in given], np.float64)
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"{what} must be {forms}; got {type(given).__name__}. Give one of these."
        ) from None
    if array.size == 0 and array.ndim:
        return np.empty((0, len(kinds[0])))
    if array.ndim != 2 or array.shape[1] not in map(len, kinds):
        shapes = ", or ".join(
            f"(K, {len(names)}), for {', '.join(names[:-1])} and {names[-1]}" for names in kinds
        )
        raise ValueError(
            f"an array of {what} must have the shape {shapes}; got {array.shape}. Give a row for "
            f"each {what[:-1]}."
        )
    return array


def _of_names(given: Any, found: list[str], kinds: tuple[Names, ...], what: str) -> np.ndarray:
    """Points from arrays by name."""
    names = min(kinds, key=lambda names: len(set(names) - set(found)))
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(
            f"{what} need {', '.join(names)}; got {', '.join(map(str, found)) or 'none'}. "
            f"Add {' and '.join(missing)}."
        )
    columns = []
    for name in names:
        try:
            columns.append(np.asarray(given[name], np.float64).reshape(-1))
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} of {what} must be numbers; got {given[name]!r}. Give a number for each."
            ) from None
    counts = {name: column.size for name, column in zip(names, columns, strict=True)}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"{what} need as many numbers of each kind; got {counts}. Give one of each."
        )
    return np.stack(columns, axis=-1)


def _of_file(path: Path, what: str) -> Any:
    """What a file holds: arrays by name, an array with a row for each point, or a list of them."""
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".json"):
        raise ValueError(
            f"{what} are read from .npz and .json files; got {path}. Save them as one of these."
        )
    try:
        if suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError:
        raise
    except Exception as error:  # a damaged archive fails in as many ways as it has parts
        raise ValueError(f"{path} holds no {what}, or is damaged ({error}).") from None
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _check(keypoints: np.ndarray) -> None:
    """Raise ValueError where an array (K, 5) cannot be one of keypoints."""
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
