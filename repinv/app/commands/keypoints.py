"""Where the keypoints of ``--encoder sift.opencv`` come from: a file, or the photograph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from repinv.encoders.base import Encoder

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FLAVOUR = "sift.opencv"


def needs_keypoints(expression: str) -> bool:
    """Whether an expression is ``sift.opencv`` without keypoints of its own.

    Examples
    --------
    >>> needs_keypoints("sift.opencv(rootsift=True)"), needs_keypoints("hog.vlfeat")
    (True, False)
    """
    return expression.partition("(")[0].strip() == _FLAVOUR and "keypoints" not in expression


def encoder_or_none(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[str, Encoder | None]:
    """An expression and its encoder, or None where its keypoints are to be read or detected."""
    from repinv.app.commands.options import encoder_of

    return (value, None) if needs_keypoints(value) else encoder_of(context, parameter, value)


KEYPOINTS = click.option(
    "--keypoints",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keypoints of sift.opencv: x, y, size, angle and octave of each, as .npz or .json. By "
    "default OpenCV detects those of the image.",
)


def made_of(
    encoder: tuple[str, Encoder | None], keypoints: Path | None, source: Path, side: int | None
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
        If keypoints are given to another encoder, or missing for features.
    """
    import repinv
    from repinv.app import images
    from repinv.encoders import expressions
    from repinv.io import feature_files

    expression, made = encoder
    if made is not None:
        if keypoints is not None:
            raise ValueError(
                f"--keypoints are those of sift.opencv without keypoints; got --encoder "
                f"{expression}. Leave one of the two out."
            )
        return expression, made
    call = expression if "(" in expression else f"{expression}()"
    if keypoints is not None:
        head, _, rest = call.partition("(")
        given = rest.strip()
        comma = "" if given == ")" else ", "
        return expression, expressions.parse(f"{head}(keypoints={str(keypoints)!r}{comma}{given}")
    if feature_files.has_features(source):
        raise ValueError(
            "descriptors of sift.opencv are inverted with the keypoints that they are of. Give "
            "them by --keypoints FILE.npz."
        )
    # Checked as the command line's are, with a keypoint in place of those that are detected.
    written = call.replace("(", "(keypoints=((1, 1, 1, 0, 0),), ", 1)
    sift = expressions.parse(written)
    flavour: Any = sift.flavour  # type: ignore[attr-defined]
    found = repinv.SIFT.detect(
        images.photograph(source, 1, side),
        n_octave_layers=flavour.n_octave_layers,
        sigma=flavour.sigma,
        enable_precise_upscale=flavour.precise_upscale,
        rootsift=flavour.rootsift,
    )
    return expression, found
