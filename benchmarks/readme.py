"""Put what the benchmarks measured into README.md, from `docs/benchmarks/*.json`.

    python benchmarks/readme.py

Tables stand between ``<!-- name -->`` and ``<!-- / -->``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from report import line

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def _held(name: str) -> list[dict[str, Any]]:
    """The tables of a benchmark."""
    found: list[dict[str, Any]] = json.loads(
        (ROOT / "docs" / "benchmarks" / f"{name}.json").read_text()
    )["tables"]
    return found


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    return "\n".join(line(*cells) for cells in (columns, ["---"] * len(columns), *rows))


def authors() -> str:
    """Of the authors' method and ours: the error, and how near the image is to the photograph."""
    rows = []
    tables = [*_held("invert_hog"), *_held("invert_dsift")]
    for name, table in zip(("HOG, hard", "HOG, bilinear", "DSIFT"), tables, strict=True):
        for row in table["rows"]:
            label = "relative feature error" if row[0].startswith("error after") else row[0]
            if label in ("relative feature error", "NCC", "SSIM"):
                rows.append([f"{name}: {label}", *row[1:4]])
    return _markdown(["", "authors", "ours", "ratio"], rows)


def filled(text: str) -> str:
    """README with its tables anew."""
    for table in (authors,):
        begin, end = f"<!-- {table.__name__} -->\n", "\n<!-- / -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md has no place for {table.__name__}.")
        found = begin + table() + end
        text = pattern.sub(lambda _, found=found: found, text)
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
