"""Reports: one HTML file that holds its pictures, needs no scripts, and fetches nothing."""

from __future__ import annotations

import base64
import functools
import io
from dataclasses import dataclass
from typing import Any, Literal

import jinja2
import numpy as np

import repinv
from repinv.comparison.table import COLUMNS, Comparison
from repinv.io.tables import percent
from repinv.plot.comparisons import matched_to


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Parameters
    ----------
    png : bytes
        A PNG file.
    caption : str
    kind : "drawing", "small" or ""
        A figure on white, shown at its own size; an image of so few pixels that each is shown as a
        square; or any other image.
    """

    png: bytes
    caption: str
    kind: Literal["", "drawing", "small"] = ""

    @property
    def base64(self) -> str:
        """The PNG file as text."""
        return base64.b64encode(self.png).decode("ascii")


def picture(image: Any, caption: str) -> Picture:
    """An image (H, W) or (H, W, 3) in [0, 1] as a picture of 8 bits a channel."""
    from PIL import Image

    pixels = np.rint(255 * np.clip(np.asarray(image, dtype=float), 0, 1)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return Picture(stream.getvalue(), caption, "small" if min(pixels.shape[:2]) < 100 else "")


def render(template: str, **values: Any) -> str:
    """A page from a template of this package; text in the values is escaped."""
    return _templates().get_template(template).render(values)


def comparison_page(comparison: Comparison, title: str, *, match: str | None = "contrast") -> str:
    """The report of a comparison.

    Parameters
    ----------
    comparison : Comparison
    title : str
    match : {"contrast"} or None
        Whether images are shown with the mean and contrast of the photograph; captions say so.

    Returns
    -------
    page : str
        HTML.

    Examples
    --------
    >>> image = [[0.0, 1.0], [1.0, 0.0]]
    >>> "&lt;b&gt;" in comparison_page(repinv.Comparison((), image), "<b>")
    True
    """
    rows = comparison.rows
    shown = [] if comparison.image is None else [picture(comparison.image, "photograph")]
    for row in rows:
        if row.image is not None:
            likeness = "" if np.isnan(row.ssim) else f", SSIM {row.ssim:.2f}, NCC {row.ncc:.2f}"
            image, word = matched_to(row.image, comparison.image, match)
            caption = (
                f"{row.name}: error {percent(row.error)}{likeness}{word.replace(chr(10), ', ')}"
            )
            shown.append(picture(image, caption))
    return render(
        "comparison.html",
        title=title,
        pictures=shown,
        columns=COLUMNS[:-1],
        records=[record for record in comparison.records() if not record["failure"]],
        failed=[f"{row.name}: {row.failure}" for row in rows if row.failure],
        remarks=[f"{row.name}: {note}" for row in rows for note in row.notes],
        footer=f"repinv {repinv.__version__}",
    )


@functools.cache
def _templates() -> jinja2.Environment:
    """The templates of this package, read once."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("repinv.app"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
