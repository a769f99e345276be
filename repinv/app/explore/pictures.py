"""Parts of the page as HTML: pictures at whole multiples of their size, errors, code."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence

import numpy as np

from repinv.app.explore.photographs import Photograph
from repinv.app.explore.session import View

#: Pixels of a column at least: captions and buttons stand in one line.
NARROWEST = 256
#: Okabe and Ito's blue and vermilion, one for each representation.
COLOURS = ("#0072B2", "#D55E00")
STYLE = """
h1 { font-size: 20px; margin: 4px 0 8px; }
h2 { font-size: 14px; margin: 12px 0 2px; }
p { margin: 2px 0; font-size: 13px; line-height: 1.35; }
p.problem { color: #a40000; border-left: 3px solid #a40000; padding-left: 6px; }
figure { margin: 0 0 6px; }
figcaption { font-size: 13px; margin-bottom: 3px; font-weight: 600; white-space: nowrap; }
figure img { display: block; background: #eee; }
img.pixels { image-rendering: pixelated; }
.old { opacity: 0.45; }
.empty { background: #eee; }
pre { font-size: 12px; background: #f4f4f4; padding: 8px; margin: 0;
      white-space: pre-wrap; overflow-wrap: anywhere; }
pre:focus { outline: 2px solid #0072B2; }
strong.error { font-size: 17px; }
"""


def styled(body: str) -> str:
    """HTML with the page's style, which does not reach into Panel's components by itself."""
    return f"<style>{STYLE}</style>{body}"


def photograph(given: Photograph, side: int) -> str:
    """The photograph, as it was read."""
    return styled(
        _figure(
            "Photograph", given.pixels, given.pixels.shape[:2], side, f"photograph {given.name}"
        )
    )


def preimage(view: View, side: int, number: int) -> str:
    """The latest pre-image of a representation, in the contrast of the photograph."""
    title = f"Pre-image {number}"
    if view.preimage is None or view.image is None:
        return styled(_empty(title, view, side))
    from repinv.plot.figures import matched

    drawn = matched(view.preimage, view.image, "contrast")[0] \
        if view.preimage.shape == view.image.shape else view.preimage  # fmt: skip
    said = f"pre-image {number}, error {percent(view.error)}"
    return styled(_figure(title, drawn, drawn.shape[:2], side, said, old=view.status == "waiting"))


def features(view: View, side: int, number: int) -> str:
    """The drawing of the features of a representation."""
    title, old = f"Features {number}", view.status == "waiting"
    if view.drawing is not None:
        source = base64.b64encode(view.drawing).decode()
        said = f"drawing of features {number}"
        image = f'<img src="data:image/png;base64,{source}" width="{side}" alt="{said}">'
        return styled(f"<figure><figcaption>{title}</figcaption>{image}</figure>")
    if view.glyph is None or view.image is None:
        return styled(_empty(title, view, side))
    low, high = float(view.glyph.min()), float(view.glyph.max())
    drawn = (view.glyph - low) / ((high - low) or 1.0)
    return styled(
        _figure(title, drawn, view.image.shape[:2], side, f"drawing of features {number}", old=old)
    )


def status(view: View) -> str:
    """How far it is, and how good."""
    if view.status == "failed":
        return problem(view.message)
    if view.status == "waiting" or view.error is None:
        return styled("<p>computing …</p>" if view.is_busy else "<p>stopped</p>")
    evaluations = view.errors[-1][0]
    done = {"running": "so far", "stopped": "stopped", "done": "done"}.get(view.status, "")
    text = (
        f'<p><strong class="error">error {percent(view.error)}</strong></p>'
        f"<p>{done}: {evaluations} evaluations in {view.seconds:.1f} s</p>"
    )
    notes = view.result.notes if view.result is not None else ()
    text += "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    live = ' role="status"' if not view.is_busy else ""
    return styled(f"<div{live}>{text}</div>")


def problem(message: str) -> str:
    """A sentence that says what went wrong."""
    said = html.escape(" ".join(message.split()))
    return styled(f'<p class="problem" role="alert">{said}</p>')


def code(text: str, title: str, width: int) -> str:
    """Text to copy, which the keyboard reaches."""
    label, style = html.escape(title, quote=True), f"width:{width - 16}px"
    said = html.escape(text)
    return styled(f'<pre tabindex="0" aria-label="{label}" style="{style}">{said}</pre>')


def percent(error: float | None) -> str:
    """A share in per cent, in two digits.

    Examples
    --------
    >>> percent(0.0394), percent(0.000168), percent(1.234)
    ('3.9 %', '0.017 %', '123 %')
    """
    if error is None or not math.isfinite(error):
        return "unknown"
    share = 100 * error
    digits = 0 if share >= 10 or share <= 0 else min(4, 1 - math.floor(math.log10(share)))
    return f"{share:.{digits}f} %"


def curves(errors: Sequence[Sequence[tuple[int, float]]], width: int) -> str:
    """How the errors fell, on a logarithmic scale, as a drawing of lines."""
    found = [(k, [p for p in points if p[1] > 0]) for k, points in enumerate(errors)]
    found = [(k, points) for k, points in found if points]
    if not found:
        return ""
    height, left, right, top, bottom = 150, 46, 8, 8, 22
    last = max(points[-1][0] for _, points in found) or 1
    values = [math.log10(error) for _, points in found for _, error in points]
    low, high = math.floor(min(values)), math.ceil(max(values))
    high = max(high, low + 1)

    def at(evaluation: float, value: float) -> str:
        x = left + (width - left - right) * evaluation / last
        y = top + (height - top - bottom) * (high - value) / (high - low)
        return f"{x:.1f},{y:.1f}"

    parts = []
    for decade in range(low, high + 1):
        x, y = at(0, decade).split(",")
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{width - right}" y2="{y}" stroke="#ddd"/>'
            f'<text x="{left - 5}" y="{float(y) + 4}" text-anchor="end">{10.0**decade * 100:g} %'
            "</text>"
        )
    for k, points in found:
        line = " ".join(at(n, math.log10(error)) for n, error in points)
        dash = "" if k == 0 else ' stroke-dasharray="5 3"'
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{COLOURS[k]}" stroke-width="2"{dash}/>'
        )
    parts.append(f'<text x="{left}" y="{height - 6}">0</text>')
    parts.append(
        f'<text x="{width - right}" y="{height - 6}" text-anchor="end">{last} evaluations</text>'
    )
    said = "; ".join(f"representation {k + 1}: {percent(p[-1][1])}" for k, p in found)
    key = " (1: line, 2: dashes)" if len(found) > 1 else ""
    return styled(
        f"<figure><figcaption>Error{key}</figcaption>"
        f'<svg width="{width}" height="{height}" role="img" aria-label="error by evaluations, '
        f'{said}" font-size="11" font-family="sans-serif">{"".join(parts)}</svg></figure>'
    )


def _figure(
    title: str,
    image: np.ndarray,
    shape: tuple[int, ...],
    side: int,
    said: str,
    *,
    old: bool = False,
) -> str:
    """A picture in [0, 1] under its title, at the largest whole multiple of `shape` that fits."""
    from PIL import Image

    scale = max(1, side // max(shape))
    height, width = shape[0] * scale, shape[1] * scale
    stream = io.BytesIO()
    pixels = np.rint(np.clip(image, 0, 1).astype(np.float32) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    source = base64.b64encode(stream.getvalue()).decode()
    kind = "pixels" if pixels.shape[:2] == tuple(shape) else "drawing"
    return (
        f"<figure{' class=old' if old else ''}><figcaption>{html.escape(title)}</figcaption>"
        f'<img class="{kind}" src="data:image/png;base64,{source}" width="{width}" '
        f'height="{height}" alt="{html.escape(said, quote=True)}"></figure>'
    )


def _empty(title: str, view: View, side: int) -> str:
    """The place of a picture that is not there yet."""
    shape = (side, side) if view.settings is None else view.settings.shape
    scale = max(1, side // max(shape))
    size = f"width:{shape[1] * scale}px;height:{shape[0] * scale}px"
    return (
        f'<figure><figcaption>{title}</figcaption><div class="empty" style="{size}"></div></figure>'
    )
