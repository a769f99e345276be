"""Encoders that hold arrays: private copies, equality by content, files."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, TypeVar

import numpy as np

from repinv.encoders.base import Encoder
from repinv.io import serialization

_E = TypeVar("_E", bound="ArrayEncoder")


def private(name: str, value: Any, ndim: int) -> np.ndarray:
    """A read-only copy of an array of finite numbers, in float32 unless it is float64.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    given = np.asarray(value)
    if given.dtype.kind not in "fiu":
        raise TypeError(
            f"{name} must be an array of real numbers; got dtype {given.dtype}. Convert it."
        )
    array = np.array(given, np.float64 if given.dtype == np.float64 else np.float32, order="C")
    if array.ndim != ndim or not array.size:
        axes = "(words, numbers of a descriptor)" if ndim == 2 else "(words,)"
        raise ValueError(f"{name} must have the shape {axes}; got {array.shape}. Reshape it.")
    broken = array.size - int(np.isfinite(array).sum())
    if broken:
        raise ValueError(
            f"{name} must be finite; {broken} of {array.size} entries are NaN or infinite. "
            "Fit them again, to finite descriptors."
        )
    array.setflags(write=False)
    return array


def same(one: Any, other: Any) -> bool:
    """Whether two frozen dataclasses are of one class with equal fields, arrays by content."""
    if type(one) is not type(other):
        return False
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            if a.dtype != b.dtype or not np.array_equal(a, b):
                return False
        elif a != b:
            return False
    return True


def hashed(one: Any) -> int:
    """A hash that equal dataclasses share."""
    values = (getattr(one, field.name) for field in dataclasses.fields(one))
    plain = (v.tobytes() if isinstance(v, np.ndarray) else v for v in values)
    return hash((type(one), *plain))


class ArrayEncoder(Encoder):
    """What encoders with arrays among their fields have in common: equality and files.

    A subclass is a frozen dataclass without a comparison of its own (``eq=False``).
    """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder to an npz file without pickle; it appears whole or not at all.

        Raises
        ------
        TypeError
            If the encoder inside it is not one of repinv's own.
        """
        content = {"kind": "encoder", "encoder": serialization.describe(self)}
        serialization.save(path, content, {})

    @classmethod
    def load(cls: type[_E], path: str | os.PathLike[str]) -> _E:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is something else, is damaged, or holds another encoder.
        """
        found = serialization.held(path, "encoder")
        if not isinstance(found, cls):
            raise ValueError(
                f"expected a {cls.__name__} in {path}; got a {type(found).__name__}. "
                f"Load it with repinv.{type(found).__name__}.load."
            )
        return found

    def __eq__(self, other: object) -> bool:
        return same(self, other)

    def __hash__(self) -> int:
        return hashed(self)


def spelled(encoder: Encoder) -> str:
    """An encoder in a few words, for messages: its class, and the numbers it is made with."""
    flavour = getattr(encoder, "flavour", None)
    if flavour is None:
        return type(encoder).__name__
    fields = (f"{f.name}={getattr(flavour, f.name)}" for f in dataclasses.fields(flavour))
    return f"{type(encoder).__name__}({type(flavour).__name__}, {', '.join(fields)})"
