"""Names of the methods of a comparison, no two of them alike."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

from repinv.encoders import expressions
from repinv.encoders.base import Encoder

#: Settings that a name mentions at most, and the longest value that it shows.
_MOST, _LONGEST = 3, 24


def told_apart(names: Sequence[str], methods: Sequence[Any]) -> list[str]:
    """Names of methods, those that several have told apart.

    Encoders of one class are named after their flavours, if all are flavours with their default
    options, or with the settings in which they differ; what is the same even so gets numbers.

    Parameters
    ----------
    names : sequence of str
    methods : sequence of Encoder or object

    Examples
    --------
    >>> import repinv
    >>> told_apart(["HOG", "HOG"], [repinv.HOG.vlfeat(), repinv.HOG.skimage()])
    ['HOG.vlfeat', 'HOG.skimage']
    >>> told_apart(["HOG", "HOG"], [repinv.HOG.vlfeat(), repinv.HOG.vlfeat(cell_size=4)])
    ['HOG, cell_size=8', 'HOG, cell_size=4']
    >>> told_apart(["HOG", "HOG"], [repinv.HOG.vlfeat()] * 2)
    ['HOG', 'HOG (2)']
    """
    found = list(names)
    for name in dict.fromkeys(names):
        group = [k for k, other in enumerate(names) if other == name]
        if len(group) > 1 and all(type(methods[k]).__name__ == name for k in group):
            for k, label in zip(group, _labels(name, [methods[k] for k in group]), strict=True):
                found[k] = label
    seen: dict[str, int] = {}
    for k, name in enumerate(found):
        seen[name] = count = seen.get(name, 0) + 1
        found[k] = name if count == 1 else f"{name} ({count})"
    return found


def _labels(name: str, methods: Sequence[Any]) -> list[str]:
    """What methods of one class are called, not all of them differently perhaps."""
    if not all(isinstance(one, Encoder) for one in methods):
        return [name] * len(methods)
    flavours = [_flavour_of(one) for one in methods]
    if all(flavours) and len(set(flavours)) > 1:
        return [str(flavour) for flavour in flavours]
    options = {*inspect.signature(type(methods[0])).parameters, *_options_of(methods[0])}
    held = [{k: v for k, v in _settings(one).items() if k in options} for one in methods]
    shared = [key for key in held[0] if all(key in one for one in held)]
    varying = [key for key in shared if len({one[key] for one in held}) > 1][:_MOST]
    labels = [", ".join([name, *(f"{key}={one[key]}" for key in varying)]) for one in held]
    if len(set(labels)) == len(labels):
        return labels
    if len(set(flavours)) > 1:
        return [flavour or name for flavour in flavours]
    return [name] * len(methods)


def _settings(given: Any) -> dict[str, str]:
    """Settings of a dataclass and of those in it that are short to write, by their names."""
    found: dict[str, str] = {}
    for one in dataclasses.fields(given) if dataclasses.is_dataclass(given) else ():
        value = getattr(given, one.name, None)
        if isinstance(value, tuple) and len(value) == 1:
            value = value[0]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            found |= _settings(value)
        elif one.init and isinstance(value, bool | int | float | str | tuple):
            text = repr(value)
            if len(text) <= _LONGEST:
                found[one.name] = text.strip("'")
    return found


def _flavour_of(encoder: Encoder) -> str | None:
    """The constructor that gives an encoder by its default options, such as 'HOG.vlfeat'; or None.

    Examples
    --------
    >>> import repinv
    >>> _flavour_of(repinv.HOG.vlfeat()), _flavour_of(repinv.HOG.vlfeat(cell_size=4))
    ('HOG.vlfeat', None)
    """
    for flavour in _flavours_of(encoder):
        given = expressions.options(flavour).values()
        has_defaults = inspect.Parameter.empty not in given
        if has_defaults and expressions.constructor(flavour)() == encoder:
            return ".".join(expressions.FLAVOURS[flavour])
    return None


def _options_of(encoder: Encoder) -> set[str]:
    """Names of the options of all flavours of an encoder's class."""
    return {name for flavour in _flavours_of(encoder) for name in expressions.options(flavour)}


def _flavours_of(encoder: Encoder) -> list[str]:
    """The flavours of an encoder's class that are not read from files."""
    return [
        flavour
        for flavour, (public, method) in expressions.FLAVOURS.items()
        if type(encoder).__name__ == public and method != "load"
    ]
