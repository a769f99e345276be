"""Codes of bags of words, as the bags that a run is softened to have them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from skimage.data import camera

import repinv
from repinv import SoftAssignment
from repinv.encoders.words.softmax import pull_softmax_rows, softmax_rows

LOCAL = repinv.DSIFT.vlfeat(8, 4)
PHOTOGRAPH = (camera()[64:320:2, 128:384:2] / 255).astype(np.float32)
BATCH = PHOTOGRAPH[None, None, :48, :64].astype(np.float64)


def distance(one, other):
    """Relative to the other."""
    return np.linalg.norm(one - other) / np.linalg.norm(other)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"power": 0.5, "norm": "l2"},
        {"grid": None, "norm": "l2"},
        {"grid": ((1, 1), (2, 2)), "norm": "l1"},
        {"cell_size": 16, "grid": None, "interpolate": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("softness", [1.0, 0.1])
def test_codes_of_descriptors_that_are_words_are_softened_exactly(options, softness):
    words = LOCAL.encode(BATCH)[0]
    bag = repinv.BoVW(LOCAL, words, assignment="hard", **options)
    expected = bag.compared(softness).encode(BATCH)
    got = bag.softened_features(bag.encode(BATCH), softness)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("assignment", ["soft", "hard", "llc", SoftAssignment(0.02, neighbours=20)])
@pytest.mark.parametrize("softness", [1.0, 0.2, 0.1])
def test_softened_codes_are_nearer_to_the_softened_encoder_than_the_codes_are(assignment, softness):
    bag = repinv.BoVW.pretrained(assignment=assignment)
    given, expected = (e.encode(PHOTOGRAPH[None, None]) for e in (bag, bag.compared(softness)))
    softer = bag.softened_features(given, softness)
    assert distance(softer, expected) < 0.9 * distance(given, expected)


@pytest.mark.parametrize(
    ("options", "power"),
    [
        ({"aggregation": "max"}, 0.5),
        ({"assignment": SoftAssignment(0.5)}, 0.5),
        ({"assignment": SoftAssignment(0.5), "power": 0.4}, 1),
        ({"assignment": "llc", "aggregation": "max"}, 0.5),
    ],
    ids=str,
)
def test_of_codes_that_cannot_be_softened_the_power_changes_alone(options, power):
    bag = dataclasses.replace(repinv.BoVW.pretrained(), **options)
    features = bag.encode(PHOTOGRAPH[None, None])
    np.testing.assert_array_equal(
        bag.softened_features(features, 0.3), np.sign(features) * np.abs(features) ** power
    )


def test_roots_are_compared_until_the_own_features_are():
    powers = {
        kind: [bag.compared(s) and bag.compared(s).power for s in (1.0, 0.1, 0.04, 0.01)]
        for kind, bag in (
            (k, repinv.BoVW.pretrained(assignment=k)) for k in ("soft", "hard", "llc")
        )
    }
    assert powers["soft"] == [0.5, 0.5, 0.5, 0.5]
    assert powers["hard"] == [0.5, 0.5, 1.0, 1.0]
    assert powers["llc"] == [0.5, 0.5, 1.0, 1.0]
    assert repinv.BoVW.pretrained().softened(1.0).power == 1.0


@pytest.mark.parametrize(("assignment", "limit"), [("soft", 0.015), ("hard", 0.06), ("llc", 0.5)])
def test_bags_are_inverted_to_what_they_show(assignment, limit):
    bag = repinv.BoVW.pretrained(assignment=assignment)
    result = repinv.invert(bag(PHOTOGRAPH), bag, shape=PHOTOGRAPH.shape, max_iter=150)
    assert result.error[0] < limit
    assert repinv.metrics.ncc(result.image, PHOTOGRAPH) > 0.8


def test_no_weight_is_so_small_that_processors_are_slow():
    logits = -np.geomspace(1e-3, 1e3, 4096, dtype=np.float32)[None]
    codes = logits.copy()
    softmax_rows(codes, np.zeros(4096, np.float32))
    assert ((codes == 0) | (codes > 1e-24)).all()
    exact = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(codes, exact / exact.sum(), rtol=1e-5, atol=1e-22)
    grad = np.full_like(codes, 1e-9)
    grad[0, 0] = -1e-9
    pull_softmax_rows(codes, grad)
    assert ((grad == 0) | (np.abs(grad) > np.finfo(np.float32).tiny)).all()
