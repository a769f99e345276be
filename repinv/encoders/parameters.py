"""Parameters of encoders by name, read and changed: what scikit-learn calls nested parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from repinv.encoders import expressions
from repinv.encoders.base import Encoder


def of(encoder: Any) -> dict[str, Any]:
    """Parameters by name, parts of parts behind ``__``.

    Those of an expression are its options; those of an encoder its fields, and those of its
    flavour, which need not be named.

    Examples
    --------
    >>> import repinv
    >>> of("hog.vlfeat(cell_size=4)")["cell_size"], of(repinv.HOG.vlfeat(4))["cell_size"]
    (4, 4)
    """
    if isinstance(encoder, str):
        try:
            flavour, given = expressions.split(encoder)
        except ValueError:  # refused where it is used, not where it is looked at
            return {}
        return expressions.options(flavour) | given
    found: dict[str, Any] = {}
    for name, value in _fields(encoder).items():
        inner = of(value) if dataclasses.is_dataclass(value) else {}
        if name == "flavour":
            found |= {key: one for key, one in inner.items() if key not in found}
        else:
            found[name] = value
            found |= {f"{name}__{key}": one for key, one in inner.items()}
    return found


def changed(encoder: Encoder | str, changes: Mapping[str, Any]) -> Encoder | str:
    """An encoder, or an expression, with other parameters.

    Raises
    ------
    ValueError
        If there is no such parameter.

    Examples
    --------
    >>> changed("hog.vlfeat(8)", {"cell_size": 4})
    'hog.vlfeat(cell_size=4)'
    """
    known = of(encoder)
    for name in changes:
        if name not in known:
            raise ValueError(
                f"this encoder has no parameter {name!r}. It has {', '.join(sorted(known))}."
            )
    if isinstance(encoder, str):
        flavour, given = expressions.split(encoder)
        options = ", ".join(f"{name}={value!r}" for name, value in (given | dict(changes)).items())
        return f"{flavour}({options})"
    found: Any = encoder
    for name, value in changes.items():
        found = _with(found, name.split("__"), value)
    return found  # type: ignore[no-any-return]


def _fields(value: Any) -> dict[str, Any]:
    """Fields that a dataclass is made with."""
    if not dataclasses.is_dataclass(value):
        return {}
    public = (f.name for f in dataclasses.fields(value) if f.init and not f.name.startswith("_"))
    return {name: getattr(value, name) for name in public}


def _with(whole: Any, names: list[str], value: Any) -> Any:
    """A dataclass with a field of it, or of a part of it, replaced."""
    first, *rest = names
    if first not in _fields(whole):
        return dataclasses.replace(whole, flavour=_with(whole.flavour, names, value))
    new = _with(getattr(whole, first), rest, value) if rest else value
    return dataclasses.replace(whole, **{first: new})
