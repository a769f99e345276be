"""The report of a study: what it asks, what it found, and what failed, in one HTML file."""

from __future__ import annotations

import repinv
from repinv.app import figures, report
from repinv.app.study import drawings, views
from repinv.app.study.study import Study
from repinv.tables import Column

#: Failures that are listed one by one.
_FAILURES = 50


def study_page(study: Study) -> str:
    """HTML that holds its pictures, needs no scripts, and fetches nothing.

    Parameters
    ----------
    study : Study
    """
    declaration = study.plan.declaration
    status = views.status(study)
    said = f"{status['done']} of {status['jobs']} jobs are done"
    said += f", {status['failed']} failed." if status["failed"] else "."
    if status["left"] and status["seconds_left"] is not None:
        said += f" About {views.duration(status['seconds_left'])} are left."
    parts = [report.paragraph(declaration.description), report.paragraph(said)]
    if status["done"]:
        columns, records = views.table(study)
        parts += [report.heading("Mean ± standard deviation"), report.table(columns, records)]
    for _, title, figure in drawings.drawn(study):
        png = figures.encoded(figure, dpi=110)
        parts += [
            report.heading(title),
            report.pictures([report.Picture(png, title, drawing=True)]),
        ]
    parts += _what_is_missing(status)
    parts += [
        report.heading("The study file"),
        report.source(declaration.text),
        report.footer(f"repinv {repinv.__version__}, {status['store']}"),
    ]
    return report.page(declaration.title, parts)


def _what_is_missing(status: dict[str, object]) -> list[str]:
    """Failures, and images that were left out."""
    parts: list[str] = []
    failures, skipped = list(status["failures"]), list(status["skipped"])  # type: ignore[call-overload]
    if failures:
        heads = [Column(axis, axis) for axis in ("image", "encoder", "task", "prior", "seed")]
        shown = failures[:_FAILURES]
        parts += [
            report.heading(f"Failed: {len(failures)}"),
            report.table([*heads, Column("reason", "reason")], shown),
        ]
    if skipped:
        items = [f"{one['image']}: {one['reason']}" for one in skipped]
        parts += [report.heading("Images left out"), report.listing(items)]
    return parts
