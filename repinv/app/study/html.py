"""The report of a study: what it asks, what it found, and what failed, in one HTML file."""

from __future__ import annotations

import repinv
from repinv.app import html
from repinv.app.study import figures, summary_tables
from repinv.app.study.study import Study
from repinv.io.tables import Column
from repinv.plot.figures import encoded

#: Failures that are listed one by one.
_FAILURES = 50


def study_page(study: Study) -> str:
    """HTML that holds its pictures, needs no scripts, and fetches nothing.

    Parameters
    ----------
    study : Study
    """
    declaration = study.plan.declaration
    status = summary_tables.status(study)
    said = f"{status['done']} of {status['jobs']} jobs are done"
    said += f", {status['failed']} failed." if status["failed"] else "."
    if status["left"] and status["seconds_left"] is not None:
        said += f" About {summary_tables.duration(status['seconds_left'])} are left."
    parts = [html.paragraph(declaration.description), html.paragraph(said)]
    if status["done"]:
        columns, records = summary_tables.table(study)
        parts += [html.heading("Mean ± standard deviation"), html.table(columns, records)]
    for _, title, figure in figures.drawn(study):
        png = encoded(figure, dpi=110)
        parts += [
            html.heading(title),
            html.pictures([html.Picture(png, title, drawing=True)]),
        ]
    parts += _what_is_missing(status)
    parts += [
        html.heading("The study file"),
        html.source(declaration.text),
        html.footer(f"repinv {repinv.__version__}, {status['store']}"),
    ]
    return html.page(declaration.title, parts)


def _what_is_missing(status: dict[str, object]) -> list[str]:
    """Failures, and images that were left out."""
    parts: list[str] = []
    failures, skipped = list(status["failures"]), list(status["skipped"])  # type: ignore[call-overload]
    if failures:
        heads = [Column(axis, axis) for axis in ("image", "encoder", "task", "prior", "seed")]
        shown = failures[:_FAILURES]
        parts += [
            html.heading(f"Failed: {len(failures)}"),
            html.table([*heads, Column("reason", "reason")], shown),
        ]
    if skipped:
        items = [f"{one['image']}: {one['reason']}" for one in skipped]
        parts += [html.heading("Images left out"), html.listing(items)]
    return parts
