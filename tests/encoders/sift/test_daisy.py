"""DAISY against scikit-image itself; its contract, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.feature import daisy

import repinv
from repinv import DAISY
from repinv.testing import check_encoder

RNG = np.random.default_rng(6)
IMAGE = RNG.random((53, 64))
OPTIONS = {
    "default": {},
    "l2": {"step": 5, "radius": 12, "rings": 2, "histograms": 6, "normalization": "l2"},
    "daisy": {"step": 3, "radius": 9, "orientations": 5, "normalization": "daisy"},
    "off": {"step": 7, "normalization": "off"},
    "sigmas": {"sigmas": [1.0, 2.0, 3.5], "ring_radii": [4.5, 11.0]},
    "sigmas alone": {"sigmas": [1.5, 2.0]},
    "radii alone": {"ring_radii": [3, 6, 9, 12]},
}
options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def of(options: dict) -> DAISY:
    return DAISY.skimage(**options)


@options
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_descriptors_are_those_of_scikit_image(options: dict, dtype: type) -> None:
    image = IMAGE.astype(dtype)
    radii = options.get("ring_radii")
    peer = options | ({"ring_radii": [*radii[:-1], int(radii[-1])]} if radii else {})
    expected = daisy(image, **peer)
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(of(options)(image), expected, atol=tolerance * expected.max())


def test_integers_are_fractions_of_white() -> None:
    image = np.rint(255 * IMAGE).astype(np.uint8)
    expected = daisy(image, normalization="off")
    np.testing.assert_allclose(DAISY.skimage(normalization="off")(image), expected, atol=1e-5)


@options
def test_contract_is_kept_and_the_pullback_is_the_derivative(options: dict) -> None:
    check_encoder(of(options), (1, 40, 47))


def test_words_and_inversions_take_it() -> None:
    encoder = DAISY.skimage(step=8)
    assert encoder.frames((1, 53, 64))[:2].tolist() == [[15, 15], [15, 23]]
    image = repinv.DAISY.skimage(8, normalization="off")
    smooth = np.sin(np.hypot(*np.mgrid[-3:3:64j, -3:3:64j]))[:53] / 2 + 0.5
    result = repinv.invert(image(smooth), image, shape=(53, 64), max_iter=100)
    assert result.error < 0.02


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"normalization": "l3"}, "normalization must be one of"),
        ({"ring_radii": (5, 9), "sigmas": (1, 2)}, "sigmas must be one more than ring_radii"),
        ({"ring_radii": (9, 5)}, "ring_radii must rise to the last"),
        ({"ring_radii": (3, 5.5)}, "must be a whole number"),
        ({"sigmas": ()}, "sigmas must be some numbers"),
        ({"step": 0}, "step must be a whole number"),
    ],
)
def test_impossible_options_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DAISY.skimage(**wrong)


def test_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match="this DAISY needs at least 31x31 pixels; got 30x64"):
        DAISY.skimage()(np.zeros((30, 64)))
