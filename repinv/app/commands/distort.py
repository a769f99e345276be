"""``repinv distort``: the changes of an image that a representation notices most and least."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

import repinv
from repinv.app.commands.keypoints import KEYPOINTS, Named, encoder_or_none, made_of
from repinv.app.commands.options import COLOR, JSON, QUIET, SEED, SIZE, file_option
from repinv.app.commands.outputs import Outputs

#: How often an image of a walk is shown in a movie, which has 15 pictures a second.
_SHOWN = 4


@click.command(short_help="Find what a representation notices most and least of an image.")
@click.argument("source", metavar="IMAGE", type=click.Path(path_type=Path))
@click.option(
    "--encoder",
    "-e",
    required=True,
    callback=encoder_or_none,
    metavar="EXPR",
    help="Flavour and options: dsift.vlfeat, or 'hog.vlfeat(cell_size=4)'. 'repinv encoders' lists "
    "them.",
)
@SIZE
@COLOR
@KEYPOINTS
@click.option(
    "--largest",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="K",
    help="How many of the changes that are noticed most.",
)
@click.option(
    "--smallest",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="K",
    help="How many of the changes that are noticed least.",
)
@click.option(
    "--method",
    type=click.Choice(["auto", "exact", "lanczos", "lobpcg"]),
    default="auto",
    show_default=True,
    help="Singular values of the whole Jacobian, or products with it.",
)
@click.option(
    "--max-iter",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Products with the Jacobian and its transpose.",
)
@file_option(
    "--out",
    "-o",
    "Write the changes and their eigenvalues: .npz.",
)
@file_option(
    "--figure",
    "-f",
    "Draw the image and its changes: .png, .pdf or .svg.",
)
@file_option(
    "--movie",
    "-m",
    "Write a movie of images that change along the first of the changes noticed least, while "
    "their features stay the same: .gif, or .mp4 where imageio-ffmpeg is installed.",
)
@click.option(
    "--amount",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    metavar="D",
    help="Of the movie: root mean square difference at which it ends, pixels being in [0, 1].",
)
@click.option(
    "--tol",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    default=1e-3,
    show_default=True,
    metavar="E",
    help="Of the movie: relative feature error that no image exceeds.",
)
@SEED
@JSON
@QUIET
def distort(
    source: Path,
    encoder: Named,
    size: int | None,
    color: bool,
    keypoints: Path | None,
    largest: int,
    smallest: int,
    method: str,
    max_iter: int,
    out: Path | None,
    figure: Path | None,
    movie: Path | None,
    amount: float,
    tol: float,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find the changes of an image that a representation notices most and least.

    \b
    Examples:
      repinv distort cat.jpg -e hog.vlfeat --largest 2 --smallest 2 --figure changes.png
      repinv distort cat.jpg -e 'hog.vlfeat(bilinear_orientations=True)' --movie unseen.gif
    """  # noqa: D301
    outputs = Outputs(source, out, figure, movie)
    if out is not None and not outputs.is_whole:
        raise click.UsageError("--out of distort is a .npz, which holds all of them.")
    if movie is not None and not smallest:
        raise click.UsageError("--movie follows a change that is noticed least; set --smallest 1.")
    from repinv.app import images

    expression, made = made_of(encoder, keypoints, source, size)
    photograph = images.photograph(source, images.channels_of(made, color=color), size)
    found = repinv.eigendistortions(
        made,
        photograph,
        largest=largest,
        smallest=smallest,
        method=method,
        seed=seed,
        max_iter=max_iter,
    )
    report: dict[str, Any] = {
        "source": str(source),
        "shape": list(found.image.shape),
        "eigenvalues": found.eigenvalues.tolist(),
        "residuals": found.residuals.tolist(),
        "n_largest": found.n_largest,
        "method": found.method,
        "encodings": found.encodings,
        "pullbacks": found.pullbacks,
        "seconds": found.seconds,
        "notes": list(found.notes),
    }
    if out is not None:
        found.save(out)
    if figure is not None:
        from repinv.plot import figures

        figures.save(found.plot(), figure)
    if movie is not None:
        walk = repinv.walk(photograph, made, found.smallest[0], amount, tol=tol, seed=seed)
        _write_movie(walk, movie)
        report["walk"] = {
            "distances": walk.distances.tolist(),
            "errors": walk.errors.tolist(),
            "evaluations": walk.evaluations,
            "stop_reason": walk.stop_reason,
        }
        report["notes"] += walk.notes
    report["files"] = [str(path) for path in (out, figure, movie) if path is not None]
    if as_json:
        click.echo(json.dumps({"encoder": expression, **report}))
    elif not quiet:
        click.echo(_summary(report))


def _write_movie(walk: repinv.Walk, path: Path) -> None:
    """A movie of a walk, each image shown for a while."""
    import numpy as np

    from repinv.app.movie import Movie

    film = Movie()
    for image in walk.images:
        film.frames += [np.round(255 * image).astype(np.uint8)] * _SHOWN
    film.write(path, walk.image)


def _summary(report: dict[str, Any]) -> str:
    """What was found in a few lines."""
    from repinv.io.tables import percent

    values, split = report["eigenvalues"], report["n_largest"]
    lines = [
        f"noticed {name}: eigenvalues {', '.join(f'{value:.3g}' for value in part)}"
        for name, part in (("most", values[:split]), ("least", values[split:]))
        if part
    ]
    lines.append(
        f"by {report['method']}, {report['encodings']} encodings and {report['pullbacks']} "
        f"pullbacks in {report['seconds']:.2f} s"
    )
    if "walk" in report:
        walk = report["walk"]
        lines.append(
            f"walked to a root mean square difference of {walk['distances'][-1]:.3g}, relative "
            f"feature errors up to {percent(max(walk['errors']), 2)}, in {walk['evaluations']} "
            "evaluations"
        )
    lines += report["notes"] + [f"wrote {path}" for path in report["files"]]
    if not report["files"]:
        lines.append("nothing is written: --out FILE keeps the changes, --figure FILE draws them")
    return "\n".join(lines)
