"""The table of a comparison: a row of measures for each method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io.tables import Column, as_csv, as_json, as_markdown, as_text

#: What a table shows, in the order in which it is read.
COLUMNS = (
    Column("name", "method"),
    Column("error", "feature error", "%"),
    Column("pairwise_error", "paper's unit", ".3g"),
    Column("ncc", "NCC", ".3f"),
    Column("ssim", "SSIM", ".3f"),
    Column("psnr", "PSNR, dB", ".2f"),
    Column("seconds", "seconds", ".2f"),
    Column("failure", "failed because"),
)


@dataclass(frozen=True)
class Reconstruction:
    """One row of a comparison.

    Attributes
    ----------
    name : str
    error : float
        ‖Φ(x) − Φ₀‖² / ‖Φ₀‖² of the image returned, over all features.
    pairwise_error : float
        100 · ‖Φ(x) − Φ₀‖ over the root mean squared distance of two photographs' features: the
        paper's unit, by the photographs that `repinv.compare` was given or those of scikit-image.
    ncc, ssim, psnr : float
        Against the photograph, as the encoder sees it, gray or in colour; SSIM and PSNR (dB) after
        affine intensity matching. NaN where there is no photograph.
    seconds : float
        From features to image.
    image : ndarray, shape (H, W) or (H, W, C), in [0, 1], or None
        None if the method failed.
    failure : str
        Why the method failed; empty if it did not.
    notes : tuple of str
    encoder : Encoder or None
        What was inverted.
    features : array, shape (*F), or None
        What was to be met, in the encoder's layout.

    See Also
    --------
    repinv.compare : Invert one image by several methods, and measure what each finds.
    repinv.Comparison : What several methods made of one image or of given features.

    Examples
    --------
    >>> import repinv, skimage
    >>> image = skimage.data.camera()[::8, ::8]
    >>> row = repinv.compare(image, [repinv.HOG.vlfeat()], max_iter=10).rows[0]
    >>> row.name, row.image.shape
    ('HOG', (64, 64))
    """

    name: str
    error: float = np.nan
    pairwise_error: float = np.nan
    ncc: float = np.nan
    ssim: float = np.nan
    psnr: float = np.nan
    seconds: float = np.nan
    image: np.ndarray | None = field(default=None, repr=False)
    failure: str = ""
    notes: tuple[str, ...] = ()
    encoder: Encoder | None = field(default=None, repr=False)
    features: Array | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Comparison:
    """What several methods made of one image or of given features.

    Attributes
    ----------
    rows : tuple of Reconstruction
        One for each method, in the order given.
    image : ndarray, shape (H, W) or (H, W, 3), in [0, 1], or None
        The photograph; None where features were given.

    See Also
    --------
    repinv.compare : Invert one image by several methods, and measure what each finds.
    repinv.Reconstruction : One row of a comparison.

    Examples
    --------
    >>> import repinv, skimage
    >>> image = skimage.data.camera()[::8, ::8]
    >>> found = repinv.compare(image, [repinv.HOG.vlfeat()], max_iter=10)
    >>> len(found.to_markdown().splitlines()), found.image.shape
    (3, (64, 64))
    """

    rows: tuple[Reconstruction, ...]
    image: np.ndarray | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """The table, for people."""
        return as_text(self.read_columns(), self.records())

    def plot(
        self,
        *,
        encoder_picture: bool | Sequence[str] = False,
        match: str | None = "contrast",
        axes: Any = None,
    ) -> Any:
        """Draw the photograph and the image of each method, with its measures.

        Parameters
        ----------
        encoder_picture : bool or sequence of str
            Draw the features before each image, where the encoder has a picture of them; or those
            of the methods of these names. Up to five pictures stand in one row, more have a row for
            each method.
        match : {"contrast"} or None
            Give the images the mean and contrast of the photograph, if there is one.
        axes : sequence of matplotlib Axes, optional
            Where to draw, one for each picture; by default a figure of its own.

        Returns
        -------
        figure : matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If there is no method of a name, or not an axes for each picture.
        """
        from repinv.plot.comparisons import comparison_figure  # which loads matplotlib

        return comparison_figure(self, encoder_picture=encoder_picture, match=match, axes=axes)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """How a notebook shows it: the images, and the table."""
        from repinv.plot.notebook import comparison_html

        return {"text/plain": repr(self), "text/html": comparison_html(self)}

    def to_csv(self) -> str:
        """The table as comma-separated values; what is not known is empty."""
        return as_csv(self.columns(), self.records())

    def to_json(self) -> str:
        """The table as a JSON array of objects; what is not a finite number is null."""
        return as_json(self.columns(), self.records())

    def to_markdown(self) -> str:
        """The table as Markdown, rounded."""
        return as_markdown(self.columns(), self.records())

    def records(self) -> list[dict[str, Any]]:
        """The figures of each row, by the keys of the columns."""
        return [{c.key: getattr(row, c.key) for c in COLUMNS} for row in self.rows]

    def read_columns(self) -> tuple[Column, ...]:
        """The columns for a reader who has no explanation of the paper's unit beside the table."""
        return tuple(column for column in self.columns() if column.key != "pairwise_error")

    def columns(self) -> tuple[Column, ...]:
        """The columns of the table; that of reasons only where a method failed."""
        failed = any(row.failure for row in self.rows)
        return COLUMNS if failed else COLUMNS[:-1]
