"""What a command prints of a run: a few lines for people, or JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import repinv


def course(result: repinv.Result) -> dict[str, Any]:
    """How a run went, as JSON can hold it."""
    return {
        "seconds": float(result.seconds),
        "iterations": int(result.iterations),
        "evaluations": int(result.evaluations),
        "stop_reason": result.stop_reason,
        "notes": list(result.notes),
    }


def print_report(expression: str, report: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    """Print the result of a run, for a program or for people."""
    if as_json:
        click.echo(json.dumps({"encoder": expression, **report}))
    elif not quiet:
        click.echo(_summary(report))


def _summary(report: dict[str, Any]) -> str:
    """The result of a run in a few lines."""
    from repinv.io.tables import percent

    if "response" in report:
        found = f"response {report['response']:.3g}"
    elif "images" in report:
        errors = report["errors"]
        found = (
            f"relative feature errors {percent(min(errors))} to {percent(max(errors))} of "
            f"{report['images']} images"
        )
    else:
        found = f"relative feature error {percent(report['error'])}"
    lines = [
        f"{found} after {report['evaluations']} evaluations in {report['seconds']:.2f} s "
        f"({report['stop_reason']})",
        *report["notes"],
    ]
    for path in report["files"]:
        is_image = path == report.get("out") and report.get("file_error") is not None
        error = (
            f", relative feature error as stored {percent(report['file_error'])}"
            if is_image
            else ""
        )
        lines.append(f"wrote {path}{error}")
    if not report["files"]:
        lines.append("nothing is written: --out FILE keeps the image, --figure FILE draws it")
    return "\n".join(lines)
