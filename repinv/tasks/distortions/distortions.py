"""Distortions: changes of an image, and how much its features notice each."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repinv.encoders.base import Encoder
from repinv.io import serialization
from repinv.tasks.distortions.shown import Shown


@dataclass(frozen=True)
class Distortions(Shown):
    """Changes of an image, and how much its features notice each: eigenpairs of JᵀJ.

    Attributes
    ----------
    images : ndarray, shape (K, H, W) or (K, H, W, C), float64
        Changes of unit norm; those of the largest eigenvalues first. The sign of each is arbitrary:
        the entry of largest magnitude is positive.
    eigenvalues : ndarray, shape (K,)
        λ = ‖J v‖², the squared change of the features for a unit change of the image in [0, 1].
    residuals : ndarray, shape (K,)
        ‖JᵀJv − λv‖ in units of the largest eigenvalue.
    n_largest : int
        How many of them belong to the largest eigenvalues; the others, to the smallest.
    unit : float
        The largest eigenvalue.
    image : ndarray, shape (H, W) or (H, W, C), float64, in [0, 1]
        Where the derivative was taken; the noise that `notes` may name is added.
    method : str
        "exact", "lanczos" or "lobpcg".
    encodings, pullbacks : int
        Images that were encoded, and cotangents that were pulled back. A product with JᵀJ by
        differences takes two encodings and a pullback.
    seconds : float
    notes : tuple of str
        What the caller may want to know.
    encoder : Encoder or None
        Φ.

    See Also
    --------
    repinv.eigendistortions : Find the changes of an image that features notice most and least.
    repinv.walk : Change an image along directions that its features do not notice.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((24, 24))
    >>> found = repinv.eigendistortions(repinv.HOG.vlfeat(), image)
    >>> found.largest.shape, found.smallest.shape
    ((1, 24, 24), (1, 24, 24))
    """

    images: np.ndarray
    eigenvalues: np.ndarray
    residuals: np.ndarray
    n_largest: int
    unit: float
    image: np.ndarray
    method: str
    encodings: int
    pullbacks: int
    seconds: float
    notes: tuple[str, ...] = ()
    encoder: Encoder | None = field(repr=False, default=None)

    @property
    def largest(self) -> np.ndarray:
        """Changes that features notice most, the most first."""
        return self.images[: self.n_largest]

    @property
    def smallest(self) -> np.ndarray:
        """Changes that features notice least, the least first."""
        return self.images[self.n_largest :]

    def __repr__(self) -> str:
        """A summary of one line for each thing worth reading."""
        values = ", ".join(f"{value:.3g}" for value in self.eigenvalues)
        lines = [
            f"Distortions: {len(self.images)} of {self.images.shape[1:]}, eigenvalues {values}",
            f"  {self.method}, residuals up to {self.residuals.max():.1g}, {self.encodings} "
            f"encodings and {self.pullbacks} pullbacks in {self.seconds:.2f} s",
        ]
        return "\n".join(lines + [f"  {note}" for note in self.notes])

    def plot(self, *, axes: Any = None) -> Any:
        """Draw the image and the changes, with their eigenvalues.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, optional
            Where to draw, one for each picture: the image first.

        Returns
        -------
        figure : matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If there are too few axes.
        """
        from repinv.plot.distortions import distortions_figure  # which loads matplotlib

        return distortions_figure(self, axes=axes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all but the encoder to an npz file without pickle.

        Its arrays have the names of the attributes; `Distortions.load` reads it.
        """
        header = {
            "kind": "distortions",
            "n_largest": self.n_largest,
            "unit": self.unit,
            "method": self.method,
            "encodings": self.encodings,
            "pullbacks": self.pullbacks,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }
        names = ("images", "eigenvalues", "residuals", "image")
        serialization.save(path, header, {name: getattr(self, name) for name in names})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Distortions:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is not one of distortions, or damaged.
        """
        header, arrays = serialization.load(path, kind="distortions")
        header.pop("repinv")
        fields: dict[str, Any] = {**header, **arrays, "notes": tuple(header["notes"])}
        return cls(**fields)
