"""The page of benchmarks, written from what the scripts in `benchmarks` measured."""

import json
from pathlib import Path
from typing import Any

import plots_of_benchmarks as plots

HERE = Path(__file__).parent
#: Where plots are written, below this folder.
PICTURES = "benchmarks/plots"
#: Rows of the longest table that is shown at once where there is no plot.
SHORT = 12
#: The order of the page; what is not named here comes last.
ORDER = ("ladder", "invert_hog", "unsigned", "colours", "blindness", "graphics", "invert_dsift",
         "keypoints", "invert_bovw", "aggregates", "restored", "learning_curve", "hoggles", "cnn",
         "last_layers", "maximize", "distortions", "scattering", "gpu", "hog_kernels",
         "dsift_kernels", "transfer", "study")  # fmt: skip
INTRODUCTION = """\
Benchmarks
==========

.. figure:: /{pictures}/summary.svg
   :alt: Error by evaluations of the authors' method and of repinv; milliseconds of HOG of repinv,
         OpenCV and scikit-image; likeness of pre-images by code

   Left: inversions of 39 photographs, beside the method of the paper :cite:p:`mahendran2016`.
   Middle: one core. Right: how like the photograph a pre-image is, from rich codes to poor ones.

Every figure on this page was printed by a script of the repository, on the machine that is named
beside it; the same command prints it again. The plots are drawn from the same numbers as the tables
below them.

.. dropdown:: How it was measured

   ``FOLDER`` holds photographs: 39 of 256x256 pixels here. Methods are run in turns in one process,
   on the same inputs, so that a busy machine slows all of them alike; look at ratios rather than at
   seconds. The error is relative, ‖Φ(x) − Φ₀‖² / ‖Φ₀‖². In the paper's unit, 100 is the root mean
   squared distance of two photographs' features. NCC and SSIM compare an image with the photograph
   whose features were inverted, after its mean and contrast are matched.
"""


def _table(columns: list[str], rows: list[list[str]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", "   :class: benchmark", ""]
    for row in (columns, *rows):
        first, *rest = (cell or " " for cell in row)
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in rest)]
    return [*lines, ""]


def _tables(tables: list[dict[str, Any]]) -> list[str]:
    lines = []
    for table in tables:
        lines += [f"**{table['name']}**", ""] if table["name"] else []
        lines += _table(table["columns"], table["rows"])
        for note in table["notes"]:
            lines += [note, ""]
    return lines


def _section(name: str, held: dict[str, Any]) -> list[str]:
    lines = [held["title"], "-" * len(held["title"]), "", held["about"], ""]
    tables, draw = held["tables"], plots.PLOTS.get(name)
    if draw is not None:
        plots.write(draw(tables), HERE / PICTURES / f"{name}.svg")
        lines += [f".. image:: /{PICTURES}/{name}.svg", f"   :alt: A plot: {held['title']}", ""]
    if draw is not None or sum(len(table["rows"]) for table in tables) > SHORT:
        word = "The numbers" if draw is not None else "The tables"
        inside = [f"   {line}" if line else "" for line in _tables(tables)]
        lines += [f".. dropdown:: {word}", "", *inside]
    else:
        lines += _tables(tables)
    return [*lines, f"``{held['command']}`` on {held['machine']}.", ""]


def pages(app: Any) -> None:
    """Write ``benchmarks.rst`` anew, and the plots that it shows."""
    found = {
        path.stem: json.loads(path.read_text())
        for path in sorted((HERE / "benchmarks").glob("*.json"))
    }
    names = [*(name for name in ORDER if name in found), *(n for n in found if n not in ORDER)]
    summary = plots.summary({name: one["tables"] for name, one in found.items()})
    plots.write(summary, HERE / PICTURES / "summary.svg")
    lines = [INTRODUCTION.format(pictures=PICTURES)]
    for name in names:
        lines += _section(name, found[name])
    (HERE / "benchmarks.rst").write_text("\n".join(lines) + "\n")


def setup(app: Any) -> dict[str, bool]:
    """Write the page before Sphinx looks for it."""
    app.connect("builder-inited", pages, priority=100)
    return {"parallel_read_safe": True}
