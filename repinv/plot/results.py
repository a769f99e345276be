"""Figures of results: the photograph, what the encoder keeps of it, and the images found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repinv.io.image import as_unit
from repinv.io.tables import percent
from repinv.plot import features as feature_plots
from repinv.plot.figures import (
    Panel,
    ShownFigure,
    draw_image,
    draw_into,
    draw_trace,
    figure_of,
    matched,
)
from repinv.search.result import Result
from repinv.solvers.minimize import to_host

#: Images of a result that are drawn at most, the best first.
MOST = 4
#: Side of a picture in inches.
_SIDE = 2.6


def result_figure(
    result: Result,
    photograph: Any = None,
    *,
    encoder_picture: bool = True,
    trace: bool = False,
    match: str | None = "contrast",
    axes: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """The pictures of a result in a row; parameters as of `repinv.Result.plot`."""
    panels = result_panels(result, photograph, encoder_picture=encoder_picture, match=match)
    best = len(panels) - min(len(result.images), MOST)
    if isinstance(axes, Axes):
        draw_image(axes, panels[best])
        return figure_of(axes)
    if axes is None:
        count = len(panels) + trace
        shape = np.shape(panels[best].image)
        width = _SIDE * min(max(shape[1] / shape[0], 0.6), 2.5)
        figure = ShownFigure(count * width + 0.4, _SIDE + 0.6)
        axes = list(figure.subplots(1, count, squeeze=False)[0])
    if trace:
        if not len(axes):
            raise ValueError("expected axes, one for each picture; got none.")
        draw_trace(axes[-1], result.trace, int(_order(result)[0]))
        axes = axes[:-1]
    return draw_into(axes, panels)


def result_panels(
    result: Result,
    photograph: Any = None,
    *,
    encoder_picture: bool = True,
    match: str | None = "contrast",
) -> list[Panel]:
    """The photograph and a picture of its features where there are any, and the best images."""
    if match not in ("contrast", None):
        raise ValueError(f"match must be 'contrast' or None; got {match!r}.")
    panels = []
    seen = None
    if photograph is not None:
        seen = as_unit(np.asarray(photograph))
        panels.append(Panel(seen, "photograph"))
    order = _order(result)
    if encoder_picture and result.encoder is not None:
        features = to_host(result.features)[order[0]]
        shape = tuple(result.images.shape[1:])
        picture = feature_plots.picture(result.encoder, features, shape=shape)
        panels += [] if picture is None else [picture]
    for rank, index in enumerate(order[:MOST]):
        name = "pre-image" if result.response is None else "image"
        name += f" {rank + 1}" if len(order) > 1 else ""
        image, word = matched(result.images[index], seen, match)
        panels.append(Panel(image, f"{name}, {_quality(result, index)}{word}"))
    return panels


def _order(result: Result) -> np.ndarray:
    """Numbers of the images, the best first."""
    rank = result.error if result.response is None else -np.asarray(result.response)
    return np.argsort(np.asarray(rank), kind="stable")


def _quality(result: Result, index: int) -> str:
    """How good an image is, in a few words."""
    if result.response is not None:
        return f"response {result.response[index]:.3g}"
    return f"error {percent(result.error[index], 2)}"
