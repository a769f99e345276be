"""Whether plain values fit type hints of options, and what hints are in words."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin


def in_words(kind: Any) -> str:
    """A type hint as people write its values: '(int, int) or None'."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(map(in_words, inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple:
        return f"({', '.join('...' if one is ... else in_words(one) for one in inner)})"
    return "None" if kind is type(None) else str(getattr(kind, "__name__", kind))


def is_of_kind(value: Any, kind: Any) -> bool:
    """Whether a literal fits a type hint made of numbers, strings, tuples and alternatives."""
    if kind is Any:
        return True
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(is_of_kind(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(value) == len(kinds) and all(map(is_of_kind, value, kinds))
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(kind, type) or isinstance(value, kind)
