"""Figures of inversions: photograph, features, pre-images, and how the energy fell."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Figure
from matplotlib.textpath import TextPath

from repinv.io import files
from repinv.io.image import to_gray
from repinv.io.tables import percent

#: What `save` writes, by the ending of the name.
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")

#: Okabe and Ito's colours, which the colour-blind tell apart; line styles tell them apart in print.
LINES: tuple[tuple[str, Any], ...] = (
    ("#000000", "-"),
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#E69F00", (0, (5, 1, 1, 1, 1, 1))),
)
_HEIGHT = 3.0
#: Of a picture in a grid, in inches.
_SIDE = 2.1
_MAX_PREIMAGES = 4
_MAX_ROWS = 8
#: Where the title of a picture may be broken: first between its parts, then where an expression can
#: be; never before a per cent sign or a number.
_BREAKS = (r"[^,]+(?:,\s*|$)|,", r"(?:[^\s,(=]|\s(?=%|\d))*[\s,(=]*")


class ShownFigure(Figure):
    """A figure that belongs to no window, and that a notebook shows by itself."""

    def __init__(self, width: float, height: float) -> None:
        # Constrained layout fits labels into what is left between panels.
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        """What a notebook shows, where matplotlib has not set one up for itself."""
        return encoded(self, dpi=100)


def inversion_figure(
    preimages: Any,
    errors: Any,
    trace: Mapping[str, Any] | None,
    *,
    original: Any = None,
    glyph: Any = None,
    title: str = "",
    match: str | None = "contrast",
) -> Figure:
    """One row: the photograph, its features, pre-images, and the terms of the energy.

    Parameters
    ----------
    preimages : array, shape (N, H, W) or (N, H, W, 3), in [0, 1]
        The four of least error are drawn.
    errors : array, shape (N,)
        Their relative feature errors.
    trace : mapping of str to array, shape (evaluations, N), or None
        Terms of the energy, and 'energy', their sum; None draws none.
    original : array, shape (H, W) or (H, W, 3), in [0, 1], or None
    glyph : array, shape (h, w), or None
        Drawing of the features; dark is its least value, white its largest.
    title : str
    match : {"contrast"} or None
        Whether pre-images are drawn with the mean and contrast of the photograph.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Belongs to no window and to no global state.
    """
    images, errors = np.asarray(preimages), np.asarray(errors, dtype=float)
    order = np.argsort(errors, kind="stable")[:_MAX_PREIMAGES]
    panels = [(original, "photograph")] if original is not None else []
    if glyph is not None:
        panels.append((glyph, "its features" if original is not None else "features"))
    for rank, index in enumerate(order):
        name = "pre-image" if len(order) == 1 else f"pre-image {rank + 1}"
        image, word = matched(images[index], original, match)
        panels.append((image, f"{name}, error {percent(errors[index], 2)}{word}"))

    row = [Panel(image, label, unit=image is not glyph) for image, label in panels]
    return row_figure(row, trace, int(order[0]), title=title)


def stack_figure(
    preimages: Sequence[Any],
    errors: Sequence[float] | np.ndarray,
    glyphs: Sequence[Any],
    *,
    title: str = "",
) -> Figure:
    """Several images' features and their pre-images, a row for each image; the first eight.

    Parameters
    ----------
    preimages : sequence of array, shape (H, W) or (H, W, 3), in [0, 1]
    errors : sequence of float
        Their relative feature errors.
    glyphs : sequence of array, shape (h, w), or None
        Drawings of the features.
    title : str
    """
    rows = []
    for image, error, glyph in zip(preimages, errors, glyphs, strict=True):
        row = [] if glyph is None else [Panel(glyph, "features", unit=False)]
        rows.append([*row, Panel(image, f"pre-image, error {percent(error, 2)}")])
    return problems_figure(rows, title=title)


def problems_figure(rows: Sequence[Sequence[Panel | None]], *, title: str = "") -> Figure:
    """A row of pictures for each of several problems, in their order; the first eight."""
    names = [f"row {number} of {len(rows)}" for number in range(1, len(rows) + 1)]
    return grid_figure(rows[:_MAX_ROWS], title=title, row_labels=names[:_MAX_ROWS])


@dataclass(frozen=True)
class Panel:
    """One picture of a figure.

    Parameters
    ----------
    image : array, shape (H, W) or (H, W, 3)
    label : str
    unit : bool
        Whether colours span [0, 1], or the picture's own range.
    signed : bool
        Whether values lie about zero, which is white: blue below, red above.
    """

    image: Any
    label: str
    unit: bool = True
    signed: bool = False


def row_figure(
    panels: Sequence[Panel], trace: Mapping[str, Any] | None, index: int, *, title: str = ""
) -> Figure:
    """Pictures beside each other, and the terms of one problem's energy.

    Parameters
    ----------
    panels : sequence of Panel
    trace : mapping of str to array, shape (evaluations, N), or None
        Terms of the energy, and 'energy', their sum; None draws none.
    index : int
        Whose energy is drawn.
    title : str
    """
    height, width = np.asarray(panels[-1].image).shape[:2]
    aspect = min(max(width / height, 0.6), 2.5)
    widths = [aspect * _HEIGHT] * len(panels) + [1.25 * _HEIGHT] * (trace is not None)
    figure = ShownFigure(sum(widths) + 0.6, _HEIGHT + 0.75)
    axes = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=False):
        draw_image(axis, panel)
    if trace is not None:
        draw_trace(axes[-1], trace, index)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color="0.3", family="monospace")
    return figure


def grid_figure(
    panels: Sequence[Sequence[Panel | None]],
    *,
    title: str = "",
    row_labels: Sequence[str] = (),
) -> Figure:
    """Pictures in rows and columns.

    Parameters
    ----------
    panels : sequence of sequence of Panel or None
        Rows of pictures; None leaves a place free.
    title : str
    row_labels : sequence of str
        What stands to the left of each row.
    """
    columns = max(map(len, panels))
    shapes = [np.shape(panel.image) for row in panels for panel in row if panel is not None]
    aspect = float(np.median([shape[1] / shape[0] for shape in shapes])) if shapes else 1.0
    aspect = min(max(aspect, 0.5), 2.5)
    side = _SIDE if columns > 2 else 1.4 * _SIDE
    panels = [
        [p and replace(p, label=fitted(p.label, side * aspect, size=8)) for p in row]
        for row in panels
    ]
    longest = max((p.label.count("\n") + 1 for row in panels for p in row if p), default=1)
    size = (
        columns * side * aspect + 0.4,
        len(panels) * (side + 0.19 * longest) + (0.4 if title else 0.1),
    )
    figure = ShownFigure(*size)
    axes = figure.subplots(len(panels), columns, squeeze=False)
    for index, row in enumerate(panels):
        for axis, panel in zip(axes[index], [*row, *[None] * columns], strict=False):
            if panel is None:
                axis.set_axis_off()
            else:
                draw_image(axis, panel, size=8)
        if index < len(row_labels):
            # An axis that is off hides its label too; text of its own stays.
            axes[index, 0].text(
                -0.04,
                0.5,
                row_labels[index],
                transform=axes[index, 0].transAxes,
                rotation=90,
                ha="right",
                va="center",
                fontsize=8,
            )
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color="0.3")
    return figure


def draw_into(axes: Sequence[Axes], panels: Sequence[Panel]) -> Figure:
    """Draw pictures into given axes, and return their figure.

    Raises
    ------
    ValueError
        If there is not one for each.
    """
    if len(axes) != len(panels):
        raise ValueError(f"expected {len(panels)} axes, one for each picture; got {len(axes)}.")
    for axis, panel in zip(axes, panels, strict=True):
        draw_image(axis, panel, size=9)
    return figure_of(axes[0])


def figure_of(axes: Axes) -> Figure:
    """The figure that axes belong to."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def matched(
    image: np.ndarray, photograph: np.ndarray | None, match: str | None
) -> tuple[np.ndarray, str]:
    """An image with the mean and standard deviation of a photograph, and a line that says so.

    Raises
    ------
    ValueError
        If they differ in size.
    """
    if photograph is None or match is None:
        return image, ""
    if image.ndim == 2 and photograph.ndim == 3:
        photograph = to_gray(photograph)
    if image.shape[:2] != photograph.shape[:2]:
        raise ValueError(
            f"expected a photograph of {image.shape[0]}x{image.shape[1]} pixels, as the images "
            f"have; got {photograph.shape[0]}x{photograph.shape[1]}."
        )
    if image.shape != photograph.shape or np.ptp(image) == 0:
        return image, ""
    # By deviations, not by the nearest affine map: that of an image with little likeness is flat.
    gain = float(photograph.std() / image.std())
    drawn = photograph.mean() + gain * (image - image.mean())
    return np.clip(drawn, 0, 1), "\ncontrast matched"


def wrapped(text: str, width: int) -> str:
    """Text in lines that a picture has room for, broken where expressions can be."""
    lines = [""]
    for piece in re.findall(r"[^\s,(=]*[\s,(=]*", text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def fitted(label: str, width: float, *, size: int) -> str:
    """A title in lines that fit into so many inches, at a size of the type in points."""
    lines = (_broken(line, 72 * width, size) for line in label.split("\n"))
    return "\n".join(line for some in lines for line in some)


def _broken(line: str, width: float, size: int, breaks: Sequence[str] = _BREAKS) -> list[str]:
    """A line in several that are no wider than so many points, where it can be broken."""
    if not breaks or not line or _width(line, size) <= width:
        return [line]
    found = [""]
    for piece in re.findall(breaks[0], line):
        if found[-1] and _width((found[-1] + piece).rstrip(), size) > width:
            found.append("")
        found[-1] += piece
    return [part for one in found for part in _broken(one.rstrip(), width, size, breaks[1:])]


def _width(text: str, size: int) -> float:
    """Width of a text in points."""
    return float(TextPath((0, 0), text, size=size).get_extents().width)


def _room(axis: Axes) -> float:
    """Inches that the title of a picture has before it reaches the next picture."""
    figure, spec = figure_of(axis), axis.get_subplotspec()
    if spec is None or figure.get_layout_engine() is None:
        # The gap to the next axes is a fifth of them.
        return float(1.1 * figure.get_figwidth() * axis.get_position().width)
    ratios: Any = spec.get_gridspec().get_width_ratios()
    share = sum(ratios[column] for column in spec.colspan) / sum(ratios)
    return float(0.97 * share * figure.get_figwidth() - 0.06)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure; the file appears whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
        .png, .pdf or .svg.
    """
    files.check_writable(path, FIGURE_SUFFIXES)
    files.write_bytes(path, encoded(figure, Path(path).suffix.lower()[1:]))


def encoded(figure: Figure, kind: str = "png", *, dpi: int = 160) -> bytes:
    """A figure as the bytes of a file: 'png', 'pdf' or 'svg'."""
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=dpi)
    return stream.getvalue()


def draw_image(axis: Axes, panel: Panel, *, size: int = 10) -> None:
    """One picture without ticks."""
    image = np.asarray(panel.image)
    low, high = (0.0, 1.0) if panel.unit else (None, None)
    colours = "gray"
    if panel.signed:
        image = image.mean(axis=-1) if image.ndim == 3 else image
        high = max(float(np.abs(image).max()), 1e-6)
        low, colours = -high, "RdBu_r"
    axis.imshow(image, cmap=colours, vmin=low, vmax=high)
    axis.set_title(fitted(panel.label, _room(axis), size=size), fontsize=size, loc="left")
    # At the top of its place, so that the layout leaves room for the whole title; and at its left,
    # where the title begins.
    axis.set_anchor("NW")
    axis.set_axis_off()


def draw_trace(axis: Axes, trace: Mapping[str, Any], index: int) -> None:
    """Each term of the energy at every evaluation of one pre-image, on a logarithmic axis.

    Evaluations that the solver refused are drawn too, and so is a change of the energy from one
    stage of a run to the next.
    """
    terms = {name: np.asarray(values, dtype=float)[:, index] for name, values in trace.items()}
    n_evaluations = max(map(len, terms.values()), default=0)
    names = sorted(terms, key=lambda name: name != "energy")
    for name, (colour, style) in zip(names, LINES, strict=False):
        drawable = np.isfinite(terms[name]) & (terms[name] > 0)
        if drawable.any():
            axis.plot(
                np.arange(1, len(drawable) + 1),
                np.where(drawable, terms[name], np.nan),
                color=colour,
                linestyle=style,
                linewidth=2.6 if name == "energy" else 1.2,
                label=name.replace("_", " "),
            )
    axis.set_yscale("log")
    axis.set_xlim(0, max(n_evaluations, 2))
    axis.set_xlabel("evaluations", fontsize=9)
    title = fitted("energy and its terms", _room(axis), size=10)
    axis.set_title(title, fontsize=10, loc="left")
    axis.tick_params(labelsize=8, which="both")
    axis.grid(True, which="major", color="0.9", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.lines:
        axis.legend(fontsize=8, frameon=False, loc="best")
