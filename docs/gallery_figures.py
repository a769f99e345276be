"""The figures of tutorials: those that methods of repinv draw too, images at whole multiples."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import matplotlib_scraper

from repinv.plot.figures import ShownFigure

#: What the pictures at the head of tutorials show.
CAPTIONS = Path(__file__).parent / "tutorials" / "captions.toml"
#: Pixels that a page has for a figure, and the least that one takes.
WIDTH, LEAST = 900, 600


def scraper(block: Any, variables: dict[str, Any], configuration: dict[str, Any]) -> str:
    """Write the figures of a block of code, as the gallery does."""
    for number in plt.get_fignums():
        resolve(plt.figure(number))
    return matplotlib_scraper(block, variables, configuration)


def resolve(figure: Figure) -> None:
    """Set the resolution at which images are drawn at a whole multiple of their pixels."""
    figure.canvas.draw()
    images = [axis for axis in figure.axes if axis.images and not axis.axison]
    if not images:
        return
    sizes = [(np.shape(a.images[0].get_array())[1], a.get_window_extent().width) for a in images]
    (pixels, width), _ = Counter(sizes).most_common(1)[0]
    at_one = figure.dpi * pixels / width
    whole = figure.get_figwidth() * at_one
    factor = int(WIDTH / whole)
    if factor >= 1:
        factor += factor * whole < LEAST
        # What is saved without a resolution takes the one that the figure began with.
        figure._original_dpi = factor * at_one  # type: ignore[attr-defined]


def headed(picture: str, name: str) -> str:
    """The figure that a tutorial begins with, as reStructuredText, with its caption."""
    said = tomllib.loads(CAPTIONS.read_text(encoding="utf-8"))[name]
    return f"\n.. figure:: {picture}\n   :alt: {said['alt']}\n\n   {said['caption']}\n\n"


def register() -> None:
    """Let pyplot, and so the gallery, know of every figure that a method of repinv begins."""
    begin = ShownFigure.__init__

    def begun(self: ShownFigure, *size: float) -> None:
        begin(self, *size)
        number = max(plt.get_fignums(), default=0) + 1
        Gcf._set_new_active_manager(FigureManagerBase(self.canvas, number))  # type: ignore

    ShownFigure.__init__ = begun  # type: ignore[method-assign]
