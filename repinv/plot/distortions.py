"""Figures of distortions: an image beside the changes that features notice most and least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repinv.distortions.distortions import Distortions
from repinv.plot.figures import Panel, draw_into, grid_figure

#: Pictures in a row.
_COLUMNS = 4


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
