"""What the tasks on sensitivity return, in a notebook."""

import numpy as np
import pytest
from skimage import data

import repinv

IMAGE = (data.camera()[::16, ::16] / 255).astype(np.float32)
HOG = repinv.HOG.vlfeat(4, bilinear_orientations=True)


def squared(x, reference):
    return float(np.sum((x - reference) ** 2)), 2 * (x - reference)


@pytest.mark.parametrize(
    "made",
    [
        lambda: repinv.eigendistortions(HOG, IMAGE),
        lambda: repinv.sensitivity(HOG, IMAGE, n_probes=4),
        lambda: repinv.walk(IMAGE, HOG, amount=0.001, max_iter=10),
        lambda: repinv.mad(squared, HOG, IMAGE, max_iter=4),
    ],
    ids=["eigendistortions", "sensitivity", "walk", "mad"],
)
def test_a_notebook_shows_the_picture_and_the_text(made):
    found = made()
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == repr(found)
    assert bundle["text/html"].count("data:image/png;base64,") == 1
    assert repr(found).splitlines()[0][:20] in bundle["text/html"]
