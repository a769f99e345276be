"""``repinv invert``: images whose features equal those of an image, or given ones."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import repinv
from repinv.app.commands.keypoints import KEYPOINTS, Named, encoder_or_none, made_of
from repinv.app.commands.options import (
    COLOR,
    LAYOUT,
    RESCALE,
    SEED,
    SIZE,
    check_source,
    encoder_option,
    file_option,
    max_iter_option,
    prior_of,
    shape_of,
    shared_but_encoder,
)
from repinv.app.commands.outputs import OWN_CONTRAST, Outputs
from repinv.app.commands.report import course, print_report

if TYPE_CHECKING:
    import numpy as np

    from repinv.encoders.base import Encoder
    from repinv.plot.figures import Figure
    from repinv.search.feature_layout import Reading

#: Evaluations by default, and those of bags of words, each of which takes as long as several.
_EVALUATIONS, _OF_WORDS = 400, 120


@click.command(short_help="Find an image with the features of another, or with given ones.")
@click.argument("source", metavar="IMAGE_OR_FEATURES", type=click.Path(path_type=Path))
@click.option(
    "--shape",
    callback=shape_of,
    metavar="HxW",
    help="Size of the pre-image in pixels. Only with features; by default the smallest that fits. "
    "Features of bovw, dsift.vlfeat and dsift.phow do not determine their size, and need it.",
)
@LAYOUT
@RESCALE
@SIZE
@COLOR
@file_option(
    "--out",
    "-o",
    "Write the best pre-image: .png and .tif with 16 bits, .jpg with 8, .npy the very "
    "numbers, .npz the whole result, which repinv.resume continues. Of several images' features, "
    "FILE-1 and so on.",
)
@max_iter_option(None, f"{_EVALUATIONS}; of bags of words {_OF_WORDS}")
@click.option(
    "--n-preimages",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Pre-images from as many random starts. The best one is written.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Average the images of N starts early, and draw the rest of the run to the average: "
    "nearer to the photograph, in up to N times the time. By default 1.",
)
@click.option(
    "--prior",
    callback=prior_of,
    metavar="learned|FILE",
    help="Restore a rough inversion by a network that was learned from photographs, and go on from "
    "there: the one that ships for HOG, DSIFT and bags of words, or one that "
    "'repinv fit restorer' wrote.",
)
@click.option(
    "--polarity",
    default="auto",
    show_default=True,
    metavar="auto|structures|none|IMAGE",
    help="What is light and what dark, for encoders to which an image and its negative are the "
    "same, such as HOG without signs. auto: a network that was learned from photographs decides "
    "where one ships; elsewhere, and with structures: the image or its negative, whichever has "
    "grays that are likelier those of a photograph. none: nothing is done. Or an image decides, "
    "such as the photograph itself.",
)
@click.option(
    "--transforms",
    type=click.Choice(["robust"]),
    help="Compare random views of the image (small rotations, shifts, changes of size) with the "
    "features in most of the run, for the last layers of networks.",
)
@OWN_CONTRAST
@click.option(
    "--no-energy",
    is_flag=True,
    help="Leave the energy out of the figure, so that it has pictures alone.",
)
@KEYPOINTS
@SEED
@encoder_option(encoder_or_none)
@shared_but_encoder
def invert(
    source: Path,
    encoder: Named,
    keypoints: Path | None,
    shape: tuple[int, int] | None,
    layout: str | None,
    rescale: bool,
    size: int | None,
    color: bool,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    max_iter: int | None,
    time_limit: float | None,
    n_preimages: int,
    seeds: int | None,
    prior: str | None,
    polarity: str,
    transforms: str | None,
    own_contrast: bool,
    no_energy: bool,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find a natural image whose features equal those of an image, or given ones.

    IMAGE_OR_FEATURES is a PNG, JPEG or TIFF image, or a file of features as the library that the
    flavour is named after returns them, flat or not: .npy, .npz, .mat, .csv, .txt, .h5 or .pt, and
    FILE:KEY for one array of several. Rows of several images' features are inverted each.

    \b
    Examples:
      repinv invert cat.jpg --encoder hog.vlfeat --out preimage.png --figure figure.png
      repinv invert cat.jpg --encoder 'bovw(n_words=1024, cell_size=16)' --figure figure.png
      repinv invert features.npy --encoder 'hog.skimage(orientations=8)' --shape 240x320
    """  # noqa: D301
    check_source(source, shape=shape, layout=layout, rescale=rescale, size=size)
    outputs = Outputs(source, out, figure, movie)
    expression, made = made_of(encoder, keypoints, source, size)
    starts = n_preimages * (seeds or 1)
    given = read_source(
        source, made, shape=shape, layout=layout, side=size, color=color, starts=starts
    )
    count = len(given.reading)
    if max_iter is None:
        max_iter = _OF_WORDS if isinstance(made, repinv.BoVW) else _EVALUATIONS
    if count > 1 and outputs.is_whole:
        raise ValueError(
            f"a whole result is that of one image's features; {source} holds those of {count}. "
            "Give --out the ending of an image, which is written for each."
        )
    if not quiet:
        _announce(made, given, count * starts, max_iter)
    result = repinv.invert(
        given.features,
        made,
        shape=given.shape,
        layout=given.layout,
        rescale=rescale,
        n_preimages=n_preimages,
        max_iter=max_iter,
        time_limit=time_limit,
        seeds=seeds,
        prior=prior,
        polarity=_polarity(polarity, given.reading.size),
        transforms=transforms or (),
        seed=seed,
        callback=outputs.callback,
        progress=sys.stderr.isatty() and not quiet,
    )
    look = _Look(expression, own_contrast=own_contrast, energy=not no_energy)
    report = _written(result, given, made, outputs, look)
    print_report(expression, {"source": str(source), **report}, as_json=as_json, quiet=quiet)


def _polarity(option: str, size: tuple[int, int, int]) -> Any:
    """What `repinv.invert` takes for the option: an image is read, and resized to (C, H, W)."""
    if option in ("auto", "structures", "none"):
        return None if option == "none" else option
    from skimage.transform import resize

    from repinv.app.images import photograph

    channels, *shape = size
    image = photograph(Path(option), channels)
    return resize(image, shape, anti_aliasing=True).clip(0, 1).astype("float32")


@dataclass(frozen=True)
class _Look:
    """How a figure is drawn: its title, and what is drawn of contrast and energy."""

    title: str
    own_contrast: bool
    energy: bool


@dataclass(frozen=True)
class Given:
    """Features to invert, and what is known of their image.

    Attributes
    ----------
    features : ndarray
        As they were read or measured; of several images, one after the other.
    reading : Reading
        The same in the encoder's layout.
    shape : tuple of int or None
        (H, W) or (H, W, 3) of the pre-images; None for the smallest size that fits.
    layout : str or None
        Of `features`, where it is known.
    photograph : ndarray or None
        The image that the features were measured on.
    """

    features: np.ndarray
    reading: Reading
    shape: tuple[int, ...] | None
    layout: str | None
    photograph: np.ndarray | None = None


def read_source(
    source: Path,
    encoder: Encoder,
    *,
    shape: tuple[int, int] | None,
    layout: str | None,
    side: int | None,
    color: bool,
    starts: int,
) -> Given:
    """Read features from a file, or measure those of an image file.

    Parameters
    ----------
    source : Path
        Image, or file of features, or ``file:key``.
    encoder : Encoder
    shape, layout
        Of the image and of the features, where `source` holds features.
    side : int or None
        Longest side that an image is made smaller to.
    color : bool
        Whether pre-images have three channels; an encoder that takes one number only decides.
    starts : int
        Images that are optimized at once, which have to fit into memory.
    """
    from repinv.app import images
    from repinv.io import feature_files
    from repinv.search.feature_layout import read

    channels = images.channels_of(encoder, color=color)
    if feature_files.has_features(source):
        features = feature_files.read_features(source)
        size = None if shape is None else (*shape, *((channels,) * (channels > 1)))
        if shape is not None:
            _check_fits(encoder, (channels, *shape), starts)
        return Given(features, read(features, encoder, size, layout), size, layout)
    photograph = images.photograph(source, channels, side)
    _check_fits(encoder, (channels, *photograph.shape[:2]), starts)
    features = images.encoded(encoder, photograph)
    reading = read(features, encoder, photograph.shape, encoder.layout)
    return Given(features, reading, photograph.shape, encoder.layout, photograph)


def _check_fits(encoder: Encoder, image_shape: tuple[int, ...], n_preimages: int) -> None:
    """Raise ValueError if pre-images of a shape (C, H, W) and their features need too much memory.

    Here, and not only when the inversion begins: an image's own features are many already.
    """
    from repinv.solvers import memory

    channels, height, width = image_shape
    count = math.prod(encoder.feature_shape(image_shape))
    try:
        memory.check_fits(height, width, channels, n_preimages, n_features=count)
    except ValueError as error:
        raise ValueError(f"{error} For an image, --size PIXELS does.") from None


def _announce(encoder: Encoder, given: Given, n_images: int, max_iter: int) -> None:
    """Print what a large inversion will take before it starts."""
    from repinv.app.commands.estimate import announced

    text = announced(encoder, given.reading.size, n_images, max_iter)
    if text is not None:
        click.echo(f"repinv: {text}", err=True)


def _written(
    result: repinv.Result,
    given: Given,
    encoder: Encoder,
    outputs: Outputs,
    look: _Look,
) -> dict[str, Any]:
    """Write what is wanted of a result, and report it as JSON can hold it."""
    import numpy as np

    errors, count = np.asarray(result.error, dtype=float), len(given.reading)
    # Pre-images of one image's features stand together; the best of each is written.
    each = errors.reshape(count, -1)
    best = each.argmin(axis=1) + each.shape[1] * np.arange(count)
    images = [np.asarray(result.images[k]) for k in best]
    files, file_error = _write_images(result, images, given, encoder, outputs)

    def draw() -> Figure:
        return _figure(result, images, errors[best], given, encoder, look)

    report = {
        "shape": list(images[0].shape),
        "error": float(errors[best].max()),
        "errors": errors.tolist(),
        **course(result),
        "files": files + outputs.write(images[0], draw),
        "out": None if outputs.out is None else str(outputs.out),
        "file_error": file_error,
    }
    return report | ({"images": count} if count > 1 else {})


def _write_images(
    result: repinv.Result,
    images: list[np.ndarray],
    given: Given,
    encoder: Encoder,
    outputs: Outputs,
) -> tuple[list[str], float | None]:
    """Write the best pre-images; return their files, and the feature error of what one holds."""
    import numpy as np

    from repinv import metrics
    from repinv.app.images import encoded
    from repinv.io import files

    out = outputs.out
    if out is None:
        return [], None
    if len(images) > 1:
        paths = [out.with_name(f"{out.stem}-{k}{out.suffix}") for k in range(1, len(images) + 1)]
        for path, image in zip(paths, images, strict=True):
            files.write(path, image)
        return [str(path) for path in paths], None
    if outputs.is_whole:
        result.save(out)
        return [str(out)], float(np.min(result.error))
    files.write(out, images[0])
    held = encoded(encoder, files.quantized(images[0], out))
    wanted = np.reshape(np.asarray(given.reading.features[0, ...]), held.shape)
    return [str(out)], float(metrics.feature_error(held[None], wanted[None])[0])


def _figure(
    result: repinv.Result,
    images: list[np.ndarray],
    errors: np.ndarray,
    given: Given,
    encoder: Encoder,
    look: _Look,
) -> Figure:
    """The pre-images with what they were found from, and the energy on the way to them."""
    import numpy as np

    from repinv.app.images import glyph
    from repinv.plot import figures

    shape = np.shape(images[0])
    glyphs = [glyph(encoder, np.asarray(one), shape) for one in given.reading.features]
    if len(images) > 1:
        return figures.stack_figure(images, errors, glyphs, title=look.title)
    return figures.inversion_figure(
        result.images,
        result.error,
        result.trace if look.energy else None,
        original=given.photograph,
        glyph=glyphs[0],
        title=look.title,
        match=None if look.own_contrast else "contrast",
    )
