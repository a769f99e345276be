"""Layers of an ImageNet network, to the last, inverted by defaults, under random views and by Adam.

    python benchmarks/last_layers.py [FOLDER] [--every K] [--layers NAME ...] [--only METHOD ...]
                                     [--evaluations N] [--sheet PNG] [--json FILE]

Layers of EfficientNet-Lite0 near the class leave nearly all of an image undetermined. By default
an inversion reaches a small error; with `transforms="robust"` random views of the image are
compared with the target. Beside them stands what others do: Adam in the pixels, and Adam in the
parametrization of Lucid (Olah, Mordvintsev and Schubert, Feature Visualization, Distill 2017):
Fourier coefficients divided by their frequency, decorrelated colours, a sigmoid. Both see the same
features, by the module's own gradient. A judge trained apart from the network (Lite2) names the
photograph's class and then looks for it in the images found. FOLDER holds photographs, of which
every K-th is taken; without it four of scikit-image's are.

Needs the extra `bench`, whose wheels hold the weights.
"""

from __future__ import annotations

import inversions  # first: it sets the threads
import maximize as networks

# isort: split
import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from report import Report
from skimage.transform import resize

import repinv
import repinv_cnn
from repinv import metrics
from repinv.io import files, sample_images

SIDE = networks.SIDE
#: Options of `repinv.invert` by the name of a method.
METHODS: dict[str, dict[str, object]] = {"default": {}, "views": {"transforms": "robust"}}
#: Lucid's square root of the covariance of colours, a colour a row.
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
#: Step size of Adam: Lucid's.
STEP_SIZE = 0.05
COLUMNS = ("error, %", "of views, %", "rank of the class", "high", "deviation", "NCC", "CPU s")
#: Rank below which a class is among the first five.
FIRST = 5


def squares(folder: Path | None, every: int) -> dict[str, np.ndarray]:
    """Middle squares (224, 224, 3) of photographs, in [0, 1], by name."""
    if folder is None:
        batch = sample_images.photographs((3, SIDE, SIDE), whole=True)
        return dict(zip(sample_images.NAMES, np.moveaxis(batch, 1, -1), strict=True))
    found = {}
    for path in inversions.paths(folder)[::every]:
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


def pixels(rng: np.random.Generator) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Variables that are pixels, gray with a little noise at first, and what they stand for."""
    z = 0.5 + 0.01 * rng.standard_normal((1, 3, SIDE, SIDE))
    return torch.from_numpy(z.astype(np.float32)), lambda z: z.clamp(0, 1)


def lucid(rng: np.random.Generator) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Variables of Lucid's parametrization, and the image that they stand for."""
    down, across = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)
    scale = torch.from_numpy(1 / np.maximum(np.hypot(down, across), 1 / SIDE)).float()
    unit = torch.from_numpy(COLOURS / np.linalg.norm(COLOURS, axis=0).max())
    z = 0.01 * rng.standard_normal((1, 3, SIDE, SIDE // 2 + 1, 2))

    def image(z: torch.Tensor) -> torch.Tensor:
        spectrum = torch.view_as_complex(z) * scale
        x = torch.fft.irfft2(spectrum, s=(SIDE, SIDE), norm="ortho") / 4
        return torch.sigmoid(torch.einsum("rc,nchw->nrhw", unit, x))

    return torch.from_numpy(z.astype(np.float32)), image


PEERS = {"Adam, Lucid's parametrization": lucid, "Adam, pixels": pixels}


def by_adam(
    encoder: repinv_cnn.TorchEncoder, target: np.ndarray, method: str, evaluations: int
) -> np.ndarray:
    """The image (224, 224, 3) that Adam finds in the variables of a method."""
    z, image = PEERS[method](np.random.default_rng(0))
    z.requires_grad_(True)
    wanted = torch.as_tensor(target)
    layer = repinv_cnn.as_module(encoder)
    optimizer = torch.optim.Adam([z], lr=STEP_SIZE)
    for _ in range(evaluations):
        optimizer.zero_grad()
        loss = ((layer(image(z))[0] - wanted) ** 2).sum() / (wanted**2).sum()
        loss.backward()
        optimizer.step()
    return np.moveaxis(image(z.detach())[0].numpy(), 0, -1)


def inverted(
    encoder: repinv_cnn.TorchEncoder, photograph: np.ndarray, method: str, evaluations: int
) -> tuple[np.ndarray, float, float]:
    """The image of a method, its error and that of its random views, which is NaN without any."""
    target = encoder(photograph)
    if method in PEERS:
        image = by_adam(encoder, target, method, evaluations)
        error = float(metrics.feature_error(encoder(image)[None], target[None])[0])
        return image, error, np.nan
    result = repinv.invert(
        target, encoder, shape=(SIDE, SIDE), max_iter=evaluations,
        **METHODS[method],  # type: ignore[arg-type]
    )  # fmt: skip
    of_views = np.nan if result.view_error is None else float(result.view_error[0])
    return result.image, float(result.error[0]), of_views


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--every", type=int, default=3, metavar="K")
    parser.add_argument("--layers", nargs="+", default=["_avg_pooling"], metavar="NAME")
    parser.add_argument("--only", nargs="+", default=[*METHODS, *PEERS], metavar="METHOD")
    parser.add_argument("--evaluations", type=int, default=400, metavar="N")
    parser.add_argument("--sheet", type=Path, metavar="PNG")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    report = Report(
        "Layers of an ImageNet network, to the last",
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
        for name in options.only:
            report.table(f"{layer}, {name}", *COLUMNS)
            rows, images = [], []
            for label, photograph in photographs.items():
                began = time.process_time()
                image, error, of_views = inverted(encoder, photograph, name, options.evaluations)
                seconds = time.process_time() - began
                images.append(image)
                gray = [x.mean(axis=-1) for x in (image, photograph)]
                row = [
                    100 * error, 100 * of_views, rank(judge, image, photograph),
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
