"""Speed of dense SIFT's kernels beside kornia's, interleaved, and the memory that they take.

    python benchmarks/dsift_kernels.py [--sizes 256 512] [--rounds 15] [--memory] [--json FILE]

It needs torch and kornia. Everything runs on one thread, on gray float32 noise, with the JIT warm:
ours with flat windows, bins of 5 pixels and a step of 4, kornia's with the same bins and step.
Times are medians over rounds in which every contender runs once, after a run that is not timed.
``--memory`` adds the peak of an evaluation at 2048x2048, in copies of the descriptors.
"""

from __future__ import annotations

import argparse
import tracemalloc
from pathlib import Path

import numba
import numpy as np
from report import Report
from timing import interleaved

import repinv


def memory(report: Report, size: int) -> None:
    """The peak of features and pullback in copies of the features."""
    report.table(f"Peak of memory at {size}x{size}", "copies of the descriptors")
    x = np.random.default_rng(0).random((1, 1, size, size), dtype=np.float32)
    local = repinv.DSIFT.vlfeat(step=4, size=5, fast=True)
    bag = repinv.BoVW.pretrained(1024, grid=(16, 16))
    for name, encoder, of in (("DSIFT", local, local), ("BoVW, 1024 words", bag, bag.local)):
        descriptors = 4 * int(np.prod(of.feature_shape(x.shape[1:])))
        small = encoder.vjp(x[..., :64, :64])
        small[1](small[0])  # compiled
        tracemalloc.start()
        features, pullback = encoder.vjp(x)
        pullback(features)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        report.row(name, f"{peak / descriptors:.2f}")


def main() -> None:
    """Time, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    numba.set_num_threads(1)
    import torch
    from kornia.feature import DenseSIFTDescriptor

    torch.set_num_threads(1)
    kornia = DenseSIFTDescriptor(spatial_bin_size=5, stride=4, padding=0, rootsift=False)
    encoder = repinv.DSIFT.vlfeat(step=4, size=5, fast=True)
    report = Report(
        "Speed of dense SIFT",
        "Flat windows, bins of 5 pixels, a step of 4, beside kornia's with the same bins and step, "
        "in turns in one process on one thread. Kornia's are dense at every step as ours are; "
        "ratios are medians of the rounds' ratios.",
    )
    for size in options.sizes:
        x = np.random.default_rng(0).random((1, 1, size, size), dtype=np.float32)
        pixels = torch.from_numpy(x)
        cotangent = np.ones((1, *encoder.feature_shape(x.shape[1:])), np.float32)

        def ours(x: np.ndarray = x, v: np.ndarray = cotangent) -> None:
            encoder.vjp(x)[1](v)

        def theirs(pixels: torch.Tensor = pixels) -> None:
            leaf = pixels.clone().requires_grad_(True)
            torch.autograd.backward(kornia(leaf).sum())

        def forward(pixels: torch.Tensor = pixels) -> None:
            with torch.no_grad():
                kornia(pixels)

        times = interleaved(
            {
                "repinv forward": lambda x=x: encoder.encode(x),
                "repinv both": ours,
                "torch kornia forward": forward,
                "torch kornia both": theirs,
            },
            options.rounds,
        )
        report.table(f"{size}x{size} pixels", "ns a pixel, median", "the best of them")
        for name, taken in times.items():
            values = (1e6 * found / size**2 for found in (np.median(taken), np.min(taken)))
            report.row(name, *(f"{value:.1f}" for value in values))
        ratios = (
            f"{what} {np.median(times[f'torch kornia {what}'] / times[f'repinv {what}']):.1f}"
            for what in ("forward", "both")
        )
        report.note(f"Kornia over repinv: {', '.join(ratios)}.")
    if options.memory:
        memory(report, 2048)
    report.write(options.json)


if __name__ == "__main__":
    main()
