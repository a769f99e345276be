"""Reports: one HTML file that holds its pictures, needs no scripts, and fetches nothing."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from repinv.comparison.table import COLUMNS, Comparison
from repinv.io.tables import Column, Record

# The policy of the page refuses scripts and everything from elsewhere, whatever its text says.
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1b1b; --soft: #5c5c5c; --line: #d9d9d9;
  --paper: #ffffff; --shade: #f4f4f2; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e8e8e6; --soft: #a3a3a0; --line: #3c3c3a;
  --paper: #161615; --shade: #222220; }} }}
body {{ margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.15rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }}
p, li {{ max-width: 44rem; overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }}
th {{ color: var(--soft); font-weight: 600; vertical-align: bottom; }}
.number {{ text-align: right; white-space: nowrap; }}
td:first-child {{ min-width: 7rem; overflow-wrap: break-word; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr));
  gap: 1rem; }}
figure {{ margin: 0; }}
figure img {{ display: block; width: 100%; height: auto; background: var(--shade); }}
figure.drawing {{ overflow-x: auto; }}
figure.drawing img {{ width: auto; max-width: max(100%, 40rem); background: #ffffff; }}
figure.small img {{ image-rendering: pixelated; }}
figcaption {{ color: var(--soft); font-size: .85rem; overflow-wrap: break-word; }}
footer {{ margin-top: 2rem; color: var(--soft); font-size: .85rem; }}
pre {{ overflow-x: auto; padding: .7rem; background: var(--shade); font-size: .8rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Parameters
    ----------
    png : bytes
        A PNG file.
    caption : str
    drawing : bool
        Whether it is a figure with a white ground, shown at its own size, and not an image.
    small : bool
        Whether it has so few pixels that each is to be seen.
    """

    png: bytes
    caption: str
    drawing: bool = False
    small: bool = False


def page(title: str, parts: Sequence[str]) -> str:
    """A whole HTML file.

    Parameters
    ----------
    title : str
        Plain text.
    parts : sequence of str
        HTML, as the other functions of this module make it.

    Examples
    --------
    >>> "&lt;b&gt;" in page("<b>", [paragraph("a < b")])
    True
    """
    return _PAGE.format(title=html.escape(title), body="\n".join(parts))


def heading(text: str) -> str:
    """A heading of a section, from plain text."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"


def listing(items: Sequence[str]) -> str:
    """A list of plain texts."""
    return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"


def source(text: str) -> str:
    """Text as it stands in a file."""
    return f'<div class="wide"><pre>{html.escape(text)}</pre></div>'


def footer(text: str) -> str:
    """What made the page."""
    return f"<footer>{html.escape(text)}</footer>"


def table(columns: Sequence[Column], records: Sequence[Record]) -> str:
    """A table; wide ones scroll by themselves."""
    kinds = [' class="number"' if column.form else "" for column in columns]
    heads = "".join(
        f'<th scope="col"{kind}>{html.escape(column.heading)}</th>'
        for column, kind in zip(columns, kinds, strict=True)
    )
    rows = []
    for record in records:
        cells = (
            f"<td{kind}>{_breakable(column.shown(record.get(column.key)))}</td>"
            for column, kind in zip(columns, kinds, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{chr(10).join(rows)}</tbody></table></div>"
    )


def pictures(shown: Sequence[Picture]) -> str:
    """Pictures beside and below each other, as many as the page has room for."""
    if len(shown) == 1 and shown[0].drawing:
        return _figure(shown[0])
    return f'<div class="pictures">{chr(10).join(map(_figure, shown))}</div>'


def picture(image: Any, caption: str) -> Picture:
    """An image (H, W) or (H, W, 3) in [0, 1] as a picture of 8 bits a channel."""
    from PIL import Image

    pixels = np.rint(255 * np.clip(np.asarray(image, dtype=float), 0, 1)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return Picture(stream.getvalue(), caption, small=min(pixels.shape[:2]) < 100)


def comparison_page(comparison: Comparison, title: str, end: str = "") -> str:
    """The report of a comparison.

    Parameters
    ----------
    comparison : Comparison
    title : str
    end : str
        HTML at the foot of the page.

    Returns
    -------
    page : str
        HTML.
    """
    shown = [] if comparison.image is None else [picture(comparison.image, "photograph")]
    for row in comparison.rows:
        if row.image is not None:
            likeness = "" if np.isnan(row.ssim) else f", SSIM {row.ssim:.2f}, NCC {row.ncc:.2f}"
            shown.append(picture(row.image, f"{row.name}: error {row.error:.3g}{likeness}"))
    succeeded = [record for record in comparison.records() if not record["failure"]]
    failed = [f"{row.name}: {row.failure}" for row in comparison.rows if row.failure]
    remarks = [f"{row.name}: {note}" for row in comparison.rows for note in row.notes]
    parts = [
        pictures(shown),
        heading("Measured"),
        table(COLUMNS[:-1], succeeded),
        paragraph(
            "The relative feature error is ‖Φ(x) − Φ₀‖² / ‖Φ₀‖². In the paper's unit, 100 is the "
            "root mean squared distance of two photographs' features. SSIM and PSNR are taken "
            "after affine intensity matching, since most representations leave brightness and "
            "contrast open."
        ),
    ]
    if failed:
        parts += [heading("Failed"), listing(failed)]
    if remarks:
        parts += [heading("Remarks"), listing(remarks)]
    return page(title, [*parts, end])


def _figure(shown: Picture) -> str:
    """One picture with its caption."""
    data = base64.b64encode(shown.png).decode("ascii")
    kind = " ".join(name for name in ("drawing", "small") if getattr(shown, name))
    caption = html.escape(shown.caption, quote=True)
    # A drawing says itself what it is.
    below = "" if shown.drawing else f"<figcaption>{_breakable(shown.caption)}</figcaption>"
    return (
        f'<figure class="{kind}"><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"{below}</figure>"
    )


def _breakable(text: str) -> str:
    """Plain text as HTML that may be broken where expressions can be."""
    return re.sub(r"([(,=_])", r"\1<wbr>", html.escape(text))
