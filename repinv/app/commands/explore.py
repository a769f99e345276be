"""``repinv explore``: a page on which inversions are played with."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Play with inversions in the browser.")
@click.argument("image", required=False, type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Of the page. By default any that is free.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address of the page.")
@click.option(
    "--size",
    type=click.IntRange(32, 512),
    default=256,
    show_default=True,
    metavar="PIXELS",
    help="Make larger photographs so small, on their longest side.",
)
def explore(image: Path | None, port: int, no_browser: bool, size: int) -> None:
    """Show a page on which a photograph is inverted while options are changed.

    Representation, its options, prior, evaluations and seed are chosen on the page, and
    photographs too: IMAGE is the first one. The page is served to this machine alone. It needs
    Panel, which the extra 'explore' installs. Ctrl-C ends it.
    """
    from repinv.app.explore.panel_library import needed
    from repinv.app.explore.photographs import from_file
    from repinv.app.explore.serve import serve

    needed()
    given = None if image is None else from_file(image, size)
    serve(
        given,
        side=size,
        port=port,
        opens_browser=not no_browser,
        announce=lambda address: click.echo(f"repinv: {address} shows the page; Ctrl-C ends it."),
    )
