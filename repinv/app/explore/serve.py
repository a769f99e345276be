"""The page in a browser and in a notebook."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

from repinv.app.explore.page import Page
from repinv.app.explore.panel_library import needed
from repinv.app.explore.photographs import LEAST, MAX_UPLOAD, MOST, SIDE, Photograph, from_array

#: The only address that the page is served on: other machines do not reach it.
ADDRESS = "127.0.0.1"
#: Uploads come in one message, as text of 4 bytes for 3; those a little too large are refused with
#: a sentence, and larger ones by the server.
_MESSAGE = 4 * MAX_UPLOAD


def explore(image: Any = None, *, size: int = SIDE) -> Any:
    """Make a page that inverts a photograph while its options are changed, for notebooks.

    Representation, options, prior, evaluations and seed are chosen; the photograph, its features,
    the pre-image and its error are shown while it is found.

    Parameters
    ----------
    image : array, shape (H, W) or (H, W, 3), uint8, uint16, or floating in [0, 1], optional
        By default a photograph that comes with scikit-image. Others can be chosen on the page.
    size : int
        Longest side in pixels that photographs are made smaller to, from 32 to 512.

    Returns
    -------
    page : panel.viewable.Viewable
        Shown by a notebook. Outside of one, ``repinv explore`` serves the same page.

    Raises
    ------
    ValueError
        If Panel is not installed: what to install. If the image is none.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.live : Show a run as it goes: pictures in a notebook, a line of text elsewhere.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((64, 64))
    >>> page = repinv.explore(image)  # doctest: +SKIP
    """
    _check_side(size)
    panel = needed()
    given = None if image is None else from_array(image, size)
    if panel.state.curdoc is None and "IPython" in sys.modules:
        panel.extension()
    return _layout(given, size)


def serve(
    given: Photograph | None,
    *,
    side: int = SIDE,
    port: int = 0,
    opens_browser: bool = True,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the page to browsers of this machine, until interrupted.

    Parameters
    ----------
    given : Photograph or None
        The first choice.
    side : int
        Longest side of photographs.
    port : int
        0 for any that is free.
    opens_browser : bool
    announce : callable
        Told the address, once the page is served.

    Raises
    ------
    ValueError
        If Panel is not installed.
    OSError
        If the port is taken.
    """
    _check_side(side)
    panel = needed()
    port = _free(port)
    server = panel.serve(
        {"/": lambda: _layout(given, side)},
        port=port,
        address=ADDRESS,
        websocket_origin=[f"{ADDRESS}:{port}", f"localhost:{port}"],
        websocket_max_message_size=_MESSAGE,
        title="repinv explore",
        show=False,
        start=False,
        verbose=False,
    )
    server.io_loop.asyncio_loop.set_exception_handler(_unless_closed)
    server.start()
    address = f"http://{ADDRESS}:{port}/"
    announce(address)
    if opens_browser:
        server.io_loop.add_callback(server.show, "/")
    try:
        server.io_loop.start()
    except KeyboardInterrupt:
        server.stop()


def _layout(given: Photograph | None, side: int) -> Any:
    """A new page, which looks at its session."""
    panel = needed()
    page = Page(given, side)
    page.watch()
    if panel.state.curdoc is not None:
        panel.state.on_session_destroyed(lambda context: page.session.stop())
    return page.layout


def _unless_closed(loop: Any, context: dict[str, Any]) -> None:
    """Report what went wrong in the server, but that a page was closed while it was written to."""
    if type(context.get("exception")).__name__ != "WebSocketClosedError":
        loop.default_exception_handler(context)


def _check_side(side: int) -> None:
    if not LEAST <= side <= MOST:
        raise ValueError(f"expected a longest side of {LEAST} to {MOST} pixels; got {side}.")


def _free(port: int) -> int:
    """The port, if it is free; or any that is."""
    with socket.socket() as one:
        try:
            one.bind((ADDRESS, port))
        except OSError as error:
            raise OSError(
                f"port {port} of {ADDRESS} cannot be taken: {error.strerror}. Give another --port."
            ) from error
        number: int = one.getsockname()[1]
    return number
