"""The page of benchmarks, written from what the scripts in `benchmarks` measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
COLUMNS = (
    ("error", "error, %", 100.0, "{:.4g}"),
    ("unit", "the paper's unit", 1.0, "{:.1f}"),
    ("ncc", "NCC", 1.0, "{:.3f}"),
    ("ssim", "SSIM", 1.0, "{:.3f}"),
    ("seconds", "seconds", 1.0, "{:.2f}"),
)


def _table(found: dict[str, dict[str, list[float]]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    lines += ["   * - method", *(f"     - {title}" for _, title, _, _ in COLUMNS)]
    for label, figures in found.items():
        lines.append(f"   * - {label}")
        for key, _, factor, form in COLUMNS:
            mean = factor * float(np.mean(figures[key])) if key in figures else float("nan")
            lines.append(f"     - {form.format(mean)}")
    return [*lines, ""]


def pages(app: Any) -> None:
    """Write ``benchmarks.rst`` anew."""
    lines = [
        "Benchmarks",
        "==========",
        "",
        "Means over photographs, each method on the same ones, interleaved in one process on one",
        "thread. The error is relative: the squared distance of features, over that of the given",
        "ones from zero. In the paper's unit, 100 is the root mean squared distance of two",
        "photographs' features. NCC and SSIM compare with the photograph.",
        "",
    ]
    for path in sorted((HERE / "benchmarks").glob("*.json")):
        held = json.loads(path.read_text())
        lines += [held["title"], "-" * len(held["title"]), ""]
        lines += [held["about"], "", f"Run by ``{held['command']}`` on {held['machine']}.", ""]
        for name, found in held["results"].items():
            count = len(next(iter(next(iter(found.values())).values())))
            lines += [f"**{name}**, {count} photographs", "", *_table(found)]
    (HERE / "benchmarks.rst").write_text("\n".join(lines) + "\n")


def setup(app: Any) -> dict[str, bool]:
    """Write the page before Sphinx looks for it."""
    app.connect("builder-inited", pages, priority=100)
    return {"parallel_read_safe": True}
