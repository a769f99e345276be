"""Pictures of features: glyphs of cells and descriptors, maps of channels, words, bars."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

import repinv
from repinv.encoders.base import Encoder
from repinv.io.image import on_host
from repinv.plot.figures import Panel, ShownFigure, draw_image, figure_of, grid_figure

#: Channels or words that are drawn at most, those of the largest features.
MOST = 12
#: Numbers of a vector that are drawn as bars at most; of more, groups are averaged.
_BARS = 256
#: A patch of a word: the evaluations that it takes, the starts that it is the mean of, the side in
#: pixels that it does not exceed, the exponent of its spectrum, and the pixels it is blurred by.
_PATCH, _PATCHES, _LARGEST_PATCH, _EXPONENT, _BLUR = 40, 4, 128, 2.0, 1.2


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
    """The most frequent words of a bag, each as a patch whose descriptor is the word."""
    words, local = getattr(encoder, "vocabulary", None), getattr(encoder, "local", None)
    if words is None or local is None or features.shape[-1] != len(words):
        return []
    shape = _patch_shape(local)
    if shape is None:
        return []
    counts = features.reshape(-1, len(words)).sum(axis=0)
    total = float(np.abs(counts).sum()) or 1.0
    chosen = np.argsort(-counts, kind="stable")[:MOST]
    one = local.feature_shape((local.channels or 1, *shape))
    found = repinv.invert(
        words[chosen].reshape(len(chosen), *one),
        local,
        shape=shape,
        layout=local.layout,
        max_iter=_PATCH,
        n_preimages=_PATCHES,
        parametrization=repinv.Spectral(exponent=_EXPONENT),
    )
    # What a descriptor does not determine averages out; its bins are larger than a pixel.
    patches = found.images.reshape(len(chosen), _PATCHES, *shape).mean(axis=1)
    patches = gaussian_filter(patches, (0, _BLUR, _BLUR))
    return [
        Panel(patch, f"word {k}, {100 * counts[k] / total:.1f} %", unit=False)
        for k, patch in zip(chosen, patches, strict=True)
    ]


def _patch_shape(local: Encoder) -> tuple[int, int] | None:
    """The smallest square image that has one descriptor; None where there is none."""
    for side in range(1, _LARGEST_PATCH):
        try:
            shape = list(local.feature_shape((local.channels or 1, side, side)))
        except ValueError:
            continue
        del shape[local.descriptor_axis or 0]
        return (side, side) if math.prod(shape) == 1 else None
    return None


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
