"""Formulas as MathML, which browsers draw by themselves: pages need no network."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

#: Written out, for the converter does not know it.
_NAMES = {r"\argmin": r"\operatorname*{arg\,min}"}


def _mathml(latex: str, display: str) -> str:
    for short, long in _NAMES.items():
        latex = latex.replace(short, long)
    return str(convert(latex, display=display))


def inline(self: Any, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """A formula of its own, with its number where it has one."""
    anchor = ""
    if node.get("number"):
        number = escape(str(node["number"]))
        self.body.append(self.starttag(node, "div", CLASS="math"))
        anchor = f'<span class="eqno">({number})'
        self.body.append(anchor)
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    else:
        self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(_mathml(node.astext(), "block"))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """A renderer beside Sphinx's own."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
