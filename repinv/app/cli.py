"""The command line: ``repinv invert`` and ``repinv encoders``."""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import repinv

if TYPE_CHECKING:
    from repinv.encoder import Encoder

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_FEATURES = (".npy", ".npz")


def _shape(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Height and width that 'HxW' spells."""
    if value is None:
        return None
    sides = value.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise click.BadParameter(f"expected height x width, such as 240x320; got {value!r}.")
    height, width = map(int, sides)
    if not height or not width:
        raise click.BadParameter(f"expected at least one pixel a side; got {value!r}.")
    return height, width


def _encoder(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, Encoder]:
    """An encoder expression and the encoder it names; the expression is never run."""
    from repinv.app import expressions

    try:
        return value, expressions.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


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
    "--encoder",
    "-e",
    required=True,
    callback=_encoder,
    metavar="EXPR",
    help="Flavour and options: bovw, or 'hog.vlfeat(cell_size=4)'. 'repinv encoders' lists them.",
)
@click.option(
    "--shape",
    callback=_shape,
    metavar="HxW",
    help="Size of the pre-image in pixels. Only with features; by default the smallest that fits. "
    "Features of bovw, dsift.vlfeat and dsift.phow do not tell their size and need it.",
)
@click.option("--color", is_flag=True, help="Keep colours. By default images are made gray.")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the best pre-image: .png and .tif with 16 bits, .jpg with 8, .npy the very "
    "numbers, .npz the whole result, which repinv.resume continues.",
)
@click.option(
    "--figure",
    "-f",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw image, features, pre-images and energy: .png, .pdf or .svg.",
)
@click.option(
    "--max-iter",
    type=click.IntRange(min=1),
    default=400,
    show_default=True,
    metavar="N",
    help="Evaluations of the representation. More bring the features closer.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop after so long, with the best image so far.",
)
@click.option(
    "--n-preimages",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Pre-images from as many random starts. The best one is written.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the random start. The same seed gives the same image.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def invert(
    source: Path,
    encoder: tuple[str, Encoder],
    shape: tuple[int, int] | None,
    color: bool,
    out: Path | None,
    figure: Path | None,
    max_iter: int,
    time_limit: float | None,
    n_preimages: int,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find a natural image whose features equal those of an image, or given ones.

    IMAGE_OR_FEATURES is a PNG, JPEG or TIFF image, or a .npy or .npz file of features as the
    library that the flavour is named after returns them.

    \b
    Examples:
      repinv invert cat.jpg --encoder hog.vlfeat --out preimage.png --figure figure.png
      repinv invert cat.jpg --encoder 'bovw(n_words=1024, grid=(16, 16))' --figure figure.png
      repinv invert features.npy --encoder 'hog.skimage(orientations=8)' --shape 240x320
    """  # noqa: D301
    if shape is not None and source.suffix.lower() not in _FEATURES:
        raise click.UsageError(
            "--shape goes with features; an image has its own size. Leave it out."
        )
    _check_outputs(source, out, figure)
    from repinv.app.inversion import run

    expression, made = encoder
    report = run(
        source,
        made,
        shape=shape,
        color=color,
        out=out,
        figure=figure,
        title=expression,
        max_iter=max_iter,
        time_limit=time_limit,
        n_preimages=n_preimages,
        seed=seed,
        progress=sys.stderr.isatty() and not quiet,
    )
    if as_json:
        click.echo(json.dumps({"encoder": expression, **report}))
    elif not quiet:
        click.echo(_summary(report))


@cli.command(short_help="List encoder flavours and their options.")
def encoders() -> None:
    """List the flavours of encoders, with their options and defaults."""
    from repinv.app import expressions

    for flavour in expressions.FLAVOURS:
        values = [f"{name}={value!r}" for name, value in expressions.options(flavour).items()]
        indent = " " * (len(flavour) + 1)
        click.echo(click.wrap_text(f"{flavour}({', '.join(values)})", 100, "", indent))
        summary = inspect.getdoc(expressions.constructor(flavour)) or ""
        click.echo(f"    {summary.partition(chr(10))[0].replace('``', '')}\n")


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
        _fail("interrupted; nothing is written.", 1)
    except BrokenPipeError:
        # Whoever read has gone; Python must not fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        _fail(str(error) or type(error).__name__, 1)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    """Say in one line what was wrong, and exit."""
    click.echo(f"repinv: {' '.join(message.split())}", err=True)
    sys.exit(status)


def _check_outputs(source: Path, out: Path | None, figure: Path | None) -> None:
    """Raise before the work starts if its results could not be written."""
    from repinv import files
    from repinv.app.figures import FIGURE_SUFFIXES

    if out is not None:
        files.check_writable(out, (*files.IMAGE_SUFFIXES, ".npz"))
    if figure is not None:
        files.check_writable(figure, FIGURE_SUFFIXES)
    named = [path.resolve() for path in (source, out, figure) if path is not None]
    if len(set(named)) < len(named):
        raise click.UsageError("input, --out and --figure are the same file. Give different names.")


def _summary(report: dict[str, Any]) -> str:
    """What a run gave, for people."""
    lines = [
        f"relative feature error {report['error']:.3g} after {report['evaluations']} evaluations "
        f"in {report['seconds']:.2f} s ({report['stop_reason']})",
        *report["notes"],
    ]
    for path in report["files"]:
        is_image = path == report["out"]
        error = f", relative feature error as stored {report['file_error']:.3g}" if is_image else ""
        lines.append(f"wrote {path}{error}")
    if not report["files"]:
        lines.append("nothing is written: --out FILE keeps the image, --figure FILE draws it")
    return "\n".join(lines)
