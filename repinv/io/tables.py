"""Tables of figures as text: for terminals, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    key : str
        Of its values in a record, and its name for programs.
    heading : str
        Its name for people.
    form : str
        Format of numbers where people read them; "%" for shares, as `percent` shows them.
    """

    key: str
    heading: str
    form: str = ""

    def shown(self, value: Any) -> str:
        """A value as people read it; empty where there is none.

        Examples
        --------
        >>> Column("error", "error", ".2g").shown(0.12345), Column("x", "x").shown(float("nan"))
        ('0.12', '')
        """
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if not isinstance(value, int | float):
            return str(value)
        return percent(value) if self.form == "%" else format(value, self.form)


def percent(share: float, digits: int = 3) -> str:
    """A share in per cent, as people read errors; of what is no finite number, that.

    Examples
    --------
    >>> percent(0.0026543), percent(1.5, digits=2), percent(float("inf"))
    ('0.265 %', '150 %', 'inf')
    """
    value = 100 * float(share)
    if not math.isfinite(value):
        return str(value)
    shown = f"{value:.{digits}g}"
    return f"{value:.0f} %" if "e+" in shown else f"{shown} %"


#: A row: values by the keys of the columns; what is missing is empty.
Record = Mapping[str, Any]


def as_text(columns: Sequence[Column], records: Sequence[Record]) -> str:
    """A table with aligned columns, rounded as they say, for a terminal.

    Examples
    --------
    >>> print(as_text([Column("a", "A"), Column("b", "B", ".2f")], [{"a": "xyz", "b": 1.0}]))
    A       B
    xyz  1.00
    """
    rows = [[column.heading for column in columns]]
    for record in records:
        shown = (column.shown(record.get(column.key)) for column in columns)
        rows.append([" ".join(text.split()) for text in shown])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            text.rjust(width) if column.form else text.ljust(width)
            for text, width, column in zip(row, widths, columns, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_csv(columns: Sequence[Column], records: Sequence[Record]) -> str:
    """A table as comma-separated values with all digits, a line a record after one of keys.

    Examples
    --------
    >>> print(as_csv([Column("a", "A"), Column("b", "B")], [{"a": "x, y", "b": 0.5}, {"b": 1}]))
    a,b
    "x, y",0.5
    ,1
    <BLANKLINE>
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    for record in records:
        writer.writerow([_plain(record.get(column.key), "") for column in columns])
    return stream.getvalue()


def as_json(columns: Sequence[Column], records: Sequence[Record]) -> str:
    """A table as a JSON array of objects; what is not a finite number is null.

    Examples
    --------
    >>> print(as_json([Column("a", "A")], [{"a": float("inf")}]))
    [
     {"a": null}
    ]
    """
    lines = []
    for record in records:
        row = {c.key: _plain(record.get(c.key), None) for c in columns}
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        lines.append(json.dumps(finite, ensure_ascii=False))
    return "[\n " + ",\n ".join(lines) + "\n]" if lines else "[]"


def as_markdown(columns: Sequence[Column], records: Sequence[Record]) -> str:
    """A table as Markdown, rounded as its columns say.

    Examples
    --------
    >>> print(as_markdown([Column("a", "A"), Column("b", "B", ".2f")], [{"a": "x", "b": 1.0}]))
    | A | B |
    |---|---:|
    | x | 1.00 |
    """
    heads = [_cell(column.heading) for column in columns]
    rules = ["---:" if column.form else "---" for column in columns]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rules)}|"]
    for record in records:
        cells = [_cell(column.shown(record.get(column.key))) for column in columns]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(value: Any, missing: Any) -> Any:
    """A value that CSV and JSON can hold; NaN is missing."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return missing
    return value


def _cell(text: str) -> str:
    """Text that Markdown shows as it is: one line, no cell of its own, no markup."""
    one_line = " ".join(text.split())
    for character in "\\|<*`[":
        one_line = one_line.replace(character, "\\" + character)
    return one_line
