"""The files that a command writes: an image, a figure, and a movie of the run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

    from repinv.app.movie import Movie
    from repinv.plot.figures import Figure


#: Of commands that draw pre-images beside a photograph.
OWN_CONTRAST = click.option(
    "--own-contrast",
    is_flag=True,
    help="Draw pre-images with the contrast that they have. By default figures and reports give "
    "them that of the photograph, which most features do not hold.",
)


class Outputs:
    """Files to write, checked before the work starts.

    Parameters
    ----------
    source : Path or None
        What the command reads, which must be none of them.
    out, figure, movie : Path or None

    Raises
    ------
    ValueError, OSError
        If a file cannot be written.
    click.UsageError
        If two of the files are the same.
    """

    def __init__(
        self, source: Path | None, out: Path | None, figure: Path | None, movie: Path | None
    ) -> None:
        from repinv.io import files
        from repinv.io.feature_files import split
        from repinv.plot.figures import FIGURE_SUFFIXES

        if out is not None:
            files.check_writable(out, (*files.IMAGE_SUFFIXES, ".npz"))
        if figure is not None:
            files.check_writable(figure, FIGURE_SUFFIXES)
        if movie is not None:
            from repinv.app.movie import check_movie

            check_movie(movie)
        file = None if source is None else split(source)[0]
        named = [path.resolve() for path in (file, out, figure, movie) if path is not None]
        if len(set(named)) < len(named):
            raise click.UsageError(
                "input, --out, --figure and --movie are the same file. Give different names."
            )
        self.out, self.figure, self.movie = out, figure, movie

    @cached_property
    def _film(self) -> Movie:
        from repinv.app.movie import Movie

        return Movie()

    @property
    def callback(self) -> Callable[[Any], None] | None:
        """What has to see the images on the way to the result, for the movie."""
        return None if self.movie is None else self._film.watch

    @property
    def is_whole(self) -> bool:
        """Whether the whole result is written in place of an image."""
        return self.out is not None and self.out.suffix.lower() == ".npz"

    def write(self, image: np.ndarray, draw: Callable[[], Figure]) -> list[str]:
        """Write the figure and the movie, where they are wanted.

        Parameters
        ----------
        image : ndarray
            The last one of the movie.
        draw : callable
            Gives the figure.

        Returns
        -------
        names : list of str
            Of what was written.
        """
        from repinv.plot import figures

        if self.figure is not None:
            figures.save(draw(), self.figure)
        if self.movie is not None:
            self._film.write(self.movie, image)
        return [str(path) for path in (self.figure, self.movie) if path is not None]
