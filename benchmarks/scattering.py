"""Invert kymatio's scattering transform, and beside it by kymatio's own example, on one thread.

For orders and scales of the transform and several photographs: decibels (peak signal-to-noise
ratio to the photograph), relative error of the features, and seconds, of `repinv.invert` by default
and of the loop in kymatio's example ``plot_invert_scattering_torch.py`` (Adam on pixels with steps
of one, from noise, the iterate of least error, clipped), with as many evaluations.

    python benchmarks/scattering.py [FOLDER] [--every K] [--limit N] [--evaluations N] [--side N]
                                    [--only WORD] [--figure FILE] [--json FILE]

Needs kymatio. Its top module wants names that newer SciPy dropped; the transform does without.
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import time
from pathlib import Path

import numpy as np
import torch
from kymatio.scattering2d.frontend.torch_frontend import ScatteringTorch2D
from report import Report
from skimage.metrics import peak_signal_noise_ratio
from skimage.transform import resize

import repinv
import repinv_cnn
from repinv import metrics

torch.set_num_threads(1)
#: Scales (features have a pixel for 2^J) and orders.
CASES = ((2, 1), (2, 2), (3, 2), (4, 1))
#: Step size of the example.
STEP = 1.0


def by_the_example(features: np.ndarray, module: torch.nn.Module, evaluations: int) -> np.ndarray:
    """The image that kymatio's example finds."""
    target = torch.from_numpy(features)[None]
    torch.manual_seed(0)
    image = torch.rand(1, 1, *module.shape, requires_grad=True)
    rule = torch.optim.Adam([image], lr=STEP)
    least, best = float("inf"), image.detach().clone()
    for _ in range(evaluations):
        loss = torch.nn.functional.mse_loss(module(image), target)
        rule.zero_grad()
        loss.backward()
        if loss < least:
            least, best = float(loss.detach()), image.detach().clone()
        rule.step()
    return best.clamp(0, 1)[0, 0].numpy()


def by_repinv(features: np.ndarray, encoder: repinv.Encoder, evaluations: int) -> np.ndarray:
    """The pre-image by default."""
    shape = tuple(encoder.module.shape)
    found: np.ndarray = repinv.invert(features, encoder, shape=shape, max_iter=evaluations).image
    return found


def draw(rows: list[tuple[str, list[np.ndarray]]], path: Path) -> None:
    """Photograph, ours and the example's, a case a row."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(rows), 3, figsize=(6, 2.2 * len(rows)), layout="constrained", squeeze=False
    )
    for line, (title, images) in zip(axes, rows, strict=True):
        names = ("photograph", f"repinv, {title}", "kymatio's example")
        for axis, image, name in zip(line, images, names, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            axis.set_title(name, fontsize=8, loc="left")
            axis.set_axis_off()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Invert and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=inversions.FOLDER)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--only", default="", help="a word that names of cases contain")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    size = (options.side, options.side)
    photographs = [
        resize(image, size, anti_aliasing=True).astype(np.float32)
        for image in inversions.photographs(options.folder, None)[:: options.every]
    ][: options.limit]
    report = Report(
        "Scattering",
        f"kymatio's scattering transform of {len(photographs)} photographs of {size[0]}x{size[1]} "
        f"pixels, inverted with {options.evaluations} evaluations on one thread: by default, and "
        "by the loop of kymatio's own example (Adam on pixels with steps of one).",
    )
    columns = ("peak signal-to-noise ratio, dB", "least", "error", "SSIM", "seconds")
    report.table(f"{len(photographs)} photographs: medians", *columns)
    rows = []
    for scale, order in CASES:
        if options.only not in f"J = {scale}, order {order}":
            continue
        module = ScatteringTorch2D(J=scale, shape=size, max_order=order).eval()
        encoder = repinv_cnn.TorchEncoder(module, "", channels=1)
        found: dict[str, list[list[float]]] = {"repinv": [], "kymatio's example": []}
        for photograph in photographs:
            features = encoder(photograph)
            made = []
            for name, figures in found.items():
                began = time.perf_counter()
                image = (
                    by_repinv(features, encoder, options.evaluations)
                    if name == "repinv"
                    else by_the_example(features, module, options.evaluations)
                )
                seconds = time.perf_counter() - began
                decibels = peak_signal_noise_ratio(photograph, image, data_range=1)
                error = metrics.feature_error(encoder(image)[None], features[None])[0]
                likeness = metrics.ssim(image, photograph)
                figures.append([decibels, 100 * float(error), float(likeness), seconds])
                made.append(image)
        for name, figures in found.items():
            decibels, error, likeness, seconds = np.median(figures, axis=0)
            report.row(
                f"J = {scale}, order {order}: {name}",
                f"{decibels:.1f}",
                f"{min(row[0] for row in figures):.1f}",
                f"{error:.2g} %",
                f"{likeness:.3f}",
                f"{seconds:.1f}",
            )
        rows.append((f"J = {scale}, order {order}", [photograph, *made]))
    if options.figure:
        draw(rows, options.figure)
    report.write(options.json)


if __name__ == "__main__":
    main()
