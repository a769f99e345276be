"""Result: what a task found, and how."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repinv._core.typing import Array
from repinv.io import serialization


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
    notes : tuple of str
        Decisions made on the way that the caller may want to know.

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
    notes: tuple[str, ...] = ()
    #: What `repinv.resume` needs: a header, and arrays by name.
    run: tuple[dict[str, Any], dict[str, np.ndarray]] = field(repr=False, default=({}, {}))

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
            If there is one image only.
        """
        if len(self.images) < 2:
            raise ValueError("a spread needs several images; give n_preimages=8, say.")
        return np.asarray(self.images.std(axis=0))

    def __repr__(self) -> str:
        """A summary of one line for each thing worth reading."""
        if self.response is None:
            found = "relative feature error " + ", ".join(f"{100 * e:.3g} %" for e in self.error)
        else:
            found = "response " + ", ".join(f"{r:.3g}" for r in self.response)
        lines = [
            f"Result: {len(self.images)} image(s) of {self.images.shape[1:]}, {found}",
            f"  {self.iterations} iterations in {self.seconds:.2f} s, "
            f"stopped by {self.stop_reason}",
        ]
        return "\n".join(lines + [f"  {note}" for note in self.notes])

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
