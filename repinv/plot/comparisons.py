"""Figures of comparisons: the photograph, what each method keeps of it, and the images found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repinv.comparison.table import Comparison, Reconstruction
from repinv.io.tables import percent
from repinv.plot import features as feature_plots
from repinv.plot.figures import Panel, draw_into, grid_figure, matched
from repinv.solvers.minimize import to_host

#: Pictures in a row at most, where no row is that of one method.
_COLUMNS, _MOST_IN_A_ROW = 4, 5


def comparison_figure(
    comparison: Comparison,
    *,
    title: str = "",
    encoder_picture: bool | Sequence[str] = False,
    match: str | None = "contrast",
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """The photograph and what each method made of it, with figures below their names.

    Parameters
    ----------
    comparison : Comparison
    title : str
    encoder_picture : bool or sequence of str
        Whether each method's features are drawn before its image, or whose are.
    match : {"contrast"} or None
        Whether images are drawn with the mean and contrast of the photograph.
    axes : sequence of Axes, optional
        Where to draw, one for each picture.

    Raises
    ------
    ValueError
        If there is no method of a name, or not an axes for each picture.
    """
    names = [row.name for row in comparison.rows]
    chosen = (
        (names if encoder_picture else [])
        if isinstance(encoder_picture, bool)
        else ([encoder_picture] if isinstance(encoder_picture, str) else list(encoder_picture))
    )
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise ValueError(f"encoder_picture names methods of {names}; got {unknown}.")
    photograph = comparison.image
    pairs = [
        (_picture(row) if row.name in chosen else None, _image(row, photograph, match))
        for row in comparison.rows
        if row.image is not None
    ]
    first = [] if photograph is None else [Panel(photograph, "photograph")]
    flat = first + [panel for pair in pairs for panel in pair if panel is not None]
    if axes is not None:
        return draw_into(axes, flat)
    if len(flat) > _MOST_IN_A_ROW and len(flat) > len(first) + len(pairs):
        rows = [[*_beside(first, number), *pair] for number, pair in enumerate(pairs)]
        return grid_figure(rows, title=title)
    columns = len(flat) if chosen else min(len(flat), _COLUMNS if len(flat) != 5 else 3)
    every = [flat[k : k + columns] for k in range(0, len(flat), columns)]
    return grid_figure(every, title=title)


def _beside(photograph: list[Panel], number: int) -> list[Panel | None]:
    """The photograph beside the first method, and a free place beside the others."""
    return [*photograph] if number == 0 else [None for _ in photograph]


def _picture(row: Reconstruction) -> Panel | None:
    """The features that a method inverts, where its encoder has a picture of them."""
    if row.encoder is None or row.features is None or row.image is None:
        return None
    shape = tuple(row.image.shape)
    found = feature_plots.picture(row.encoder, to_host(row.features), shape=shape)
    return found and Panel(found.image, f"{row.name}\n{found.label}", unit=False)


def _image(row: Reconstruction, photograph: np.ndarray | None, match: str | None) -> Panel:
    """The image of a method, with its measures."""
    assert row.image is not None
    likeness = "" if np.isnan(row.ssim) else f", SSIM {row.ssim:.2f}, NCC {row.ncc:.2f}"
    image, word = matched_to(row.image, photograph, match)
    return Panel(image, f"{row.name}\nerror {percent(row.error, 2)}{likeness}{word}")


def matched_to(
    image: np.ndarray, photograph: np.ndarray | None, match: str | None
) -> tuple[np.ndarray, str]:
    """`matched`, but an image of another size than the photograph's is left as it is."""
    is_another = photograph is not None and photograph.shape[:2] != image.shape[:2]
    return (image, "") if is_another else matched(image, photograph, match)
