"""The command line: the group of commands, and how it ends."""

from __future__ import annotations

import inspect
import os
import sys
import traceback

import click

import repinv
from repinv.app.commands.compare import compare
from repinv.app.commands.distort import distort
from repinv.app.commands.excite import caricature, maximize
from repinv.app.commands.explore import explore
from repinv.app.commands.fit import fit
from repinv.app.commands.invert import invert
from repinv.app.commands.study import study

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS, invoke_without_command=True)
@click.version_option(repinv.__version__, prog_name="repinv")
@click.option("--traceback", "show_traceback", is_flag=True, help="Show where an error came from.")
@click.pass_context
def cli(context: click.Context, show_traceback: bool) -> None:
    """Find natural images whose features equal those of an image, or given ones."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


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


for _command in (invert, maximize, caricature, distort, compare, explore, fit, study):
    cli.add_command(_command)


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
        # The reader has closed the pipe; Python must not fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        # All faults of a study file are printed, a line each.
        *others, last = getattr(error, "problems", None) or [str(error) or type(error).__name__]
        for problem in others:
            click.echo(f"repinv: {problem}", err=True)
        _fail(last, 1)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    """Print in one line what is wrong, and exit."""
    click.echo(f"repinv: {' '.join(message.split())}", err=True)
    sys.exit(status)
