"""Where things stand in a TOML file: the parser of the standard library does not tell."""

from __future__ import annotations

import tomllib
from collections import Counter

#: Keys, and numbers of items in arrays.
Path = tuple[str | int, ...]


def lines_of(text: str) -> dict[Path, int]:
    r"""The line of every key, table and item of an array.

    Parameters
    ----------
    text : str
        TOML that `tomllib` has read without an error.

    Returns
    -------
    lines : dict
        Line numbers from 1, by path.

    Examples
    --------
    >>> lines_of('[a]\nb = [\n 1,\n 2]\n[[c]]\nd = {e = 1}')[("a", "b", 1)]
    4
    """
    return _Scanner(text).lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    """One pass over the characters; what is malformed has been refused before."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._newlines = 0
        self._counted = 0
        tables: Counter[Path] = Counter()
        here: Path = ()
        while self._skip(" \t\n"):
            if self._rest("[["):
                here = self._header(2, tables)
            elif self._rest("["):
                here = self._header(1, tables)
            else:
                self._pair(here)

    def _line(self) -> int:
        self._newlines += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._newlines + 1

    def _rest(self, start: str) -> bool:
        return self.text.startswith(start, self.at)

    def _skip(self, blank: str) -> bool:
        """Go past blanks and comments; False at the end of the text."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text[self.at] in blank:
                self.at += 1
            else:
                return True
        return False

    def _header(self, brackets: int, tables: Counter[Path]) -> Path:
        """[a.b] or [[a.b]]; below an array of tables, the last of its tables is meant."""
        line = self._line()
        self.at += brackets
        keys = self._keys()
        self.at += brackets
        here: Path = ()
        for index, key in enumerate(keys):
            here = (*here, key)
            last = index == len(keys) - 1
            self.lines.setdefault(here, line)
            if last and brackets == 2:
                tables[here] += 1
            if tables[here]:
                here = (*here, tables[here] - 1)
        self.lines[here] = line
        return here

    def _keys(self) -> list[str]:
        """The parts of a dotted key."""
        keys = []
        while True:
            self._skip(" \t")
            if self.text[self.at] in "\"'":
                begin = self.at
                self._string()
                keys.append(str(tomllib.loads(f"k = {self.text[begin : self.at]}")["k"]))
            else:
                begin = self.at
                while self.text[self.at] not in " \t.=]":
                    self.at += 1
                keys.append(self.text[begin : self.at])
            self._skip(" \t")
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _pair(self, here: Path) -> None:
        """Key = value."""
        line = self._line()
        for key in self._keys():
            here = (*here, key)
            self.lines.setdefault(here, line)
        self.at += 1
        self._skip(" \t")
        self._value(here)

    def _value(self, here: Path) -> None:
        first = self.text[self.at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._items(here, "]")
        elif first == "{":
            self._items(here, "}")
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}\n#":
                self.at += 1

    def _items(self, here: Path, end: str) -> None:
        """An array, or an inline table."""
        self.at += 1
        count = 0
        while self._skip(" \t\n,") and self.text[self.at] != end:
            if end == "}":
                self._pair(here)
            else:
                self.lines[(*here, count)] = self._line()
                self._value((*here, count))
            count += 1
        self.at += 1

    def _string(self) -> None:
        """Go past a string of any of the four kinds."""
        quote = self.text[self.at]
        mark = quote * 3 if self._rest(quote * 3) else quote
        self.at += len(mark)
        while not self._rest(mark):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(mark)
        if len(mark) == 3:
            # Quotes may stand just before the three that end it.
            while self._rest(quote):
                self.at += 1
