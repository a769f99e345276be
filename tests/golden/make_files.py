"""Makes files_0_1/: runs, encoders, restorers and inverters as version 0.1 wrote them.

Run as ``python tests/golden/make_files.py FOLDER`` with the code of commit c29fe91, whose files
hold the paths of modules. Beside them lies expected.npz: what each encoder and inverter gives for
`IMAGE`, and the images that runs end with. Tolerance: none on one machine; tests take 1e-4, since
machines differ in their last digits, and 30 iterations let these grow.
"""

import pathlib
import sys

import numpy as np
import skimage

import repinv

IMAGE = (skimage.data.camera()[100:420:16, 140:460:16] / 255).astype(np.float32)
SMOOTH = repinv.HOG.vlfeat(4, bilinear_orientations=True)
HARD = repinv.HOG.vlfeat(4)
RNG = np.random.default_rng(0)
WORDS = RNG.uniform(0, 0.4, (4, 31)).astype(np.float32)


def encoders():
    """Encoders that hold arrays, small."""
    local = repinv.HOG.vlfeat(6, bilinear_orientations=True)
    shares, spread = np.full(4, 0.25, np.float32), np.full(WORDS.shape, 0.05, np.float32)
    windows = RNG.standard_normal((6, 4 * 31)).astype(np.float32)
    patches = RNG.standard_normal((6, 16 * 16)).astype(np.float32)
    half = RNG.standard_normal((3, 31)).astype(np.float32)
    return {
        "bovw": repinv.BoVW(SMOOTH, WORDS),
        "bovw_llc": repinv.BoVW(local, WORDS, assignment="llc", aggregation="max", grid=(2, 2)),
        "bovw_hard": repinv.BoVW(repinv.HOG.dpm(4), WORDS[:, :1] * np.ones((4, 32)), grid=(1, 1)),
        "vlad": repinv.VLAD(SMOOTH, WORDS),
        "fisher": repinv.FisherVector(repinv.HOG.vlfeat(4), shares, WORDS, spread),
        "hoggle": repinv.HOGgle(SMOOTH, windows, patches, penalty=0.1),
        "pca": repinv.PCA(SMOOTH, WORDS[0], half),
        "bovw_skimage": repinv.BoVW(
            repinv.PCA(repinv.DSIFT.vlfeat(4, 3), np.zeros(128), np.eye(128)[:3]),
            WORDS[:, :3],
        ),
    }


def inverters():
    """Inverters, learned from very little."""
    images = [skimage.data.coins()[:64, :64], skimage.data.page()[:64, :64]]
    kinds, quiet = repinv.inverters, {"progress": False}
    small = {"window": 1, "windows_per_image": 20}
    return {
        "ridge": kinds.Ridge.fit(images, SMOOTH, **small, **quiet),
        "nearest": kinds.NearestPatches.fit(images, SMOOTH, **small, **quiet),
        "elda": kinds.ExemplarLDA.fit(images, SMOOTH, **small, **quiet),
        "paired": kinds.PairedDictionary.fit(images, SMOOTH, n_atoms=6, **small, **quiet),
        "direct": kinds.DirectOptimization.fit(
            images, repinv.DSIFT.natural(3), n_components=8, **quiet
        ),
    }


def runs():
    """Runs by their options; each is stopped in its middle."""
    skimages = repinv.HOG.skimage(8, (4, 4), (2, 2), channel_axis=-1)
    colour = np.stack([IMAGE, IMAGE.T, IMAGE[::-1]], -1)
    stages = (
        repinv.Stage(0.5, repinv.Adam(), softness=0.5),
        repinv.Stage(0.5, repinv.LBFGS(memory=2), straight_through=True),
    )
    rules = {
        "momentum": repinv.Momentum(((1.0, 5), (0.1, 5))),
        "adagrad": repinv.AdaGrad(),
        "adam": repinv.Adam(0.02),
        "stages": stages,
    }
    common = {"shape": IMAGE.shape, "max_iter": 30}
    found = {
        "run_default": (IMAGE, SMOOTH, common | {"max_iter": 120}, 90),
        "run_hard": (IMAGE, HARD, common | {"solver": stages}, 20),
        "run_seeds": (IMAGE, SMOOTH, common | {"seeds": 2, "max_iter": 60}, 40),
        "run_colour": (colour, skimages, common | {"shape": colour.shape, "jitter": 1}, 10),
        "run_initial": (IMAGE, SMOOTH, common | {"initial": IMAGE[::-1]}, 10),
        "run_opencv": (
            IMAGE,
            repinv.HOG.opencv((16, 16), win_stride=(4, 4), value_range=(0, 1)),
            common | {"parametrization": repinv.Pixels()},
            10,
        ),
        "run_fourier": (
            IMAGE,
            repinv.DSIFT.kornia(stride=8),
            common
            | {
                "parametrization": repinv.Fourier(),
                "priors": (
                    repinv.Weighted("tv", 0.01, repinv.TotalVariation(beta=1.5)),
                    repinv.Weighted("norm", 0.01, repinv.AlphaNorm()),
                ),
            },
            10,
        ),
    }
    for name, rule in rules.items():
        found[f"run_{name}"] = (IMAGE, HARD, common | {"solver": rule}, 10)
    return found


def main(folder: str) -> None:
    """Write the files, and what is expected of them."""
    place = pathlib.Path(folder)
    place.mkdir(exist_ok=True)
    expected = {}
    for name, encoder in encoders().items():
        encoder.save(place / f"{name}.npz")
        expected[name] = encoder(IMAGE)
    for name, inverter in inverters().items():
        inverter.save(place / f"{name}.npz")
        features = inverter.encoder(IMAGE)
        expected[name] = inverter.invert(features, shape=IMAGE.shape).image
    kernels = tuple(
        RNG.standard_normal((3, 3, *ends)).astype(np.float32) * 0.1
        for ends in ((8, 4), (4, 4), (4, 5))
    )
    biases = tuple(np.zeros(n, np.float32) for n in (4, 4, 5))
    restorer = repinv.Restorer(kernels, biases, unit=2, cell=4)
    restorer.save(place / "restorer.npz")
    restored, _ = repinv.Restorer.load(place / "restorer.npz")(
        IMAGE[None, None], 0.5 * IMAGE[None, None]
    )
    expected["restorer"] = np.asarray(restored)
    for name, (image, encoder, options, stop) in runs().items():
        features = encoder(image)

        def stops(snapshot, stop=stop):
            return snapshot.iteration >= stop

        repinv.invert(features, encoder, callback=stops, **options).save(place / f"{name}.npz")
        expected[name] = repinv.invert(features, encoder, **options).images
    drawing = np.full((32, 32), 0.2, np.float32)
    drawing[8:20, 8:20] = 0.8
    part = repinv.invert(
        SMOOTH(drawing), SMOOTH, shape=(32, 32), max_iter=30, callback=lambda s: s.iteration >= 20
    )
    part.save(place / "run_flat.npz")
    expected["run_flat"] = repinv.invert(
        SMOOTH(drawing), SMOOTH, shape=(32, 32), max_iter=30
    ).images
    part = repinv.maximize(
        SMOOTH,
        3,
        shape=(32, 32),
        n_images=2,
        diversity=0.1,
        max_iter=20,
        callback=lambda s: s.iteration >= 10,
    )
    part.save(place / "run_maximized.npz")
    expected["run_maximized"] = repinv.maximize(
        SMOOTH, 3, shape=(32, 32), n_images=2, diversity=0.1, max_iter=20
    ).images
    part = repinv.caricature(IMAGE, HARD, max_iter=20, callback=lambda s: s.iteration >= 10)
    part.save(place / "run_caricature.npz")
    expected["run_caricature"] = repinv.caricature(IMAGE, HARD, max_iter=20).images
    np.savez_compressed(place / "expected.npz", **expected)
    for path in place.glob("*.npz"):  # the same arrays in less space
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
