"""Print a checksum of what every family of encoders computes, to compare processes and versions.

    python scripts/fingerprints.py [--tasks] [--store FILE.npz]

A line for each: features and pullback of random images, and short inversions. The same seed gives
the same lines on one machine with one version of the packages, whether kernels were just compiled
or are read from the cache.

With `--tasks` also what comes of them, with two seeds and two sizes: inversions, maximizations and
caricatures by every family, resumed runs, several starts, the learned prior, graphics, stacks, a
comparison, inverters, a study, and torch encoders. A change that is not to change results gives the
same lines before and after. `--store` keeps the arrays, to see what differs where lines do.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import skimage

import repinv

SIDE = 64
ENCODERS: dict[str, repinv.Encoder] = {
    "HOG.vlfeat": repinv.HOG.vlfeat(),
    "HOG.vlfeat, bilinear": repinv.HOG.vlfeat(bilinear_orientations=True),
    "HOG.vlfeat, softened": repinv.HOG.vlfeat().softened(0.3) or repinv.HOG.vlfeat(),
    "HOG.skimage": repinv.HOG.skimage(),
    "HOG.skimage, softened": repinv.HOG.skimage().softened(1.0) or repinv.HOG.skimage(),
    "HOG.opencv": repinv.HOG.opencv((64, 64)),
    "HOG.dpm": repinv.HOG.dpm(),
    "DSIFT.vlfeat": repinv.DSIFT.vlfeat(4, 3),
    "DSIFT.vlfeat, fast": repinv.DSIFT.vlfeat(4, 3, fast=True),
    "DSIFT.natural": repinv.DSIFT.natural(5),
    "DSIFT.kornia": repinv.DSIFT.kornia(stride=4),
    "BoVW, soft": repinv.BoVW.pretrained(256, grid=(4, 4)),
    "BoVW, hard": repinv.BoVW.pretrained(256, assignment="hard"),
    "HOGgle": repinv.HOGgle.pretrained(256),
}
INVERTED = ("HOG.vlfeat", "HOG.skimage", "DSIFT.natural", "BoVW, soft")
#: Those of `--tasks`: the families, in their own colours and ranges where they differ.
FAMILIES: dict[str, repinv.Encoder] = {
    "HOG.vlfeat": repinv.HOG.vlfeat(),
    "HOG.vlfeat, dalal-triggs": repinv.HOG.vlfeat(variant="dalal-triggs"),
    "HOG.vlfeat, bilinear": repinv.HOG.vlfeat(bilinear_orientations=True, value_range=(0, 255)),
    "HOG.skimage": repinv.HOG.skimage(channel_axis=-1),
    "HOG.opencv": repinv.HOG.opencv((32, 32)),
    "HOG.dpm": repinv.HOG.dpm(),
    "DSIFT.vlfeat": repinv.DSIFT.vlfeat(4, 3),
    "DSIFT.vlfeat, fast": repinv.DSIFT.vlfeat(4, 3, fast=True),
    "DSIFT.natural": repinv.DSIFT.natural(3),
    "DSIFT.kornia": repinv.DSIFT.kornia(stride=4),
    "BoVW, hard": repinv.BoVW.pretrained(256, assignment="hard"),
    "BoVW, LLC": repinv.BoVW.pretrained(256, assignment="llc", grid=(2, 2)),
    "HOGgle": repinv.HOGgle.pretrained(256),
}
STUDY = """
    [study]
    name = "fingerprints"

    [images]
    files = ["skimage:camera"]
    size = [40, 48]

    [encoders]
    hog = "hog.vlfeat(bilinear_orientations=True)"

    [priors.default]
    [priors.tv]
    total_variation = { weight = 0.1 }

    [solvers.short]
    max_iter = 12
    """


def checksum(values: Any) -> str:
    """Of the bytes of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def photograph(side: int) -> np.ndarray:
    """A gray photograph (side, side), uint8."""
    image = skimage.data.camera()[60:316, 120:376]
    return np.ascontiguousarray(image[:: 256 // side, :: 256 // side])


def tasks() -> Iterator[tuple[str, Any]]:
    """Results of every task, one after the other."""
    fitted = [skimage.data.coins()[::3, ::3], skimage.data.page()[::2, ::2], photograph(128)]
    local = repinv.HOG.vlfeat(bilinear_orientations=True)
    reduced = repinv.PCA.fit(fitted, repinv.DSIFT.natural(3), 16, progress=False)
    families = FAMILIES | {
        "PCA": reduced,
        "BoVW.fit": repinv.BoVW.fit(fitted, local, 12, progress=False),
        "VLAD": repinv.VLAD.fit(fitted, local, 4, progress=False),
        "Fisher vector": repinv.FisherVector.fit(fitted, reduced, 3, progress=False),
        "HOGgle.fit": repinv.HOGgle.fit(fitted, local, 32, progress=False),
    }
    for name, encoder in families.items():
        for side in (48, 64):
            image = photograph(side) / np.float32(255)
            image = np.stack([image] * 3, -1) if encoder.channels == 3 else image
            for seed in (0, 1):
                yield from asked(f"{name}, {side}, {seed}", encoder, image, seed)
    yield from runs(local, repinv.HOG.vlfeat())
    yield from inverters(fitted, local)
    yield from networks()
    yield from study()


def asked(
    name: str, encoder: repinv.Encoder, image: np.ndarray, seed: int
) -> Iterator[tuple[str, Any]]:
    """The three tasks of one encoder."""
    shape, x = image.shape, _batch(encoder, image)
    features = encoder.encode(x)[0]
    options: dict[str, Any] = {"max_iter": 16, "seed": seed}
    yield f"invert {name}", repinv.invert(features, encoder, shape=shape, **options)
    found = repinv.maximize(
        encoder, np.asarray(features) - np.mean(np.asarray(features)), shape=shape, **options
    )
    yield f"maximize {name}", found
    if not seed:  # a caricature starts from the image, and draws nothing
        yield f"caricature {name}", repinv.caricature(image, encoder, max_iter=16)


def _batch(encoder: repinv.Encoder, image: np.ndarray) -> Any:
    """An image as a batch of one."""
    x = image[None, None] if image.ndim == 2 else np.moveaxis(image, -1, 0)[None]
    return encoder.asarray(np.ascontiguousarray(x, np.float32))


def runs(smooth: repinv.Encoder, hard: repinv.Encoder) -> Iterator[tuple[str, Any]]:
    """Ways to run an inversion."""
    image = photograph(64) / np.float32(255)
    for name, encoder in (("smooth", smooth), ("hard", hard)):
        features = encoder.encode(_batch(encoder, image))[0]
        ways: dict[str, dict[str, Any]] = {
            "long": {"max_iter": 150},
            "seeds": {"seeds": 3, "max_iter": 120},
            "learned": {"prior": "learned", "seeds": 2, "max_iter": 120},
            "pre-images": {"n_preimages": 2},
            "jitter": {"jitter": 2},
            "initial": {"initial": image[::-1]},
            "mask": {"mask": np.arange(features.size).reshape(features.shape) % 3 > 0},
            "group": {"filter_group": slice(0, 9), "neighbourhood": 3},
            "Adam": {"solver": repinv.Adam(0.02)},
            "momentum": {"solver": repinv.Momentum(((1.0, 10), (0.1, 10)))},
            "AdaGrad": {"solver": repinv.AdaGrad()},
            "pixels": {"parametrization": repinv.Pixels()},
            "Fourier": {"parametrization": repinv.Fourier()},
            "priors": {"priors": (repinv.Weighted("tv", 0.01, repinv.TotalVariation(beta=1.5)),)},
            "stages": {
                "solver": (
                    repinv.Stage(0.5, repinv.Adam(), softness=0.5),
                    repinv.Stage(0.5, repinv.LBFGS(), straight_through=True),
                )
            },
        }
        for way, options in ways.items():
            options = {"shape": (64, 64), "max_iter": 30} | options
            yield f"{way}, {name}", repinv.invert(features, encoder, **options)
            if way in ("long", "seeds", "jitter", "Adam", "stages"):
                yield f"{way}, {name}, resumed", resumed(features, encoder, options)
        drawing = np.full((64, 64), 0.2, np.float32)
        drawing[16:40, 16:40] = 0.8
        features = encoder.encode(_batch(encoder, drawing))[0]
        yield f"square, {name}", repinv.invert(features, encoder, shape=(64, 64), max_iter=90)
        rows = np.stack([encoder.encode(_batch(encoder, a))[0] for a in (image, image.T)])
        yield f"stack, {name}", repinv.invert(rows, encoder, shape=(64, 64), max_iter=30)
        diverse = repinv.maximize(
            encoder, 3, shape=(48, 48), n_images=2, diversity=0.1, max_iter=20
        )
        yield f"diverse, {name}", diverse
    compared = repinv.compare(image, ["hog.vlfeat", "dsift.natural", "bovw"], max_iter=10)
    for row in compared.rows:
        yield f"compare {row.name}", row.image


def resumed(features: Any, encoder: repinv.Encoder, options: dict[str, Any]) -> Any:
    """A run that was stopped in its middle, saved, and continued."""
    stop = options["max_iter"] // 20 * 10

    def callback(snapshot: Any) -> bool:
        return bool(snapshot.iteration >= stop)

    part = repinv.invert(features, encoder, callback=callback, **options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.npz"
        part.save(path)
        return repinv.resume(path)


def inverters(images: list[np.ndarray], encoder: repinv.Encoder) -> Iterator[tuple[str, Any]]:
    """Every inverter."""
    image = photograph(64) / np.float32(255)
    quiet: dict[str, Any] = {"progress": False}
    kinds = repinv.inverters
    fits: dict[str, Callable[[], Any]] = {
        "ridge": lambda: kinds.Ridge.fit(images, encoder, **quiet),
        "nearest": lambda: kinds.NearestPatches.fit(images, encoder, **quiet),
        "ELDA": lambda: kinds.ExemplarLDA.fit(images, encoder, **quiet),
        "paired": lambda: kinds.PairedDictionary.fit(images, encoder, n_atoms=32, **quiet),
        "direct": lambda: kinds.DirectOptimization.fit(images, encoder, n_components=64, **quiet),
        "ridge, shipped": kinds.Ridge.pretrained,
        "paired, shipped": lambda: kinds.PairedDictionary.pretrained(256),
    }
    for name, fit in fits.items():
        inverter = fit()
        features = inverter.encoder.encode(_batch(inverter.encoder, image))[0]
        yield f"inverter {name}", inverter.invert(features, shape=(64, 64))


def networks() -> Iterator[tuple[str, Any]]:
    """Torch encoders, where torch is installed."""
    try:
        import torch

        import repinv_cnn
    except ImportError:
        return
    torch.set_num_threads(1)
    image = repinv_cnn.digit_images()[0][0]
    for layer in ("conv1", "relu1", "relu2"):
        encoder = repinv_cnn.from_digits(layer)
        x = np.asarray(image, np.float32)
        for seed in (0, 1):
            yield from asked(f"digits {layer}, {seed}", encoder, x, seed)
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, stride=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 12, 3),
        torch.nn.BatchNorm2d(12),
        torch.nn.ReLU(inplace=True),
    ).eval()
    for side in (32, 48):
        colour = skimage.data.astronaut()[: side * 4 : 4, 100 : 100 + side * 4 : 4]
        encoder = repinv_cnn.TorchEncoder(module, "4")
        yield from asked(f"module, {side}", encoder, colour / np.float32(255), 0)
    as_layers = {
        "HOGNet": repinv_cnn.HOGNet(repinv.HOG.vlfeat(bilinear_orientations=True)),
        "DSIFTNet": repinv_cnn.DSIFTNet(repinv.DSIFT.natural(3)),
    }
    x = torch.from_numpy(photograph(48) / np.float32(255))[None, None]
    for name, net in as_layers.items():
        yield name, net(x).detach().numpy()


def study() -> Iterator[tuple[str, Any]]:
    """Images of a study."""
    try:
        import distributed  # noqa: F401
        import fsspec  # noqa: F401
    except ImportError:
        return
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="repinv")
    main = command.load()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.toml"
        path.write_text(textwrap.dedent(STUDY))
        with contextlib.suppress(SystemExit):  # as of a command that went well
            main(["study", "run", str(path), "--workers", "1", "--quiet"])
        for file in sorted(Path(folder).rglob("results/*/*.npz")):
            with np.load(file, allow_pickle=False) as kept:
                for key in sorted(kept.files):
                    if kept[key].dtype.kind == "f":
                        yield f"study {file.stem} {key}", kept[key]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", action="store_true")
    parser.add_argument("--store", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.random((1, 1, SIDE, SIDE), dtype=np.float32)
    kept: dict[str, np.ndarray] = {}

    def report(name: str, *arrays: Any) -> None:
        """Print a line, and keep its arrays."""
        kept.update({f"{name} {number}": np.asarray(a) for number, a in enumerate(arrays)})
        print(f"{name}: {' '.join(checksum(a) for a in arrays)}", flush=True)

    for name, encoder in ENCODERS.items():
        features, pullback = encoder.vjp(x)
        cotangent = rng.standard_normal(features.shape, dtype=np.float32)
        report(name, features, pullback(cotangent))
    for name in INVERTED:
        encoder = ENCODERS[name]
        result = repinv.invert(encoder.encode(x)[0], encoder, shape=(SIDE, SIDE), max_iter=30)
        report(f"invert {name}", result.image)
    for name, found in tasks() if arguments.tasks else ():
        if isinstance(found, repinv.Result):
            energy = found.trace.get("energy", np.zeros(0))
            report(f"{name} ({found.evaluations})", found.images, found.error, energy)
        else:
            report(name, found)
    if arguments.store:
        np.savez(arguments.store, **kept)
