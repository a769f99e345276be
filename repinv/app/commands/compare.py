"""``repinv compare``: several representations of one image, measured alike."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

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
    encoders_of,
    inverters_of,
    max_iter_option,
    shape_of,
    yardstick_of,
)

if TYPE_CHECKING:
    from repinv.encoders.base import Encoder
    from repinv.inverters import Inverter


@click.command(short_help="Compare what several representations keep of an image.")
@click.argument("source", metavar="IMAGE_OR_FEATURES", type=click.Path(path_type=Path))
@click.option(
    "--encoder",
    "-e",
    "encoders",
    multiple=True,
    callback=encoders_of,
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
    help="Beside each representation, also what N starts have in common.",
)
@click.option(
    "--prior",
    type=click.Choice(["learned"]),
    help="Beside each representation, also with what was learned from photographs.",
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
@click.option(
    "--yardstick",
    callback=yardstick_of,
    metavar="EXPR",
    help="Measure all errors in the features of this encoder. By default each representation is "
    "measured in its own.",
)
@max_iter_option(400)
@SEED
@TIME_LIMIT
@JSON
@QUIET
def compare(
    source: Path,
    encoders: list[tuple[str, Encoder]],
    inverters: list[tuple[str, Inverter]],
    seeds: int | None,
    prior: str | None,
    outputs: tuple[Path, ...],
    shape: tuple[int, int] | None,
    layout: str | None,
    rescale: bool,
    size: int | None,
    color: bool,
    yardstick: Encoder | None,
    max_iter: int,
    seed: int,
    time_limit: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Invert several representations of an image, and measure what each keeps of it.

    Prints a table: relative feature error, error in the paper's unit, NCC, SSIM and PSNR to the
    image (after affine intensity matching), and seconds. Of features that are given, only errors
    can be measured.

    \b
    Examples:
      repinv compare cat.jpg -e hog.vlfeat -e dsift.natural -e bovw --out report.html
      repinv compare cat.jpg -e hog.vlfeat -e 'hog.vlfeat(cell_size=4)' -o table.csv -o figure.png
      repinv compare cat.jpg -e hog.vlfeat --prior learned -i hoggle -i ridge -o report.html
    """  # noqa: D301
    check_source(source, shape=shape, layout=layout, rescale=rescale, size=size)
    from repinv.app.commands.comparing import check_outputs, compared, methods

    rows = methods(encoders, inverters, seeds, prior)
    check_outputs(source, outputs)
    comparison = compared(
        source,
        rows,
        shape=shape,
        layout=layout,
        rescale=rescale,
        side=size,
        color=color,
        yardstick=yardstick,
        outputs=outputs,
        max_iter=max_iter,
        time_limit=time_limit,
        seed=seed,
        progress=sys.stderr.isatty() and not quiet,
    )
    if as_json:
        click.echo(comparison.to_json())
    elif not quiet:
        click.echo(repr(comparison))
        for path in outputs:
            click.echo(f"wrote {path}")
