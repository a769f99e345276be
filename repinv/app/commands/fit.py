"""``repinv fit``: learn a dictionary, an inverter or a vocabulary from a folder of images."""

from __future__ import annotations

import importlib.metadata
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repinv.app.commands.options import QUIET, encoder_of

if TYPE_CHECKING:
    import numpy as np

    from repinv.encoders.base import Encoder

#: Broken images that are listed by name; the others are counted.
_NAMED = 5
#: Group of entry points that learn with what repinv itself does not import.
_LEARNERS = "repinv.learners"
#: Pixels a side of the scenes that restorers are learned from.
_SCENE = 128
KINDS = ("hoggle", "bovw", "ridge", "nearest", "lda", "paired", "direct", "restorer")


class Folder:
    """Gray images of a folder and those below it, read one at a time in a random order.

    Parameters
    ----------
    folder : Path
    max_side : int
        Larger images are made smaller.
    passes, seed : int
        Times that all are read, each time in another order.

    Attributes
    ----------
    broken : dict of Path to str
        Files that could not be read, and why.
    read : int
        Images that were read.
    interrupted : bool
        Whether iteration ended before the images did.
    """

    def __init__(self, folder: Path, max_side: int, passes: int, seed: int) -> None:
        from repinv.io.streams import image_paths

        self.paths = image_paths(folder)
        self.folder, self.max_side, self.passes, self.seed = folder, max_side, passes, seed
        self.broken: dict[Path, str] = {}
        self.read = 0
        self.interrupted = False
        self._stop = False

    def __len__(self) -> int:
        return len(self.paths) * self.passes

    def stop(self, *_: object) -> None:
        """End after the current image; on a second call, at once."""
        if self._stop:
            raise KeyboardInterrupt
        self._stop = True

    def __iter__(self) -> Iterator[np.ndarray]:
        import numpy as np

        rng = np.random.default_rng(self.seed)
        for _ in range(self.passes):
            for index in rng.permutation(len(self.paths)):
                if self._stop:
                    self.interrupted = True
                    return
                path = self.paths[index]
                if path in self.broken:
                    continue
                try:
                    image = self._image(path)
                except (OSError, ValueError, TypeError) as error:
                    self.broken[path] = str(error)
                    continue
                self.read += 1
                yield image
        if not self.read:
            path, why = next(iter(self.broken.items()))
            raise ValueError(
                f"none of the {len(self.paths)} images in {self.folder} can be read. {path}: {why}"
            )

    def readable(self, least: int) -> list[Path]:
        """Files that can be read, of images with at least so many pixels a side."""
        found = []
        for path in self.paths:
            try:
                height, width = self._image(path).shape
            except (OSError, ValueError, TypeError) as error:
                self.broken[path] = str(error)
                continue
            if min(height, width) < least:
                self.broken[path] = f"{height}x{width} pixels are less than {least} a side"
            else:
                found.append(path)
        self.read = len(found)
        return found

    def _image(self, path: Path) -> np.ndarray:
        import numpy as np
        from skimage.transform import rescale

        from repinv.io import files
        from repinv.io.image import as_unit, to_gray

        unit = as_unit(files.read(path))
        image = to_gray(unit) if unit.ndim == 3 else unit
        factor = self.max_side / max(image.shape)
        if factor < 1:
            image = rescale(image, factor, anti_aliasing=True)
        return np.asarray(image, dtype=np.float32)


@click.command(short_help="Learn a dictionary, an inverter or a vocabulary from images.")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path), metavar="FILE", help="An .npz."
)
@click.option(
    "--encoder",
    "-e",
    callback=lambda *given: None if given[2] is None else encoder_of(*given),
    metavar="EXPR",
    help="Whose features. By default hog.vlfeat, and for bovw dense SIFT as it ships.",
)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Atoms of hoggle and paired (1024), words of bovw (256), components of direct (1024), "
    "scenes of restorer (3000).",
)
@click.option(
    "--per-image",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Windows, or descriptors, to learn from in each image.",
)
@click.option(
    "--max-side",
    type=click.IntRange(min=16),
    default=512,
    show_default=True,
    metavar="PIXELS",
    help="Larger images are made smaller, to so many pixels on their longest side.",
)
@click.option(
    "--passes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Times that all images are read.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the order of images, and of the windows that are drawn from them.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of training, of restorer (3000).",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep what restorer has made and learned: the same command goes on from there.",
)
@QUIET
def fit(
    kind: str,
    folder: Path,
    out: Path,
    encoder: tuple[str, Encoder] | None,
    size: int | None,
    per_image: int,
    max_side: int,
    passes: int,
    seed: int,
    steps: int | None,
    checkpoint: Path | None,
    quiet: bool,
) -> None:
    """Learn from the images of FOLDER and all folders in it, which are read one at a time.

    Ctrl-C ends it after the current image, and the result so far is written. Images
    that cannot be read are left out, and named.

    \b
    KIND is one of
      hoggle   a paired dictionary as an encoder: --encoder 'hoggle.load("FILE")'
      bovw     a vocabulary: --encoder 'bovw.load("FILE")'
      ridge, nearest, lda, paired, direct
               inverters, for repinv.inverters.Inverter.load in Python
      restorer a prior, for repinv invert --prior FILE; needs torch. Ctrl-C ends its
               training, and what was learned by then is written

    \b
    Example:
      repinv fit hoggle photographs/ --out dictionary.npz
    """  # noqa: D301
    if out.suffix.lower() != ".npz":
        raise click.UsageError(f"--out must end in .npz; got {out}.")
    if not out.parent.is_dir():
        raise click.UsageError(f"--out: there is no folder {out.parent}.")
    images = Folder(folder, max_side, passes, seed)
    options: dict[str, Any] = {"seed": seed, "progress": sys.stderr.isatty() and not quiet}
    if kind == "restorer":
        options |= {"count": size, "steps": steps, "checkpoint": checkpoint}
        learned = _restorer(images, None if encoder is None else encoder[1], options)
        learned.save(out)
        if not quiet:
            _tell(kind, images, out)
        return
    if steps is not None or checkpoint is not None:
        raise click.UsageError(f"--steps and --checkpoint are for restorer; {kind} has neither.")
    before = signal.signal(signal.SIGINT, images.stop)
    try:
        learned = _learner(kind)(
            images, None if encoder is None else encoder[1], size, per_image, options
        )
    finally:
        signal.signal(signal.SIGINT, before)
    learned.save(out)
    if not quiet:
        _tell(kind, images, out)


def _tell(kind: str, images: Folder, out: Path) -> None:
    """Say what was learned from, and what could not be read."""
    for path, why in list(images.broken.items())[:_NAMED]:
        click.echo(f"repinv: left out {path}: {why}", err=True)
    more = len(images.broken) - _NAMED
    if more > 0:
        click.echo(f"repinv: left out {more} more that cannot be read", err=True)
    ended = ", interrupted" if images.interrupted else ""
    left = f", {len(images.broken)} left out" if images.broken else ""
    click.echo(f"{kind} of {images.read} images{left}{ended}\n  wrote {out}")


def _restorer(images: Folder, encoder: Encoder | None, options: dict[str, Any]) -> Any:
    """A restorer, learned by the package that has torch."""
    import repinv

    found = {point.name: point for point in importlib.metadata.entry_points(group=_LEARNERS)}
    try:
        learn = found["restorer"].load()
    except (KeyError, ImportError) as error:
        raise click.UsageError(
            f"restorers are learned with torch, which is missing ({error}): "
            "pip install 'repinv[cnn]'."
        ) from error
    given = {name: value for name, value in options.items() if value is not None}
    paths = images.readable(_SCENE)
    return learn(paths, encoder or repinv.HOG.vlfeat(), **given)


def _learner(kind: str) -> Callable[..., Any]:
    """(images, encoder or None, size or None, per image, options) → the fitted object."""
    import repinv
    from repinv import inverters
    from repinv.encoders.words import pretrained

    def hoggle(images: Folder, local: Any, size: Any, count: int, options: Any) -> Any:
        return repinv.HOGgle.fit(images, local, size or 1024, windows_per_image=count, **options)

    def bovw(images: Folder, local: Any, size: Any, count: int, options: Any) -> Any:
        local = pretrained.LOCAL if local is None else local
        return repinv.BoVW.fit(images, local, size or 256, descriptors_per_image=count, **options)

    def direct(images: Folder, encoder: Any, size: Any, count: int, options: Any) -> Any:
        del options["seed"]
        return inverters.DirectOptimization.fit(
            images, encoder or repinv.HOG.vlfeat(), n_components=size or 1024, **options
        )

    def paired(images: Folder, encoder: Any, size: Any, count: int, options: Any) -> Any:
        encoder = encoder or repinv.HOG.vlfeat()
        return inverters.PairedDictionary.fit(
            images, encoder, n_atoms=size or 1024, windows_per_image=count, **options
        )

    def other(cls: Any) -> Callable[..., Any]:
        def learn(images: Folder, encoder: Any, size: Any, count: int, options: Any) -> Any:
            if size is not None:
                raise click.UsageError(f"{kind} has no --size.")
            encoder = encoder or repinv.HOG.vlfeat()
            return cls.fit(images, encoder, windows_per_image=count, **options)

        return learn

    return {
        "hoggle": hoggle,
        "bovw": bovw,
        "ridge": other(inverters.Ridge),
        "nearest": other(inverters.NearestPatches),
        "lda": other(inverters.ExemplarLDA),
        "paired": paired,
        "direct": direct,
    }[kind]
