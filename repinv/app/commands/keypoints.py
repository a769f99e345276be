"""Where the keypoints of ``--encoder sift.opencv`` come from: a file, or the photograph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

if TYPE_CHECKING:
    from repinv.encoders.base import Encoder

_Command = TypeVar("_Command", bound=Callable[..., Any])
#: An expression and its encoder, or None where its keypoints are to be read or detected.
Named: TypeAlias = "tuple[str, Encoder | None]"


def encoder_or_none(context: click.Context, parameter: click.Parameter, value: str) -> Named:
    """An expression and its encoder, or None where its keypoints are to be read or detected."""
    from repinv.app.commands.options import encoder_of
    from repinv.encoders import expressions

    if not expressions.lacks_points(value):
        return encoder_of(context, parameter, value)
    try:
        expressions.with_points(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value, None


def encoders_or_none(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[Named]:
    """The same of several expressions."""
    return [encoder_or_none(context, parameter, value) for value in values]


KEYPOINTS = click.option(
    "--keypoints",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keypoints of sift.opencv and sift.skimage (x, y, size, angle and octave of each), or "
    "frames of sift.colmap, as .npz or .json. By default OpenCV detects those of sift.opencv in "
    "the image.",
)


def made_of(
    encoder: Named, keypoints: Path | None, source: Path, side: int | None
) -> tuple[str, Encoder]:
    """An expression and its encoder, with keypoints of a file, or those of a photograph.

    Parameters
    ----------
    encoder : tuple
        What `encoder_or_none` found.
    keypoints : Path or None
        File of keypoints.
    source : Path
        Image, or file of features.
    side : int or None
        Longest side that the image is made smaller to.

    Raises
    ------
    ValueError
        If keypoints are given to another encoder, or missing.
    """
    (found,) = all_made_of([encoder], keypoints, source, side)
    return found


def all_made_of(
    encoders: Sequence[Named], keypoints: Path | None, source: Path, side: int | None
) -> list[tuple[str, Encoder]]:
    """The same of several encoders, of which one or more take the keypoints of the file."""
    from repinv.app import images
    from repinv.encoders import expressions
    from repinv.io import feature_files

    if keypoints is not None and all(made is not None for _, made in encoders):
        raise ValueError(
            "--keypoints are those of sift.opencv, sift.skimage or sift.colmap without keypoints; "
            f"got --encoder {', '.join(name for name, _ in encoders)}. Leave one of the two out."
        )
    found = []
    for name, made in encoders:
        if made is None and keypoints is not None:
            made = expressions.with_points(name, str(keypoints))
        elif made is None and feature_files.has_features(source):
            raise ValueError(
                f"descriptors of {name} are inverted with the keypoints that they are of. Give "
                "them by --keypoints FILE.npz."
            )
        elif made is None and not expressions.is_of_photograph(name):
            raise ValueError(
                f"keypoints of {name} are not detected. Give them by --keypoints FILE.npz, or take "
                "sift.opencv."
            )
        elif made is None:
            made = expressions.encoder_of(name, images.photograph(source, 1, side))
        found.append((name, made))
    return found
