"""What a benchmark finds: Markdown while it is found, and JSON for the page of benchmarks."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: Packages whose versions speeds and figures may depend on; those that are loaded are named.
PACKAGES = {
    name: name for name in ("numpy", "scipy", "numba", "torch", "kornia", "repinv", "distributed")
} | {"skimage": "scikit-image", "sklearn": "scikit-learn", "cv2": "opencv-python-headless"}


class Report:
    """Tables of a benchmark, printed row by row.

    Parameters
    ----------
    title, about : str
        What is measured, and what has to be known to read it.
    """

    def __init__(self, title: str, about: str) -> None:
        self.title, self.about = title, about
        self.tables: list[dict[str, object]] = []
        print(f"{title}\n{machine()}", flush=True)

    def table(self, name: str, *columns: str) -> None:
        """Begin a table, whose first column holds labels."""
        self.rows: list[list[str]] = []
        self.notes: list[str] = []
        self.tables.append(
            {"name": name, "columns": ["", *columns], "rows": self.rows, "notes": self.notes}
        )
        heading = f"\n**{name}**\n" if name else ""
        print(f"{heading}\n{line('', *columns)}\n{'|---' * (1 + len(columns))}|", flush=True)

    def row(self, label: str, *cells: str) -> None:
        """A row of the table begun last."""
        self.rows.append([label, *cells])
        print(line(label, *cells), flush=True)

    def note(self, text: str) -> None:
        """A sentence below the table begun last."""
        self.notes.append(text)
        print(f"\n{text}", flush=True)

    def write(self, path: Path | None) -> None:
        """JSON, if there is a path."""
        if path is None:
            return
        held = {
            "title": self.title,
            "about": self.about,
            "command": command(),
            "machine": machine(),
            "tables": self.tables,
        }
        path.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")


def machine() -> str:
    """The processor, and the versions of what is loaded."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    found = [f"Python {platform.python_version()}"]
    for module, package in PACKAGES.items():
        if module in sys.modules:
            try:
                found.append(f"{module} {version(package)}")
            except PackageNotFoundError:
                found.append(f"{module} {getattr(sys.modules[module], '__version__', '')}".strip())
    return f"{model}; {', '.join(found)}"


def command() -> str:
    """How this process was started, without the names of folders and of the JSON."""
    given, kept = iter(sys.argv[1:]), []
    for one in given:
        if one == "--json":
            next(given, None)
        else:
            path = Path(one)
            kept.append("FOLDER" if path.is_dir() else path.name if path.is_absolute() else one)
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *kept])


def line(*cells: str) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"
