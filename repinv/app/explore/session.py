"""What the page computes: one inversion at a time, in a thread, cancelled by the next change."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import repinv
from repinv.app.explore.photographs import Photograph
from repinv.app.explore.representations import DIGIT_SIDE, REPRESENTATIONS
from repinv.app.images import channels_of, encoded, glyph
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.energy.losses import SquaredError
from repinv.io.image import from_batch
from repinv.search.finalize import finished
from repinv.solvers import memory
from repinv.solvers.minimize import Snapshot, to_host

#: Inversions that one process runs at once; those of further sessions wait.
AT_ONCE = 2
#: Evaluations between two pictures.
EVERY = 10

_turns = threading.BoundedSemaphore(AT_ONCE)
#: matplotlib draws for one thread at a time.
_drawing = threading.Lock()


@dataclass(frozen=True)
class Settings:
    """What is inverted, and how.

    Parameters
    ----------
    photograph : Photograph
    flavour : str
        Of `REPRESENTATIONS`.
    options : tuple of (str, object)
        Chosen values by name; those left out take their defaults.
    prior : {"none", "learned"}
    max_iter : int
        Evaluations.
    seed : int
    """

    photograph: Photograph
    flavour: str = "hog.vlfeat"
    options: tuple[tuple[str, Any], ...] = ()
    prior: str = "none"
    max_iter: int = 100
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image that is inverted."""
        if self.flavour == "cnn.digits":
            return DIGIT_SIDE, DIGIT_SIDE
        height, width = self.photograph.pixels.shape[:2]
        return height, width

    @property
    def expression(self) -> str:
        """The encoder's, on the command line.

        Raises
        ------
        ValueError
            If an option is not offered.
        """
        return REPRESENTATIONS[self.flavour].expression(dict(self.options), self.shape)

    @property
    def learned(self) -> str | None:
        """What `repinv.invert` takes as `prior`."""
        return None if self.prior == "none" else self.prior


@dataclass(frozen=True, eq=False)
class View:
    """What there is to be seen of an inversion.

    Attributes
    ----------
    status : {"idle", "waiting", "running", "done", "stopped", "failed"}
    settings : Settings or None
    encoder : Encoder or None
    image : ndarray or None
        The photograph as it was encoded, (H, W) or (H, W, 3).
    glyph : ndarray or None
        Drawing of the features; dark is its least value.
    drawing : bytes or None
        The same as PNG, for features without a glyph.
    preimage : ndarray or None
        The latest, in [0, 1].
    error : float or None
        ‖Φ(x) − Φ₀‖²/‖Φ₀‖² of it.
    errors : tuple of (int, float)
        Evaluations and errors of all pictures so far. Images with flat areas are inverted up to
        three times, one after the other, and the best is the result.
    message : str
        What went wrong.
    seconds : float
    result : repinv.Result or None
        Once the run has ended.
    """

    status: str = "idle"
    settings: Settings | None = None
    encoder: Encoder | None = None
    image: np.ndarray | None = None
    glyph: np.ndarray | None = None
    drawing: bytes | None = None
    preimage: np.ndarray | None = None
    error: float | None = None
    errors: tuple[tuple[int, float], ...] = ()
    message: str = ""
    seconds: float = 0.0
    result: repinv.Result | None = None

    @property
    def is_busy(self) -> bool:
        """Whether more is to come."""
        return self.status in ("waiting", "running")


class Session:
    """The inversions of one user: at most one runs, each slot shows its latest.

    Slots are the columns of the page. `views` may be read by any thread at any time: a view is
    replaced, never changed.

    Parameters
    ----------
    slots : int

    Examples
    --------
    >>> from repinv.app.explore.photographs import sample
    >>> session = Session()
    >>> session.start(0, Settings(sample("chelsea", 32), max_iter=10))
    >>> session.wait()
    >>> session.views[0].status, session.views[0].preimage.shape
    ('done', (21, 32))
    """

    def __init__(self, slots: int = 2) -> None:
        self.views: list[View] = [View() for _ in range(slots)]
        self._changed = threading.Condition()
        self._pending: dict[int, Settings] = {}
        self._running: tuple[int, threading.Event] | None = None
        self._thread: threading.Thread | None = None

    def start(self, slot: int, settings: Settings) -> None:
        """Invert in a slot, in place of what it does now; what runs in another begins anew then."""
        self.start_all({slot: settings})

    def start_all(self, changes: Mapping[int, Settings]) -> None:
        """Invert in several slots, in this order, before what is under way."""
        with self._changed:
            interrupted: dict[int, Settings] = {}
            if self._running is not None:
                slot, settings = self._running[0], self.views[self._running[0]].settings
                if settings is not None and self.views[slot].is_busy:
                    interrupted[slot] = settings
                self._stop(slot)
            self._pending = {**changes, **{
                slot: settings for slot, settings in (interrupted | self._pending).items()
                if slot not in changes
            }}  # fmt: skip
            for slot, settings in self._pending.items():
                # Features and pre-image of before stay until there are others.
                self.views[slot] = replace(
                    self.views[slot], status="waiting", settings=settings, message="", result=None
                )
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def stop(self, slot: int | None = None) -> None:
        """Stop a slot, or all; the images so far are kept."""
        with self._changed:
            for one in range(len(self.views)) if slot is None else (slot,):
                if self._pending.pop(one, None) is not None:
                    self.views[one] = replace(self.views[one], status="stopped")
                self._stop(one)

    def clear(self, slot: int) -> None:
        """Stop a slot, and forget what it shows."""
        with self._changed:
            self._pending.pop(slot, None)
            self._stop(slot)
            self.views[slot] = View()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until nothing runs."""
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None, timeout)

    def _stop(self, slot: int) -> None:
        """Let what runs in a slot end at its next picture."""
        if self._running is not None and self._running[0] == slot:
            self._running[1].set()

    def _work(self) -> None:
        """Run what is pending, one after the other; ends when nothing is."""
        while True:
            with self._changed:
                if not self._pending:
                    self._thread = None
                    self._changed.notify_all()
                    return
                slot = next(iter(self._pending))
                settings, stopped = self._pending.pop(slot), threading.Event()
                self._running = slot, stopped
            with _turns:
                _Run(self, slot, settings, stopped).run()
            with self._changed:
                self._running = None

    def show(self, slot: int, settings: Settings, **changes: Any) -> None:
        """Change a slot's view, unless it is of other settings by now."""
        with self._changed:
            view = self.views[slot]
            if view.settings is settings and slot not in self._pending:
                self.views[slot] = replace(view, **changes)
                self._changed.notify_all()


class _Run:
    """One inversion of a session, from settings to the result."""

    def __init__(
        self, session: Session, slot: int, settings: Settings, stopped: threading.Event
    ) -> None:
        self._session, self._slot, self._settings = session, slot, settings
        self._stopped = stopped
        self._errors: list[tuple[int, float]] = []
        #: Evaluations of earlier attempts, and of this one up to the last picture.
        self._before = self._latest = 0
        self._began = time.perf_counter()

    def run(self) -> None:
        """Invert, and show what comes of it; nothing is raised."""
        if self._stopped.is_set():
            self._show(status="stopped")
            return
        try:
            self._invert()
        except (ValueError, TypeError, ImportError, OSError, MemoryError) as error:
            self._fail(" ".join(str(error).split()) or "there is not enough memory")
        # What no one foresaw is shown too: a page that stands still says nothing.
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, message: str) -> None:
        """Show what went wrong, and nothing of before."""
        self._show(status="failed", message=message, preimage=None, error=None, errors=(),
                   glyph=None, drawing=None)  # fmt: skip

    def _show(self, **changes: Any) -> None:
        seconds = time.perf_counter() - self._began
        self._session.show(self._slot, self._settings, **changes, seconds=seconds)

    def _invert(self) -> None:
        settings = self._settings
        encoder = expressions.parse(settings.expression)
        channels = channels_of(encoder, color=False)
        image = settings.photograph.image(channels, settings.shape)
        height, width = settings.shape
        count = math.prod(encoder.feature_shape((channels, height, width)))
        memory.check_fits(height, width, channels, 1, n_features=count)
        features = encoded(encoder, image)
        picture = glyph(encoder, features, image.shape)
        self._show(
            status="running",
            encoder=encoder,
            image=image,
            glyph=picture,
            drawing=None,
            preimage=None,
            error=None,
            errors=(),
        )
        loss = SquaredError(encoder.asarray(features)[None, ...])

        def look(snapshot: Snapshot) -> bool:
            if not self._stopped.is_set():
                self._look(snapshot, encoder, loss)
            return self._stopped.is_set()

        result = repinv.invert(
            features,
            encoder,
            shape=image.shape,
            layout=encoder.layout,
            max_iter=settings.max_iter,
            prior=settings.learned,
            seed=settings.seed,
            check_every=EVERY,
            callback=look,
        )
        drawing = self._drawn(encoder, features, image.shape) if picture is None else None
        error = float(result.error.min())
        self._errors.append((self._before + self._latest, error))
        self._show(
            status="stopped" if result.stop_reason == "callback" else "done",
            preimage=result.image,
            drawing=drawing,
            error=error,
            errors=tuple(self._errors),
            result=result,
        )

    def _look(self, snapshot: Snapshot, encoder: Encoder, loss: SquaredError) -> None:
        """Show the best image of a snapshot, and its error under the encoder itself."""
        space: Any = snapshot.parametrization
        best = int(np.argmin(to_host(snapshot.value)))
        x = space.image(snapshot.z)[best : best + 1, ...]
        # As the run will end: most encoders leave contrast undetermined, and that of the variables
        # may be too low to be seen.
        image, _, scores = finished(encoder, x, loss)
        error = float(to_host(scores["error"])[0])
        if snapshot.iteration < self._latest:
            self._before += self._latest
        self._latest = snapshot.iteration
        self._errors.append((self._before + self._latest, error))
        self._show(preimage=from_batch(to_host(image)[0]), error=error, errors=tuple(self._errors))

    @staticmethod
    def _drawn(encoder: Encoder, features: np.ndarray, shape: tuple[int, ...]) -> bytes:
        """A figure of features that have no glyph: words as glyphs, channels, or bars."""
        from repinv.plot import figures

        with _drawing:
            return figures.encoded(encoder.plot(features, shape=shape), dpi=90)
