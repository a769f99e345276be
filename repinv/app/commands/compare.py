"""``repinv compare``: several representations of one image, by the same measures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

import repinv
from repinv.app.commands.keypoints import KEYPOINTS, Named, all_made_of, encoders_or_none
from repinv.app.commands.options import (
    COLOR,
    JSON,
    LAYOUT,
    QUIET,
    RESCALE,
    SEED,
    SIZE,
    TIME_LIMIT,
    check_source,
    inverters_of,
    max_iter_option,
    prior_of,
    shape_of,
    yardstick_of,
)
from repinv.app.commands.outputs import OWN_CONTRAST

if TYPE_CHECKING:
    from repinv.encoders.base import Encoder
    from repinv.inverters import Inverter

TABLE_SUFFIXES = (".csv", ".json", ".md", ".html")


@click.command(short_help="Compare the pre-images of several representations of an image.")
@click.argument("source", metavar="IMAGE_OR_FEATURES", type=click.Path(path_type=Path))
@click.option(
    "--encoder",
    "-e",
    "encoders",
    multiple=True,
    callback=encoders_or_none,
    metavar="EXPR",
    help="Flavour and options, as of 'repinv invert'; once for each representation.",
)
@click.option(
    "--inverter",
    "-i",
    "inverters",
    multiple=True,
    callback=inverters_of,
    metavar="NAME|FILE",
    help="A learned inverter beside them: hoggle or ridge, which ship for hog.vlfeat, or a file "
    "that 'repinv fit' wrote.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    metavar="N",
    help="Beside each representation, also the average of N starts.",
)
@click.option(
    "--prior",
    callback=prior_of,
    metavar="learned|FILE",
    help="Beside each representation, also with a prior that was learned from photographs: the one "
    "that ships, or one that 'repinv fit restorer' wrote.",
)
@click.option(
    "--out",
    "-o",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the table (.csv, .json, .md), a report with all images (.html), or a figure "
    "(.png, .pdf, .svg). May be given several times.",
)
@click.option(
    "--shape",
    callback=shape_of,
    metavar="HxW",
    help="Size of the image in pixels. Only with features; by default the smallest that fits.",
)
@LAYOUT
@RESCALE
@SIZE
@COLOR
@KEYPOINTS
@click.option(
    "--yardstick",
    callback=yardstick_of,
    metavar="EXPR",
    help="Measure all errors in the features of this encoder. By default each representation is "
    "measured in its own.",
)
@OWN_CONTRAST
@max_iter_option(400)
@SEED
@TIME_LIMIT
@JSON
@QUIET
def compare(
    source: Path,
    encoders: list[Named],
    inverters: list[tuple[str, Inverter]],
    seeds: int | None,
    prior: str | None,
    outputs: tuple[Path, ...],
    shape: tuple[int, int] | None,
    layout: str | None,
    rescale: bool,
    size: int | None,
    color: bool,
    keypoints: Path | None,
    yardstick: Encoder | None,
    own_contrast: bool,
    max_iter: int,
    seed: int,
    time_limit: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Invert several representations of an image, and measure how near each pre-image is to it.

    Prints a table: relative feature error, NCC, SSIM and PSNR to the image (after affine intensity
    matching), and seconds. Of features that are given, only errors can be measured.

    \b
    Examples:
      repinv compare cat.jpg -e hog.vlfeat -e dsift.natural -e bovw --out report.html
      repinv compare cat.jpg -e hog.vlfeat -e 'hog.vlfeat(cell_size=4)' -o table.csv -o figure.png
      repinv compare cat.jpg -e hog.vlfeat --prior learned -i hoggle -i ridge -o report.html
    """  # noqa: D301
    check_source(source, shape=shape, layout=layout, rescale=rescale, size=size)
    check_outputs(source, outputs)
    made = all_made_of(encoders, keypoints, source, size)
    rows = methods(made, inverters, seeds, prior)
    from repinv.app.images import photograph
    from repinv.io import feature_files

    has_features = feature_files.has_features(source)
    if has_features:
        given = feature_files.read_features(source)
    else:
        given = photograph(source, 3 if color else 1, size)
    comparison = repinv.compare(
        given,
        rows,
        shape=shape,
        layout=layout,
        rescale=rescale,
        features_given=has_features,
        yardstick=yardstick,
        max_iter=max_iter,
        time_limit=time_limit,
        seed=seed,
        progress=sys.stderr.isatty() and not quiet,
    )
    for path in outputs:
        write(path, comparison, f"{source.name} compared", own_contrast=own_contrast)
    if as_json:
        click.echo(comparison.to_json())
    elif not quiet:
        click.echo(repr(comparison))
        for path in outputs:
            click.echo(f"wrote {path}")


def methods(
    encoders: Sequence[tuple[str, Encoder]],
    inverters: Sequence[tuple[str, Inverter]],
    seeds: int | None,
    prior: str | None,
) -> list[repinv.Method]:
    """The rows of a table: each encoder plainly, from several starts, with a prior; inverters.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not encoders and not inverters:
        raise ValueError("nothing to compare: name an --encoder or an --inverter.")
    found = []
    for name, encoder in encoders:
        found.append(repinv.Method(encoder, name=name))
        if seeds is not None:
            found.append(repinv.Method(encoder, {"seeds": seeds}, f"{name}, {seeds} starts"))
        if prior is not None:
            found.append(repinv.Method(encoder, {"prior": prior}, f"{name}, {prior} prior"))
    return found + [repinv.Method(inverter, name=name) for name, inverter in inverters]


def check_outputs(source: Path, outputs: Sequence[Path]) -> None:
    """Raise before the work starts if its results could not be written.

    Raises
    ------
    ValueError, OSError
        If a name has another ending, is there twice, is the source's, or cannot be written.
    """
    from repinv.io import feature_files, files
    from repinv.plot import figures

    for path in outputs:
        files.check_writable(path, (*TABLE_SUFFIXES, *figures.FIGURE_SUFFIXES))
    named = [path.resolve() for path in (feature_files.split(source)[0], *outputs)]
    if len(set(named)) < len(named):
        raise ValueError("the input and every --out need names of their own; two are the same.")


def write(path: Path, comparison: repinv.Comparison, title: str, *, own_contrast: bool) -> None:
    """Write a comparison as a table, a report or a figure, by the ending of the name."""
    match = None if own_contrast else "contrast"
    from repinv.app import html
    from repinv.io import files
    from repinv.plot import figures

    suffix = path.suffix.lower()
    if suffix in figures.FIGURE_SUFFIXES:
        from repinv.plot.comparisons import comparison_figure

        figures.save(comparison_figure(comparison, title=title, match=match), path)
        return
    if suffix == ".html":
        text = html.comparison_page(comparison, title, match=match)
    elif suffix == ".csv":
        text = comparison.to_csv()
    else:
        text = comparison.to_json() if suffix == ".json" else comparison.to_markdown()
    files.write_bytes(path, f"{text.rstrip(chr(10))}\n".encode())
