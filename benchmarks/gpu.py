"""Inversion of networks on a GPU: its overhead over bare passes, and images a minute by batch.

    python benchmarks/gpu.py [--json FILE]

Without a CUDA device it says so, and measures nothing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from cnn import models, turned
from report import Report

import repinv

BATCH = 16
BATCHES = (1, 4, 16, 64, 256)
TURNS = 5


def overhead(report: Report) -> None:
    """Seconds of a whole inversion over those of its bare forward and backward passes."""
    report.table(
        f"A whole inversion of a batch of {BATCH} over its bare forward and backward passes",
        "times",
        "seconds",
    )
    for name, net, encoder, shape, max_iter in models("cuda"):
        ratio, seconds = turned(net, encoder, shape, BATCH, max_iter, TURNS)
        report.row(f"{name}, {max_iter} evaluations", f"{ratio:.2f}", f"{seconds:.2f}")


def throughput(report: Report) -> None:
    """Images inverted in a minute, by the size of a batch."""
    report.table("Images inverted in a minute, by batch", *map(str, BATCHES))
    for name, _, encoder, shape, max_iter in models("cuda"):
        target = encoder.encode(torch.rand((1, 3, *shape), device="cuda"))[0]
        found = []
        for count in BATCHES:
            for _ in range(2):  # the first time kernels are chosen
                torch.cuda.synchronize()
                began = time.perf_counter()
                repinv.invert(target, encoder, shape=shape, n_preimages=count, max_iter=max_iter)
                seconds = time.perf_counter() - began
            found.append(60 * count / seconds)
        report.row(f"{name}, {max_iter} evaluations", *(f"{value:,.0f}" for value in found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device; benchmarks/cnn.py measures networks on a CPU.")
    report = Report(
        "Networks on a GPU",
        "A ResNet-20 trained on CIFAR-10 at 32x32, and torchvision's networks with random weights "
        f"at 224x224, on {torch.cuda.get_device_name()}. Bare passes are those of the truncated "
        "module as its user has it, in turns with the inversions; medians of "
        f"{TURNS} turns. A step of an inversion is recorded once, and replayed.",
    )
    overhead(report)
    throughput(report)
    report.write(options.json)
