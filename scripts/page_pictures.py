"""Draw the pictures of the guides, `docs/_static/pages`, by the code that stands on the pages.

    python scripts/page_pictures.py [PAGE ...]

The blocks of Python of a page are run one after another in an empty folder, as a reader would, and
what they print is printed. Of pages of commands, the console blocks are run, where the folder has
photographs and the page's study. Every figure that a method of repinv draws is numbered, and
written if the page shows it: the second of ``docs/howto/figure.rst`` is ``figure-2.jpg``. Images in
it are drawn at whole multiples of their pixels. OpenCV and torch are needed for their pages.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage.data import camera, coffee

from repinv.app.commands import main as commands
from repinv.plot import figures

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOLDER = DOCS / "_static" / "pages"
#: The pages that show pictures.
PAGES = ("start/index", "howto/figure", "howto/skimage", "howto/opencv", "howto/keypoints",
         "howto/torch", "howto/result", "howto/prior", "howto/own", "howto/command_line",
         "howto/folder")  # fmt: skip
#: Those whose console blocks are run.
COMMANDS = ("howto/command_line", "howto/folder")
QUALITY = 85
#: The least width of an image of a figure, in pixels.
LEAST = 180


def main(pages: list[str]) -> int:
    """Write the pictures of pages, of all by default; 0 if they are small enough."""
    mpl.use("agg")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for page in pages or PAGES:
        print(f"--- {page}")
        text = (DOCS / f"{page}.rst").read_text(encoding="utf-8")
        stem = page.removesuffix("/index").rpartition("/")[2]
        for number, figure in enumerate(_drawn(page, text), 1):
            name = f"{stem}-{number}.jpg"
            if f"/_static/pages/{name}" in text:
                _write(figure, FOLDER / name)
                print(f"wrote {name}")
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{total / 1000:.0f} kB")
    return int(total > 1_200_000)


def _drawn(page: str, text: str) -> list[Figure]:
    """The figures of a page's code, in the order in which they were begun."""
    found: list[Figure] = []
    begin = figures.ShownFigure.__init__

    def noted(self: Any, *size: float) -> None:
        begin(self, *size)
        found.append(self)

    code = _blocks("python", text)
    before = Path.cwd()
    figures.ShownFigure.__init__ = noted  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            names = {"__name__": "page"}
            for block in code:
                exec(compile(block, page, "exec", dont_inherit=True), names)
            if page in COMMANDS:
                _run_commands(text)
            os.chdir(before)
    finally:
        figures.ShownFigure.__init__ = begin  # type: ignore[method-assign]
        os.chdir(before)
    return found


def _blocks(language: str, text: str) -> list[str]:
    """The blocks of code of a page in a language."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def _run_commands(text: str) -> None:
    """Run the commands of a page in this folder, beside photographs and the page's study."""
    Path("photographs").mkdir()
    for name, image in {"photo": coffee(), "photographs/camera": camera()}.items():
        Image.fromarray(image[:384, 100:484]).save(f"{name}.jpg")
    Image.open("photo.jpg").save("photographs/coffee.jpg")
    for study in _blocks("toml", text):
        Path("cells.toml").write_text(study, encoding="utf-8")
    for line in "".join(_blocks("console", text)).splitlines():
        if line.startswith("$ repinv "):
            with contextlib.suppress(SystemExit):
                commands.main(shlex.split(line)[2:])


def _write(figure: Figure, path: Path) -> None:
    """A figure as JPEG, at a resolution at which its last image is not resampled unevenly."""
    figure.canvas.draw()
    shown = [axis for axis in figure.axes if axis.images][-1]
    width = np.shape(shown.images[0].get_array())[1]
    inches = shown.get_window_extent().width / figure.dpi
    factor = max(1, -(-LEAST // width))
    figure.savefig(path, dpi=factor * width / inches, pil_kwargs={"quality": QUALITY})
    with Image.open(path) as written:
        print(f"{written.width}x{written.height}, image {factor}:1")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
