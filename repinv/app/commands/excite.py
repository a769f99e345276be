"""``repinv maximize`` and ``repinv caricature``: images that excite a representation."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import repinv
from repinv.app.commands.keypoints import KEYPOINTS, Named, encoder_or_none, made_of
from repinv.app.commands.options import (
    COLOR,
    OUT,
    SEED,
    SIZE,
    encoder_option,
    max_iter_option,
    shape_of,
    shared,
    shared_but_encoder,
)
from repinv.app.commands.outputs import Outputs
from repinv.app.commands.report import course, print_report

if TYPE_CHECKING:
    import numpy as np

    from repinv.encoders.base import Encoder
    from repinv.plot.figures import Panel


@click.command(short_help="Find an image that excites a component of a representation.")
@click.option(
    "--component",
    "-c",
    required=True,
    metavar="N",
    help="Channel N, one feature '(5, 0, 3)', or a file of a direction, such as the weights "
    "of a linear classifier.",
)
@click.option(
    "--shape",
    callback=shape_of,
    metavar="HxW",
    help="Size of the image. A direction may determine it, such as that of OpenCV's windows.",
)
@click.option("--color", is_flag=True, help="Find a colour image. By default it is gray.")
@click.option(
    "--part",
    type=click.Choice(["positive", "negative"]),
    help="Take one part of a direction: the weights for a class, or those against it.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Measure the largest response on the middles of these images. By default on crops of "
    "photographs inside scikit-image.",
)
@click.option(
    "--strength",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Response at which more is not rewarded, in units of the largest of photographs. By "
    "default 2 of one component, and 10 of different weights, such as a classifier's; of networks "
    "of colour images, more is rewarded without end.",
)
@click.option(
    "--n-images",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Images from as many random starts. The one of the largest response is written.",
)
@click.option(
    "--diversity",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="W",
    help="Weight of a term that makes several images differ.",
)
@OUT
@max_iter_option(300)
@SEED
@shared
def maximize(
    encoder: tuple[str, Encoder],
    component: str,
    shape: tuple[int, int] | None,
    color: bool,
    part: str | None,
    images: Path | None,
    strength: float | None,
    n_images: int,
    diversity: float,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    max_iter: int,
    time_limit: float | None,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find a natural-looking image that excites a component of a representation.

    \b
    Examples:
      repinv maximize -e hog.vlfeat --component 4 --shape 128x128 --figure figure.png
      repinv maximize -e 'hog.skimage(orientations=8)' -c svm.npy --part positive --shape 128x64
    """  # noqa: D301
    outputs = Outputs(None, out, figure, movie)
    from repinv.app.images import channels_of, references
    from repinv.tasks.maximize import size_of

    expression, made = encoder
    channels = channels_of(made, color=color)
    value = component_of(component)
    if shape is None:
        shape = size_of(None, value, made)[1:]
    direction = _direction(made, value, (channels, *shape), part)
    given, broken = (None, {}) if images is None else references(images, shape, channels)
    result = repinv.maximize(
        made,
        direction,
        shape=(*shape, *((channels,) * (channels > 1))),
        images=given,
        strength=strength,
        n_images=n_images,
        diversity=diversity,
        max_iter=max_iter,
        time_limit=time_limit,
        seed=seed,
        callback=outputs.callback,
        progress=sys.stderr.isatty() and not quiet,
    )
    panels, best = _maximized_panels(made, direction, result)
    title = f"{expression}, component {component}"
    report = _written(result, panels, best, outputs, title)
    report["notes"] += [f"left out {path}: {why}" for path, why in broken.items()]
    print_report(expression, report, as_json=as_json, quiet=quiet)


@click.command(short_help="Amplify the response of a representation to an image.")
@click.argument("source", metavar="IMAGE", type=click.Path(path_type=Path))
@SIZE
@COLOR
@click.option(
    "--strength",
    type=click.FloatRange(min=0),
    metavar="S",
    help="How much more it shall respond: 0 is the image itself, 1 twice its response. By default "
    "0.5, and 2 for networks of colour images.",
)
@click.option(
    "--pull",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="W",
    help="Weight of the pull to the image; without it what is seen grows freely.",
)
@OUT
@max_iter_option(100)
@KEYPOINTS
@encoder_option(encoder_or_none)
@shared_but_encoder
def caricature(
    source: Path,
    encoder: Named,
    keypoints: Path | None,
    size: int | None,
    color: bool,
    strength: float | None,
    pull: float,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    max_iter: int,
    time_limit: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Amplify the response of a representation to an image.

    \b
    Examples:
      repinv caricature cat.jpg --encoder hog.vlfeat --figure figure.png --movie cat.gif
    """  # noqa: D301
    outputs = Outputs(source, out, figure, movie)
    from repinv.app import images

    expression, made = made_of(encoder, keypoints, source, size)
    photograph = images.photograph(source, images.channels_of(made, color=color), size)
    result = repinv.caricature(
        photograph,
        made,
        strength=strength,
        pull=pull,
        max_iter=max_iter,
        time_limit=time_limit,
        callback=outputs.callback,
        progress=sys.stderr.isatty() and not quiet,
    )
    report = _written(result, _caricature_panels(photograph, result), 0, outputs, expression)
    print_report(expression, {"source": str(source), **report}, as_json=as_json, quiet=quiet)


def component_of(text: str) -> Any:
    """What '--component' spells: a number, a tuple of them, or the direction in a file.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    from repinv.io import feature_files

    if feature_files.has_features(text):
        return feature_files.read_features(text)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    whole = value if isinstance(value, tuple) else (value,)
    if not whole or any(type(number) is not int for number in whole):
        raise ValueError(
            f"expected a number such as 5, numbers such as '(5, 0, 3)', or a file such as svm.npy; "
            f"got {text!r}."
        )
    return value


def _direction(
    encoder: Encoder, component: Any, image_shape: tuple[int, int, int], part: str | None
) -> np.ndarray:
    """d (*F) of a component, or its positive or its negative part."""
    import numpy as np

    from repinv.search import validation

    found = validation.direction(component, encoder, tuple(encoder.feature_shape(image_shape)))
    if part is not None:
        found = np.maximum(found if part == "positive" else -found, 0)
    return found


def _maximized_panels(
    encoder: Encoder, direction: np.ndarray, result: repinv.Result
) -> tuple[list[Panel], int]:
    """The direction and the images of the largest responses; and which image has the largest."""
    import numpy as np

    from repinv.app.images import glyph
    from repinv.plot.figures import Panel

    responses = np.asarray(result.response, dtype=float)
    order = np.argsort(-responses, kind="stable")
    # Bars have no sign.
    shape = result.images.shape[1:]
    drawn = glyph(encoder, direction, shape) if direction.min() >= 0 else None
    panels = [] if drawn is None else [Panel(drawn, "direction", unit=False)]
    panels += [Panel(result.images[i], f"response {responses[i]:.2f}") for i in order[:4]]
    return panels, int(order[0])


def _caricature_panels(photograph: np.ndarray, result: repinv.Result) -> list[Panel]:
    """The photograph, its caricature, and the difference of the two."""
    import numpy as np

    from repinv.plot.figures import Panel

    response = float(np.asarray(result.response)[0])
    return [
        Panel(photograph, "photograph"),
        Panel(result.image, f"caricature, response {response:.2f}"),
        Panel(result.image - photograph, "difference", signed=True),
    ]


def _written(
    result: repinv.Result, panels: list[Panel], best: int, outputs: Outputs, title: str
) -> dict[str, Any]:
    """Write what is wanted of a result, and report it as JSON can hold it."""
    import numpy as np

    from repinv.io import files
    from repinv.plot import figures

    image, written = np.asarray(result.image), []
    if outputs.out is not None:
        if outputs.is_whole:
            result.save(outputs.out)
        else:
            files.write(outputs.out, image)
        written.append(str(outputs.out))
    written += outputs.write(
        image, lambda: figures.row_figure(panels, result.trace, best, title=title)
    )
    responses = np.asarray(result.response, dtype=float)
    return {
        "shape": list(image.shape),
        "response": float(responses.max()),
        "responses": responses.tolist(),
        **course(result),
        "files": written,
    }
