"""Inversion, maximization and caricatures of networks, beside what others do, on one thread.

    python benchmarks/cnn.py [FOLDER OF PHOTOGRAPHS] [--limit N] [--only SECTION] [--json FILE]

Sections: `layers` (ResNet-20, trained on CIFAR-10, against Adam in pixels, Adam with the settings
of Lucid, and momentum at its best step), `imagenet` (AlexNet and VGG-16 of torchvision with random
weights), `overhead` (a whole inversion over the bare passes of the same truncated model),
`classes`, and `caricatures`. Every method gets the same evaluations.
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import copy
import functools
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import torch
from networks import torchvision_module
from report import Report
from resnet20 import CLASSES, resnet20
from skimage.transform import resize
from torch import nn

import repinv
import repinv_cnn
from repinv import metrics
from repinv.io import files
from repinv.io.image import as_unit
from repinv.tasks.mahendran import mahendran
from repinv.variables.colour import NATURAL_COLOURS

torch.set_num_threads(1)
IMAGENET = repinv_cnn.Preprocess.imagenet()
LAYERS = ("layer1.2", "layer2.2", "layer3.0", "layer3.2")
RANGE = (repinv.Weighted("range", 1e-2, repinv.IntensityRange()),)
STEPS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def photographs(folder: Path, size: int, limit: int | None) -> np.ndarray:
    """Photographs (N, H, W, 3) in [0, 1], resized without aliasing."""
    found = []
    for path in inversions.paths(folder)[:limit]:
        image = as_unit(files.read(path))
        image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)
        found.append(resize(image, (size, size), anti_aliasing=True).astype(np.float32))
    return np.stack(found)


class Sigmoid:
    """x = sigmoid(z): how pixels are kept in range where Adam turns them."""

    def vjp(self, z: Any, iteration: int = 0, /) -> tuple[Any, Callable[[Any], Any]]:
        """x and its pullback."""
        x = 1 / (1 + np.exp(-z))
        return x, lambda v: v * x * (1 - x)

    def image(self, z: Any, /) -> Any:
        """The images."""
        return self.vjp(z)[0]


class Lucid:
    """Fourier coefficients z (N, 3, H, W // 2 + 1, 2), decorrelated colours and a sigmoid.

    As Lucid's defaults have it: scaled by 1 / max(f, 1 / side) and the root of the pixels, a
    quarter of it; colours are mixed by our matrix with columns of norm one at most.
    """

    def __init__(self, size: int) -> None:
        frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
        self.size = size
        self.scale = (size / 4 / np.maximum(frequency, 1 / size)).astype(np.float32)
        colours = np.array(NATURAL_COLOURS, np.float32)
        self.colours = colours / np.linalg.norm(colours, axis=0).max()
        # irfft2 counts all columns but the first (and the last of even sides) twice.
        self.count = np.full(frequency.shape[1], 2, np.float32)
        self.count[[0, -1] if size % 2 == 0 else [0]] = 1

    def vjp(self, z: Any, iteration: int = 0, /) -> tuple[Any, Callable[[Any], Any]]:
        """x and its pullback."""
        spectrum = self.scale * (z[..., 0] + 1j * z[..., 1])
        y = scipy.fft.irfft2(spectrum, s=(self.size, self.size))
        y = np.einsum("cd,ndhw->nchw", self.colours, y)
        x = (1 / (1 + np.exp(-y))).astype(np.float32)

        def pullback(v: Any) -> Any:
            g = np.einsum("cd,nchw->ndhw", self.colours, v * x * (1 - x))
            g = scipy.fft.rfft2(g) * (self.scale * self.count / self.size**2)
            return np.stack([g.real, g.imag], axis=-1).astype(np.float32)

        return x, pullback

    def image(self, z: Any, /) -> Any:
        """The images."""
        return self.vjp(z)[0]


def minimized(
    encoder: repinv.Encoder, targets: Any, space: Any, rule: Any, z: Any, max_iter: int, priors: Any
) -> np.ndarray:
    """Images (N, C, H, W) of one method, all photographs in lockstep."""
    energy = repinv.Energy(encoder, repinv.SquaredError(targets), space, priors)
    found = repinv.minimize(energy.value_and_grad, z, rule, max_iter=max_iter)
    return np.clip(space.image(found.z), 0, 1)


def methods(size: int, max_iter: int) -> dict[str, Callable[[Any, Any], np.ndarray]]:
    """Every method: (encoder, targets) → images (N, C, H, W)."""

    def noise(count: int) -> np.ndarray:
        draws = [
            np.random.default_rng((0, k)).standard_normal((3, size, size)) for k in range(count)
        ]
        return np.stack(draws).astype(np.float32)

    def ours(encoder: Any, targets: Any) -> np.ndarray:
        shape = (size, size, 3)
        found = [repinv.invert(t, encoder, shape=shape, max_iter=max_iter).image for t in targets]
        return np.moveaxis(np.stack(found), -1, 1)

    def adam_pixels(encoder: Any, targets: Any) -> np.ndarray:
        z = 0.1 * noise(len(targets))
        return minimized(encoder, targets, Sigmoid(), repinv.Adam(0.05), z, max_iter, ())

    def adam_lucid(encoder: Any, targets: Any) -> np.ndarray:
        drawn = np.random.default_rng(0)
        z = 0.01 * drawn.standard_normal((len(targets), 3, size, size // 2 + 1, 2), np.float32)
        return minimized(encoder, targets, Lucid(size), repinv.Adam(0.05), z, max_iter, ())

    def momentum(step: float) -> Callable[[Any, Any], np.ndarray]:
        def run(encoder: Any, targets: Any) -> np.ndarray:
            options = mahendran((size, size), max_iter)
            rule = options["solver"]
            schedule = tuple((step * one, length) for one, length in rule.schedule)
            space = options["parametrization"]
            z = space.start(noise(len(targets)))
            rule = repinv.Momentum(schedule)
            return minimized(encoder, targets, space, rule, z, max_iter, options["priors"])

        return run

    found = {"ours": ours, "Adam, pixels": adam_pixels, "Adam, Lucid": adam_lucid}
    return found | {f"momentum {step:g}": momentum(step) for step in STEPS}


def compared(encoder: Any, images: np.ndarray, max_iter: int) -> dict[str, dict[str, float]]:
    """Mean and median error, NCC and SSIM of every method; momentum at its best step."""
    x = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    targets = np.concatenate([encoder.encode(one[None]) for one in x])
    table = {}
    for name, method in methods(images.shape[1], max_iter).items():
        with np.errstate(over="ignore", invalid="ignore"):
            found = method(encoder, targets)
        found = np.nan_to_num(found, nan=0.5)
        features = np.concatenate([encoder.encode(one[None]) for one in found])
        error = metrics.feature_error(features, targets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constant images, where a method diverged
            pairs = [(np.moveaxis(a, 0, -1), b) for a, b in zip(found, images, strict=True)]
            table[name] = {
                "error": float(error.mean()),
                "median": float(np.median(error)),
                "ncc": float(np.nanmean([metrics.ncc(a, b) for a, b in pairs])),
                "ssim": float(np.mean([metrics.ssim(a, b) for a, b in pairs])),
            }
    steps = [name for name in table if name.startswith("momentum")]
    best = min(steps, key=lambda name: table[name]["error"])
    kept = {name: row for name, row in table.items() if name not in steps}
    return kept | {"momentum, best step": table[best]}


def tabulate(report: Report, title: str, table: dict[str, dict[str, float]]) -> None:
    """Add one layer's table to a report."""
    report.table(title, "error, %", "median", "NCC", "SSIM", "error over ours")
    for name, row in table.items():
        report.row(
            name,
            f"{100 * row['error']:.4g}",
            f"{100 * row['median']:.4g}",
            f"{row['ncc']:.3f}",
            f"{row['ssim']:.3f}",
            f"{row['error'] / table['ours']['error']:.1f}",
        )


def layers(report: Report, folder: Path, limit: int | None) -> None:
    """ResNet-20 at 32x32, 300 evaluations."""
    images = photographs(folder, 32, limit)
    for layer in LAYERS:
        tabulate(
            report,
            f"ResNet-20 {layer}, {len(images)} photographs, 300 evaluations",
            compared(repinv_cnn.TorchEncoder(resnet20(), layer, IMAGENET), images, 300),
        )


def imagenet(report: Report, folder: Path, limit: int | None) -> None:
    """torchvision's AlexNet and VGG-16 with random weights at 224x224."""
    images = photographs(folder, 224, min(limit or 2, 2))
    torch.manual_seed(0)
    torchvision_module()
    for network, layer, max_iter in (
        ("alexnet", "relu2", 300),
        ("alexnet", "relu3", 300),
        ("alexnet", "mpool5", 300),
        ("vgg16", "relu2_2", 100),
    ):
        encoder = repinv_cnn.from_torchvision(network, layer, weights=None)
        these = images[:1] if network == "vgg16" else images
        title = (
            f"{network} {layer}, random weights, {len(these)} photographs, {max_iter} evaluations"
        )
        tabulate(report, title, compared(encoder, these, max_iter))


def overhead(report: Report, folder: Path, limit: int | None) -> None:
    """Seconds of a whole inversion over those of its bare forward and backward passes."""
    report.table("A whole inversion over its bare forward and backward passes", "times")
    for name, net, encoder, shape, max_iter in models("cpu"):
        for count in (1, 16) if shape[0] < 100 else (1,):
            # A turn on one small image takes a second or two, in which the machine may do other
            # things.
            turns = 11 if count * shape[0] < 100 else 3
            ratio, _ = turned(net, encoder, shape, count, max_iter, turns)
            report.row(f"{name}, batch {count}", f"{ratio:.2f}")


def turned(
    net: Any, encoder: Any, shape: tuple[int, int], count: int, max_iter: int, turns: int
) -> tuple[float, float]:
    """Time of an inversion over that of its passes, in turns, and seconds of one: medians."""
    x = torch.rand((count, 3, *shape), device=encoder.device)
    target = encoder.encode(x)
    cotangent = torch.ones_like(target)
    mean, std = (x.new_tensor(v)[:, None, None] for v in (IMAGENET.mean, IMAGENET.std))

    def bare() -> None:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(net((leaf - mean) / std), leaf, cotangent)

    def seconds(function: Callable[[], object], times: int = 1) -> float:
        began = time.perf_counter()
        for _ in range(times):
            function()
        if x.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - began

    whole = functools.partial(
        repinv.invert, target[0], encoder, shape=shape, n_preimages=count, max_iter=max_iter
    )
    seconds(bare, 3)
    if x.is_cuda:
        whole()  # kernels are chosen, and some compiled, once
    found = []
    for _ in range(turns):
        before = seconds(bare, max_iter // 2)
        inverted = seconds(whole)
        passes = before + seconds(bare, max_iter - max_iter // 2)
        found.append((inverted / passes, inverted))
    ratio, taken = np.median(found, axis=0)
    return float(ratio), float(taken)


def models(device: str) -> Iterator[tuple[str, nn.Module, Any, tuple[int, int], int]]:
    """(name, truncated model, encoder, shape, evaluations)."""
    net = resnet20().requires_grad_(False)
    cut = nn.Sequential(net.conv1, net.bn1, nn.ReLU(), net.layer1, net.layer2).to(device)
    encoder = repinv_cnn.TorchEncoder(net, "layer2.2", IMAGENET, device=device)
    yield "ResNet-20 layer2.2", cut, encoder, (32, 32), 300
    torchvision_module()  # declared where its operators are missing
    for network, max_iter in (("alexnet", 300), ("vgg16", 100)):
        encoder = repinv_cnn.from_torchvision(
            network,
            "features.12" if network == "alexnet" else "pool5",
            weights=None,
            device=device,
        )
        cut = copy.deepcopy(encoder.module.features).requires_grad_(False).to(device)
        yield f"{network} pool5", cut, encoder, (224, 224), max_iter


def naturalness(images: np.ndarray) -> tuple[float, float]:
    """Share of energy above half of the band, and mean total variation, of (N, H, W, C)."""
    x = np.moveaxis(images, -1, 1)
    power = np.abs(np.fft.fft2(x - x.mean(axis=(-2, -1), keepdims=True))) ** 2
    frequency = np.hypot(np.fft.fftfreq(x.shape[-2])[:, None], np.fft.fftfreq(x.shape[-1]))
    shares = power[..., frequency > 0.25].sum(axis=(1, 2)) / power.sum(axis=(1, 2, 3))
    variation = np.abs(np.diff(x, axis=-1)).mean() + np.abs(np.diff(x, axis=-2)).mean()
    return float(shares.mean()), float(variation)


def classes(report: Report, folder: Path, limit: int | None) -> None:
    """The ten classes of ResNet-20."""
    images = photographs(folder, 32, limit)
    encoder = repinv_cnn.TorchEncoder(resnet20(), "linear", IMAGENET)
    found, certainty = [], []
    for number in range(len(CLASSES)):
        result = repinv.maximize(encoder, number, shape=(32, 32), images=images)
        logits = encoder.encode(np.moveaxis(result.image, -1, 0)[None])
        certainty.append(float(torch.softmax(torch.from_numpy(logits), 1)[0, number]))
        found.append(result.image)
    shares, of_photographs = naturalness(np.stack(found)), naturalness(images)
    report.table("The ten classes of ResNet-20, excited", "ours", "photographs", "ratio")
    for name, a, b in zip(
        ("share of high frequencies", "total variation"), shares, of_photographs, strict=True
    ):
        report.row(name, f"{a:.4f}", f"{b:.4f}", f"{a / b:.2f}")
    report.note(f"Probabilities of the classes: {', '.join(f'{p:.4f}' for p in certainty)}.")


def caricatures(report: Report, folder: Path, limit: int | None) -> None:
    """ResNet-20 layer2.2: gain of the inner product, and likeness to the photograph."""
    images = photographs(folder, 32, limit)
    encoder = repinv_cnn.TorchEncoder(resnet20(), "layer2.2", IMAGENET)
    report.table("Caricatures at ResNet-20 layer2.2, by strength", "response", "SSIM")
    for strength in (0.25, 0.5, 0.75, 1.0):
        rows = []
        for image in images:
            result = repinv.caricature(image, encoder, strength=strength)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows.append((result.response[0], metrics.ssim(result.image, image)))
        report.row(str(strength), *(f"{value:.3f}" for value in np.mean(rows, axis=0)))


SECTIONS = {f.__name__: f for f in (layers, imagenet, overhead, classes, caricatures)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=inversions.FOLDER)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--only", choices=sorted(SECTIONS), action="append")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = Report(
        "Networks",
        "A ResNet-20 trained on CIFAR-10, and "
        "torchvision's networks with random weights: repinv's defaults, Adam in pixels, Adam with "
        "the settings of Lucid, and momentum at the best of five steps. Every method gets the same "
        "evaluations, on one thread.",
    )
    for name, section in SECTIONS.items():
        if not options.only or name in options.only:
            section(report, options.folder, options.limit)
    report.write(options.json)
