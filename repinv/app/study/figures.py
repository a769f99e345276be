"""The figures of a study: grids of pre-images, effects of a setting, errors, and spread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from repinv.app.study import summary_tables
from repinv.app.study.grid import Job
from repinv.app.study.spec import AXES
from repinv.app.study.study import Study
from repinv.io.tables import percent
from repinv.plot import curves, figures
from repinv.plot.figures import Figure, Panel

#: Rows and columns of images in one figure; more would be too small.
MAX_ROWS, MAX_COLUMNS = 12, 9
_HEADINGS = {
    "error": "relative feature error",
    "pairwise_error": "error in the paper's unit",
    "ncc": "NCC to the photograph",
    "ssim": "SSIM to the photograph",
    "psnr": "PSNR, dB",
    "response": "response",
    "seconds": "seconds",
}
_Found = Sequence[tuple[Job, dict[str, Any]]]


def drawn(study: Study) -> Iterator[tuple[str, str, Figure]]:
    """The figures that a study declares, or the default ones.

    Yields
    ------
    name : str
        Of a file, without an ending: digits, letters and dashes.
    title : str
    figure : matplotlib.figure.Figure
    """
    records = study.records()
    declared = study.plan.declaration.figures or _usual(study)
    for index, wanted in enumerate(declared, 1):
        chosen = summary_tables.selected(records, wanted.get("where", {}))
        if not chosen:
            continue
        title = wanted.get("title") or _TITLES[wanted["kind"]]
        figure = _DRAW[wanted["kind"]](study, chosen, wanted)
        if figure is not None:
            figure.suptitle(title, x=0.01, ha="left", fontsize=10, color="0.3")
            yield f"{index:02d}-{wanted['kind']}-{_plain(title)}", title, figure


def _usual(study: Study) -> list[dict[str, Any]]:
    """Figures of a study that declares none."""
    found: list[dict[str, Any]] = []
    kinds = {task.table["kind"] for task in study.plan.declaration.tasks}
    if kinds != {"maximize"}:
        found.append({"kind": "grid", "rows": "image", "columns": "encoder"})
    if "invert" in kinds:
        found.append({"kind": "errors"})
    if "maximize" in kinds:
        found.append({"kind": "grid", "rows": "encoder", "columns": "task"})
    return found


def _plain(title: str) -> str:
    """A title as part of a file name: letters, digits and dashes only."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in title.lower())
    return "-".join(part for part in kept.split("-") if part)[:40]


def _grid(study: Study, found: _Found, wanted: Mapping[str, Any]) -> Figure | None:
    """Images in rows and columns; beside them the photograph, where a row is of one."""
    row_of = summary_tables.value_of(wanted.get("rows", "image"))
    column_of = summary_tables.value_of(wanted.get("columns", "encoder"))
    rows = _distinct(row_of, found)[:MAX_ROWS]
    columns = _distinct(column_of, found)[:MAX_COLUMNS]
    cells: dict[tuple[Any, Any], tuple[Job, dict[str, Any]]] = {}
    for job, record in found:
        cells.setdefault((row_of(job), column_of(job)), (job, record))
    panels: list[list[Panel | None]] = []
    for row in rows:
        line = [cells.get((row, column)) for column in columns]
        shown: list[Panel | None] = [
            _panel(study, cell, _said(wanted.get("columns", "encoder"), column))
            for cell, column in zip(line, columns, strict=True)
        ]
        seen = {cell[0].image for cell in line if cell is not None}
        if len(seen) == 1 and (image := next(iter(seen))) is not None:
            shown.insert(0, Panel(study.store.image(image.digest), "photograph"))
        panels.append(shown)
    if len({len(line) for line in panels}) > 1 or not any(any(line) for line in panels):
        panels = [line[-len(columns) :] for line in panels]
    labels = [figures.wrapped(_said(wanted.get("rows", "image"), row), 26) for row in rows]
    return figures.grid_figure(panels, row_labels=labels if len(rows) > 1 else ())


def _said(axis: str, value: Any) -> str:
    """A value of an axis; numbers with the last word of what they are of."""
    if isinstance(value, str) and axis in AXES:
        return value
    return f"{axis.rpartition('.')[2].replace('_', ' ')} {value}"


def _panel(study: Study, cell: tuple[Job, dict[str, Any]] | None, column: str) -> Panel | None:
    """The best image of a job, with its name and its error or response."""
    if cell is None:
        return None
    job, record = cell
    try:
        _, arrays = study.store.result(job.key)
    except (OSError, ValueError):
        return None
    said = [figures.wrapped(column, 30)]
    if "error" in record:
        said.append(f"error {percent(record['error'], 2)}")
    elif "response" in record:
        said.append(f"response {record['response']:.2f}")
    return Panel(arrays["images"][0], "\n".join(said))


def _curve(study: Study, found: _Found, wanted: Mapping[str, Any]) -> Figure | None:
    """A measure by a setting of a sweep: mean, and a band of one standard deviation."""
    x_of, y = summary_tables.value_of(wanted["x"]), wanted.get("y", "error")
    line_of = summary_tables.value_of(wanted["lines"]) if "lines" in wanted else lambda job: ""
    points: dict[Any, dict[float, list[float]]] = {}
    for job, record in found:
        x = x_of(job)
        if isinstance(x, int | float) and y in record and np.isfinite(record[y]):
            points.setdefault(line_of(job), {}).setdefault(float(x), []).append(record[y])
    if not points:
        return None
    lines = {
        f"{wanted.get('lines', '').rpartition('.')[2]} {name}".strip(): line
        for name, line in points.items()
    }
    x_label = wanted["x"].replace("_", " ").replace(".", ": ")
    return curves.bands(lines, x_label, _HEADINGS[y], logarithmic=_is_logarithmic(y))


def _errors(study: Study, found: _Found, wanted: Mapping[str, Any]) -> Figure | None:
    """A measure by representation: each job a dot, mean and one standard deviation beside them."""
    y = wanted.get("y", "error")
    axes = summary_tables.varying([job for job, _ in found])
    groups: dict[str, list[float]] = {}
    for job, record in found:
        if y in record and np.isfinite(record[y]):
            name = ", ".join(str(job.labels()[axis]) for axis in axes)
            groups.setdefault(name, []).append(record[y])
    if not groups:
        return None
    x_label = f"{_HEADINGS[y]}: images and seeds (dots), mean ± standard deviation"
    return curves.dots(groups, x_label, logarithmic=_is_logarithmic(y))


def _spread(study: Study, found: _Found, wanted: Mapping[str, Any]) -> Figure | None:
    """Images of one cell from several starts, and their standard deviation."""
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job, _ in found:
        labels = job.labels()
        name = tuple(labels[axis] for axis in ("encoder", "image", "task", "prior", "solver"))
        groups.setdefault(name, []).append(job)
    panels, names = [], []
    for name, jobs in list(groups.items())[:MAX_ROWS]:
        stacks = [study.store.result(job.key)[1]["images"] for job in jobs[:MAX_COLUMNS]]
        images = np.concatenate(stacks)[: MAX_COLUMNS - 2]
        if len(images) < 2:
            continue
        line = [Panel(image, f"start {k + 1}") for k, image in enumerate(images)]
        deviation = np.std(images, axis=0)
        deviation = deviation.mean(axis=-1) if deviation.ndim == 3 else deviation
        line.append(Panel(deviation, f"deviation, up to {deviation.max():.2f}", unit=False))
        seen = jobs[0].image
        if seen is not None:
            line.insert(0, Panel(study.store.image(seen.digest), "photograph"))
        panels.append(line)
        names.append(figures.wrapped(f"{name[0]} {name[2] if seen is None else ''}".strip(), 26))
    return figures.grid_figure(panels, row_labels=names) if panels else None


def _distinct(of: Callable[[Job], Any], found: _Found) -> list[Any]:
    """Values of an axis in the order of the grid; numbers in theirs."""
    values = list(dict.fromkeys(of(job) for job, _ in found))
    if all(isinstance(value, int | float) for value in values):
        return sorted(values)
    return values


def _is_logarithmic(measure: str) -> bool:
    """Whether a measure spans powers of ten."""
    return measure in ("error", "pairwise_error", "seconds")


_DRAW: dict[str, Callable[[Study, _Found, Mapping[str, Any]], Figure | None]] = {
    "grid": _grid,
    "curve": _curve,
    "errors": _errors,
    "spread": _spread,
}
_TITLES = {
    "grid": "Images found",
    "curve": "Effect of a setting",
    "errors": "Error by representation",
    "spread": "What the features leave undetermined",
}
