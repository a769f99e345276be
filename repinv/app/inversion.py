"""One inversion from file to files: what ``repinv invert`` does between options and print."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

import repinv
from repinv import files, memory, metrics
from repinv.app import figures
from repinv.app.movie import Movie
from repinv.encoder import Encoder
from repinv.image import as_batch, as_unit, to_gray


def run(
    source: Path,
    encoder: Encoder,
    *,
    shape: tuple[int, int] | None,
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
        Image, or .npy or .npz of features.
    encoder : Encoder
    shape : (int, int) or None
        Height and width of the pre-image, where `source` holds features.
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
    if source.suffix.lower() in (".npy", ".npz"):
        features = files.read_features(source)
        size = None if shape is None else (*shape, *((channels,) * (channels > 1)))
        if shape is not None:
            _check_fits(encoder, (channels, *shape), n_preimages * (seeds or 1))
    else:
        original = photograph(source, channels)
        size = original.shape
        _check_fits(encoder, (channels, *size[:2]), n_preimages * (seeds or 1))
        features = encoded(encoder, original)
    film = Movie()
    result = repinv.invert(
        features,
        encoder,
        shape=size,
        n_preimages=n_preimages,
        max_iter=max_iter,
        time_limit=time_limit,
        seeds=seeds,
        prior=prior,
        seed=seed,
        callback=None if movie is None else film.watch,
        progress=progress,
    )
    written = []
    file_error = None
    if out is not None:
        file_error = _write(out, result, features, encoder)
        written.append(str(out))
    if figure is not None:
        drawn = figures.inversion_figure(
            result.images,
            result.error,
            result.trace,
            original=original,
            glyph=glyph(encoder, features),
            title=title,
        )
        figures.save(drawn, figure)
        written.append(str(figure))
    if movie is not None:
        film.write(movie, np.asarray(result.image))
        written.append(str(movie))
    errors = np.asarray(result.error, dtype=float)
    return {
        "source": str(source),
        "shape": list(result.image.shape),
        "error": float(errors.min()),
        "errors": errors.tolist(),
        **course(result),
        "files": written,
        "out": None if out is None else str(out),
        "file_error": file_error,
    }


def _check_fits(encoder: Encoder, image_shape: tuple[int, ...], n_preimages: int) -> None:
    """Raise ValueError if pre-images of a shape (C, H, W) and their features need too much memory.

    Here, and not only when the inversion begins: an image's own features are many already.
    """
    channels, height, width = image_shape
    count = math.prod(encoder.feature_shape(image_shape))
    memory.check_fits(height, width, channels, n_preimages, n_features=count)


def channels_of(encoder: Encoder, *, color: bool) -> int:
    """Channels of the images of a run: the encoder's, or what is asked for."""
    channels = encoder.channels or (3 if color else 1)
    if channels not in (1, 3) or (color and channels == 1):
        raise ValueError(f"the encoder takes {channels} channel(s). Leave --color out.")
    return channels


def photograph(source: Path, channels: int) -> np.ndarray:
    """The image of a file in [0, 1], gray or RGB."""
    image = as_unit(files.read(source))
    if channels == 1:
        return to_gray(image)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)


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
