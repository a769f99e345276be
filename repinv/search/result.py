"""Result: what a task found, and how."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io import serialization
from repinv.io.tables import percent


@dataclass(frozen=True)
class Result:
    """Images that a task found, and how.

    Attributes
    ----------
    images : ndarray, shape (N, H, W) or (N, H, W, C), float, in [0, 1]
        The pre-images.
    error : ndarray, shape (N,)
        ‖Φ(x) − Φ₀‖²/‖Φ₀‖² of these images under the true encoder, over the features that count;
        NaN where there was no Φ₀ to be met.
    features : array, shape (N, *F)
        Φ(x), in the layout of the mirrored library.
    trace : dict of str to ndarray, shape (iterations, N)
        "energy" and its terms ("data", and the priors by name) at every evaluation.
    iterations, evaluations : int
        Steps of the solver; evaluations of the encoder, the exact last step included.
    seconds : float
        Time in the solver, earlier parts of a continued run included.
    stop_reason : str
        "max_iter", "tolerance", "time_limit", "callback" or "interrupted".
    response : ndarray, shape (N,), or None
        ⟨Φ(x), d⟩ of these images, in units of the task's scale, where that was to be raised.
    view_error : ndarray, shape (N,), or None
        Mean of the error over random views of these images, where the run looked at such views.
    notes : tuple of str
        Decisions made on the way that the caller may want to know. Of several problems,
        "row 2 of 3:" begins a note that is not of all of them.
    problems : int
        How many images' features were inverted; of each of them the images stand together, in
        the order of the rows.
    encoder : Encoder or None
        Φ.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.resume : Continue a run that was stopped early and saved, to the end it would have had.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    >>> hog = repinv.HOG.vlfeat()
    >>> result = repinv.invert(hog(image), hog, shape=(32, 32), max_iter=20, n_preimages=2)
    >>> result.images.shape, result.error.shape, result.spread.shape
    ((2, 32, 32), (2,), (32, 32))
    >>> result.trace["energy"].shape, result.stop_reason
    ((20, 2), 'max_iter')
    """

    images: np.ndarray
    error: np.ndarray
    features: Array
    trace: dict[str, np.ndarray]
    iterations: int
    evaluations: int
    seconds: float
    stop_reason: str
    response: np.ndarray | None = None
    view_error: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    #: What `repinv.resume` needs: a header, and arrays by name.
    run: tuple[dict[str, Any], dict[str, np.ndarray]] = field(repr=False, default=({}, {}))
    encoder: Encoder | None = field(repr=False, default=None)
    problems: int = 1

    @property
    def image(self) -> np.ndarray:
        """The image of least error, or of largest response, (H, W) or (H, W, C)."""
        rank = self.error if self.response is None else -self.response
        return np.asarray(self.images[int(np.argmin(rank))])

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of every pixel over the images, (H, W[, C]): what is undetermined.

        Raises
        ------
        ValueError
            If there is one image only, or images of several problems.
        """
        if self.problems > 1:
            raise ValueError(
                f"a spread is that of one problem's images; these are of {self.problems}. Invert "
                "one row of the features with n_preimages=8, say."
            )
        if len(self.images) < 2:
            raise ValueError("a spread needs several images; give n_preimages=8, say.")
        return np.asarray(self.images.std(axis=0))

    def __repr__(self) -> str:
        """A summary of one line for each thing worth reading."""
        if self.response is None:
            found = "relative feature error " + ", ".join(map(percent, self.error))
            if self.view_error is not None:
                found += "; of views " + ", ".join(map(percent, self.view_error))
        else:
            found = "response " + ", ".join(f"{r:.3g}" for r in self.response)
        lines = [
            f"Result: {len(self.images)} image(s) of {self.images.shape[1:]}, {found}",
            f"  {self.iterations} iterations in {self.seconds:.2f} s, "
            f"stopped by {self.stop_reason}",
        ]
        return "\n".join(lines + [f"  {note}" for note in self.notes])

    def plot(
        self,
        photograph: Array | None = None,
        *,
        encoder_picture: bool = True,
        trace: bool = False,
        match: str | None = "contrast",
        axes: Any = None,
    ) -> Any:
        """Draw the images, beside the photograph and a picture of its features.

        Of several images' features each has a row of its own, in their order; the first eight are
        drawn.

        Parameters
        ----------
        photograph : array, shape (H, W) or (H, W, C), optional
            What the features were computed from. Of several images' features a photograph for each,
            (N, H, W) or (N, H, W, C).
        encoder_picture : bool
            Draw the features of the best image, where the encoder has a picture of them.
        trace : bool
            Draw the terms of the energy too.
        match : {"contrast"} or None
            Give the images the mean and contrast of the photograph, if there is one; most features
            leave both undetermined. The title says so.
        axes : matplotlib Axes, or sequence of Axes, optional
            Where to draw: the best image alone, or one for each picture, row by row.

        Returns
        -------
        figure : matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If the photograph has another size than the images, there is not one for each row, or
            there are too few axes.

        Examples
        --------
        >>> import numpy as np, repinv
        >>> image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
        >>> hog = repinv.HOG.vlfeat()
        >>> result = repinv.invert(hog(image), hog, shape=(32, 32), max_iter=20)
        >>> len(result.plot(image).axes)
        3
        """
        from repinv.plot.results import result_figure  # which loads matplotlib

        return result_figure(
            self,
            photograph,
            encoder_picture=encoder_picture,
            trace=trace,
            match=match,
            axes=axes,
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """How a notebook shows it: the images, and what is worth reading."""
        from repinv.plot.notebook import result_html

        return {"text/plain": repr(self), "text/html": result_html(self)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run to an npz file without pickle, for `repinv.resume` to continue.

        Raises
        ------
        TypeError
            If a prior, a rule or a parametrization is not one of repinv's own. An encoder need
            not be, but is then to be given again to `repinv.resume`.
        """
        header, arrays = self.run
        if isinstance(header["problem"], str):
            raise TypeError(header["problem"])
        found = {"images": self.images, "error": self.error}
        serialization.save(path, header, arrays | {f"found/{k}": v for k, v in found.items()})
