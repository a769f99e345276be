"""How results show themselves in a notebook: pictures and figures as HTML."""

from __future__ import annotations

import base64
import functools
from typing import Any

import jinja2

from repinv.comparison.table import Comparison
from repinv.io.tables import percent
from repinv.plot import comparisons, figures, results
from repinv.search.result import Result

#: Dots per inch of pictures in a notebook.
_DPI = 90
_RESULT = """\
<div>
<img alt="{{ alt }}" src="data:image/png;base64,{{ picture }}">
<table>
{%- for name, value in facts %}
<tr><th style="text-align: left">{{ name }}</th><td style="text-align: left">{{ value }}</td></tr>
{%- endfor %}
</table>
</div>"""
_FIGURE = """\
<div>
<img alt="{{ text }}" src="data:image/png;base64,{{ picture }}">
<pre>{{ text }}</pre>
</div>"""
_COMPARISON = """\
<div>
{%- if picture %}
<img alt="{{ alt }}" src="data:image/png;base64,{{ picture }}">
{%- endif %}
<table>
<thead><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for row in rows %}
<tr>{% for value in row %}<td>{{ value }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody>
</table>
</div>"""


def result_html(result: Result) -> str:
    """A result as HTML: its images, and what is worth reading."""
    if result.response is None:
        quality = ("error", ", ".join(map(percent, result.error)))
    else:
        quality = ("response", ", ".join(f"{float(r):.3g}" for r in result.response))
    facts = [
        quality,
        ("evaluations", f"{result.evaluations}, stopped by {result.stop_reason}"),
        ("seconds", f"{result.seconds:.2f}"),
        *(("note", note) for note in result.notes),
    ]
    picture = _png(results.result_figure(result))
    alt = f"{len(result.images)} image(s), {quality[0]} {quality[1]}"
    return _templates().get_template("result").render(picture=picture, facts=facts, alt=alt)


def figure_html(figure: figures.Figure, text: str) -> str:
    """A figure as HTML, and below it what is printed."""
    return _templates().get_template("figure").render(picture=_png(figure), text=text)


def comparison_html(comparison: Comparison) -> str:
    """A comparison as HTML: the images, and the table of measures."""
    shown = any(row.image is not None for row in comparison.rows) or comparison.image is not None
    picture = _png(comparisons.comparison_figure(comparison)) if shown else ""
    columns = comparison.read_columns()
    rows = [[column.shown(record[column.key]) for column in columns]
            for record in comparison.records()]  # fmt: skip
    alt = ", ".join(row.name for row in comparison.rows)
    heads = [column.heading for column in columns]
    template = _templates().get_template("comparison")
    return template.render(picture=picture, columns=heads, rows=rows, alt=alt)


def _png(figure: Any) -> str:
    """A figure as the text of a data URL."""
    return base64.b64encode(figures.encoded(figure, dpi=_DPI)).decode()


@functools.cache
def _templates() -> jinja2.Environment:
    """The two templates; whatever is put into them is escaped."""
    loader = jinja2.DictLoader({"figure": _FIGURE, "result": _RESULT, "comparison": _COMPARISON})
    return jinja2.Environment(autoescape=True, loader=loader, undefined=jinja2.StrictUndefined)
