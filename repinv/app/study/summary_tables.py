"""Tables of a study: how far it is, and means by representation and prior."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from repinv.app.study.grid import Job
from repinv.app.study.spec import AXES
from repinv.app.study.study import Study
from repinv.io.tables import Column

#: Seconds in which something must have been finished for a study to count as running.
_RECENT = 600.0
_MEASURES = (
    ("error", "feature error", "%"),
    ("pairwise_error", "paper's unit", ".3g"),
    ("ncc", "NCC", ".3f"),
    ("ssim", "SSIM", ".3f"),
    ("psnr", "PSNR, dB", ".2f"),
    ("response", "response", ".3g"),
    ("spread", "spread", ".2g"),
    ("seconds", "seconds", ".2f"),
)


def status(study: Study, *, now: float | None = None) -> dict[str, Any]:
    """How far a study is, as JSON can hold it.

    Parameters
    ----------
    study : Study
    now : float, optional
        Seconds since the epoch.

    Returns
    -------
    status : dict
        'jobs', 'done', 'failed', 'left', 'per_minute' and 'seconds_left' (None unless jobs were
        finished in the last ten minutes), 'encoders', 'failures', 'skipped', 'damaged'.
    """
    now = time.time() if now is None else now
    failures = study.failures()
    total, done = len(study.plan.jobs), len(study.summary.records)
    left = total - done - len(failures)
    when = sorted(r["at"] for r in study.summary.records.values() if now - r["at"] <= _RECENT)
    rate = None
    if len(when) > 1 and left:
        # Since the first of them: the study may have been started a moment ago.
        rate = (len(when) - 1) / max(now - when[0], 1e-3)
    found: Counter[tuple[str, str]] = Counter()
    for key, job in study.plan.jobs.items():
        state = "done" if key in study.summary.records else "failed" if key in failures else "left"
        found[job.encoder.name, state] += 1
    states = ("done", "failed", "left")
    encoders = [
        {"encoder": entry.name, **{state: found[entry.name, state] for state in states}}
        for entry in study.plan.declaration.encoders
    ]
    jobs = study.plan.jobs
    return {
        "study": study.plan.declaration.name,
        "store": study.store.url,
        "jobs": total,
        "done": done,
        "failed": len(failures),
        "left": left,
        "per_minute": None if rate is None else 60 * rate,
        "seconds_left": None if rate is None else left / rate,
        "encoders": encoders,
        "failures": [
            {**jobs[key].labels(), "reason": failure.get("reason", "")}
            for key, failure in failures.items()
        ],
        "skipped": [{"image": s.name, "reason": s.reason} for s in study.skipped],
        "damaged": list(study.summary.damaged),
    }


def status_columns() -> tuple[Column, ...]:
    """Columns of the table of 'encoders' in a status."""
    names = ("done", "failed", "left")
    return (Column("encoder", "encoder"), *(Column(name, name, "d") for name in names))


def duration(seconds: float) -> str:
    """A time in words.

    Examples
    --------
    >>> duration(42.4), duration(600), duration(7300), duration(200_000)
    ('42 s', '10 min', '2 h 2 min', '2 d 7 h')
    """
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def varying(jobs: Sequence[Job]) -> list[str]:
    """The axes on which jobs differ, without images and seeds, over which means are taken."""
    labels = [job.labels() for job in jobs]
    kept = [axis for axis in AXES if axis not in ("image", "seed")]
    return [axis for axis in kept if axis == "encoder" or len({one[axis] for one in labels}) > 1]


def table(study: Study) -> tuple[tuple[Column, ...], list[dict[str, Any]]]:
    """Mean ± standard deviation over images and seeds, by encoder, prior and whatever else varies.

    Returns
    -------
    columns : tuple of Column
        Texts such as '0.12 ± 0.03'.
    records : list of dict
        These, and 'error_mean', 'error_std' and so on as numbers.
    """
    found = study.records()
    axes = varying([job for job, _ in found])
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for job, record in found:
        labels = job.labels()
        groups.setdefault(tuple(labels[axis] for axis in axes), []).append(record)
    present = [m for m in _MEASURES if any(m[0] in record for _, record in found)]
    records = []
    for names, rows in groups.items():
        means: dict[str, Any] = {**dict(zip(axes, names, strict=True)), "jobs": len(rows)}
        for key, _, form in present:
            values = np.array([row[key] for row in rows if key in row], dtype=float)
            # An image met exactly has an infinite PSNR, of which there is no mean.
            values = values[np.isfinite(values)]
            if len(values):
                mean, spread = float(values.mean()), float(values.std())
                means |= {f"{key}_mean": mean, f"{key}_std": spread}
                column = Column(key, key, form)
                means[key] = f"{column.shown(mean)} ± {column.shown(spread)}"
        records.append(means)
    heads = [*(Column(axis, axis) for axis in axes), Column("jobs", "jobs", "d")]
    return (*heads, *(Column(key, heading, "s") for key, heading, _ in present)), records


def plain_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of a table for programs: means and standard deviations apart."""
    found: list[Column] = []
    for column in columns:
        if column.form == "s":
            parts = ("mean", "std")
            found += [Column(f"{column.key}_{part}", column.heading, "g") for part in parts]
        else:
            found.append(column)
    return tuple(found)


def selected(
    records: Sequence[tuple[Job, dict[str, Any]]], where: dict[str, Any]
) -> list[tuple[Job, dict[str, Any]]]:
    """Jobs whose names on some axes are given ones; of a sweep, all its entries or one of them."""
    return [
        (job, record)
        for job, record in records
        if all(_is_named(job.labels()[axis], name) for axis, name in where.items())
    ]


def _is_named(label: Any, name: Any) -> bool:
    """Whether a label is a name, one of several, or that of a sweep: 'tv' of 'tv weight=0.1'."""
    names = name if isinstance(name, list) else [name]
    return any(label == one or str(label).startswith(f"{one} ") for one in names)


def value_of(axis: str) -> Callable[[Job], Any]:
    """What a job has on an axis, or as the value of a sweep."""
    if axis in AXES:
        return lambda job: job.labels()[axis]
    return lambda job: job.swept().get(axis)
