"""Figures of distortions: an image beside the changes that features notice most and least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repinv.io.tables import percent
from repinv.plot.figures import (
    LINES,
    Panel,
    ShownFigure,
    draw_image,
    draw_into,
    figure_of,
    grid_figure,
)
from repinv.tasks.distortions.distortions import Distortions
from repinv.tasks.distortions.mad import MaximalDifferentiation
from repinv.tasks.distortions.sensitivity import Sensitivity
from repinv.tasks.distortions.walk import Walk

#: Pictures in a row, and the side of one in inches.
_COLUMNS, _SIDE = 4, 2.8


def distortions_figure(distortions: Distortions, *, axes: Sequence[Axes] | None = None) -> Figure:
    """The image and its changes; parameters as of `repinv.Distortions.plot`."""
    panels = distortions_panels(distortions)
    if axes is not None:
        return draw_into(axes, panels)
    rows = [panels[first : first + _COLUMNS] for first in range(0, len(panels), _COLUMNS)]
    return grid_figure(rows)


def distortions_panels(distortions: Distortions) -> list[Panel]:
    """The image, and each change with its eigenvalue in units of the largest."""
    panels = [Panel(distortions.image, "image")]
    for number, (change, value) in enumerate(
        zip(distortions.images, distortions.eigenvalues, strict=True)
    ):
        is_largest = number < distortions.n_largest
        rank = number + 1 if is_largest else number + 1 - distortions.n_largest
        name = f"{'noticed most' if is_largest else 'noticed least'}, {rank}"
        share = np.max([value, 0]) / distortions.unit
        panels.append(Panel(change, f"{name}\nλ = {share:.2g} of largest", signed=True))
    return panels


def walk_figure(walk: Walk, *, axes: Sequence[Axes] | None = None) -> Figure:
    """The first image, some on the way, the last; parameters as of `repinv.Walk.plot`."""
    panels = walk_panels(walk)
    return draw_into(axes, panels) if axes is not None else grid_figure([panels])


def walk_panels(walk: Walk) -> list[Panel]:
    """Images of a walk, evenly spaced, and the difference of the last from the first."""
    last = len(walk.images) - 1
    chosen = np.unique(np.round(np.linspace(0, last, _COLUMNS)).astype(int))
    panels = [Panel(walk.images[0], "image")]
    for number in chosen[1:]:
        distance, error = walk.distances[number], percent(walk.errors[number], 2)
        label = f"RMS distance {distance:.3f}\nfeature error {error}"
        panels.append(Panel(walk.images[number], label))
    if last:
        panels.append(Panel(walk.images[-1] - walk.images[0], "difference", signed=True))
    return panels


def sensitivity_figure(sensitivity: Sensitivity, *, axes: Sequence[Axes] | None = None) -> Figure:
    """Image, map and spectrum; parameters as of `repinv.Sensitivity.plot`."""
    if axes is None:
        figure = ShownFigure(3 * _SIDE + 0.4, _SIDE + 0.4)
        axes = list(figure.subplots(1, 3))
    if len(axes) != 3:
        raise ValueError(f"expected 3 axes, one for each picture; got {len(axes)}.")
    draw_image(axes[0], Panel(sensitivity.image, "image"), size=9)
    # A logarithm: flat areas are noticed a thousand times as much where features are normalized.
    shown = np.log10(np.maximum(sensitivity.map, 1e-6 * sensitivity.map.max()))
    draw_image(axes[1], Panel(shown, "where: log of sensitivity", unit=False), size=9)
    draw_spectra(axes[2], {"": sensitivity})
    return figure_of(axes[0])


def draw_spectra(axis: Axes, sensitivities: Mapping[str, Sensitivity]) -> None:
    """Spectra of several encoders by name, each in units of its mean over all pixels."""
    for (name, one), (colour, style) in zip(sensitivities.items(), LINES, strict=False):
        mean = one.trace / one.map.size
        axis.loglog(one.frequencies, one.spectrum / mean, color=colour, ls=style, label=name)
    axis.set_xlabel("cycles per pixel", fontsize=9)
    axis.set_title("at which frequencies", fontsize=9, loc="left")
    axis.tick_params(labelsize=8, which="both")
    axis.grid(True, which="major", color="0.9", linewidth=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    if any(sensitivities):
        axis.legend(fontsize=8, frameon=False)


def mad_figure(found: MaximalDifferentiation, *, axes: Sequence[Axes] | None = None) -> Figure:
    """Reference, start, nearest, farthest; as of `repinv.MaximalDifferentiation.plot`."""
    near, far = found.distances_b / found.start_b
    panels = [
        Panel(found.image, "image"),
        Panel(found.start, "start: with noise"),
        Panel(found.nearest, f"nearest\n{near:.2g} of the start's distance"),
        Panel(found.farthest, f"farthest\n{far:.2g} of the start's distance"),
    ]
    return draw_into(axes, panels) if axes is not None else grid_figure([panels])
