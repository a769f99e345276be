"""What shows itself in a notebook: a picture, and what it prints."""

from __future__ import annotations

from typing import Any, Protocol


class Drawn(Protocol):
    """What draws itself."""

    def plot(self) -> Any:
        """A matplotlib figure."""


class Shown:
    """Shows its figure and its text in a notebook."""

    def _repr_mimebundle_(self: Drawn, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """How a notebook shows it."""
        from repinv.plot.notebook import figure_html  # which loads matplotlib

        return {"text/plain": repr(self), "text/html": figure_html(self.plot(), repr(self))}
