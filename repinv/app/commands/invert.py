"""One inversion from file to files: what ``repinv invert`` does between options and print."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import repinv
from repinv import metrics
from repinv.app.commands.estimate import announced
from repinv.app.movie import Movie
from repinv.encoders.base import Encoder
from repinv.io import feature_files, files
from repinv.io.image import as_batch, as_unit, to_gray
from repinv.plot import figures
from repinv.search.feature_layout import read
from repinv.solvers import memory


def run(
    source: Path,
    encoder: Encoder,
    *,
    shape: tuple[int, int] | None,
    layout: str | None,
    rescale: bool,
    side: int | None,
    say: Callable[[str], object] | None,
    color: bool,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    title: str,
    max_iter: int,
    time_limit: float | None,
    n_preimages: int,
    seeds: int | None,
    prior: str | None,
    seed: int,
    progress: bool,
) -> dict[str, Any]:
    """Invert the features of an image file, or those in a features file.

    Parameters
    ----------
    source : Path
        Image, or file of features, or ``file:key``.
    encoder : Encoder
    shape : (int, int) or None
        Height and width of the pre-image, where `source` holds features.
    layout, rescale
        Of features, as in `repinv.invert`.
    side : int or None
        Longest side that an image is made smaller to.
    say : callable or None
        Told what a large inversion will take before it starts.
    color : bool
        Whether pre-images have three channels; an encoder that takes one number only decides.
    out, figure, movie : Path or None
        Where to write the best pre-image, the figure, and how it came about.
    title : str
        Of the figure.
    max_iter, time_limit, n_preimages, seeds, prior, seed, progress
        As in `repinv.invert`.

    Returns
    -------
    report : dict
        What JSON can hold of the result, and what was written.
    """
    channels = channels_of(encoder, color=color)
    original = None
    if feature_files.has_features(source):
        given = feature_files.read_features(source)
        size = None if shape is None else (*shape, *((channels,) * (channels > 1)))
        if shape is not None:
            _check_fits(encoder, (channels, *shape), n_preimages * (seeds or 1))
        reading = read(given, encoder, size, layout)
    else:
        original = photograph(source, channels, side)
        size = original.shape
        _check_fits(encoder, (channels, *size[:2]), n_preimages * (seeds or 1))
        given = encoded(encoder, original)
        layout = encoder.layout
        reading = read(given, encoder, size, layout)
    count = len(reading)
    if count > 1 and out is not None and out.suffix.lower() == ".npz":
        raise ValueError(
            f"a whole result is that of one image's features; {source} holds those of {count}. "
            "Give --out the ending of an image, which is written for each."
        )
    if say is not None:
        n_images = count * n_preimages * (seeds or 1)
        said = announced(encoder, reading.size, n_images, max_iter)
        if said is not None:
            say(said)
    film = Movie()
    result = repinv.invert(
        given,
        encoder,
        shape=size,
        layout=layout,
        rescale=rescale,
        n_preimages=n_preimages,
        max_iter=max_iter,
        time_limit=time_limit,
        seeds=seeds,
        prior=prior,
        seed=seed,
        callback=None if movie is None else film.watch,
        progress=progress,
    )
    errors = np.asarray(result.error, dtype=float)
    # Pre-images of one image's features stand together; the best of each is written.
    best = errors.reshape(count, -1).argmin(axis=1) + n_preimages * np.arange(count)
    images = [np.asarray(result.images[k]) for k in best]
    written: list[str] = []
    file_error = None
    if out is not None and count > 1:
        for number, image in enumerate(images, 1):
            path = out.with_name(f"{out.stem}-{number}{out.suffix}")
            files.write(path, image)
            written.append(str(path))
    elif out is not None:
        file_error = _write(out, result, np.asarray(reading.features[0, ...]), encoder)
        written.append(str(out))
    if figure is not None:
        glyphs = [glyph(encoder, np.asarray(one)) for one in reading.features]
        if count > 1:
            drawn = figures.stack_figure(images, errors[best], glyphs, title=title)
        else:
            drawn = figures.inversion_figure(
                result.images,
                result.error,
                result.trace,
                original=original,
                glyph=glyphs[0],
                title=title,
            )
        figures.save(drawn, figure)
        written.append(str(figure))
    if movie is not None:
        film.write(movie, images[0])
        written.append(str(movie))
    report = {
        "source": str(source),
        "shape": list(images[0].shape),
        "error": float(errors[best].max()),
        "errors": errors.tolist(),
        **course(result),
        "files": written,
        "out": None if out is None else str(out),
        "file_error": file_error,
    }
    return report | ({"images": count} if count > 1 else {})


def _check_fits(encoder: Encoder, image_shape: tuple[int, ...], n_preimages: int) -> None:
    """Raise ValueError if pre-images of a shape (C, H, W) and their features need too much memory.

    Here, and not only when the inversion begins: an image's own features are many already.
    """
    channels, height, width = image_shape
    count = math.prod(encoder.feature_shape(image_shape))
    try:
        memory.check_fits(height, width, channels, n_preimages, n_features=count)
    except ValueError as error:
        raise ValueError(f"{error} For an image, --size PIXELS does.") from None


def channels_of(encoder: Encoder, *, color: bool) -> int:
    """Channels of the images of a run: the encoder's, or what is asked for."""
    channels = encoder.channels or (3 if color else 1)
    if channels not in (1, 3) or (color and channels == 1):
        raise ValueError(f"the encoder takes {channels} channel(s). Leave --color out.")
    return channels


def photograph(source: Path, channels: int, side: int | None = None) -> np.ndarray:
    """The image of a file in [0, 1], gray or RGB, made smaller where it is longer than `side`."""
    image = as_unit(files.read(source))
    if channels == 1:
        image = to_gray(image)
    elif image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=-1)
    if side is None or max(image.shape[:2]) <= side:
        return image
    from skimage.transform import resize

    factor = side / max(image.shape[:2])
    shape = tuple(max(1, round(n * factor)) for n in image.shape[:2])
    smaller: np.ndarray = np.clip(resize(image, shape, anti_aliasing=True), 0, 1)
    return smaller.astype(image.dtype)


def encoded(encoder: Encoder, image: np.ndarray) -> np.ndarray:
    """Features of one image in [0, 1]."""
    x = as_batch(image, precision=encoder.precision, channels=encoder.channels)
    return np.asarray(encoder.encode(encoder.asarray(x))[0])


def _write(out: Path, result: Any, features: np.ndarray, encoder: Encoder) -> float:
    """Write the best pre-image, and return the feature error of what the file holds."""
    if out.suffix.lower() == ".npz":
        result.save(out)
        return float(np.min(result.error))
    image = np.asarray(result.image)
    files.write(out, image)
    held = encoded(encoder, files.quantized(image, out))
    return float(metrics.feature_error(held[None], np.reshape(features, held.shape)[None])[0])


def course(result: repinv.Result) -> dict[str, Any]:
    """How a run went, as JSON can hold it."""
    return {
        "seconds": float(result.seconds),
        "iterations": int(result.iterations),
        "evaluations": int(result.evaluations),
        "stop_reason": result.stop_reason,
        "notes": list(result.notes),
    }


def glyph(encoder: Encoder, features: np.ndarray) -> np.ndarray | None:
    """A drawing of the features, for encoders that can draw theirs."""
    draw = getattr(encoder, "glyph", None)
    return None if draw is None else np.asarray(draw(features))
