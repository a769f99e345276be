"""The command line: ``repinv invert``, ``maximize``, ``compare`` and the others."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

import repinv
from repinv.app.commands.compare import compare
from repinv.app.commands.fit import fit
from repinv.app.commands.options import (
    COLOR,
    LAYOUT,
    OUT,
    RESCALE,
    SEED,
    SIZE,
    check_outputs,
    check_source,
    max_iter_option,
    print_report,
    shape_of,
    shared,
)
from repinv.app.commands.study import study

if TYPE_CHECKING:
    from repinv.encoders.base import Encoder

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS, invoke_without_command=True)
@click.version_option(repinv.__version__, prog_name="repinv")
@click.option("--traceback", "show_traceback", is_flag=True, help="Show where an error came from.")
@click.pass_context
def cli(context: click.Context, show_traceback: bool) -> None:
    """Find natural images that an image representation cannot tell from a given one."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command(short_help="Find an image with the features of another, or with given ones.")
@click.argument("source", metavar="IMAGE_OR_FEATURES", type=click.Path(path_type=Path))
@click.option(
    "--shape",
    callback=shape_of,
    metavar="HxW",
    help="Size of the pre-image in pixels. Only with features; by default the smallest that fits. "
    "Features of bovw, dsift.vlfeat and dsift.phow do not tell their size and need it.",
)
@LAYOUT
@RESCALE
@SIZE
@COLOR
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the best pre-image: .png and .tif with 16 bits, .jpg with 8, .npy the very "
    "numbers, .npz the whole result, which repinv.resume continues. Of several images' features, "
    "FILE-1 and so on.",
)
@max_iter_option(400)
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
    help="Average as many starts early, and pull the rest of the run towards the average: nearer "
    "to the photograph, in up to N times the time. By default 1, and 4 with --prior.",
)
@click.option(
    "--prior",
    type=click.Choice(["learned"]),
    help="Restore that average by what was learned from photographs. For HOG and DSIFT of gray "
    "images.",
)
@SEED
@shared
def invert(
    source: Path,
    encoder: tuple[str, Encoder],
    shape: tuple[int, int] | None,
    layout: str | None,
    rescale: bool,
    size: int | None,
    color: bool,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    max_iter: int,
    time_limit: float | None,
    n_preimages: int,
    seeds: int | None,
    prior: str | None,
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
      repinv invert cat.jpg --encoder 'bovw(n_words=1024, grid=(16, 16))' --figure figure.png
      repinv invert features.npy --encoder 'hog.skimage(orientations=8)' --shape 240x320
    """  # noqa: D301
    check_source(source, shape=shape, layout=layout, rescale=rescale, size=size)
    check_outputs(source, out, figure, movie)
    from repinv.app.commands.invert import run

    expression, made = encoder
    report = run(
        source,
        made,
        shape=shape,
        layout=layout,
        rescale=rescale,
        side=size,
        say=None if quiet else lambda text: click.echo(f"repinv: {text}", err=True),
        color=color,
        out=out,
        figure=figure,
        movie=movie,
        title=expression,
        max_iter=max_iter,
        time_limit=time_limit,
        n_preimages=n_preimages,
        seeds=seeds,
        prior=prior,
        seed=seed,
        progress=sys.stderr.isatty() and not quiet,
    )
    print_report(expression, report, as_json=as_json, quiet=quiet)


@cli.command(short_help="Find an image that excites a component of a representation.")
@click.option(
    "--component",
    "-c",
    required=True,
    metavar="N",
    help="Channel N, one feature '(5, 0, 3)', or a file of a direction, such as the weights "
    "of a linear classifier.",
)
@click.option("--shape", required=True, callback=shape_of, metavar="HxW", help="Size of the image.")
@click.option("--color", is_flag=True, help="Find a colour image. By default it is gray.")
@click.option(
    "--part",
    type=click.Choice(["positive", "negative"]),
    help="Take one part of a direction: what speaks for a class, or against it.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Measure the largest response on the middles of these images. By default on crops of "
    "photographs inside scikit-image.",
)
@click.option(
    "--strength",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Response that is enough, in units of the largest that photographs give.",
)
@click.option(
    "--n-images",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Images from as many random starts. The one of the largest response is written.",
)
@click.option(
    "--diversity",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="W",
    help="How much several images are driven apart.",
)
@OUT
@max_iter_option(300)
@SEED
@shared
def maximize(
    encoder: tuple[str, Encoder],
    component: str,
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
    max_iter: int,
    time_limit: float | None,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find a natural-looking image that excites a component of a representation.

    \b
    Examples:
      repinv maximize -e hog.vlfeat --component 4 --shape 128x128 --figure figure.png
      repinv maximize -e 'hog.skimage(orientations=8)' -c svm.npy --part positive --shape 128x64
    """  # noqa: D301
    check_outputs(None, out, figure, movie)
    from repinv.app.commands.excite import component_of, maximized

    expression, made = encoder
    report = maximized(
        made,
        component_of(component),
        shape=shape,
        color=color,
        part=part,
        images=images,
        strength=strength,
        n_images=n_images,
        diversity=diversity,
        out=out,
        figure=figure,
        movie=movie,
        title=f"{expression}, component {component}",
        max_iter=max_iter,
        time_limit=time_limit,
        seed=seed,
        progress=sys.stderr.isatty() and not quiet,
    )
    print_report(expression, report, as_json=as_json, quiet=quiet)


@cli.command(short_help="Exaggerate what a representation sees in an image.")
@click.argument("source", metavar="IMAGE", type=click.Path(path_type=Path))
@SIZE
@COLOR
@click.option(
    "--strength",
    type=click.FloatRange(min=0, max=1),
    default=0.5,
    show_default=True,
    metavar="S",
    help="From 0, the image itself, to 1, twice its response.",
)
@OUT
@max_iter_option(100)
@shared
def caricature(
    source: Path,
    encoder: tuple[str, Encoder],
    size: int | None,
    color: bool,
    strength: float,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    max_iter: int,
    time_limit: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Exaggerate what a representation sees in an image.

    \b
    Examples:
      repinv caricature cat.jpg --encoder hog.vlfeat --figure figure.png --movie cat.gif
    """  # noqa: D301
    check_outputs(source, out, figure, movie)
    from repinv.app.commands.excite import caricatured

    expression, made = encoder
    report = caricatured(
        source,
        made,
        side=size,
        color=color,
        strength=strength,
        out=out,
        figure=figure,
        movie=movie,
        title=expression,
        max_iter=max_iter,
        time_limit=time_limit,
        progress=sys.stderr.isatty() and not quiet,
    )
    print_report(expression, report, as_json=as_json, quiet=quiet)


@cli.command(short_help="List encoder flavours and their options.")
def encoders() -> None:
    """List the flavours of encoders, with their options and defaults."""
    from repinv.encoders import expressions

    for flavour in expressions.FLAVOURS:
        values = [
            name if value is inspect.Parameter.empty else f"{name}={value!r}"
            for name, value in expressions.options(flavour).items()
        ]
        indent = " " * (len(flavour) + 1)
        click.echo(click.wrap_text(f"{flavour}({', '.join(values)})", 100, "", indent))
        summary = inspect.getdoc(expressions.constructor(flavour)) or ""
        click.echo(f"    {summary.partition(chr(10))[0].replace('``', '')}\n")
    for name, point in expressions.extensions().items():
        click.echo(f"{name}(...)\n    {point.value.replace(':', '.')}\n")


cli.add_command(compare)
cli.add_command(fit)
cli.add_command(study)


def main(args: list[str] | None = None) -> None:
    """Run the command line; exit with 0, with 2 for bad usage, or with 1 for bad input."""
    arguments = sys.argv[1:] if args is None else args
    try:
        status = cli.main(arguments, prog_name="repinv", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "repinv"
        _fail(f"{error.format_message()} See '{where} --help'.", 2)
    except click.ClickException as error:
        _fail(error.format_message(), 1)
    except (click.Abort, KeyboardInterrupt):
        kept = "study" in arguments[:2]
        what = "what was finished is kept; run it again to go on" if kept else "nothing is written"
        _fail(f"interrupted; {what}.", 1)
    except BrokenPipeError:
        # Whoever read has gone; Python must not fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        # A study file's faults come all at once, a line each.
        *others, last = getattr(error, "problems", None) or [str(error) or type(error).__name__]
        for problem in others:
            click.echo(f"repinv: {problem}", err=True)
        _fail(last, 1)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    """Say in one line what was wrong, and exit."""
    click.echo(f"repinv: {' '.join(message.split())}", err=True)
    sys.exit(status)
