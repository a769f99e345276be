"""CHANGELOG.md as a page of the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"


def as_rst(text: str) -> str:
    """Markdown of the kind that a changelog needs, as reStructuredText."""
    lines = []
    for line in text.splitlines():
        heading = re.match(r"(#+) (.*)", line)
        if heading:
            title = heading[2]
            lines += [title, "=-~"[len(heading[1]) - 1] * len(title)]
            continue
        line = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line)
        lines.append(re.sub(r"\[([^\]]+)\]\((https?://[^)]+)\)", r"`\1 <\2>`__", line))
    return "\n".join(lines) + "\n"


def write(app: Any) -> None:
    """Write the page before Sphinx reads its sources."""
    (Path(app.srcdir) / "changelog.rst").write_text(as_rst(CHANGELOG.read_text()))


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
