"""What repinv is made of as an npz file without pickle, written and read again."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from repinv.io import atomic, registry

VERSION = 1


def describe(value: Any, /) -> Any:
    """A frozen dataclass of this package, and what it is made of, as JSON that may hold arrays.

    Raises
    ------
    TypeError
        For a value that is neither that nor a number, a string, None, an array of numbers or a
        tuple of them.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": value}
    if isinstance(value, tuple):
        return {"tuple": [describe(item) for item in value]}
    if isinstance(value, type) and issubclass(value, np.generic):
        return {"dtype": np.dtype(value).name}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    name = registry.name_of(type(value))
    if name is not None:
        fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": name, "fields": fields}
    raise TypeError(
        f"only repinv's own frozen dataclasses can be written to a file; got {value!r}. "
        "Of a run, save the images instead."
    )


def restore(description: Any, /) -> Any:
    """The value that `describe` was given; no code but constructors of this package is run."""
    if not isinstance(description, dict):
        return description
    if "tuple" in description:
        return tuple(restore(item) for item in description["tuple"])
    if "array" in description:
        return description["array"]
    if "dtype" in description:
        return np.dtype(description["dtype"]).type
    fields = {key: restore(item) for key, item in description["fields"].items()}
    return registry.made(description["class"], fields)


def held(path: str | os.PathLike[str], kind: str) -> Any:
    """What a file of a kind, such as "encoder", holds under that name.

    Raises
    ------
    ValueError
        If the file is of another kind, is damaged, or holds what this version does not take.
    """
    header, _ = load(path, kind=kind)
    try:
        return restore(header[kind])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} holds no {kind} that this version takes: {error}") from None


def save(path: str | os.PathLike[str], header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write a header (JSON and arrays) and arrays by name; the file appears whole or not at all.

    A header without a "kind" is that of a run.
    """
    arrays = dict(arrays)
    text = json.dumps(
        _moved_out({"repinv": VERSION, **header}, arrays) | {"arrays": sorted(arrays)}
    )
    with atomic.replaced(path) as stream:
        np.savez(stream, allow_pickle=False, header=np.array(text), **arrays)


def load(
    path: str | os.PathLike[str], *, kind: str = "run"
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `save` wrote.

    Raises
    ------
    ValueError
        If the file is not of this kind and version, is truncated, or holds pickled objects.
    """
    one = f"{'an' if kind[0] in 'aei' else 'a'} {kind}"
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged archive fails in as many ways as it has parts
        # NumPy's own message would advise to load pickled objects, which can run anything.
        pickled = "pickle" in str(error)
        why = "it holds pickled objects, which are never loaded" if pickled else str(error)
        raise ValueError(f"{path} is not {one} saved by repinv, or is damaged ({why}).") from None
    if not isinstance(header, dict) or header.get("repinv") != VERSION:
        raise ValueError(
            f"{path} is not {one} of version {VERSION}; it was written by another repinv."
        )
    if header.pop("arrays", None) != sorted(arrays):
        raise ValueError(f"{path} is not a whole {kind} saved by repinv: arrays are missing.")
    found = header.pop("kind", "run")
    if found != kind:
        raise ValueError(f"{path} is not {one} saved by repinv; it holds: {found}.")
    try:
        return _moved_in(header, arrays), arrays
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a whole {kind} saved by repinv: {error} is missing."
        ) from None


def _moved_out(header: Any, arrays: dict[str, Any]) -> Any:
    """A header with its arrays replaced by names, under which they are added to `arrays`."""
    if isinstance(header, np.ndarray):
        name = f"described/{len(arrays)}"
        arrays[name] = header
        return name
    if isinstance(header, dict):
        return {key: _moved_out(value, arrays) for key, value in header.items()}
    return [_moved_out(item, arrays) for item in header] if isinstance(header, list) else header


def _moved_in(header: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Undoes `_moved_out`: the arrays of a header taken out of `arrays` again."""
    if isinstance(header, dict) and header.keys() == {"array"}:
        return {"array": arrays.pop(header["array"])}
    if isinstance(header, dict):
        return {key: _moved_in(value, arrays) for key, value in header.items()}
    return [_moved_in(item, arrays) for item in header] if isinstance(header, list) else header
