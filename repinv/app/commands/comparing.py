"""One comparison from file to files: what ``repinv compare`` does between options and print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import repinv
from repinv.app import html
from repinv.app.commands import invert
from repinv.encoders.base import Encoder
from repinv.inverters import Inverter
from repinv.io import feature_files, files
from repinv.plot import figures

TABLE_SUFFIXES = (".csv", ".json", ".md", ".html")


def check_outputs(source: Path, outputs: Sequence[Path]) -> None:
    """Raise before the work starts if its results could not be written.

    Raises
    ------
    ValueError, OSError
        If a name has another ending, is there twice, is the source's, or cannot be written.
    """
    for path in outputs:
        files.check_writable(path, (*TABLE_SUFFIXES, *figures.FIGURE_SUFFIXES))
    named = [path.resolve() for path in (feature_files.split(source)[0], *outputs)]
    if len(set(named)) < len(named):
        raise ValueError("the input and every --out need names of their own; two are the same.")


def methods(
    encoders: Sequence[tuple[str, Encoder]],
    inverters: Sequence[tuple[str, Inverter]],
    seeds: int | None,
    prior: str | None,
) -> list[repinv.Method]:
    """The rows of a table: each encoder plainly, from several starts, with a prior; inverters.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not encoders and not inverters:
        raise ValueError("nothing to compare: name an --encoder or an --inverter.")
    found = []
    for name, encoder in encoders:
        found.append(repinv.Method(encoder, name=name))
        if seeds is not None:
            found.append(repinv.Method(encoder, {"seeds": seeds}, f"{name}, {seeds} starts"))
        if prior is not None:
            found.append(repinv.Method(encoder, {"prior": prior}, f"{name}, {prior} prior"))
    return found + [repinv.Method(inverter, name=name) for name, inverter in inverters]


def compared(
    source: Path,
    rows: Sequence[repinv.Method],
    *,
    shape: tuple[int, int] | None,
    layout: str | None,
    rescale: bool,
    side: int | None,
    color: bool,
    yardstick: Encoder | None,
    outputs: Sequence[Path],
    max_iter: int,
    time_limit: float | None,
    seed: int,
    progress: bool,
) -> repinv.Comparison:
    """Compare what encoders keep of an image file, or what can be made of a features file.

    Parameters
    ----------
    source : Path
        Image, or file of features, or ``file:key``.
    rows : sequence of Method
        What is compared.
    shape : (int, int) or None
        Height and width of the image, where `source` holds features.
    layout, rescale
        Of features, as in `repinv.compare`.
    side : int or None
        Longest side that an image is made smaller to.
    color : bool
        Whether colours are kept; encoders that take one number of channels only decide.
    yardstick : Encoder or None
        In whose features errors are measured.
    outputs : sequence of Path
        Tables, reports and figures, by their endings.
    max_iter, time_limit, seed, progress
        As in `repinv.compare`.

    Returns
    -------
    comparison : Comparison
    """
    has_features = feature_files.has_features(source)
    if has_features:
        given = feature_files.read_features(source)
    else:
        given = invert.photograph(source, 3 if color else 1, side)
    comparison = repinv.compare(
        given,
        rows,
        shape=shape,
        layout=layout,
        rescale=rescale,
        features_given=has_features,
        yardstick=yardstick,
        max_iter=max_iter,
        time_limit=time_limit,
        seed=seed,
        progress=progress,
    )
    for path in outputs:
        _write(path, comparison, f"{source.name} compared")
    return comparison


def _write(path: Path, comparison: repinv.Comparison, title: str) -> None:
    """A comparison as the kind of file that a name's ending says."""
    suffix = path.suffix.lower()
    if suffix in figures.FIGURE_SUFFIXES:
        figures.save(figures.comparison_figure(comparison, title=title), path)
        return
    if suffix == ".html":
        text = html.comparison_page(comparison, title)
    elif suffix == ".csv":
        text = comparison.to_csv()
    else:
        text = comparison.to_json() if suffix == ".json" else comparison.to_markdown()
    files.write_bytes(path, f"{text.rstrip(chr(10))}\n".encode())
