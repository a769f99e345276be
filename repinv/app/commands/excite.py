"""One excitation or caricature to files: what the command line does between options and print."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np

import repinv
from repinv.app.commands import invert
from repinv.app.folders import references
from repinv.app.movie import Movie
from repinv.encoders.base import Encoder
from repinv.io import feature_files, files
from repinv.plot import figures
from repinv.search import validation


def component_of(text: str) -> Any:
    """What '--component' spells: a number, a tuple of them, or the direction in a file.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if feature_files.has_features(text):
        return feature_files.read_features(text)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    whole = value if isinstance(value, tuple) else (value,)
    if not whole or any(type(number) is not int for number in whole):
        raise ValueError(
            f"expected a number such as 5, numbers such as '(5, 0, 3)', or a file such as svm.npy; "
            f"got {text!r}."
        )
    return value


def maximized(
    encoder: Encoder,
    component: Any,
    *,
    shape: tuple[int, int],
    color: bool,
    part: str | None,
    images: Path | None,
    strength: float,
    n_images: int,
    diversity: float,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    title: str,
    max_iter: int,
    time_limit: float | None,
    seed: int,
    progress: bool,
) -> dict[str, Any]:
    """Excite a component.

    Parameters
    ----------
    encoder : Encoder
    component : int, tuple of int, or array
    shape : (int, int)
        Height and width of the image.
    color : bool
        Whether it has three channels; an encoder that takes one number only decides.
    part : "positive", "negative" or None
        Which part of a direction is taken.
    images : Path or None
        Folder of images that the largest response is measured on.
    out, figure, movie : Path or None
        What to write.
    title : str
        Of the figure.
    strength, n_images, diversity, max_iter, time_limit, seed, progress
        As in `repinv.maximize`.

    Returns
    -------
    report : dict
        What JSON can hold of the result, and what was written.
    """
    channels = invert.channels_of(encoder, color=color)
    size = (*shape, *((channels,) * (channels > 1)))
    features = tuple(encoder.feature_shape((channels, *shape)))
    direction = validation.direction(component, encoder, features)
    if part is not None:
        direction = np.maximum(direction if part == "positive" else -direction, 0)
    film = Movie()
    given, broken = (None, {}) if images is None else references(images, shape, channels)
    result = repinv.maximize(
        encoder,
        direction,
        shape=size,
        images=given,
        strength=strength,
        n_images=n_images,
        diversity=diversity,
        max_iter=max_iter,
        time_limit=time_limit,
        seed=seed,
        callback=None if movie is None else film.watch,
        progress=progress,
    )
    responses = np.asarray(result.response, dtype=float)
    order = np.argsort(-responses, kind="stable")
    panels = []
    # Only what has no sign can be drawn as bars.
    if direction.min() >= 0:
        drawn = invert.glyph(encoder, direction)
        if drawn is not None:
            panels.append(figures.Panel(drawn, "direction", unit=False))
    panels += [figures.Panel(result.images[i], f"response {responses[i]:.2f}") for i in order[:4]]
    report = _report(result, panels, int(order[0]), out, figure, movie, film, title)
    left_out = [f"left out {path}: {why}" for path, why in broken.items()]
    return report | {"notes": [*report["notes"], *left_out]}


def caricatured(
    source: Path,
    encoder: Encoder,
    *,
    side: int | None,
    color: bool,
    strength: float,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    title: str,
    max_iter: int,
    time_limit: float | None,
    progress: bool,
) -> dict[str, Any]:
    """Caricature an image file.

    Parameters
    ----------
    source : Path
    encoder : Encoder
    side : int or None
        Longest side that the image is made smaller to.
    color : bool
        Whether colours are kept.
    out, figure, movie : Path or None
        What to write.
    title : str
        Of the figure.
    strength, max_iter, time_limit, progress
        As in `repinv.caricature`.

    Returns
    -------
    report : dict
        What JSON can hold of the result, and what was written.
    """
    channels = invert.channels_of(encoder, color=color)
    photograph = invert.photograph(source, channels, side)
    film = Movie()
    result = repinv.caricature(
        photograph,
        encoder,
        strength=strength,
        max_iter=max_iter,
        time_limit=time_limit,
        callback=None if movie is None else film.watch,
        progress=progress,
    )
    panels = [
        figures.Panel(photograph, "photograph"),
        figures.Panel(
            result.image, f"caricature, response {float(np.asarray(result.response)[0]):.2f}"
        ),
        figures.Panel(result.image - photograph, "difference", signed=True),
    ]
    report = _report(result, panels, 0, out, figure, movie, film, title)
    return {"source": str(source), **report}


def _report(
    result: Any,
    panels: list[figures.Panel],
    index: int,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    film: Movie,
    title: str,
) -> dict[str, Any]:
    """Write what was asked for, and say what it is."""
    if out is not None and out.suffix.lower() == ".npz":
        result.save(out)
    elif out is not None:
        files.write(out, np.asarray(result.image))
    if figure is not None:
        figures.save(figures.row_figure(panels, result.trace, index, title=title), figure)
    if movie is not None:
        film.write(movie, np.asarray(result.image))
    responses = np.asarray(result.response, dtype=float)
    return {
        "shape": list(result.image.shape),
        "response": float(responses.max()),
        "responses": responses.tolist(),
        **invert.course(result),
        "files": [str(path) for path in (out, figure, movie) if path is not None],
    }
