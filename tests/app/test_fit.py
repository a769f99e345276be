"""``repinv fit``: folders of images, broken ones among them, and interrupts."""

import subprocess
import sys

import numpy as np
import pytest
import skimage
from PIL import Image

import repinv
from repinv.app.commands.fit import KINDS, Folder
from repinv.inverters import Inverter


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    (images / "below").mkdir(parents=True)
    coins = skimage.data.coins()
    for number in range(4):
        part = coins[32 * number : 32 * number + 160, 60 * number : 60 * number + 180]
        Image.fromarray(part).save(images / ("below" if number % 2 else ".") / f"{number}.png")
    Image.fromarray(skimage.data.chelsea()).save(images / "cat.jpg")
    (images / "broken.png").write_bytes(b"not an image")
    (images / "notes.txt").write_text("no image either")
    return images


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_fitted_and_loaded(run, folder, tmp_path, kind):
    out = tmp_path / "learned.npz"
    size = ("--size", 12) if kind in ("hoggle", "paired", "bovw", "direct", "restorer") else ()
    size = (*size, "--steps", 2) if kind == "restorer" else size
    status, printed, err = run("fit", kind, folder, "--out", out, *size)
    assert status == 0
    assert f"{kind} of 5 images, 1 left out" in printed
    assert "broken.png" in err
    classes = {"hoggle": repinv.HOGgle, "bovw": repinv.BoVW, "restorer": repinv.Restorer}
    load = classes.get(kind, Inverter).load
    learned = load(out)
    if kind in ("hoggle", "bovw"):
        image = folder / "0.png"
        status, printed, err = run(
            "invert", image, "--encoder", f'{kind}.load("{out}")', "--max-iter", 5
        )
        assert (status, err) == (0, "")
    elif kind == "restorer":
        options = ("--encoder", "hog.vlfeat", "--prior", out, "--max-iter", 12)
        status, printed, err = run("invert", folder / "0.png", *options)
        assert (status, err) == (0, "")
    else:
        assert learned.encoder == repinv.HOG.vlfeat()


def test_the_encoder_is_the_one_asked_for(run, folder, tmp_path):
    out = tmp_path / "ridge.npz"
    run("fit", "ridge", folder, "-o", out, "-e", "dsift.vlfeat(step=8, size=8)")
    assert Inverter.load(out).encoder == repinv.DSIFT.vlfeat(step=8, size=8)


def test_options_of_restorers_are_refused_elsewhere(run, folder, tmp_path):
    status, _, err = run("fit", "hoggle", folder, "-o", tmp_path / "x.npz", "--steps", 3)
    assert status == 2
    assert "--steps and --checkpoint are for restorer" in err


def test_one_seed_learns_one_thing(run, folder, tmp_path):
    learned = []
    for seed in (0, 0, 1):
        run("fit", "hoggle", folder, "-o", tmp_path / "x.npz", "--size", 9, "--seed", seed)
        learned.append(repinv.HOGgle.load(tmp_path / "x.npz"))
    assert learned[0] == learned[1]
    assert learned[0] != learned[2]


def test_large_images_are_made_smaller_and_read_one_at_a_time(folder):
    images = Folder(folder, max_side=100, passes=2, seed=0)
    assert len(images) == 12
    shapes = [image.shape for image in images]
    assert len(shapes) == 10
    assert max(max(shape) for shape in shapes) == 100
    assert list(images.broken) == [folder / "broken.png"]


@pytest.mark.parametrize(
    ("arguments", "status", "match"),
    [
        (("hoggle", "{empty}", "-o", "{out}"), 1, "there are none"),
        (("hoggle", "{bad}", "-o", "{out}"), 1, "none of the 1 images"),
        (("hoggle", "{missing}", "-o", "{out}"), 2, "does not exist"),
        (("hoggle", "{images}", "-o", "x.png"), 2, "must end in .npz"),
        (("hoggle", "{images}", "-o", "{empty}/no/x.npz"), 2, "there is no folder"),
        (("hoggle", "{images}", "-o", "{out}", "--size", 10**5), 1, "n_atoms=100000"),
        (("ridge", "{images}", "-o", "{out}", "--size", 5), 2, "ridge has no --size"),
        (("ridge", "{images}", "-o", "{out}", "-e", "dsift.phow"), 1, "cells on one grid"),
        (("hoggle", "{images}", "-o", "{out}", "-e", "hog.skimage"), 1, "one map of cells"),
    ],
)
def test_what_cannot_be_learned_is_told(run, folder, tmp_path, arguments, status, match):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no")
    names = {name: tmp_path / name for name in ("empty", "bad", "missing")}
    names |= {"images": folder, "out": tmp_path / "out.npz"}
    given = [a.format(**names) if isinstance(a, str) else a for a in arguments]
    found, _, err = run("fit", *given)
    assert found == status
    assert match in err
    assert "Traceback" not in err
    assert not (tmp_path / "out.npz").exists()


def test_an_interrupt_writes_what_was_learned(folder, tmp_path):
    out = tmp_path / "hoggle.npz"
    arguments = ["fit", "hoggle", folder, "--out", out, "--size", "12", "--passes", "100000"]
    # Interrupted as Ctrl-C does it, once the learning has said that it is under way.
    main = """
import signal, sys
import sklearn.decomposition
from repinv.app.commands.main import main

class Learning(sklearn.decomposition.MiniBatchDictionaryLearning):
    steps = 0

    def partial_fit(self, *args, **kwargs):
        Learning.steps += 1
        if Learning.steps == 5:
            signal.raise_signal(signal.SIGINT)
        return super().partial_fit(*args, **kwargs)

sklearn.decomposition.MiniBatchDictionaryLearning = Learning
main(sys.argv[1:])
"""
    done = subprocess.run(
        [sys.executable, "-c", main, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "interrupted" in done.stdout
    assert np.isfinite(repinv.HOGgle.load(out).atoms).all()
