"""A study file: read, checked as a whole, and every fault named with its line."""

from __future__ import annotations

import ast
import copy
import itertools
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from repinv.app.study import task_options, toml_lines
from repinv.app.study.spec import AXES, MEASURES, Declaration, Entry, StudyError

_TABLES = ("study", "images", "encoders", "tasks", "priors", "solvers", "figures")
_STUDY = ("name", "title", "description", "seeds", "unreadable")
_IMAGES = ("files", "size", "color")
_FIGURES: dict[str, tuple[str, ...]] = {
    "grid": ("kind", "title", "rows", "columns", "where"),
    "curve": ("kind", "title", "x", "y", "lines", "where"),
    "errors": ("kind", "title", "y", "where"),
    "spread": ("kind", "title", "where"),
}


def read(path: Path) -> Declaration:
    """Read a study file.

    Raises
    ------
    OSError
        If it cannot be read.
    StudyError
        If anything in it is not as it should be: all faults at once, with their lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError([f"{path}: expected text in UTF-8; {error.reason}."]) from None
    except IsADirectoryError:
        raise StudyError([f"{path} is a folder. Give the study file in it."]) from None
    return parse(text, path)


def parse(text: str, path: Path = Path("study.toml")) -> Declaration:
    r"""Like `read`, from the text of a file.

    Examples
    --------
    >>> study = parse('study.name = "x"\nimages.files = ["skimage:camera"]\n'
    ...               'encoders.hog = "hog.vlfeat"')
    >>> study.encoders[0].name, study.tasks[0].table
    ('hog', {'kind': 'invert'})
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError([f"{path}: {error}"]) from None
    return _Reader(document, text, path).declaration()


class _Reader:
    """Turns a document into a declaration, and gathers what is wrong with it."""

    def __init__(self, document: dict[str, Any], text: str, path: Path) -> None:
        self.document, self.text, self.path = document, text, path
        self.lines = toml_lines.lines_of(text)
        self.problems: list[tuple[int, str]] = []

    def declaration(self) -> Declaration:
        """The declaration; raises with all that was wrong."""
        self._known((), self.document, _TABLES)
        study = self._table("study", _STUDY)
        images = self._table("images", _IMAGES)
        name = self._text(study, "name")
        if not name:
            self._wrong(("study",), "a study needs a name, as in name = 'shallow'.")
        self._check_name(("study", "name"), name)
        unreadable = study.get("unreadable", "fail")
        if unreadable not in ("fail", "skip"):
            self._wrong(("study", "unreadable"), "unreadable must be 'fail' or 'skip'.")
        tasks = self._entries("tasks", task_options.check_task, {"invert": {}})
        tasks = tuple(Entry(e.name, {"kind": "invert", **e.table}, e.swept, e.line) for e in tasks)
        found = Declaration(
            path=self.path,
            text=self.text,
            name=name,
            title=self._text(study, "title") or name,
            description=self._text(study, "description"),
            skips_unreadable=unreadable == "skip",
            files=self._files(images, tasks),
            size=self._size(images),
            color=self._flag(images, "color"),
            encoders=self._encoders(),
            tasks=tasks,
            priors=self._entries("priors", task_options.priors_of, {"default": {}}),
            solvers=self._entries("solvers", self._check_solver, {"default": {}}),
            seeds=self._seeds(study),
            figures=self._figures(),
        )
        entries = (*found.tasks, *found.priors, *found.solvers)
        self._check_axes(found.figures, {path for entry in entries for path in entry.swept})
        if self.problems:
            raise StudyError(
                [f"{self.path}:{line}: {what}" for line, what in sorted(self.problems)]
            )
        return found

    # What is said of many tables.

    def _wrong(self, path: toml_lines.Path, what: str) -> None:
        self.problems.append((toml_lines.line_of(self.lines, path), what))

    def _known(
        self, path: toml_lines.Path, table: Mapping[str, Any], known: tuple[str, ...]
    ) -> None:
        """Note every key that is not known."""
        for key in table:
            if key not in known:
                where = f"[{'.'.join(map(str, path))}]" if path else "a study file"
                self._wrong(
                    (*path, key), f"{where} has no {key!r}. {task_options.nearest(key, known)}"
                )

    def _table(self, name: str, known: tuple[str, ...]) -> dict[str, Any]:
        table = self.document.get(name, {})
        if not isinstance(table, dict):
            self._wrong((name,), f"expected a table [{name}]; got {table!r}.")
            return {}
        self._known((name,), table, known)
        return table

    def _text(self, study: Mapping[str, Any], key: str) -> str:
        value = study.get(key, "")
        if not isinstance(value, str):
            self._wrong(("study", key), f"expected {key} to be text; got {value!r}.")
            return ""
        return " ".join(value.split())

    def _flag(self, images: Mapping[str, Any], key: str) -> bool:
        value = images.get(key, False)
        if not isinstance(value, bool):
            self._wrong(("images", key), f"expected {key} to be true or false; got {value!r}.")
        return bool(value)

    def _check_name(self, path: toml_lines.Path, name: str) -> None:
        """Names become parts of file names and of tables: one plain line."""
        if name in (".", "..") or any(not c.isprintable() or c in "/\\" for c in name):
            self._wrong(path, f"expected a plain name without / or \\; got {name!r}.")
        if len(name) > 100:
            self._wrong(path, f"expected a name of at most 100 characters; got {len(name)}.")

    # The axes.

    def _files(
        self, images: Mapping[str, Any], tasks: tuple[Entry, ...]
    ) -> tuple[tuple[str, int], ...]:
        files = images.get("files", [])
        if isinstance(files, str):
            files = [files]
        if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
            self._wrong(("images", "files"), f"expected names of images; got {files!r}.")
            return ()
        if not files and any(entry.table["kind"] != "maximize" for entry in tasks):
            self._wrong(("images",), "a study needs images, as in files = ['skimage:camera'].")
        return tuple(
            (name, toml_lines.line_of(self.lines, ("images", "files", index)))
            for index, name in enumerate(files)
        )

    def _size(self, images: Mapping[str, Any]) -> tuple[int, int] | None:
        size = images.get("size")
        if size is None:
            return None
        if not isinstance(size, list) or len(size) != 2 or not all(
            type(side) is int and 1 <= side <= 8192 for side in size
        ):  # fmt: skip
            what = f"expected size = [height, width] in pixels, 1 to 8192; got {size!r}."
            self._wrong(("images", "size"), what)
            return None
        return size[0], size[1]

    def _seeds(self, study: Mapping[str, Any]) -> tuple[int, ...]:
        seeds = study.get("seeds", [0])
        if type(seeds) is int and 1 <= seeds <= 1_000_000:
            return tuple(range(seeds))
        if isinstance(seeds, list) and seeds and all(type(s) is int and s >= 0 for s in seeds):
            return tuple(dict.fromkeys(seeds))
        what = f"expected seeds to be a list such as [0, 1], or how many; got {seeds!r}."
        self._wrong(("study", "seeds"), what)
        return ()

    def _encoders(self) -> tuple[Entry, ...]:
        found = []
        table = self._axis("encoders")
        if not table and not self.problems:
            self._wrong(("encoders",), "a study needs an encoder, as in hog = 'hog.vlfeat'.")
        for name, expression in table.items():
            path = ("encoders", name)
            self._check_name(path, name)
            if not isinstance(expression, str):
                what = f"expected an encoder such as 'hog.vlfeat(cell_size=4)'; got {expression!r}."
                self._wrong(path, what)
                continue
            line = toml_lines.line_of(self.lines, path)
            found.append(Entry(name, {"expression": _canonical(expression)}, {}, line))
        return tuple(found)

    def _axis(self, name: str) -> dict[str, Any]:
        table = self.document.get(name, {})
        if not isinstance(table, dict):
            self._wrong((name,), f"expected a table [{name}]; got {table!r}.")
            return {}
        return table

    def _entries(
        self, axis: str, check: Callable[[Mapping[str, Any]], Any], default: dict[str, Any]
    ) -> tuple[Entry, ...]:
        """The entries of an axis, a sweep's for each combination of its values."""
        found: list[Entry] = []
        for name, table in (self._axis(axis) or default).items():
            path = (axis, name)
            self._check_name(path, name)
            if not isinstance(table, dict):
                self._wrong(path, f"expected a table [{axis}.{name}]; got {table!r}.")
                continue
            line = toml_lines.line_of(self.lines, path)
            sweep = dict(self._sweep((*path, "sweep"), table.get("sweep", {})))
            plain = {key: value for key, value in table.items() if key != "sweep"}
            seen: set[str] = set()
            for values in itertools.product(*sweep.values()):
                swept = dict(zip(sweep, values, strict=True))
                whole = copy.deepcopy(plain)
                for where, value in swept.items():
                    _put(whole, where.split("."), value)
                try:
                    check(whole)
                except (ValueError, TypeError) as error:
                    if str(error) not in seen:
                        self._wrong(_blamed(path, str(error), self.lines), f"{name}: {error}")
                    seen.add(str(error))
                found.append(Entry(_swept_name(name, swept), whole, swept, line))
        return tuple(found)

    def _sweep(self, path: toml_lines.Path, table: Any) -> Iterator[tuple[str, list[Any]]]:
        """Settings of a sweep with the values that they take; nested tables are paths."""
        if not isinstance(table, dict):
            self._wrong(path, f"expected a table of lists of values; got {table!r}.")
            return
        for key, values in table.items():
            if isinstance(values, dict):
                inner = self._sweep((*path, key), values)
                yield from ((f"{key}.{rest}", found) for rest, found in inner)
            elif not isinstance(values, list) or not values:
                self._wrong((*path, key), f"expected a list of values for {key}; got {values!r}.")
            else:
                yield key, values

    @staticmethod
    def _check_solver(table: Mapping[str, Any]) -> None:
        task_options.solver_arguments(table, (256, 256))

    def _figures(self) -> tuple[Mapping[str, Any], ...]:
        figures = self.document.get("figures", [])
        if not isinstance(figures, list):
            self._wrong(("figures",), "figures are declared one by one, under [[figures]].")
            return ()
        for index, figure in enumerate(figures):
            self._check_figure(("figures", index), figure)
        return tuple(figures)

    def _check_figure(self, path: toml_lines.Path, figure: Any) -> None:
        if not isinstance(figure, dict) or figure.get("kind") not in _FIGURES:
            got = figure.get("kind") if isinstance(figure, dict) else figure
            what = f"there is no figure {got!r}. {task_options.nearest(str(got), _FIGURES)}"
            self._wrong((*path, "kind"), what)
            return
        self._known(path, figure, _FIGURES[figure["kind"]])
        if figure.get("y", "error") not in MEASURES:
            known = task_options.nearest(str(figure["y"]), MEASURES)
            self._wrong((*path, "y"), f"there is no measure {figure['y']!r}. {known}")
        if figure["kind"] == "curve" and not isinstance(figure.get("x"), str):
            what = "a curve needs an x, a setting of a sweep such as 'total_variation.weight'."
            self._wrong(path, what)
        if not isinstance(figure.get("where", {}), dict):
            self._wrong((*path, "where"), "expected where = {encoder = 'hog'}, or another axis.")
        for key in figure.get("where", {}) if isinstance(figure.get("where", {}), dict) else ():
            if key not in AXES:
                self._wrong((*path, "where"), f"there is no axis {key!r}. "
                            f"{task_options.nearest(key, AXES)}")  # fmt: skip

    def _check_axes(self, figures: tuple[Mapping[str, Any], ...], swept: set[str]) -> None:
        """Note axes of figures that are none of the grid's, and none of its sweeps'."""
        known = (*AXES, *sorted(swept))
        for index, figure in enumerate(figures):
            for key in ("rows", "columns", "lines", "x"):
                if isinstance(figure, dict) and figure.get(key, "image") not in known:
                    what = f"there is no axis {figure[key]!r}. "
                    what += task_options.nearest(str(figure[key]), known)
                    self._wrong(("figures", index, key), what)


def _canonical(expression: str) -> str:
    """An encoder expression in one way of writing, so that blanks make no other job."""
    try:
        return ast.unparse(ast.parse(expression.strip(), mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return expression  # refused where encoders are made


def _put(table: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set a value at a path of keys, through tables that may have to be made."""
    for key in keys[:-1]:
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            inner = table[key] = {"kind": inner} if isinstance(inner, str) else {}
        table = inner
    table[keys[-1]] = value


def _swept_name(name: str, swept: Mapping[str, Any]) -> str:
    """A name with the values of a sweep, by the last word of each path."""
    shown = (f"{path.rpartition('.')[2]}={_short(value)}" for path, value in swept.items())
    return " ".join([name, *shown])


def _short(value: Any) -> str:
    """A value of a sweep in few characters."""
    text = f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")
    return text if len(text) <= 40 else f"{text[:37]}..."


def _blamed(
    path: toml_lines.Path, message: str, known: Mapping[toml_lines.Path, int]
) -> toml_lines.Path:
    """The key below a path that a message speaks of, so that its line is named."""
    inner = [key for key in known if key[: len(path)] == path and len(key) > len(path)]
    named = [key for key in inner if isinstance(key[-1], str) and _speaks_of(message, key[-1])]
    # The message names the innermost key first: 'weight' before the prior that it is of.
    return max(named, key=len, default=path)


def _speaks_of(message: str, key: str) -> bool:
    """Whether a message has a key, or the last word of a path, as a word of its own."""
    word = key.rpartition(".")[2]
    words = message.replace("'", " ").replace(".", " ").replace(",", " ").replace(":", " ").split()
    return word in words
