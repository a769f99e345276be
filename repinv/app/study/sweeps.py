"""Sweeps of a study file: a table with lists of values is expanded, a table a combination."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from pydantic import PlainValidator, TypeAdapter, ValidationError

from repinv.app.study.checked_table import Fault, Path, faults_of, refused, spelled
from repinv.app.study.spec import Entry

#: The keys to a setting, from the table that is swept.
Setting: TypeAlias = tuple[str, ...]
#: A table with the values of one combination in it, and these values by their dotted settings.
Swept: TypeAlias = tuple[dict[str, Any], dict[str, Any]]


def swept(adapter: TypeAdapter[Any]) -> PlainValidator:
    """A table that may have a sweep, which becomes a table for each combination of its values."""

    def check(table: Any) -> list[Swept]:
        if not isinstance(table, dict):
            raise ValueError(f"expected a table; got {table!r}.")
        plain = {key: value for key, value in table.items() if key != "sweep"}
        sweep, faults = _sweep(table.get("sweep", {}))
        found = []
        for values in itertools.product(*sweep.values()):
            combination = dict(zip(sweep, values, strict=True))
            whole = copy.deepcopy(plain)
            for path, value in combination.items():
                _put(whole, path, value)
            try:
                adapter.validate_python(whole)
            except ValidationError as error:
                faults += [(_declared(keys, sweep), what) for keys, what in faults_of(error)]
            found.append((whole, {".".join(path): value for path, value in combination.items()}))
        if faults:
            raise refused(faults)
        return found

    return PlainValidator(check)


def _sweep(table: Any) -> tuple[dict[Setting, list[Any]], list[Fault]]:
    """The values of a sweep by their settings, and what is wrong with it."""
    if not isinstance(table, dict):
        return {}, [(("sweep",), f"expected a table of lists of values; got {table!r}.")]
    sweep: dict[Setting, list[Any]] = {}
    faults: list[Fault] = []
    for path, values in settings(table):
        if isinstance(values, list) and values:
            sweep[path] = values
        else:
            faults.append((("sweep", *path), f"expected a list of values; got {values!r}."))
    return sweep, faults


def settings(table: Any, path: Setting = ()) -> Iterator[tuple[Setting, Any]]:
    """The settings in a sweep with their values; the keys of nested tables are joined to paths."""
    if isinstance(table, dict):
        for key, values in table.items():
            yield from settings(values, (*path, *key.split(".")))
    elif path:
        yield path, table


def _declared(path: Path, sweep: Mapping[Setting, Any]) -> Path:
    """The path of a setting in the file: below `sweep`, if the sweep has it."""
    is_swept = any(path[: len(setting)] == setting for setting in sweep)
    return ("sweep", *path) if is_swept else path


def _put(table: dict[str, Any], path: Setting, value: Any) -> None:
    """Set a value at a path of keys, through tables that may have to be made."""
    for key in path[:-1]:
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            inner = table[key] = {"kind": inner} if isinstance(inner, str) else {}
        table = inner
    table[path[-1]] = value


def entries(
    axis: str, found: Mapping[str, list[Swept]], default: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Entry, ...]:
    """The entries of an axis, a sweep's for each combination of its values."""
    return tuple(
        Entry(_swept_name(name, swept), {**default, **table}, swept, spelled((axis, name)))
        for name, tables in found.items()
        for table, swept in tables
    )


def _swept_name(name: str, swept: Mapping[str, Any]) -> str:
    """A name with the values of a sweep, by the last word of each path."""
    shown = (f"{path.rpartition('.')[2]}={_short(value)}" for path, value in swept.items())
    return " ".join([name, *shown])


def _short(value: Any) -> str:
    """A value of a sweep in few characters."""
    text = f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")
    return text if len(text) <= 40 else f"{text[:37]}..."
