"""A study file: read, checked as a whole, and every fault named with its key."""

from __future__ import annotations

import ast
import pathlib
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from repinv.app.study import sweeps, task_options
from repinv.app.study.checked_table import (
    Path,
    Table,
    by_kind,
    check_known,
    faults_of,
    one_of,
    spelled,
)
from repinv.app.study.spec import AXES, MEASURES, Declaration, Entry, StudyError

#: The tables of a study file that leaves them out.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "study": {},
    "images": {},
    "encoders": {},
    "tasks": {"invert": {}},
    "priors": {"default": {}},
    "solvers": {"default": {}},
}


def read(path: pathlib.Path) -> Declaration:
    """Read a study file.

    Raises
    ------
    OSError
        If it cannot be read.
    StudyError
        If anything in it is not as it should be: all faults at once, each with its key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError([f"{path}: expected text in UTF-8; {error.reason}."]) from None
    except IsADirectoryError:
        raise StudyError([f"{path} is a folder. Give the study file in it."]) from None
    return parse(text, path)


def parse(text: str, path: pathlib.Path = pathlib.Path("study.toml")) -> Declaration:
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
    given = {key: value for key, value in document.items() if value != {}}
    try:
        file = _StudyFile.model_validate(_DEFAULTS | given, context=_context(_DEFAULTS | given))
    except ValidationError as error:
        faults = sorted(faults_of(error), key=lambda fault: _place(fault[0], document))
        raise StudyError([f"{path}: {spelled(keys)}: {what}" for keys, what in faults]) from None
    return Declaration(
        path=path,
        text=text,
        name=file.study.name,
        title=file.study.title or file.study.name,
        description=file.study.description,
        skips_unreadable=file.study.unreadable == "skip",
        files=tuple(file.images.files),
        size=None if file.images.size is None else (file.images.size[0], file.images.size[1]),
        color=file.images.color,
        encoders=tuple(
            Entry(name, {"expression": expression}, {}, spelled(("encoders", name)))
            for name, expression in file.encoders.items()
        ),
        tasks=sweeps.entries("tasks", file.tasks, {"kind": "invert"}),
        priors=sweeps.entries("priors", file.priors),
        solvers=sweeps.entries("solvers", file.solvers),
        seeds=tuple(dict.fromkeys(file.study.seeds)),
        figures=tuple(document.get("figures", [])),
    )


def _context(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the check of a table needs of others: axes for figures, and whether images are used."""
    tables = [
        (axis, table)
        for axis in ("tasks", "priors", "solvers")
        for table in (document[axis].values() if isinstance(document[axis], dict) else ())
        if isinstance(table, dict)
    ]
    swept = [
        (axis, path) for axis, table in tables for path, _ in sweeps.settings(table.get("sweep"))
    ]
    kinds = [table.get("kind", "invert") for axis, table in tables if axis == "tasks"]
    return {
        "axes": (*AXES, *sorted({".".join(path) for _, path in swept})),
        "needs images": ("tasks", ("kind",)) in swept or any(kind != "maximize" for kind in kinds),
    }


def _place(path: Path, document: Any) -> tuple[int, ...]:
    """Where a path stands in a document: the position of each of its keys in their table."""
    found = []
    for key in path:
        if isinstance(document, dict) and key in document:
            found.append(list(document).index(str(key)))
        elif isinstance(document, list) and isinstance(key, int):
            found.append(key)
        else:
            break
        document = document[key]
    return tuple(found)


# Names and texts.


def _plain_name(name: str) -> str:
    """A name that can be part of file names and of tables: one plain line."""
    if name in (".", "..") or any(not c.isprintable() or c in "/\\" for c in name):
        raise ValueError(f"expected a plain name without / or \\; got {name!r}.")
    if len(name) > 100:
        raise ValueError(f"expected a name of at most 100 characters; got {len(name)}.")
    return name


def _expression(value: Any) -> str:
    """An encoder expression in one way of writing: spaces must not change the keys of jobs."""
    if not isinstance(value, str):
        raise ValueError(f"expected an encoder such as 'hog.vlfeat(cell_size=4)'; got {value!r}.")
    try:
        return ast.unparse(ast.parse(value.strip(), mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return value  # refused where encoders are made


_Name = Annotated[str, AfterValidator(_plain_name)]
_Line = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]


# The tables.


def _axis(name: str, info: ValidationInfo) -> str:
    """An axis of the grid, or a setting that the file sweeps."""
    return check_known("axis", name, (info.context or {})["axes"])


def _counted(seeds: Any) -> Any:
    """Seeds from zero, of how many there are."""
    return list(range(seeds)) if type(seeds) is int and 1 <= seeds <= 1_000_000 else seeds


def _listed(files: Any) -> Any:
    """One file as a list of one."""
    return [files] if isinstance(files, str) else files


_Axis = Annotated[str, AfterValidator(_axis)]
_Measure = Annotated[str, one_of("measure", MEASURES)]
_Whole = Annotated[int, Field(ge=0)]
_Side = Annotated[int, Field(ge=1, le=8192)]


class _Study(Table, title="a study"):
    name: Annotated[_Line, AfterValidator(_plain_name)] = Field(
        min_length=1, description="a name, as in name = 'shallow'"
    )
    title: _Line = Field("", description="text")
    description: _Line = Field("", description="text")
    unreadable: Literal["fail", "skip"] = Field("fail", description="'fail' or 'skip'")
    seeds: Annotated[list[_Whole], Field(min_length=1), BeforeValidator(_counted)] = Field(
        [0], description="a list of whole numbers such as [0, 1], or how many"
    )


class _Images(Table, title="[images]"):
    files: Annotated[list[str], BeforeValidator(_listed)] = Field(
        [], description="names of images, as in files = ['skimage:camera']"
    )
    size: Annotated[list[_Side], Field(min_length=2, max_length=2)] | None = Field(
        None, description="[height, width] in pixels, 1 to 8192"
    )
    color: bool = Field(False, description="true or false")


class _Figure(Table, title="a figure"):
    kind: str
    title: str = Field("", description="text")
    where: dict[Annotated[str, one_of("axis", AXES)], Any] = Field({})


class _Grid(_Figure, title="a grid"):
    rows: _Axis = Field("image", description="an axis")
    columns: _Axis = Field("encoder", description="an axis")


class _Curve(_Figure, title="a curve"):
    x: _Axis = Field(description="an x, a setting of a sweep such as 'total_variation.weight'")
    y: _Measure = Field("error", description="a measure")
    lines: _Axis = Field("", description="an axis")


class _Errors(_Figure, title="a figure of errors"):
    y: _Measure = Field("error", description="a measure")


_FIGURES = {"grid": _Grid, "curve": _Curve, "errors": _Errors, "spread": _Figure}


class _StudyFile(Table, title="a study file"):
    key: ClassVar[str] = "table"

    study: _Study
    images: _Images
    encoders: dict[_Name, Annotated[str, BeforeValidator(_expression)]]
    tasks: dict[_Name, Annotated[list[sweeps.Swept], sweeps.swept(task_options.TASK)]]
    priors: dict[_Name, Annotated[list[sweeps.Swept], sweeps.swept(task_options.PRIOR)]]
    solvers: dict[_Name, Annotated[list[sweeps.Swept], sweeps.swept(task_options.SOLVER)]]
    figures: list[Annotated[Any, by_kind("figure", _FIGURES)]] = Field(
        [], description="tables, each under [[figures]]"
    )

    @field_validator("images")
    @classmethod
    def _has_images(cls, images: _Images, info: ValidationInfo) -> _Images:
        if not images.files and (info.context or {})["needs images"]:
            raise ValueError("a study needs images, as in files = ['skimage:camera'].")
        return images

    @field_validator("encoders")
    @classmethod
    def _has_encoders(cls, encoders: dict[str, str]) -> dict[str, str]:
        if not encoders:
            raise ValueError("a study needs an encoder, as in hog = 'hog.vlfeat'.")
        return encoders
