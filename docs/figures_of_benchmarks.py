"""The page of benchmarks, written from what the scripts in `benchmarks` measured."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
#: The order of the page; what is not named here comes last.
ORDER = ("ladder", "invert_hog", "unsigned", "blindness", "invert_dsift", "keypoints",
         "invert_bovw", "restored", "hoggles", "cnn", "last_layers", "maximize", "distortions",
         "gpu", "hog_kernels", "dsift_kernels", "transfer", "study")  # fmt: skip
INTRODUCTION = """\
Benchmarks
==========

Every figure on this page was printed by a script of the repository, on the machine that is named
beside it; the same command prints it again. ``FOLDER`` holds photographs: 39 of 256x256 pixels
here. Methods are run in turns in one process, on the same inputs, so that a busy machine slows all
of them alike; look at ratios rather than at seconds.

The error is relative, ‖Φ(x) − Φ₀‖² / ‖Φ₀‖². In the paper's unit, 100 is the root mean squared
distance of two photographs' features :cite:p:`mahendran2016`. NCC and SSIM compare an
image with the photograph whose features were inverted, after its mean and contrast are matched.
"""


def _table(columns: list[str], rows: list[list[str]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", "   :class: benchmark", ""]
    for row in (columns, *rows):
        first, *rest = (cell or " " for cell in row)
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in rest)]
    return [*lines, ""]


def _section(held: dict[str, Any]) -> list[str]:
    lines = [held["title"], "-" * len(held["title"]), "", held["about"], ""]
    for table in held["tables"]:
        lines += [f"**{table['name']}**", ""] if table["name"] else []
        lines += _table(table["columns"], table["rows"])
        for note in table["notes"]:
            lines += [note, ""]
    return [*lines, f"``{held['command']}`` on {held['machine']}.", ""]


def pages(app: Any) -> None:
    """Write ``benchmarks.rst`` anew."""
    found = {path.stem: path for path in sorted((HERE / "benchmarks").glob("*.json"))}
    names = [*(name for name in ORDER if name in found), *(n for n in found if n not in ORDER)]
    lines = [INTRODUCTION]
    for name in names:
        lines += _section(json.loads(found[name].read_text()))
    (HERE / "benchmarks.rst").write_text("\n".join(lines) + "\n")


def setup(app: Any) -> dict[str, bool]:
    """Write the page before Sphinx looks for it."""
    app.connect("builder-inited", pages, priority=100)
    return {"parallel_read_safe": True}
