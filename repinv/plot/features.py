"""Pictures of features: glyphs of cells and descriptors, maps of channels, words, bars."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repinv.encoders.base import Encoder
from repinv.io.image import on_host
from repinv.plot.figures import Panel, ShownFigure, draw_image, figure_of, grid_figure

#: Channels or words that are drawn at most, those of the largest features.
MOST = 12
#: Numbers of a vector that are drawn as bars at most; of more, groups are averaged.
_BARS = 256


def features_figure(
    encoder: Encoder, features: Any, *, shape: tuple[int, ...] | None, axes: Axes | None
) -> Figure:
    """A figure of features; parameters as of `repinv.Encoder.plot`."""
    given = np.asarray(on_host(features))
    one = picture(encoder, given, shape=shape)
    if axes is not None:
        if one is not None:
            draw_image(axes, one)
        else:
            _draw_bars(axes, given)
        return figure_of(axes)
    if hasattr(encoder, "glyph") and one is not None:
        several = [one]
    else:
        several = _words(encoder, given) or _channels(encoder, given)
    if several:
        rows = [several[k : k + 4] for k in range(0, len(several), 4)]
        return grid_figure(rows)
    figure = ShownFigure(6.4, 2.4)
    _draw_bars(figure.subplots(), given)
    return figure


def picture(
    encoder: Encoder, features: np.ndarray, *, shape: tuple[int, ...] | None = None
) -> Panel | None:
    """One picture of features: their glyph, or the norm of a map; None of other features."""
    draw = getattr(encoder, "glyph", None)
    if draw is not None:
        try:
            return Panel(np.asarray(draw(features, shape=shape)), "its features", unit=False)
        except (TypeError, ValueError):
            return None
    if features.ndim == 3 and encoder.descriptor_axis is not None:
        norm = np.linalg.norm(features, axis=encoder.descriptor_axis)
        return Panel(norm, "norm of its features", unit=False)
    return None


def _channels(encoder: Encoder, features: np.ndarray) -> list[Panel]:
    """The channels of a map that have the largest features."""
    if features.ndim != 3 or encoder.descriptor_axis is None:
        return []
    maps = np.moveaxis(features, encoder.descriptor_axis, 0)
    largest = np.argsort(-np.square(maps).sum(axis=(1, 2)), kind="stable")[:MOST]
    signed = bool(maps.min() < 0)
    return [Panel(maps[k], f"channel {k}", unit=False, signed=signed) for k in largest]


def _words(encoder: Encoder, features: np.ndarray) -> list[Panel]:
    """The most frequent words of a bag, each as the glyph of its descriptor."""
    words, local = getattr(encoder, "vocabulary", None), getattr(encoder, "local", None)
    draw = getattr(local, "glyph", None)
    if words is None or local is None or draw is None or features.shape[-1] != len(words):
        return []
    counts = features.reshape(-1, len(words)).sum(axis=0)
    total = float(np.abs(counts).sum()) or 1.0
    panels = []
    for k in np.argsort(-counts, kind="stable")[:MOST]:
        one = words[k][:, None, None] if local.descriptor_axis == 0 else words[k][None]
        try:
            glyph = np.asarray(draw(one))
        except (TypeError, ValueError):
            return []
        panels.append(Panel(glyph, f"word {k}, {100 * counts[k] / total:.1f} %", unit=False))
    return panels


def _draw_bars(axes: Axes, features: np.ndarray) -> None:
    """A vector as bars, in groups where it is long."""
    flat = features.astype(float).ravel()
    group = -(-flat.size // _BARS)
    padded = np.pad(flat, (0, -flat.size % group), constant_values=np.nan)
    means = np.nanmean(padded.reshape(-1, group), axis=1)
    axes.bar(np.arange(means.size) * group, means, width=group, color="#0072B2")
    axes.tick_params(labelsize=8)
    axes.set_xlabel("feature" if group == 1 else f"feature, means of {group}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
