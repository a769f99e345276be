"""Figures of the pages of the theory, drawn when the site is built, by what they explain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from plots_of_benchmarks import COLOURS, write
from scipy.fft import idctn

FOLDER = Path(__file__).parent / "theory" / "figures"


def spectra() -> Figure:
    """Noise of the same phases under spectra that fall ever faster."""
    noise = np.random.default_rng(0).standard_normal((96, 96))
    rows, columns = np.mgrid[:96, :96]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1
    figure = Figure(figsize=(7.7, 2.2), layout="constrained")
    for axis, slope in zip(figure.subplots(1, 4), (0, 0.25, 0.85, 1.0), strict=True):
        shown = noise * frequency**-slope
        shown[0, 0] = 0
        axis.imshow(idctn(shown, norm="ortho"), cmap="gray", interpolation="none")
        axis.set_title(f"γ = {slope:g}", fontsize=9, loc="left")
        axis.set_axis_off()
    return figure


def surrogates() -> Figure:
    """Slopes in place of a rectifier's, and votes between hard and linear."""
    figure = Figure(figsize=(7.7, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = np.linspace(-3, 3, 301)
    left.plot(x, x > 0, color="black", label="rectifier")
    for colour, s in zip(COLOURS, (0.2, 0.4, 0.8), strict=False):
        left.plot(x, (1 + x / np.hypot(x, s)) / 2, color=colour, label=f"s = {s}")
    left.set_xlabel("pre-activation", fontsize=8)
    left.set_title("slope in the pullback", fontsize=9, loc="left")
    # From the centre of one bin, 0, to that of the next, 1.
    angle = np.linspace(0, 1, 201)
    for colour, tau in zip(("black", *COLOURS), (0.02, 0.3, 1.0), strict=False):
        share = np.clip(0.5 - (angle - 0.5) / tau, 0, 1)
        label = "hard" if tau < 0.1 else f"τ = {tau:g}"
        right.plot(angle, share, color=colour, label=label)
    right.set_xlabel("angle, from the centre of a bin to that of the next", fontsize=8)
    right.set_title("share of the first bin", fontsize=9, loc="left")
    for axis in (left, right):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, frameon=False)
    return figure


def edges() -> Figure:
    """What a step of height 1 costs, by its width and the exponent of total variation."""
    figure = Figure(figsize=(7.7, 2.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    widths = np.arange(1, 11)
    at = np.arange(25)
    for colour, width in zip(COLOURS, (1, 4, 10), strict=False):
        profile = np.clip((at - 12) / width + 0.5, 0, 1)
        left.plot(at, profile, color=colour, label=f"{width} pixel" + "s" * (width > 1))
    for colour, beta in zip(COLOURS, (1.0, 1.5, 2.0), strict=False):
        right.plot(widths, widths * (1 / widths) ** beta, "o-", color=colour, label=f"β = {beta:g}")
    left.set_title("an edge, sharp or spread", fontsize=9, loc="left")
    left.set_xlabel("pixel", fontsize=8)
    right.set_title("what it costs", fontsize=9, loc="left")
    right.set_xlabel("pixels over which it is spread", fontsize=8)
    for axis in (left, right):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, frameon=False)
    return figure


def figures(app: Any) -> None:
    """Write all figures."""
    for draw in (spectra, surrogates, edges):
        write(draw(), FOLDER / f"{draw.__name__}.svg")


def setup(app: Any) -> dict[str, bool]:
    """Write the figures before Sphinx looks for them."""
    app.connect("builder-inited", figures, priority=100)
    return {"parallel_read_safe": True}
