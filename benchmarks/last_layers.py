"""The last layers of an ImageNet network, inverted with and without random views.

    python benchmarks/last_layers.py [FOLDER] [--every K] [--layers NAME ...]
                                     [--evaluations N] [--sheet PNG] [--json FILE]

Layers of EfficientNet-Lite0 near the class leave nearly all of an image undetermined. By default
an inversion reaches a small error with a pattern in which nobody sees the subject; with
`transforms="robust"` random views of the image are compared with the target. A judge trained apart
from the network (Lite2) names the photograph's class and then looks for it in the images found.
FOLDER holds photographs, of which every K-th is taken; without it four of scikit-image's are.

Needs the extra `bench`, whose wheels hold the weights.
"""

from __future__ import annotations

import maximize as networks  # first: it sets the threads

# isort: split
import argparse
import time
from pathlib import Path

import numpy as np
import torch
from report import Report
from skimage.transform import resize

import repinv
from repinv import metrics
from repinv.io import files, sample_images

SIDE = networks.SIDE
#: Options of `repinv.invert` by the name of a method.
METHODS: dict[str, dict[str, object]] = {"default": {}, "views": {"transforms": "robust"}}
COLUMNS = ("error, %", "of views, %", "rank of the class", "high", "deviation", "NCC", "CPU s")
#: Rank below which a class is among the first five.
FIRST = 5


def squares(folder: Path | None, every: int) -> dict[str, np.ndarray]:
    """Middle squares (224, 224, 3) of photographs, in [0, 1], by name."""
    if folder is None:
        batch = sample_images.photographs((3, SIDE, SIDE), whole=True)
        return dict(zip(sample_images.NAMES, np.moveaxis(batch, 1, -1), strict=True))
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpeg", ".jpg", ".png"))
    found = {}
    for path in paths[::every]:
        image = files.read(path)
        image = np.stack([image] * 3, axis=-1) if image.ndim == 2 else image[..., :3]
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = image[top : top + side, left : left + side].astype(np.float32)
        unit = square / (255 if image.dtype == np.uint8 else 1)
        found[path.stem] = resize(unit, (SIDE, SIDE), anti_aliasing=True).astype(np.float32)
    return found


def rank(judge: torch.nn.Module, image: np.ndarray, photograph: np.ndarray) -> int:
    """How many classes the judge finds likelier in an image than the photograph's class."""
    seen = [torch.from_numpy(np.moveaxis(x, -1, 0)[None].copy()) for x in (image, photograph)]
    found, expected = (networks.probabilities(judge, x.float(), 260)[0] for x in seen)
    return int((found > found[expected.argmax()]).sum())


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--every", type=int, default=3, metavar="K")
    parser.add_argument("--layers", nargs="+", default=["_avg_pooling"], metavar="NAME")
    parser.add_argument("--evaluations", type=int, default=400, metavar="N")
    parser.add_argument("--sheet", type=Path, metavar="PNG")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    report = Report(
        "The last layers of an ImageNet network",
        "The error of the image itself and its mean over random views; how many classes a judge "
        "trained apart (EfficientNet-Lite2) finds likelier than the photograph's; share of energy "
        "above half of the band (photographs: about .05); standard deviation of the pixels; NCC "
        "with the photograph; seconds of one core.",
    )
    net, judge = networks.lite(0), networks.lite(2)
    photographs = squares(options.folder, options.every)
    columns = [list(photographs.values())]
    for layer in options.layers:
        encoder = networks.encoder_of(net, layer)
        for name, more in METHODS.items():
            report.table(f"{layer}, {name}", *COLUMNS)
            rows, images = [], []
            for label, photograph in photographs.items():
                began = time.process_time()
                result = repinv.invert(
                    encoder(photograph), encoder, shape=(SIDE, SIDE),
                    max_iter=options.evaluations, **more,  # type: ignore[arg-type]
                )  # fmt: skip
                seconds, image = time.process_time() - began, result.image
                images.append(image)
                of_views = np.nan if result.view_error is None else 100 * result.view_error[0]
                gray = [x.mean(axis=-1) for x in (image, photograph)]
                row = [
                    100 * result.error[0], of_views, rank(judge, image, photograph),
                    networks.high_share(image), image.std(), metrics.ncc(*gray), seconds,
                ]  # fmt: skip
                rows.append(row)
                report.row(label, *map(_cell, row))
            report.row("median", *map(_cell, np.median(rows, axis=0)))
            first = sum(row[2] < FIRST for row in rows)
            report.note(f"The class is among the judge's first five in {first} of {len(rows)}.")
            columns.append(images)
    if options.sheet is not None:
        ordered = [image for row in zip(*columns, strict=True) for image in row]
        networks.sheet(ordered, len(columns), options.sheet)
    report.write(options.json)


def _cell(value: float) -> str:
    """A number of a table."""
    return "" if np.isnan(value) else f"{value:.3g}"


if __name__ == "__main__":
    main()
