"""Curves and dots: how measures depend on a setting, and how they scatter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repinv.plot.figures import LINES, ShownFigure

#: Ratio of the largest to the smallest abscissa above which the axis is logarithmic.
_WIDE = 20


def bands(
    lines: Mapping[str, Mapping[float, Sequence[float]]],
    x_label: str,
    y_label: str,
    *,
    logarithmic: bool = False,
) -> Figure:
    """Lines of means, each in a band of one standard deviation.

    Parameters
    ----------
    lines : mapping
        Of each line its values at each abscissa.
    x_label, y_label : str
    logarithmic : bool
        Whether the ordinate is.
    """
    figure, axis = _canvas(5.4, 3.6)
    spread = 0.0
    for (colour, style), (label, line) in zip(_styles(), lines.items(), strict=False):
        xs = np.array(sorted(line))
        means = np.array([np.mean(line[x]) for x in xs])
        deviations = np.array([np.std(line[x]) for x in xs])
        axis.plot(xs, means, color=colour, linestyle=style, marker="o", markersize=4, label=label)
        low = means - deviations
        if logarithmic:
            low = np.maximum(low, means.min() / 10)
        axis.fill_between(xs, low, means + deviations, color=colour, alpha=0.12, linewidth=0)
        spread = max(spread, xs.max() / xs.min() if xs.min() > 0 else 0.0)
    if spread > _WIDE:
        axis.set_xscale("log")
    if logarithmic:
        axis.set_yscale("log")
    axis.set_xlabel(x_label, fontsize=9)
    axis.set_ylabel(y_label, fontsize=9)
    if len(lines) > 1:
        axis.legend(fontsize=8, frameon=False)
    return figure


def dots(
    groups: Mapping[str, Sequence[float]], x_label: str, *, logarithmic: bool = False
) -> Figure:
    """A row for each group: its values as dots, with their mean and one standard deviation.

    Parameters
    ----------
    groups : mapping of str to sequence of float
    x_label : str
    logarithmic : bool
        Whether the abscissa is.
    """
    figure, axis = _canvas(6.4, 0.7 + 0.42 * len(groups))
    for index, values in enumerate(groups.values()):
        # Dots of one row are spread a little, the same way each time.
        offsets = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
        axis.plot(values, index + offsets, "o", color="0.65", markersize=3, linewidth=0)
        mean, deviation = float(np.mean(values)), float(np.std(values))
        low = max(mean - deviation, min(values)) if logarithmic else mean - deviation
        axis.plot([low, mean + deviation], [index, index], color="#0072B2", linewidth=1.6)
        axis.plot([mean], [index], "D", color="#0072B2", markersize=5)
    axis.set_yticks(range(len(groups)), list(groups), fontsize=8)
    axis.invert_yaxis()
    if logarithmic:
        axis.set_xscale("log")
    axis.set_xlabel(x_label, fontsize=8)
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one plot, which belongs to no window."""
    figure = ShownFigure(width, height + 0.4)
    axis = figure.subplots()
    axis.tick_params(labelsize=8, which="both")
    axis.grid(True, which="major", color="0.9", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _styles() -> Iterator[tuple[str, Any]]:
    """Colours and line styles, again and again."""
    while True:
        yield from LINES[1:]
