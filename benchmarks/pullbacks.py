"""What each way of pulling a network back is worth, on one thread of a CPU.

    python benchmarks/pullbacks.py [--only NAME ...] [--turns N] [--json FILE]

A whole inversion by `TorchEncoder` with: the module run under torch's autograd (surrogate slopes
put in as rectifiers are called), the same with weights and maps in channels-last layout, its traced
graph with batch norms folded under autograd, and that graph pulled back step by step, which is what
ships. And ``torch.compile``, by single evaluations, since
every width of surrogate slopes is compiled anew. In turns, in one process; medians. Needs the
extra `zoo`, and `efficientnet_lite_pytorch` for EfficientNet-Lite0.
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import functools
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch._functorch.config
from networks import torchvision_model, torchvision_module
from report import Report
from resnet20 import resnet20
from torch import nn

import repinv
import repinv_cnn
from repinv_cnn._graph.agreement import Way, laid_out
from repinv_cnn._graph.tape import pulled

assert inversions
torch.set_num_threads(1)
torch._functorch.config.donated_buffer = False  # pullbacks are called more than once
warnings.simplefilter("ignore")
IMAGENET = repinv_cnn.Preprocess.imagenet()


def lite0() -> nn.Module:
    """EfficientNet-Lite0 with random weights."""
    from efficientnet_lite_pytorch import EfficientNet

    found: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return found


def vit() -> nn.Module:
    """A small vision transformer with random weights."""
    torchvision_module()  # which timm imports
    import timm

    return timm.create_model("vit_tiny_patch16_224", pretrained=False)


#: Module, layer, side of the images, evaluations of an inversion.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, int, int]] = {
    "ResNet-20 layer2.2": (resnet20, "layer2.2", 32, 100),
    "AlexNet pool5": (lambda: torchvision_model("alexnet"), "features.12", 224, 40),
    "VGG-16 pool5": (lambda: torchvision_model("vgg16"), "features.30", 224, 20),
    "EfficientNet-Lite0 _blocks.8": (lite0, "_blocks.8", 224, 40),
    "ViT-tiny blocks.5": (vit, "blocks.5", 224, 40),
}


class ByAutograd:
    """A function of a graph, pulled back by torch's autograd."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __call__(self, x: Any) -> Any:
        """Outputs."""
        return self._function(x)

    def vjp(self, x: Any) -> Any:
        """Outputs and pullback."""
        return pulled(self._function, x)


def ways(encoder: repinv_cnn.TorchEncoder) -> dict[str, Callable[[float, bool], Any]]:
    """Functions of (width, is_before) for every way, the slowest first."""
    found = encoder._ways
    graph, last = Way(True, True), Way(False, True)

    def by_autograd(width: float, is_before: bool) -> Any:
        return ByAutograd(found._build(graph, width, is_before))

    return {
        "module, autograd": found.reference.variant,
        "channels last": lambda width, is_before: found._build(last, width, is_before),
        "graph, autograd": by_autograd,
        "graph, step by step": lambda width, is_before: found._build(graph, width, is_before),
    }


#: What is compared with what ships, the last of `ways`.
OTHERS = ("module, autograd", "channels last", "graph, autograd")


def evaluations(function: Any, maps: Any, count: int) -> float:
    """Seconds of some evaluations."""
    outputs, pullback = function.vjp(maps)
    pullback(outputs)
    began = time.perf_counter()
    for _ in range(count):
        outputs, pullback = function.vjp(maps)
        pullback(outputs)
    return time.perf_counter() - began


def inverted(encoder: Any, target: Any, side: int, max_iter: int) -> float:
    """Seconds of an inversion."""
    began = time.perf_counter()
    repinv.invert(target, encoder, shape=(side, side), max_iter=max_iter)
    return time.perf_counter() - began


def compared(name: str, turns: int) -> tuple[dict[str, float], float, float]:
    """Seconds of an inversion by each way; and of evaluations, as it ships and compiled."""
    make, layer, side, max_iter = NETWORKS[name]
    torch.manual_seed(0)
    encoder = repinv_cnn.TorchEncoder(make().eval(), layer, IMAGENET)
    image = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
    target = encoder(image)
    times: dict[str, list[float]] = {}
    for _ in range(turns):
        for way, function in ways(encoder).items():
            chosen = functools.cache(
                lambda width=0.0, is_before=False, function=function: function(width, is_before)
            )
            layout = Way(True, way != "module, autograd")
            with (
                mock.patch.object(encoder._ways, "function", chosen),
                mock.patch.object(encoder._ways, "_ways", [layout]),
            ):
                times.setdefault(way, []).append(inverted(encoder, target, side, max_iter))
    maps = laid_out(encoder._trials.noise((3, side, side), 1), True)
    shipped = encoder._ways._build(Way(True, True), 0.4, False)
    compiled = ByAutograd(torch.compile(shipped.__call__))
    pairs = [[evaluations(f, maps, 10) for f in (shipped, compiled)] for _ in range(turns)]
    own, theirs = np.median(pairs, axis=0)
    return {way: float(np.median(taken)) for way, taken in times.items()}, own, theirs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NETWORKS)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = Report(
        "Ways to pull a network back",
        "Seconds of a whole inversion of one image, set-up included, on one thread, over those "
        "of what ships: each column adds one means to the one before it. torch.compile: "
        "an evaluation of the same graph by it, over one of ours. All weights but ResNet-20's are "
        "random.",
    )
    columns = ["evaluations", "seconds", *OTHERS, "torch.compile"]
    report.table("", *columns)
    for name in options.only or NETWORKS:
        times, own, theirs = compared(name, options.turns)
        last = times["graph, step by step"]
        ratios = [f"{times[way] / last:.2f}" for way in OTHERS]
        report.row(name, str(NETWORKS[name][3]), f"{last:.2f}", *ratios, f"{theirs / own:.2f}")
    report.write(options.json)
