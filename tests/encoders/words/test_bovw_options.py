"""What bags of visual words refuse, what they copy, and when two of them are equal."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

import repinv
from repinv import LLC, HardAssignment, SoftAssignment
from repinv.testing import check_vjp

RNG = np.random.default_rng(3)
SMOOTH = repinv.HOG.vlfeat(4, bilinear_orientations=True)
WORDS = RNG.uniform(0, 0.4, (12, 31))


def test_vocabularies_are_private_copies_that_cannot_be_written_to():
    given = WORDS.copy()
    bovw = repinv.BoVW(SMOOTH, given)
    given[:] = 0
    np.testing.assert_array_equal(bovw.vocabulary, WORDS)
    with pytest.raises(ValueError, match="read-only"):
        bovw.vocabulary[0, 0] = 1
    assert repinv.BoVW(SMOOTH, WORDS.tolist()).vocabulary.dtype == np.float64
    assert repinv.BoVW(SMOOTH, WORDS.astype(np.float16)).vocabulary.dtype == np.float32


def test_encoders_are_equal_if_their_contents_are():
    one, other = repinv.BoVW(SMOOTH, WORDS), repinv.BoVW(SMOOTH, WORDS.copy(), grid=[4, 4])
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301
    for options in ({"grid": (4, 3)}, {"vocabulary": WORDS + 1}, {"assignment": "hard"}):
        assert one != dataclasses.replace(one, **options)
    assert one != repinv.VLAD(SMOOTH, WORDS)
    assert one != dataclasses.replace(one, vocabulary=WORDS.astype(np.float32))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"assignment": "softer"}, "assignment must be 'hard'"),
        ({"assignment": HardAssignment}, "assignment must be"),
        ({"aggregation": "mean"}, "aggregation must be one of 'sum', 'max'"),
        ({"grid": (0, 1)}, r"grid\[0\] must be a whole number"),
        ({"grid": 4}, "grid must be a pair"),
        ({"grid": ((1, 1), (2,))}, r"grid\[1\] must be a pair"),
        ({"grid": ()}, "grid must be a pair"),
        ({"power": 0}, "power must be"),
        ({"power": 2}, "power must lie in"),
        ({"norm": "l3"}, "norm must be"),
        ({"warm": 0}, "warm must be"),
        ({"interpolate": 3}, "interpolate must be"),
        ({"vocabulary": WORDS[0]}, r"shape \(words, numbers of a descriptor\); got \(31,\)"),
        ({"vocabulary": WORDS[:0]}, "shape"),
        ({"vocabulary": np.where(WORDS > 0.3, np.nan, WORDS)}, "vocabulary must be finite"),
        ({"vocabulary": WORDS[:, :30]}, "30 numbers each; the local encoder's descriptors have 31"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        repinv.BoVW(**{"local": SMOOTH, "vocabulary": WORDS, **options})


def test_only_encoders_of_local_descriptors_are_taken():
    for local in (repinv.HOG.skimage(), repinv.BoVW(SMOOTH, WORDS), WORDS):
        with pytest.raises(TypeError, match="needs an encoder of local descriptors"):
            repinv.BoVW(local, WORDS)
    with pytest.raises(TypeError, match="real numbers"):
        repinv.BoVW(SMOOTH, WORDS.astype(str))


def test_descriptors_whose_width_hangs_on_the_channels_are_checked_with_the_image():
    colour = repinv.DSIFT.vlfeat(4, 3, channel_axis=0)
    bovw = repinv.BoVW(colour, RNG.uniform(0, 0.1, (5, 384)), grid=(2, 2))
    image = RNG.random((3, 32, 40), dtype=np.float32)
    np.testing.assert_allclose(bovw(image), bovw.encode(image[None])[0], atol=1e-6)
    for use in (bovw.vjp, bovw.encode):
        with pytest.raises(ValueError, match=r"384 numbers each; .* have 128"):
            use(image[None, :1])
    with pytest.raises(ValueError, match=r"384 numbers each; .* have 128"):
        bovw.feature_shape((1, 32, 40))
    check_vjp(bovw.vjp, RNG.random((1, 3, 24, 24)), step=1e-7)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"temperature": "x"}, {"neighbours": 0}])
def test_impossible_assignments_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        SoftAssignment(**options)
    with pytest.raises(ValueError, match="must be"):
        LLC(neighbours=1.5)
    with pytest.raises(ValueError, match="must be"):
        LLC(regularization=0)


def test_images_without_a_descriptor_are_refused():
    bovw = repinv.BoVW(repinv.HOG.dpm(8), RNG.random((4, 32)))
    with pytest.raises(ValueError, match="needs at least 20x20 pixels; got 16x40"):
        bovw.feature_shape((1, 16, 40))
    with pytest.raises(ValueError, match="needs at least"):
        bovw(np.zeros((16, 40)))
    assert bovw.feature_shape((1, 20, 40)) == (4, 4, 4)
    assert bovw.image_shapes((4, 4, 4)) is None
