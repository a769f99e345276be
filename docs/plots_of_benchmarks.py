"""Plots of what the scripts in `benchmarks` measured, from the same files as the tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repinv.plot.figures import LINES

Table = dict[str, Any]
#: Okabe and Ito's colours, without black.
COLOURS = [colour for colour, _ in LINES[1:]]
_WIDTH = 8.2
#: Those of the ladder that the first screen shows.
CODES = ("DSIFT, step 5", "HOG, bilinear", "1024 words, 16x16", "1024 words, 8x8",
         "1024 words, 4x4", "Fisher of 64, 4x4")  # fmt: skip


def number(cell: str) -> float:
    """The first number of a cell, or nan."""
    found = re.search(r"-?\d[\d,]*\.?\d*(?:e[-+]?\d+)?", cell)
    return float(found[0].replace(",", "")) if found else np.nan


def _column(table: Table, name: str) -> np.ndarray:
    place = table["columns"].index(name)
    return np.array([number(row[place]) for row in table["rows"]])


def _labels(table: Table) -> list[str]:
    return [row[0] for row in table["rows"]]


def _figure(rows: int, columns: int, height: float) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _plain(axis: Axes, title: str) -> None:
    axis.set_title(title, fontsize=9, loc="left")
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_axisbelow(True)


def _barh(axis: Axes, names: Sequence[str], groups: dict[str, np.ndarray], log: bool) -> None:
    """Groups of horizontal bars, the first row at the top, each with its value."""
    thick = 0.8 / len(groups)
    for k, (label, values) in enumerate(groups.items()):
        at = np.arange(len(names)) + (k - (len(groups) - 1) / 2) * thick
        bars = axis.barh(at, np.nan_to_num(values), thick, color=COLOURS[k], label=label)
        shown = ["" if np.isnan(value) else f"{value:.3g}" for value in values]
        axis.bar_label(bars, shown, fontsize=7, padding=2)
    if log:
        axis.set_xscale("log")
        least = min(np.nanmin(v[v > 0]) for v in groups.values())
        axis.set_xlim(least / 2, None)
    axis.margins(x=0.12)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    if len(groups) > 1:
        axis.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    # Each bar has its value.
    axis.minorticks_off()
    axis.tick_params(axis="x", bottom=False, labelbottom=False)


def bars(
    *columns: str, which: Sequence[int] | None = None, log: bool = False, title: str = ""
) -> Callable[[list[Table]], Figure]:
    """Bars of columns, a panel for each table of those numbered."""

    def draw(tables: list[Table]) -> Figure:
        chosen = [tables[k] for k in which] if which else tables[:1]
        most = max(len(table["rows"]) for table in chosen)
        rows = -(-len(chosen) // 2)
        height = 0.55 + 0.19 * most * max(1, 0.7 * len(columns))
        figure, axes = _figure(rows, min(len(chosen), 2), rows * height)
        for axis, table in zip(axes.flat, chosen, strict=False):
            groups = {name: _column(table, name) for name in columns}
            _barh(axis, _labels(table), groups, log)
            said = title or (columns[0] if len(columns) == 1 else "")
            name = table["name"].partition(": ")[0]
            _plain(axis, textwrap.fill(": ".join(filter(None, (name, said))), 44))
        for axis in axes.flat[len(chosen) :]:
            axis.set_axis_off()
        return figure

    return draw


def descent(tables: list[Table]) -> Figure:
    """Errors of two methods by the number of evaluations, means over photographs."""
    figure, axes = _figure(1, max(2, len(tables)), 2.8)
    for axis in axes.flat[len(tables) :]:
        axis.set_axis_off()
    for axis, table in zip(axes.flat, tables, strict=False):
        curve(axis, table)
        _plain(axis, f"{table['name'].partition(':')[0]}: error, %")
    return figure


def curve(axis: Axes, table: Table) -> None:
    """The errors of one table by evaluations."""
    after = {}
    for row in table["rows"]:
        found = re.search(r"after (\d+)", row[0])
        if found:
            after[int(found[1])] = number(row[1]), number(row[2])
    steps = sorted(after)
    for k, name in enumerate(("authors' method", "repinv")):
        values = [after[step][k] for step in steps]
        axis.loglog(steps, values, "o-", color=COLOURS[1 - k], label=name)
    axis.set_xticks(steps, [str(step) for step in steps])
    axis.minorticks_off()
    axis.set_xlabel("evaluations", fontsize=8)
    axis.legend(fontsize=8, frameon=False)


def matrix(tables: list[Table]) -> Figure:
    """A table of numbers as shades, 0 white."""
    (table,) = tables
    values = np.array([[number(cell) for cell in row[1:]] for row in table["rows"]])
    figure, axes = _figure(1, 1, 0.9 + 0.3 * len(values))
    axis = axes[0, 0]
    axis.imshow(values, cmap="Blues", vmin=0, vmax=1.5, aspect="auto")
    for place, value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if value > 0.9 else "black"
            axis.text(place[1], place[0], f"{value:.2g}", ha="center", va="center", fontsize=8,
                      color=colour)  # fmt: skip
    axis.set_xticks(range(values.shape[1]), table["columns"][1:])
    axis.set_yticks(range(len(values)), _labels(table))
    axis.xaxis.tick_top()
    axis.tick_params(labelsize=8, length=0)
    return figure


def throughput(tables: list[Table]) -> Figure:
    """Images in a minute by the size of the batch."""
    table = next(t for t in tables if "by batch" in t["name"])
    figure, axes = _figure(1, 1, 2.8)
    batches = [int(name) for name in table["columns"][1:]]
    for k, row in enumerate(table["rows"]):
        values = [number(cell) for cell in row[1:]]
        axes[0, 0].loglog(batches, values, "o-", color=COLOURS[k], label=row[0])
    axes[0, 0].set_xticks(batches, [str(batch) for batch in batches])
    axes[0, 0].minorticks_off()
    axes[0, 0].set_xlabel("images in a batch", fontsize=8)
    axes[0, 0].legend(fontsize=8, frameon=False)
    _plain(axes[0, 0], "images inverted in a minute")
    return figure


def agreement(tables: list[Table]) -> Figure:
    """Differences of features and of gradients, a point for each layer."""
    (table,) = tables
    features, gradients = _column(table, "features"), _column(table, "gradients")
    figure, axes = _figure(1, 1, 3.0)
    axis = axes[0, 0]
    axis.loglog(features + 1e-9, gradients + 1e-9, "o", color=COLOURS[0], alpha=0.5, markersize=4)
    axis.axvline(1e-4, color="0.6", linewidth=0.8)
    axis.axhline(1e-3, color="0.6", linewidth=0.8)
    axis.set_xlabel("difference of features", fontsize=8)
    axis.set_ylabel("of gradients", fontsize=8)
    _plain(axis, f"{len(features)} layers of {len(features) // 2} networks; lines: the limits")
    return figure


def by_views(tables: list[Table]) -> Figure:
    """What a learned prior reaches, by how many photographs it saw: each training, and means."""
    (table,) = tables
    seen = [int(number(row[0])) for row in table["rows"][1:]]
    places = sorted(set(seen))
    figure, axes = _figure(1, 2, 2.8)
    for axis, measure in zip(axes.flat, ("NCC", "SSIM"), strict=True):
        for color, kind in zip(COLOURS, ("restored", "fitted"), strict=False):
            values = np.array(_column(table, f"{kind}: {measure}"))
            means = [np.mean(values[1:][np.array(seen) == place]) for place in places]
            at = [places.index(place) for place in seen]
            axis.plot(at, values[1:], "o", color=color, markersize=3)
            axis.plot(range(len(places)), means, color=color, label=kind)
        axis.axhline(values[0], color="0.6", linewidth=0.8, label="plain run")
        axis.set_xticks(range(len(places)), [str(place) for place in places])
        axis.set_xlabel("views that were learned from", fontsize=8)
        axis.legend(fontsize=8, frameon=False)
        _plain(axis, measure)
    return figure


def by_layer(tables: list[Table]) -> Figure:
    """Median errors of methods, layer by layer."""
    found: dict[str, dict[str, float]] = {}
    for table in tables:
        layer, _, method = table["name"].partition(", ")
        median = next(row for row in table["rows"] if row[0] == "median")
        found.setdefault(method, {})[layer] = number(median[table["columns"].index("error, %")])
    layers = list(dict.fromkeys(table["name"].partition(", ")[0] for table in tables))
    groups = {
        method: np.array([errors.get(layer, np.nan) for layer in layers])
        for method, errors in found.items()
    }
    figure, axes = _figure(1, 1, 0.6 + 0.2 * len(layers) * len(groups))
    _barh(axes[0, 0], layers, groups, log=True)
    _plain(axes[0, 0], "error of the image itself, %, medians")
    return figure


#: How each file is drawn; what is not named has a table alone.
PLOTS: dict[str, Callable[[list[Table]], Figure]] = {
    "ladder": bars("SSIM", "NCC", title="likeness of the pre-image"),
    "invert_hog": descent,
    "invert_dsift": descent,
    "unsigned": bars("coherence", "local NCC", title="likeness"),
    "blindness": matrix,
    "keypoints": bars("SSIM", "NCC", which=(2,), title="by keypoints"),
    "invert_bovw": bars("SSIM", "NCC", title="likeness"),
    "restored": bars("SSIM", which=(0, 1)),
    "hoggles": bars("SSIM", which=(0, 1)),
    "cnn": bars("error, %", which=(0, 1, 2, 3, 4, 7), log=True),
    "learning_curve": by_views,
    "last_layers": by_layer,
    "maximize": bars("p, lite0", "lite1", "lite2", title="probability of the class"),
    "distortions": bars("1 − SSIM, plenoptic", "1 − SSIM, repinv", which=(2,), title="1 − SSIM"),
    "gpu": throughput,
    "hog_kernels": bars("milliseconds", which=(0, 1), log=True),
    "dsift_kernels": bars("ns a pixel, median", which=(0, 1), log=True),
    "pullbacks": bars("module, autograd", "graph, autograd", "torch.compile",
                      title="time over what ships"),
    "zoo": agreement,
}  # fmt: skip


def summary(held: dict[str, list[Table]]) -> Figure:
    """The first screen: how near, how fast, how much is left."""
    figure, axes = _figure(1, 3, 2.7)
    curve(axes[0, 0], held["invert_hog"][-1])
    _plain(axes[0, 0], "error of HOG with shared votes, %")
    kernels = held["hog_kernels"][0]
    times = dict(zip(_labels(kernels), _column(kernels, "milliseconds"), strict=True))
    names = {"forward": "repinv", "both": "with pullback", "opencv": "OpenCV",
             "scikit-image": "scikit-image"}  # fmt: skip
    values = np.array([times[name] for name in names])
    _barh(axes[0, 1], list(names.values()), {"": values}, log=True)
    _plain(axes[0, 1], "HOG of 256x256 pixels, ms")
    ladder = held["ladder"][0]
    likeness = dict(zip(_labels(ladder), _column(ladder, "SSIM"), strict=True))
    codes = [name for name in CODES if name in likeness]
    values = np.array([likeness[name] for name in codes])
    _barh(axes[0, 2], codes, {"": values}, log=False)
    _plain(axes[0, 2], "SSIM of pre-images, by code")
    return figure


def write(figure: Figure, path: Path) -> None:
    """A figure as SVG, the same bytes for the same numbers."""
    import matplotlib as mpl

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None})
