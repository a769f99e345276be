"""Options that commands share, and what is made of their values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from repinv.encoders.base import Encoder
    from repinv.inverters import Inverter

_Command = TypeVar("_Command", bound=Callable[..., Any])


def file_option(name: str, letter: str, text: str) -> Callable[[_Command], _Command]:
    """An option that names a file to be written."""
    return click.option(name, letter, type=click.Path(path_type=Path), metavar="FILE", help=text)


def shape_of(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Height and width that 'HxW' spells."""
    if value is None:
        return None
    sides = value.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise click.BadParameter(f"expected height x width, such as 240x320; got {value!r}.")
    height, width = map(int, sides)
    if not height or not width:
        raise click.BadParameter(f"expected at least one pixel a side; got {value!r}.")
    return height, width


def encoder_of(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[str, Encoder]:
    """An encoder expression and the encoder it names; the expression is never run."""
    from repinv.encoders import expressions

    try:
        return value, expressions.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def prior_of(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The learned prior that ships, or the file of one."""
    if value is None or value == "learned":
        return value
    if not value.endswith(".npz"):
        raise click.BadParameter(f"expected 'learned' or the .npz file of a prior; got {value!r}.")
    if not Path(value).is_file():
        raise click.BadParameter(f"there is no file {value}.")
    return value


def inverters_of(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, Inverter]]:
    """Learned inverters: those that ship, by name, and those that `repinv fit` wrote."""
    from repinv import inverters

    shipped: dict[str, Callable[[], Inverter]] = {
        "hoggle": inverters.PairedDictionary.pretrained,
        "ridge": inverters.Ridge.pretrained,
    }
    found = []
    for value in values:
        try:
            one = shipped[value]() if value in shipped else inverters.Inverter.load(value)
        except FileNotFoundError:
            raise click.BadParameter(
                f"expected {' or '.join(shipped)}, or a file of 'repinv fit'; got {value!r}."
            ) from None
        except (OSError, ValueError) as error:
            raise click.BadParameter(str(error)) from error
        found.append((value if value in shipped else Path(value).stem, one))
    return found


def yardstick_of(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> Encoder | None:
    """The encoder that an expression names, or None."""
    return None if value is None else encoder_of(context, parameter, value)[1]


def encoder_option(callback: Callable[..., Any] = encoder_of) -> Callable[[_Command], _Command]:
    """``--encoder``, whose value a callback reads."""
    return click.option(
        "--encoder",
        "-e",
        required=True,
        callback=callback,
        metavar="EXPR",
        help="Flavour and options: bovw, or 'hog.vlfeat(cell_size=4)'. "
        "'repinv encoders' lists them.",
    )


TIME_LIMIT = click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop after so long, with the best image so far.",
)
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON, for programs."
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
_SHARED = (
    encoder_option(),
    file_option(
        "--figure",
        "-f",
        "Draw the images, what they were found from, and the energy: .png, .pdf or .svg.",
    ),
    file_option(
        "--movie",
        "-m",
        "Write a movie of the run: .gif, or .mp4 where imageio-ffmpeg is installed.",
    ),
    TIME_LIMIT,
    JSON,
    QUIET,
)


def shared(command: _Command) -> _Command:
    """The options that all commands with an encoder have."""
    return _with(_SHARED, command)


def shared_but_encoder(command: _Command) -> _Command:
    """The same without ``--encoder``."""
    return _with(_SHARED[1:], command)


def _with(options: tuple[Any, ...], command: _Command) -> _Command:
    """A command with options, the first one first."""
    for option in reversed(options):
        command = option(command)
    return command


COLOR = click.option("--color", is_flag=True, help="Keep colours. By default images are made gray.")
SEED = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the random start. The same seed gives the same image on the same machine.",
)


LAYOUT = click.option(
    "--layout",
    type=click.Choice(["channels_first", "channels_last"]),
    help="Where channels stand in features that are maps. Only with features whose shape does not "
    "determine it: VLFeat's HOG is (31, y, x) in C, and (y, x, 31) in cyvlfeat and MATLAB.",
)
RESCALE = click.option(
    "--rescale",
    is_flag=True,
    help="Scale features to the encoder's scale, such as SIFT descriptors as uint8. Only with "
    "features.",
)
SIZE = click.option(
    "--size",
    type=click.IntRange(min=16),
    metavar="PIXELS",
    help="Make a larger image so small, on its longest side. Only with an image.",
)


def check_source(
    source: Path,
    *,
    shape: tuple[int, int] | None = None,
    layout: str | None = None,
    rescale: bool = False,
    size: int | None = None,
) -> None:
    """Raise unless options that go with features, or with an image, come with such a source."""
    from repinv.io.feature_files import has_features

    if has_features(source):
        if size is not None:
            raise click.UsageError(
                "--size goes with an image; features have their own. Leave it out."
            )
        return
    given = {"--shape": shape is not None, "--layout": layout is not None, "--rescale": rescale}
    for name in (name for name, is_given in given.items() if is_given):
        raise click.UsageError(
            f"{name} goes with features; an image has its own size. Leave it out."
        )


def max_iter_option(default: int | None, shown: str = "") -> Callable[[_Command], _Command]:
    """The option of how many evaluations a command makes; `shown` tells a default of None."""
    return click.option(
        "--max-iter",
        type=click.IntRange(min=1),
        default=default,
        show_default=shown or True,
        metavar="N",
        help="Evaluations of the representation. More come closer to the target.",
    )


#: The image file of commands that excite a representation.
OUT = file_option(
    "--out",
    "-o",
    "Write the image: .png and .tif with 16 bits, .jpg with 8, .npy the very numbers, .npz "
    "the whole result, which repinv.resume continues.",
)
