"""SIFT.skimage against scikit-image itself, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from skimage.feature import SIFT as Peer

from repinv import SIFT

IMAGE = skimage.data.camera()[100:250, 150:310]
OPTIONS = {
    "default": {},
    "not doubled": {"upsampling": 1},
    "other": {"n_scales": 4, "sigma_min": 1.8, "sigma_in": 0.4, "lambda_descr": 5},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_descriptors_are_those_of_scikit_image(options: dict) -> None:
    peer = Peer(**options)
    peer.detect_and_extract(IMAGE)
    got = SIFT.skimage(peer)(np.float64(IMAGE))
    assert len(got) > 30
    # Rounding down turns at whole numbers, such as those of a descriptor of few votes.
    assert (got != peer.descriptors).mean() < 1e-4


def test_root_is_taken_of_rounded_descriptors() -> None:
    peer = Peer(upsampling=1)
    peer.detect(IMAGE)
    expected = SIFT.skimage(peer)(IMAGE)
    expected = np.sqrt(expected / expected.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(SIFT.skimage(peer, rootsift=True)(IMAGE), expected, atol=1e-6)


def test_detectors_of_another_geometry_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Call detector.detect\(image\) before"):
        SIFT.skimage(Peer())
    peer = Peer(n_hist=3, upsampling=1)
    peer.detect(IMAGE)
    with pytest.raises(ValueError, match="4 histograms a side and 8 orientations; got n_hist=3"):
        SIFT.skimage(peer)


def test_impossible_options_are_refused() -> None:
    one = [[10.0, 12.0, 4.0, 30.0, 256.0]]
    with pytest.raises(ValueError, match="upsampling must be a whole number from 1 to 2; got 4"):
        SIFT.skimage(one, upsampling=4)
    with pytest.raises(ValueError, match="sigma_min must be a finite number above 1"):
        SIFT.skimage(one, sigma_min=0.9)
    with pytest.raises(ValueError, match="octave -1, layer 1; octaves begin with 0"):
        SIFT.skimage([[10.0, 12.0, 4.0, 30.0, 255 | 256]], upsampling=1)
