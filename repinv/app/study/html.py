"""The report of a study: its purpose, its results, and what failed, in one HTML file."""

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
    progress = f"{status['done']} of {status['jobs']} jobs are done"
    progress += f", {status['failed']} failed." if status["failed"] else "."
    if status["left"] and status["seconds_left"] is not None:
        progress += f" About {summary_tables.duration(status['seconds_left'])} are left."
    columns, records = summary_tables.table(study) if status["done"] else ((), [])
    axes = ("image", "encoder", "task", "prior", "seed", "reason")
    return html.render(
        "study.html",
        title=declaration.title,
        description=declaration.description,
        progress=progress,
        columns=columns,
        records=records,
        figures=[
            html.Picture(encoded(figure, dpi=110), title, "drawing")
            for _, title, figure in figures.drawn(study)
        ],
        failures=status["failures"],
        failure_columns=[Column(axis, axis) for axis in axes],
        listed=_FAILURES,
        skipped=[f"{one['image']}: {one['reason']}" for one in status["skipped"]],
        text=declaration.text,
        footer=f"repinv {repinv.__version__}, {status['store']}",
    )
