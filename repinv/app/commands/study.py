"""``repinv study``: run a study, and print, draw or report its results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from repinv.app.commands.options import JSON, QUIET

if TYPE_CHECKING:
    from repinv.app.study.study import Progress, Study

_Command = TypeVar("_Command", bound=Callable[..., Any])
#: Failures that are printed one by one.
_SHOWN = 5

_FILE = click.argument("path", metavar="STUDY.toml", type=click.Path(path_type=Path))
#: A study file, or the folder or URL of its results.
_SEEN = click.argument("path", metavar="STUDY.toml|STORE")
_STORE = click.option(
    "--store",
    "-s",
    metavar="FOLDER_OR_URL",
    help="Where results are kept: a folder, or any URL of fsspec such as s3://bucket/study. By "
    "default STUDY.results, beside the file.",
)


def _out(required: bool, kinds: str) -> Callable[[_Command], _Command]:
    return click.option(
        "--out",
        "-o",
        required=required,
        type=click.Path(path_type=Path),
        metavar="FILE" if "." in kinds else "FOLDER",
        help=kinds,
    )


@click.group(short_help="Run a grid of images, representations and priors, and summarize it.")
def study() -> None:
    """Run a declared grid of images x encoders x tasks x priors x solvers x seeds.

    A study may be interrupted at any time, even by loss of power. Run it again, and it continues
    with the jobs that have no result. Examples are in docs/studies.

    \b
    Examples:
      repinv study run study.toml
      repinv study status study.toml
      repinv study report study.toml --out report.html
    """  # noqa: D301


@study.command(short_help="Run a study, or continue it.")
@_FILE
@_STORE
@click.option(
    "--workers",
    "-w",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes on this machine. By default one for each core.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on the workers of a dask scheduler instead, such as tcp://host:8786. They must see "
    "the store.",
)
@click.option("--retry-failed", is_flag=True, help="Try jobs again that failed before.")
@click.option("--check", "only_check", is_flag=True, help="Check the study file, and run nothing.")
@JSON
@QUIET
def run(
    path: Path,
    store: str | None,
    workers: int | None,
    scheduler: str | None,
    retry_failed: bool,
    only_check: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run a study, or continue it: jobs that have a result are not run again.

    The file is checked as a whole before anything starts. A job that fails is recorded with its
    reason, and the others run; the exit status is 1 if any job has no result in the end.
    """
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers are processes of our own; a --scheduler has its own.")
    from repinv.app.study.study import checked
    from repinv.app.study.study import run as run_study

    say = _silent if quiet else _to_stderr
    if only_check:
        jobs = checked(path, say=say)
        click.echo(json.dumps({"jobs": jobs}) if as_json else f"{path}: {jobs} jobs, no fault")
        return 0
    progress = run_study(
        path,
        store=store,
        workers=workers,
        scheduler=scheduler,
        retry_failed=retry_failed,
        progress=sys.stderr.isatty() and not quiet,
        say=say,
    )
    if as_json:
        names = ("jobs", "done", "failed", "computed", "seconds")
        click.echo(json.dumps({name: getattr(progress, name) for name in names}))
    elif not quiet:
        _tell(path, store, progress)
    return 0 if progress.done == progress.jobs else 1


@study.command(short_help="How far a study is, and what failed.")
@_SEEN
@_STORE
@JSON
def status(path: str, store: str | None, as_json: bool) -> None:
    """Print how far a study is, how long it will take, and what failed, also while it runs."""
    from repinv.app.study import summary_tables
    from repinv.io.tables import as_text

    found = summary_tables.status(_looked(path, store))
    if as_json:
        click.echo(json.dumps(found))
        return
    share = 100 * found["done"] / found["jobs"]
    click.echo(f"{found['study']}: {found['done']} of {found['jobs']} jobs done ({share:.0f} %), "
               f"{found['failed']} failed, {found['left']} left")  # fmt: skip
    if found["seconds_left"] is not None:
        left = summary_tables.duration(found["seconds_left"])
        click.echo(f"{found['per_minute']:.3g} jobs a minute, about {left} left")
    elif found["left"]:
        click.echo("nothing was finished in the last ten minutes; "
                   f"go on with: repinv study run {path}")  # fmt: skip
    click.echo(as_text(summary_tables.status_columns(), found["encoders"]))
    for failure in found["failures"][:_SHOWN]:
        where = ", ".join(str(failure[axis]) for axis in ("encoder", "image") if failure[axis])
        click.echo(f"failed: {where}: {failure['reason']}")
    if len(found["failures"]) > _SHOWN:
        click.echo(f"and {len(found['failures']) - _SHOWN} more; --json lists all")
    for skipped in found["skipped"]:
        click.echo(f"left out: {skipped['image']}: {skipped['reason']}")
    for damaged in found["damaged"]:
        click.echo(damaged)


@study.command(short_help="Means and standard deviations by representation and prior.")
@_SEEN
@_STORE
@_out(False, "Write the table: .csv, .json or .md.")
def table(path: str, store: str | None, out: Path | None) -> None:
    """Print mean ± standard deviation over images and seeds, by encoder, prior and what varies."""
    from repinv.app.study import summary_tables
    from repinv.io import files, tables

    if out is not None:
        files.check_writable(out, (".csv", ".json", ".md"))
    columns, records = summary_tables.table(_finished(path, store))
    if out is None:
        click.echo(tables.as_text(columns, records))
        if any(column.key == "pairwise_error" for column in columns):
            click.echo(
                "In the paper's unit, 100 is the root mean squared distance of two photographs' "
                "features."
            )
        return
    suffix = out.suffix.lower()
    if suffix == ".md":
        text = tables.as_markdown(columns, records)
    else:
        write = tables.as_csv if suffix == ".csv" else tables.as_json
        text = write(summary_tables.plain_columns(columns), records)
    files.write_bytes(out, text.rstrip("\n").encode() + b"\n")
    click.echo(f"wrote {out}")


@study.command(short_help="Draw the figures of a study.")
@_SEEN
@_STORE
@_out(True, "Folder of the figures; made if it is not there.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["png", "pdf", "svg"]),
    default="png",
    show_default=True,
    help="Kind of the files.",
)
def figures(path: str, store: str | None, out: Path, kind: str) -> None:
    """Draw the figures that the study file declares under [[figures]], or the usual ones."""
    found = _finished(path, store)
    from repinv.app.study import figures
    from repinv.plot import figures as drawing

    out.mkdir(parents=True, exist_ok=True)
    for name, _, figure in figures.drawn(found):
        drawing.save(figure, out / f"{name}.{kind}")
        click.echo(f"wrote {out / f'{name}.{kind}'}")


@study.command(short_help="Write a report with tables and figures in one HTML file.")
@_SEEN
@_STORE
@_out(True, "Write the report: .html.")
def report(path: str, store: str | None, out: Path) -> None:
    """Write tables, figures and failures in one HTML file, also while the study runs."""
    from repinv.io import files

    files.check_writable(out, (".html",))
    found = _finished(path, store)
    from repinv.app.study.html import study_page

    files.write_bytes(out, study_page(found).encode())
    click.echo(f"wrote {out}")


def _looked(path: str, store: str | None) -> Study:
    """The results of a study so far."""
    from repinv.app.study.study import results_of

    return results_of(path, store=store)


def _finished(path: str, store: str | None) -> Study:
    """The results of a study; an error if it has none yet."""
    found = _looked(path, store)
    if not found.summary.records:
        raise click.ClickException(f"no job of {path} is done yet.")
    return found


def _tell(path: Path, store: str | None, progress: Progress) -> None:
    """Print how a run ended."""
    from repinv.app.study.summary_tables import duration

    study = str(path) if store is None else f"{path} --store {store}"
    click.echo(f"{progress.computed} jobs done in {duration(progress.seconds)}; "
               f"{progress.done} of {progress.jobs} have a result")  # fmt: skip
    if progress.failed:
        click.echo(f"{progress.failed} failed: 'repinv study status {study}' says why, and "
                   f"'repinv study run {study} --retry-failed' tries them again")  # fmt: skip
    for damaged in progress.damaged:
        click.echo(damaged)
    click.echo(f"next: repinv study report {study} --out report.html")


def _to_stderr(message: str) -> None:
    click.echo(message, err=True)


def _silent(message: str) -> None:
    """Take a message, and print nothing."""
