"""A run watched as it goes: its image in a notebook, a line of text elsewhere."""

from __future__ import annotations

import importlib
import sys
from typing import Any, TextIO

import numpy as np

from repinv.solvers.minimize import Snapshot, to_host


class Live:
    """The callback that `live` makes."""

    def __init__(self, every: int, stream: TextIO | None) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 evaluation; got {every}.")
        self._every, self._stream, self._next = every, stream, 0
        self._seen: list[tuple[int, float]] = []
        self._handle: Any = None

    def __call__(self, snapshot: Snapshot) -> bool:
        """Show a snapshot, unless one was shown a moment ago; never stops the run."""
        if snapshot.iteration < (self._seen[-1][0] if self._seen else 0):
            self._next, self._seen = 0, []  # another run
        terms = snapshot.terms or {}
        value = float(np.min(to_host(terms["data"]) if "data" in terms else snapshot.value))
        self._seen.append((snapshot.iteration, value))
        if snapshot.iteration >= self._next:
            self._next = snapshot.iteration + self._every
            if _in_a_notebook():
                self._draw(snapshot)
            else:
                stream = self._stream or sys.stderr
                print(f"evaluation {snapshot.iteration}: loss {value:.3g}", file=stream)
        return False

    def _draw(self, snapshot: Snapshot) -> None:
        """Draw the best image so far and the curve of the loss, in the place of the last ones."""
        from repinv.plot import figures

        display: Any = importlib.import_module("IPython.display")

        picture = display.Image(data=figures.encoded(self._figure(snapshot), dpi=90))
        if self._handle is None:
            self._handle = display.display(picture, display_id=True)
        else:
            self._handle.update(picture)

    def _figure(self, snapshot: Snapshot) -> Any:
        """The best image of all, and the loss at every check."""
        from repinv.plot.figures import Panel, ShownFigure, draw_image

        figure = ShownFigure(6.2, 3.0)
        left, right = figure.subplots(1, 2)
        if snapshot.parametrization is not None:
            best = int(np.argmin(snapshot.value))
            images = to_host(snapshot.parametrization.image(snapshot.z))  # type: ignore[attr-defined]
            image = np.clip(np.moveaxis(images[best], 0, -1), 0, 1)
            image = image[..., 0] if image.shape[-1] == 1 else image
            draw_image(left, Panel(image, f"evaluation {snapshot.iteration}"))
        iterations, values = zip(*self._seen, strict=True)
        right.semilogy(iterations, np.maximum(values, 1e-12), color="#0072B2", marker=".")
        right.set_xlabel("evaluations", fontsize=9)
        right.set_title("loss: for inversions, the relative error", fontsize=10, loc="left")
        right.tick_params(labelsize=8)
        right.spines[["top", "right"]].set_visible(False)
        return figure


def live(every: int = 10, *, stream: TextIO | None = None) -> Live:
    """Show a run as it goes: pictures in a notebook, a line of text elsewhere.

    Parameters
    ----------
    every : int
        Evaluations between two pictures or lines. Runs are looked at every `check_every`
        evaluations, and not more often.
    stream : file, optional
        Where lines go outside of a notebook; by default standard error.

    Returns
    -------
    callback : callable
        For ``callback=`` of `repinv.invert`, `repinv.maximize` and `repinv.caricature`.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.Result : Images that a task found, and how.

    Examples
    --------
    >>> import io, numpy as np, repinv
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> features, lines = hog(np.random.default_rng(0).random((32, 32))), io.StringIO()
    >>> result = repinv.invert(
    ...     features, hog, shape=(32, 32), max_iter=20, callback=repinv.live(every=10, stream=lines)
    ... )
    >>> len(lines.getvalue().splitlines())
    2
    """
    return Live(every, stream)


def _in_a_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")
