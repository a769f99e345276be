"""The page: widgets that set what a session computes, and pictures of what it has found."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from repinv.app.explore import pictures
from repinv.app.explore.code import as_command, as_python
from repinv.app.explore.panel_library import needed
from repinv.app.explore.photographs import (
    MAX_UPLOAD,
    SAMPLES,
    Photograph,
    from_file,
    from_upload,
    sample,
)
from repinv.app.explore.representations import REPRESENTATIONS, offered
from repinv.app.explore.session import Session, Settings, View

#: Milliseconds between two looks at the session.
_PERIOD = 100
_NONE = "none"
_SIDEBAR, _MARGIN = 280, 8


class Page:
    """The page of one user.

    Parameters
    ----------
    given : Photograph or None
        The first choice; by default the first sample.
    side : int
        Longest side of photographs.

    Attributes
    ----------
    layout : panel.Row
        What is shown.
    session : Session
    width : int
        Of a column of pictures, in pixels.
    """

    def __init__(self, given: Photograph | None, side: int) -> None:
        self._panel = needed()
        self.session = Session()
        self._side, self._quiet = side, False
        self.width = max(side, pictures.NARROWEST)
        self._photograph = given or sample(SAMPLES[0], side)
        self._others = {given.name: given} if given is not None else {}
        self._shown: list[View | None] = [None, None]
        self._build_photograph()
        self._build_run()
        self._columns = [_Column(self, 0), _Column(self, 1)]
        self.layout = self._arranged()
        self._all_changed()

    def watch(self) -> None:
        """Look at the session from now on, as long as the page is open."""
        self._panel.state.add_periodic_callback(self.refresh, period=_PERIOD)

    def refresh(self) -> None:
        """Show what is new."""
        views = tuple(self.session.views)
        new = [slot for slot in range(2) if views[slot] is not self._shown[slot]]
        for slot in new:
            self._shown[slot] = views[slot]
            self._columns[slot].show(views[slot])
        if new:
            self._stop.disabled = not any(view.is_busy for view in views)
            self._curve.object = pictures.curves([view.errors for view in views], self.width)

    def _build_photograph(self) -> None:
        """Widgets that choose the photograph."""
        widgets, width = self._panel.widgets, _SIDEBAR
        names = [*self._others, *SAMPLES]
        self._sample = widgets.Select(
            label="Photograph", options=names, value=self._photograph.name, width=width
        )
        self._path = widgets.TextInput(
            label="Or the path of an image file", placeholder="photo.jpg", width=width
        )
        self._upload = widgets.FileInput(
            accept="image/*", width=width, label=f"Or an upload (at most {MAX_UPLOAD >> 20} MiB)"
        )
        self._problem = self._panel.pane.HTML("", width=width)
        self._original = self._panel.pane.HTML("")
        self._curve = self._panel.pane.HTML("")
        self._sample.param.watch(lambda event: self._choose(self._from_list), "value")
        self._path.param.watch(lambda event: self._choose(self._from_path), "value")
        self._upload.param.watch(lambda event: self._choose(self._from_upload), "value")

    def _build_run(self) -> None:
        """Widgets that both representations share."""
        widgets, width = self._panel.widgets, _SIDEBAR
        self._prior = widgets.Select(
            label="Prior", options={"none": _NONE, "learned from photographs": "learned"},
            value=_NONE, width=width,
        )  # fmt: skip
        half = width // 2 - 10  # margins of 10 between two
        self._evaluations = widgets.IntInput(
            label="Evaluations", value=100, start=10, end=2000, step=50, width=half
        )
        self._seed = widgets.IntInput(label="Seed", value=0, start=0, end=2**31 - 1, width=half)
        self._stop = widgets.Button(label="Stop", width=width, disabled=True)
        self._stop.on_click(lambda event: self.session.stop())
        for widget in (self._prior, self._evaluations, self._seed):
            widget.param.watch(lambda event: self._all_changed(), "value")

    def _arranged(self) -> Any:
        """Choices on the left, pictures and code beside them."""
        row, column, pane = self._panel.Row, self._panel.Column, self._panel.pane.HTML
        first, second = self._columns
        choices = column(
            pane(pictures.styled("<h1>repinv explore</h1>")),
            self._sample, self._path, self._upload, self._problem,
            first.choices, second.choices,
            pane(pictures.styled("<h2>Run</h2>")),
            self._prior, row(self._evaluations, self._seed), self._stop,
            width=_SIDEBAR + 3 * _MARGIN,
        )  # fmt: skip
        left = column(self._original, self._curve, width=self.width + 3 * _MARGIN)
        shown = row(left, first.shown, second.shown)
        return row(choices, column(shown, first.code, second.code))

    def _choose(self, choose: Callable[[], Photograph | None]) -> None:
        """Take another photograph, or say why it cannot be taken."""
        if self._quiet:
            return
        try:
            found = choose()
        except (OSError, ValueError, TypeError, MemoryError) as error:
            self._problem.object = pictures.problem(str(error))
            return
        self._problem.object = ""
        if found is not None:
            self._photograph = found
            self._all_changed()

    def _from_list(self) -> Photograph:
        name = self._sample.value
        return self._others.get(name) or sample(name, self._side)

    def _from_path(self) -> Photograph | None:
        path = self._path.value.strip()
        return self._listed(from_file(path, self._side)) if path else None

    def _from_upload(self) -> Photograph | None:
        data, name = self._upload.value, self._upload.filename
        return self._listed(from_upload(data, name or "", self._side)) if data else None

    def _listed(self, found: Photograph) -> Photograph:
        """A photograph of the user's, which the list then offers; the latest alone is kept."""
        self._others = {found.name: found}
        self._quiet = True
        try:
            self._sample.options = [*self._others, *SAMPLES]
            self._sample.value = found.name
        finally:
            self._quiet = False
        return found

    def _all_changed(self) -> None:
        self._original.object = pictures.photograph(self._photograph, self._side)
        self._changed(0, 1)

    def _changed(self, *slots: int) -> None:
        """Invert anew what has changed."""
        changes = {}
        for slot in slots:
            column = self._columns[slot]
            if column.flavour is None:
                self.session.clear(slot)
                continue
            changes[slot] = Settings(
                self._photograph,
                column.flavour,
                tuple(column.values().items()),
                self._prior.value,
                self._evaluations.value or 100,
                self._seed.value or 0,
            )
        if changes:
            self.session.start_all(changes)


class _Column:
    """What belongs to one of the two representations.

    Attributes
    ----------
    choices, shown, code
        Parts of the page.
    """

    def __init__(self, page: Page, slot: int) -> None:
        self._page, self._slot, self._pn = page, slot, page._panel
        pn, widgets = self._pn, self._pn.widgets
        number = slot + 1
        names = {one.label: one.flavour for one in offered()}
        self._encoder = widgets.Select(
            label="Encoder",
            options=names if slot == 0 else {"none": _NONE, **names},
            value="hog.vlfeat" if slot == 0 else _NONE,
            width=_SIDEBAR,
        )
        self._encoder.param.watch(lambda event: self._another(), "value")
        #: A list for each option, and the values that its words stand for.
        self._options: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._options_box = pn.Column()
        title = pictures.styled(f"<h2>Representation {number}</h2>")
        self.choices = pn.Column(pn.pane.HTML(title), self._encoder, self._options_box)
        self._preimage, self._features = pn.pane.HTML(""), pn.pane.HTML("")
        self._status = pn.pane.HTML("")
        self._figure = widgets.FileDownload(
            callback=self._figure_file, filename=f"figure-{number}.png", label="Save figure",
            width=120, margin=(5, 6, 5, 10),
        )  # fmt: skip
        self._result = widgets.FileDownload(
            callback=self._result_file, filename=f"result-{number}.npz", label="Save result",
            width=120, margin=(5, 6, 5, 10),
        )  # fmt: skip
        save = pn.Row(self._figure, self._result)
        self.shown = pn.Column(
            self._preimage, self._features, self._status, save,
            width=page.width + 3 * _MARGIN, visible=slot == 0,
        )  # fmt: skip
        self._texts = [_Copied(pn, f"Representation {number} as Python", 470),
                       _Copied(pn, f"Representation {number} as a command", 340)]  # fmt: skip
        self.code = pn.Row(*(one.layout for one in self._texts), visible=slot == 0)
        self._fill()

    @property
    def flavour(self) -> str | None:
        """The chosen one, or None."""
        chosen: str = self._encoder.value
        return None if chosen == _NONE else chosen

    def values(self) -> dict[str, Any]:
        """Chosen values of its options."""
        return {name: values[widget.value] for name, (widget, values) in self._options.items()}

    def show(self, view: View) -> None:
        """Show what there is to be seen of an inversion."""
        settings, side = view.settings, self._page._side
        if settings is None:
            return
        self._preimage.object = pictures.preimage(view, side, self._slot + 1)
        self._features.object = pictures.features(view, side, self._slot + 1)
        self._status.object = pictures.status(view)
        self._figure.disabled = self._result.disabled = view.result is None
        if view.status in ("waiting", "failed"):
            return
        for text, write in zip(self._texts, (as_python, as_command), strict=True):
            text.set(write(settings))

    def _another(self) -> None:
        """Another encoder: its own options."""
        self._fill()
        self.shown.visible = self.code.visible = self.flavour is not None
        self._page._changed(self._slot)

    def _fill(self) -> None:
        """Widgets of the options of the chosen encoder."""
        widgets, self._options = self._pn.widgets, {}
        flavour = self.flavour
        for option in REPRESENTATIONS[flavour].options if flavour else ():
            # Lists alone: a check box of Bokeh has no label that a screen reader finds.
            values = {_word(value): value for value in option.values}
            widget = widgets.Select(
                label=option.label,
                options=list(values),
                value=_word(option.default),
                width=_SIDEBAR,
            )
            widget.param.watch(lambda event: self._page._changed(self._slot), "value")
            self._options[option.name] = widget, values
        self._options_box.objects = [widget for widget, _ in self._options.values()]

    def _figure_file(self) -> BytesIO:
        """The figure of the result, as PNG."""
        from repinv.plot import figures

        view = self._page.session.views[self._slot]
        if view.result is None:
            raise ValueError("there is no result yet.")
        return BytesIO(figures.encoded(view.result.plot(view.image, trace=True)))

    def _result_file(self) -> BytesIO:
        """The whole result, which `repinv.resume` continues."""
        result = self._page.session.views[self._slot].result
        if result is None:
            raise ValueError("there is no result yet.")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "result.npz"
            result.save(path)
            return BytesIO(path.read_bytes())


class _Copied:
    """Text with a button that copies it."""

    def __init__(self, pn: Any, title: str, width: int) -> None:
        self._title, self._width = title, width
        self._source = pn.widgets.TextInput(visible=False)
        self._text = pn.pane.HTML("")
        button = pn.widgets.Button(label="Copy", width=80, margin=(12, 4, 0, 4))
        button.js_on_click(
            args={"source": self._source, "button": button},
            code="navigator.clipboard.writeText(source.value).then(() => {"
            "button.label = 'Copied'; setTimeout(() => button.label = 'Copy', 1500)})",
        )
        heading = pn.pane.HTML(pictures.styled(f"<h2>{html.escape(title)}</h2>"))
        self.layout = pn.Column(pn.Row(heading, button), self._text, self._source)

    def set(self, text: str) -> None:
        """Show another text."""
        if text == self._source.value:
            return
        self._source.value = text
        self._text.object = pictures.code(text, self._title, self._width)


def _word(value: Any) -> str:
    """How the page writes a value of an option."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
