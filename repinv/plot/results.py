"""Figures of results: the photograph, what the encoder keeps of it, and the images found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
    problems_figure,
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
    if result.problems > 1:
        return _several(
            result,
            photograph,
            encoder_picture=encoder_picture,
            trace=trace,
            match=match,
            axes=axes,
        )
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


def _several(
    result: Result,
    photograph: Any,
    *,
    encoder_picture: bool,
    trace: bool,
    match: str | None,
    axes: Axes | Sequence[Axes] | None,
) -> Figure:
    """The pictures of several problems, a row for each."""
    parts, photographs = _problems(result), _photographs(photograph, result)
    rows: list[list[Panel | None]] = [
        [*result_panels(part, seen, encoder_picture=encoder_picture, match=match)]
        for part, seen in zip(parts, photographs, strict=True)
    ]
    if isinstance(axes, Axes):
        raise ValueError(
            f"one axes holds one picture; these are images of {len(rows)} rows of features. Give "
            "an axes for each picture, or none."
        )
    if axes is not None:
        if trace:
            raise ValueError("the energies of several rows are drawn without axes=; leave it out.")
        return draw_into(axes, [panel for row in rows for panel in row if panel is not None])
    if not trace:
        return problems_figure(rows)
    columns = max(map(len, rows)) + 1
    figure = problems_figure([[*row, *[None] * (columns - len(row))] for row in rows])
    for part, axis in zip(parts, figure.axes[columns - 1 :: columns], strict=False):
        axis.set_axis_on()
        draw_trace(axis, part.trace, int(_order(part)[0]))
    return figure


def _problems(result: Result) -> list[Result]:
    """What of a result is that of each problem."""
    found, count = [], len(result.images) // result.problems
    for first in range(0, len(result.images), count):
        part = slice(first, first + count)
        response = None if result.response is None else result.response[part]
        trace = {name: values[:, part] for name, values in result.trace.items()}
        one = replace(
            result,
            images=result.images[part],
            error=result.error[part],
            features=result.features[part, ...],
            response=response,
            trace=trace,
            problems=1,
        )
        found.append(one)
    return found


def _photographs(photograph: Any, result: Result) -> Sequence[Any]:
    """A photograph for each problem, or None for each."""
    count = result.problems
    if photograph is None:
        return [None] * count
    shapes = [np.shape(one) for one in photograph]
    if len(shapes) != count or any(len(shape) not in (2, 3) for shape in shapes):
        shape = (count, *result.images.shape[1:3])
        raise ValueError(
            f"expected a photograph for each of the {count} rows of features, a stack of shape "
            f"{shape} or {(*shape, 3)}; got {_shape_of(photograph)}."
        )
    return list(photograph)


def _shape_of(photograph: Any) -> str:
    """The shape of an array, or those of several."""
    try:
        return str(np.shape(photograph))
    except ValueError:
        return f"{len(photograph)} of different shapes"


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
        seen = as_unit(_single(np.asarray(photograph)))
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


def _single(photographs: np.ndarray) -> np.ndarray:
    """One photograph as it is, or that of a stack of one."""
    is_stack = photographs.ndim == 4 or (
        photographs.ndim == 3 and photographs.shape[-1] not in (1, 3)
    )
    if not is_stack:
        return photographs
    if len(photographs) != 1:
        raise ValueError(
            "expected one photograph, of shape (H, W) or (H, W, 3), as these are images of one "
            f"problem; got a stack of shape {photographs.shape}."
        )
    return np.asarray(photographs[0])


def _order(result: Result) -> np.ndarray:
    """Numbers of the images, the best first."""
    rank = result.error if result.response is None else -np.asarray(result.response)
    return np.argsort(np.asarray(rank), kind="stable")


def _quality(result: Result, index: int) -> str:
    """How good an image is, in a few words."""
    if result.response is not None:
        return f"response {result.response[index]:.3g}"
    return f"error {percent(result.error[index], 2)}"
