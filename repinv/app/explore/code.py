"""An inversion of the page as Python, and as a command, to be copied."""

from __future__ import annotations

import shlex
from pathlib import Path

from repinv.app.explore.photographs import DIGIT, Photograph
from repinv.app.explore.session import Settings
from repinv.app.images import channels_of
from repinv.encoders import expressions


def as_python(settings: Settings) -> str:
    """Python that finds what the page shows, and draws it."""
    encoder = expressions.parse(settings.expression)
    channels = channels_of(encoder, color=False)
    height, width = settings.shape
    network = ["import repinv_cnn"] if settings.flavour not in expressions.FLAVOURS else []
    lines = ["import numpy as np", "import repinv", *network]
    lines += [*_imports(settings.photograph, channels), ""]
    lines += _read(settings.photograph, channels)
    lines += [
        f"image = transform.resize(image, ({height}, {width}), anti_aliasing=True)",
        "image = image.clip(0, 1).astype(np.float32)",
        "",
        f"encoder = {_constructor(settings.expression)}",
    ]
    scaled = "image" if encoder.value_range == (0.0, 1.0) else f"{encoder.value_range[1]:g} * image"
    prior = f", prior={settings.learned!r}" if settings.learned else ""
    lines += [
        "result = repinv.invert(",
        f"    encoder({scaled}), encoder, shape=image.shape,",
        f"    max_iter={settings.max_iter}, seed={settings.seed}{prior},",
        ")",
        "print(result)",
        "result.plot(image).savefig('figure.png')",
    ]
    return "\n".join(lines) + "\n"


def as_command(settings: Settings) -> str:
    """Commands of a shell that find what the page shows, and draw it."""
    photograph, lines = settings.photograph, []
    name, side = photograph.name, photograph.side
    if settings.shape != photograph.pixels.shape[:2]:
        side = max(settings.shape)
        lines.append(f"# of an image of {settings.shape[0]}x{settings.shape[1]} pixels")
    if photograph.origin == "sample":
        name = f"{name}.png"
        lines.append(f"python -c {shlex.quote(_written(photograph.name, name))}")
    elif photograph.origin == "array":
        name = "image.png"
        lines.append(f"# {name}: the image that repinv.explore was given")
    prior = f" --prior {settings.learned}" if settings.learned else ""
    lines.append(
        f"repinv invert {shlex.quote(name)} --encoder {shlex.quote(settings.expression)}"
        f" --size {side} --max-iter {settings.max_iter} --seed {settings.seed}{prior}"
        " --out preimage.png --figure figure.png"
    )
    return "\n".join(lines) + "\n"


def _imports(photograph: Photograph, channels: int) -> list[str]:
    """The imports that `_read` and resizing need."""
    names = ["transform"]
    if photograph.origin == "sample" and photograph.name != DIGIT:
        names.append("data")
    if photograph.origin == "file":
        names.append("io")
    if photograph.pixels.ndim == 3 and channels == 1:
        names.append("color")
    if photograph.pixels.ndim == 2 and channels == 3:
        names.append("color")
    found = [f"from skimage import {', '.join(sorted(names))}"]
    if photograph.origin == "sample" and photograph.name == DIGIT:
        found.append("from sklearn.datasets import load_digits")
    return found


def _read(photograph: Photograph, channels: int) -> list[str]:
    """Statements that set `image`."""
    if photograph.origin == "array":
        lines = ["# image: what repinv.explore was given"]
        given = "image"
    elif photograph.origin == "file":
        lines, given = [], f"io.imread({photograph.name!r})"
    elif photograph.name == DIGIT:
        lines = ["digits = load_digits()"]
        lines.append("image = digits.images[digits.target == 3][0] / 16")
        given = "transform.resize(image, (32, 32), order=3, mode='edge').clip(0, 1)"
    else:
        lines, given = [], f"data.{photograph.name}()"
    if photograph.pixels.ndim == 3 and channels == 1:
        given = f"color.rgb2gray({given})"
    if photograph.pixels.ndim == 2 and channels == 3:
        given = f"color.gray2rgb({given})"
    return [*lines, *([f"image = {given}"] if given != "image" else [])]


def _written(sample: str, name: str) -> str:
    """One line of Python that writes a sample to a file."""
    if sample == DIGIT:
        return (
            "import repinv.io.files as f, repinv.app.study.images as i; "
            f'f.write("{name}", i.digit("3"))'
        )
    return f'from skimage import data, io; io.imsave("{Path(name)}", data.{sample}())'


def _constructor(expression: str) -> str:
    """The call of a public constructor that an encoder expression stands for."""
    flavour, _, arguments = expression.partition("(")
    arguments = arguments or ")"
    if flavour in expressions.FLAVOURS:
        public, method = expressions.FLAVOURS[flavour]
        return f"repinv.{public}.{method}({arguments}"
    return f"repinv_cnn.from_digits({arguments}"
