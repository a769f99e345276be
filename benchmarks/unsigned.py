"""HOG that does not tell light from dark: what default options find, and what they found before.

    python benchmarks/unsigned.py [FOLDER] [--limit N] [--json FILE] [--sheet PNG]

Orientations over half a turn are those of an image and of its negative alike. Photographs of a
folder are inverted by default options, and by `polarity=None`, which inverts such an encoder as any
other ("before"). Polarity is free from region to region, so likeness is measured in windows whose
sign does not count:

- coherence: agreement of gradients at the scale of a cell, in windows of 32 pixels;
- local NCC: normalized cross-correlation in windows of 24 pixels;
- low contrast: share of the contrast that is left under a Gaussian of 8 pixels, over that of the
  photograph;
- high frequencies: share of the energy above half of the band, over that of the photograph.

All four are 1 for the photograph itself. Rows of chance show what images have that were not
inverted at all. `--sheet` writes what was found: a row a photograph.
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from report import Report
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter
from skimage.color import gray2rgb, rgb2gray

import repinv
from repinv import metrics
from repinv.io import files
from repinv.io.image import as_unit

#: Encoders, of which every how many photographs are inverted, and what is made of pixels in [0, 1].
ENCODERS: dict[str, tuple[repinv.Encoder, int, Callable[[np.ndarray], np.ndarray]]] = {
    "HOG.skimage()": (repinv.HOG.skimage(), 1, lambda x: x),
    "HOG.skimage(9, (8, 8), (2, 2))": (repinv.HOG.skimage(9, (8, 8), (2, 2)), 3, lambda x: x),
    "HOG.opencv(win_size=(256, 256)), uint8": (
        repinv.HOG.opencv(win_size=(256, 256)), 3, lambda x: (255 * x).round().astype(np.uint8)
    ),
    'HOG.vlfeat(variant="dalal-triggs")': (
        repinv.HOG.vlfeat(variant="dalal-triggs"), 3, lambda x: x
    ),
    "HOG.maskfeat(), colour": (repinv.HOG.maskfeat(), 6, lambda x: x),
}  # fmt: skip
FIRST, LAST = next(iter(ENCODERS)), list(ENCODERS)[-1]
#: Norm of the noise that is added to features, in units of theirs; and on how many photographs.
NOISES, NOISY = (0.1, 0.2, 0.4), 3
COLUMNS = (
    "error, %", "median", "coherence", "local NCC", "low contrast", "high frequencies", "seconds",
)  # fmt: skip
#: By how much local NCC has to exceed that of another photograph to count.
MARGIN = 0.1
#: Deviations in pixels: of details, of windows for gradients, of those for pixels, of what is low.
DETAIL, WIDE, WINDOW, LOW = 4, 32, 24, 8
#: Pixels after which the sign changes at random in a row of chance.
CELL = 8


def coherence(image: np.ndarray, photograph: np.ndarray) -> float:
    """Agreement of blurred gradients within wide windows, the sign of each being free."""
    a, b = (np.array(np.gradient(gaussian_filter(x, DETAIL))) for x in (image, photograph))
    agreement = gaussian_filter(np.sum(a * b, axis=0), WIDE)
    most = gaussian_filter(np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0), WIDE)
    return float(np.sum(np.abs(agreement)) / np.sum(most))


def local_ncc(image: np.ndarray, photograph: np.ndarray) -> float:
    """Mean over all pixels of the absolute correlation in a window about each."""
    means = [gaussian_filter(x, WINDOW) for x in (image, photograph)]

    def covariance(i: int, j: int) -> np.ndarray:
        both = (image, photograph)
        found: np.ndarray = gaussian_filter(both[i] * both[j], WINDOW) - means[i] * means[j]
        return found

    variances = np.clip(covariance(0, 0) * covariance(1, 1), 1e-12, None)
    return float(np.mean(np.abs(covariance(0, 1)) / np.sqrt(variances)))


def low_contrast(image: np.ndarray) -> float:
    """Share of the deviation of an image that is left of it blurred."""
    return float(np.std(gaussian_filter(image, LOW)) / np.std(image))


def high_frequencies(image: np.ndarray) -> float:
    """Share of the energy of an image above half of the band, by cosines."""
    energy = dctn(image - image.mean(), norm="ortho") ** 2
    return float(energy[_frequencies(image.shape) > 0.25].sum() / energy.sum())


def likeness(image: np.ndarray, photograph: np.ndarray) -> list[float]:
    """The four measures, of images that are made gray."""
    x, y = (np.float64(rgb2gray(a) if a.ndim == 3 else a) for a in (image, photograph))
    return [
        coherence(x, y), local_ncc(x, y), low_contrast(x) / low_contrast(y),
        high_frequencies(x) / high_frequencies(y),
    ]  # fmt: skip


def of_chance(images: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Images that were not inverted: what the measures give to them is chance."""
    rng = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {
        "chance: another photograph": [*images[1:], images[0]],
        "chance: noise of the natural spectrum": [],
        "chance: high-passed photograph, random signs": [],
    }
    for image in images:
        size = np.maximum(_frequencies(image.shape), 0.5 / max(image.shape))
        noise = idctn(rng.standard_normal(image.shape) / size, norm="ortho")
        noise = 0.5 + 0.2 * (noise - noise.mean()) / noise.std()
        cells = [side // CELL + 1 for side in image.shape]
        signs = np.kron(rng.choice([-1, 1], size=cells), np.ones((CELL, CELL)))
        signs = signs[: image.shape[0], : image.shape[1]]
        embossed = 0.5 + signs * (image - gaussian_filter(image, DETAIL))
        for row, one in zip(list(found.values())[1:], (noise, embossed), strict=True):
            row.append(np.clip(one, 0, 1).astype(np.float32))
    return found


def _frequencies(shape: tuple[int, ...]) -> np.ndarray:
    """Frequencies of cosines, in cycles per pixel."""
    down, across = (np.arange(side) / side / 2 for side in shape)
    return np.hypot(down[:, None], across)


def inverted(
    encoder: repinv.Encoder, features: np.ndarray, shape: tuple[int, ...], **options: Any
) -> tuple[repinv.Result, float]:
    """One inversion, and its seconds of CPU."""
    began = time.process_time()
    result = repinv.invert(features, encoder, shape=shape, **options)
    return result, time.process_time() - began


def add_row(report: Report, label: str, found: list[list[float]], timed: bool = True) -> None:
    """Means over photographs of one method, and medians of errors and of high frequencies."""
    errors, coherences, local, low, high, seconds = np.array(found).T
    report.row(
        label, f"{100 * errors.mean():.3g}", f"{100 * np.median(errors):.3g}",
        f"{coherences.mean():.2f}", f"{local.mean():.2f}", f"{low.mean():.2f}",
        f"{np.median(high):.2f}", f"{seconds.mean():.1f}" if timed else "",
    )  # fmt: skip


def tabulate(report: Report, name: str, photographs: list[np.ndarray]) -> dict[str, list[Any]]:
    """Add the table of an encoder; the images of each method, None where there are none."""
    encoder, every, pixels = ENCODERS[name]
    colour = encoder.channels == 3
    chosen = [gray2rgb(x) if colour and x.ndim == 2 else x for x in photographs[::every]]
    chosen = [rgb2gray(x) if x.ndim == 3 and not colour else x for x in chosen]
    targets = [encoder(pixels(x)) for x in chosen]
    methods: dict[str, Callable[[np.ndarray], dict[str, Any]]] = {
        "before (polarity=None)": lambda x: {"polarity": None},
        "polarity='structures'": lambda x: {"polarity": "structures"},
        "default": lambda x: {},
    }
    if name == FIRST:
        methods["polarity=photograph"] = lambda x: {"polarity": x}
    for options in methods.values():
        inverted(encoder, targets[0], chosen[0].shape, max_iter=20, **options(chosen[0]))
    report.table(f"{name}, {len(chosen)} photographs", *COLUMNS)
    images: dict[str, list[Any]] = {}
    found: dict[str, list[list[float]]] = {}
    for method, options in methods.items():
        images[method], found[method] = [None] * len(photographs), []
        for k, (photograph, target) in enumerate(zip(chosen, targets, strict=True)):
            shape = photograph.shape
            result, seconds = inverted(encoder, target, shape, seed=k, **options(photograph))
            images[method][k * every] = result.image
            measures = likeness(result.image, photograph)
            found[method].append([float(result.error[0]), *measures, seconds])
        add_row(report, method, found[method])
    if name == FIRST:
        for label, others in of_chance(chosen).items():
            found[label] = []
            for photograph, target, other in zip(chosen, targets, others, strict=True):
                error = metrics.feature_error(encoder(other)[None], target[None])[0]
                found[label].append([float(error), *likeness(other, photograph), 0.0])
            add_row(report, label, found[label], timed=False)
        _compare(report, found, images["polarity=photograph"], chosen)
    return images


def _compare(
    report: Report,
    found: dict[str, list[list[float]]],
    followed: list[np.ndarray],
    photographs: list[np.ndarray],
) -> None:
    """Notes: how often local NCC exceeds chance, and NCC where the polarity is given."""
    local = {label: np.array(rows)[:, 2] for label, rows in found.items()}
    floor = local["chance: another photograph"] + MARGIN
    counts = [
        f"{(local[label] > floor).sum()} ({label})"
        for label in (
            "before (polarity=None)", "polarity='structures'", "default", "polarity=photograph"
        )
    ]  # fmt: skip
    report.note(
        f"Photographs of {len(photographs)} on which local NCC exceeds that of another photograph "
        f"by {MARGIN}: {', '.join(counts)}."
    )
    ncc = [metrics.ncc(x, y) for x, y in zip(followed, photographs, strict=True)]
    report.note(
        "With polarity=photograph, NCC to the photograph, whose sign counts, is "
        f"{np.mean(ncc):.2f} (median {np.median(ncc):.2f}, least {np.min(ncc):.2f})."
    )


def predicted(report: Report, photographs: list[np.ndarray]) -> list[np.ndarray]:
    """Add the table of features with noise, as a network that predicts them makes; the images."""
    encoder, every, _ = ENCODERS[LAST]
    chosen = [gray2rgb(x) if x.ndim == 2 else x for x in photographs[::every][:NOISY]]
    report.table(
        f"{LAST} with noise, {len(chosen)} photographs",
        "error, %", "error to features without noise, %", *COLUMNS[2:],
    )  # fmt: skip
    images = []
    for noise in (0.0, *NOISES):
        rows = []
        for k, photograph in enumerate(chosen):
            target = encoder(photograph)
            rng = np.random.default_rng(k)
            change = rng.standard_normal(target.shape).astype(target.dtype)
            change *= noise * np.linalg.norm(target) / np.linalg.norm(change)
            result, seconds = inverted(encoder, target + change, photograph.shape, seed=k)
            images.append(result.image)
            own = metrics.feature_error(encoder(result.image)[None], target[None])[0]
            measures = likeness(result.image, photograph)
            rows.append([float(result.error[0]), float(own), *measures, seconds])
        mean = np.mean(rows, axis=0)
        mean[5] = np.median(np.array(rows)[:, 5])
        cells = [f"{100 * x:.3g}" for x in mean[:2]] + [f"{x:.2f}" for x in mean[2:6]]
        report.row(f"noise of {noise:.0%} of the norm", *cells, f"{mean[6]:.1f}")
    return images


def sheet(rows: list[list[Any]], path: Path) -> None:
    """Write images as one picture, white where there is none."""
    shape = rows[0][0].shape[:2]
    white = np.ones((*shape, 3))
    cells = [
        [white if x is None else gray2rgb(x) if x.ndim == 2 else x for x in row] for row in rows
    ]
    picture = np.vstack(
        [np.hstack([np.pad(x, ((1, 1), (1, 1), (0, 0))) for x in r]) for r in cells]
    )
    Image.fromarray((255 * np.clip(picture, 0, 1)).round().astype(np.uint8)).save(path)


def main() -> None:
    """Invert, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=inversions.FOLDER)
    parser.add_argument("--limit", type=int, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sheet", type=Path, metavar="PNG")
    options = parser.parse_args()
    paths = inversions.paths(options.folder)[: options.limit]
    photographs = [as_unit(files.read(path)).astype(np.float32) for path in paths]
    report = Report(
        "HOG without signs",
        "Encoders whose features are the same for an image and its negative, inverted by default "
        "options, and as any other encoder (before). Polarity is free from region to region, so "
        "the sign of a region does not count. Coherence: agreement of gradients with those of the "
        f"photograph, blurred, in windows of {WIDE} pixels. Local NCC: mean of the absolute NCC in "
        f"windows of {WINDOW} pixels. Low contrast: share of contrast under a Gaussian of {LOW} "
        "pixels, over the photograph's. High frequencies: share of energy above half of the band, "
        "over the photograph's, median. All are 1 for the photograph. Errors are relative feature "
        "errors, mean and median; seconds are of one core. Rows of chance are images that were not "
        "inverted.",
    )
    columns: list[list[Any]] = [list(photographs)]
    for name in ENCODERS:
        images = tabulate(report, name, photographs)
        columns += images.values()
        report.write(options.json)
        if options.sheet is not None:
            sheet([list(row) for row in zip(*columns, strict=True)], options.sheet)
    noisy = predicted(report, photographs)
    report.write(options.json)
    if options.sheet is not None:
        count = len(noisy) // (1 + len(NOISES))
        rows = [noisy[k::count] for k in range(count)]
        sheet(rows, options.sheet.with_name(f"{options.sheet.stem}-noise.png"))


if __name__ == "__main__":
    main()
