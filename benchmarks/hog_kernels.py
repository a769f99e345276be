"""Speed of HOG's kernels beside scikit-image, OpenCV and a HOG in torch, interleaved.

    python benchmarks/hog_kernels.py [--sizes 256 512 2048] [--rounds 15] [--threads N]
                                     [--json FILE]

It needs scikit-image, opencv-python-headless and torch. Everything runs on one thread, on gray
float32 noise (uint8 for OpenCV, which takes nothing else), with the JIT warm. Times are medians
over rounds in which every contender runs once, after a run that is not timed; ratios are medians
of the rounds' ratios. ``--threads N`` adds how a batch scales from 1 to N threads.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np
import torch
from report import Report
from skimage.feature import hog as skimage_hog
from timing import interleaved

import repinv

CELL, BINS = 8, 18


def torch_hog(x: torch.Tensor) -> torch.Tensor:
    """VLFeat's uoctti HOG with bilinear orientations, as one writes it in torch.

    x is (N, 1, H, W), sides multiples of the cell.
    """
    functional = torch.nn.functional
    across, down = torch.zeros_like(x), torch.zeros_like(x)
    across[..., 1:-1, 1:-1] = x[..., 1:-1, 2:] - x[..., 1:-1, :-2]
    down[..., 1:-1, 1:-1] = x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
    magnitude = torch.sqrt(across**2 + down**2 + 1e-30)
    position = torch.atan2(down, across) * (BINS / (2 * torch.pi))
    bins = torch.arange(BINS, dtype=x.dtype).view(1, -1, 1, 1)
    distance = torch.remainder(position - bins + BINS / 2, BINS) - BINS / 2
    votes = magnitude * torch.clamp(1 - distance.abs(), min=0)
    tent = 1 - (torch.arange(2 * CELL, dtype=x.dtype) + 0.5 - CELL).abs() / CELL
    kernel = torch.outer(tent, tent).expand(BINS, 1, -1, -1)
    cells = functional.conv2d(votes, kernel, stride=CELL, padding=CELL // 2, groups=BINS)
    undirected = cells[:, : BINS // 2] + cells[:, BINS // 2 :]
    energy = functional.pad((undirected**2).sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    blocks = 1 / torch.sqrt(4 * functional.avg_pool2d(energy, 2, 1) + 1e-4)
    factors = (
        blocks[..., :-1, :-1],
        blocks[..., :-1, 1:],
        blocks[..., 1:, :-1],
        blocks[..., 1:, 1:],
    )
    both = [torch.clamp(undirected * factor, max=0.2) for factor in factors]
    directed = [torch.clamp(cells * factor, max=0.2) for factor in factors]
    texture = [clipped.sum(1, keepdim=True) / 18**0.5 for clipped in both]
    means = [torch.stack(clipped).sum(0) / 2 for clipped in (directed, both)]
    return torch.cat([*means, *texture], dim=1)


def torch_both(x: np.ndarray, cotangent: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Features and gradient of the torch HOG."""
    pixels = torch.from_numpy(x).requires_grad_(True)
    features = torch_hog(pixels)
    torch.autograd.backward(features, cotangent)
    assert pixels.grad is not None
    return features.detach().numpy(), pixels.grad.numpy()


def measure(size: int, rounds: int) -> dict[str, Any]:
    """Times and ratios at one size."""
    rng = np.random.default_rng(0)
    image = rng.random((size, size), dtype=np.float32)
    x, bytes_ = image[None, None], (255 * image).astype(np.uint8)
    encoder = repinv.HOG.vlfeat(CELL, bilinear_orientations=True)
    hard = repinv.HOG.vlfeat(CELL)
    soft = hard.softened(0.1)
    assert soft is not None
    peer = cv2.HOGDescriptor((size, size), (16, 16), (8, 8), (8, 8), 9)
    features, pullback = encoder.vjp(x)
    cotangent = rng.standard_normal(features.shape, dtype=np.float32)
    theirs = torch_both(x, torch.from_numpy(cotangent))
    difference = float(np.abs(theirs[0] - features).max())
    if difference > 1e-5:
        raise AssertionError(f"the torch HOG differs by {difference:.2g}; expected at most 1e-5.")
    contenders: dict[str, Callable[[], Any]] = {
        "forward": lambda: encoder.encode(x),
        "forward kept": lambda: encoder.vjp(x),
        "pullback": lambda: pullback(cotangent),
        "both": lambda: encoder.vjp(x)[1](cotangent),
        "hard + softened": lambda: (hard.encode(x), soft.vjp(x)[1](cotangent)),
        "opencv": lambda: peer.compute(bytes_),
        "scikit-image": lambda: skimage_hog(image),
        "torch both": lambda: torch_both(x, torch.from_numpy(cotangent)),
    }
    times = interleaved(contenders, rounds)
    pairs = {
        "scikit-image / forward": ("scikit-image", "forward"),
        "opencv / forward": ("opencv", "forward"),
        "torch both / both": ("torch both", "both"),
        "pullback / forward": ("pullback", "forward"),
        "hard + softened / both": ("hard + softened", "both"),
    }
    return {
        "size": size,
        "torch_difference": difference,
        "milliseconds": {name: float(np.median(values)) for name, values in times.items()},
        "best_milliseconds": {name: float(values.min()) for name, values in times.items()},
        "ns_per_pixel": 1e6 * float(np.median(times["forward"])) / size**2,
        "ratios": {name: float(np.median(times[a] / times[b])) for name, (a, b) in pairs.items()},
    }


def scaling(threads: int, rounds: int) -> dict[str, float]:
    """Speed-up of a batch of 8 images a thread over one thread."""
    x = np.random.default_rng(0).random((8 * threads, 1, 256, 256), dtype=np.float32)
    encoder = repinv.HOG.vlfeat(CELL, bilinear_orientations=True)

    def run(count: int) -> None:
        numba.set_num_threads(count)
        features, pullback = encoder.vjp(x)
        pullback(features)

    contenders: dict[str, Callable[[], Any]] = {
        str(n): functools.partial(run, n) for n in range(1, threads + 1)
    }
    times = interleaved(contenders, rounds)
    numba.set_num_threads(1)
    return {name: float(np.median(times["1"] / values)) for name, values in times.items()}


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 2048])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    report = Report(
        "Speed of HOG",
        "A HOG with bilinear orientations beside those of scikit-image, OpenCV (8-bit) and one "
        "written in torch, in turns in one process on one thread: medians of milliseconds, and "
        "ratios as medians of the rounds' ratios. 'Both' is features and pullback; 'forward kept' "
        "is the forward pass that keeps what a pullback needs.",
    )
    for size in options.sizes:
        rounds = max(3, options.rounds * 256 // size if size > 512 else options.rounds)
        one = measure(size, rounds)
        report.table(f"{size}x{size} pixels", "milliseconds", "the best of them")
        for name, value in one["milliseconds"].items():
            report.row(name, f"{value:.3f}", f"{one['best_milliseconds'][name]:.3f}")
        ratios = ", ".join(f"{name} {value:.2f}" for name, value in one["ratios"].items())
        report.note(f"{one['ns_per_pixel']:.2f} ns a pixel forward; ratios: {ratios}.")
    if options.threads > 1:
        report.table("A batch by threads", "times one thread")
        for count, value in scaling(options.threads, options.rounds).items():
            report.row(count, f"{value:.2f}")
    report.write(options.json)


if __name__ == "__main__":
    main()
