"""What cannot fit is refused before it is allocated, and what fits is not."""

import tracemalloc

import numpy as np
import pytest

import repinv
from repinv.solvers import memory

RNG = np.random.default_rng(0)


def test_the_machine_tells_how_much_is_free():
    free = memory.available()
    assert free is None or 0 < free < 2**50


def test_an_ordinary_image_fits():
    memory.check_fits(256, 256, 3, 1)


def test_an_absurd_size_is_refused_with_figures(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 2**30)
    with pytest.raises(ValueError, match=r"10000x20000 .* GiB .*; 1 GiB are free"):
        memory.check_fits(10_000, 20_000, 1, 1)
    with pytest.raises(ValueError, match="100 images"):
        memory.check_fits(1000, 1000, 1, 100)


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: None)
    memory.check_fits(10**6, 10**6, 3, 1)


def test_the_smaller_of_machine_and_container_counts(monkeypatch):
    monkeypatch.setattr(memory, "_of_the_system", lambda: 10**9)
    monkeypatch.setattr(memory, "_of_the_group", lambda: 10**8)
    assert memory.available() == 10**8
    monkeypatch.setattr(memory, "_of_the_group", lambda: None)
    assert memory.available() == 10**9


def most_taken(encoder, image):
    """Bytes that an inversion holds at most; one before it compiles the kernels, uncounted."""
    features = encoder(image)
    repinv.invert(features, encoder, shape=image.shape, max_iter=2)
    tracemalloc.start()
    try:
        repinv.invert(features, encoder, shape=image.shape, max_iter=15)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_estimate_covers_what_an_inversion_takes():
    hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    estimate = memory.needed(512, 512, 1, 1)
    assert 0.5 * estimate < most_taken(hog, RNG.random((512, 512), dtype=np.float32)) < estimate


def test_the_estimate_covers_many_features():
    dsift = repinv.DSIFT.vlfeat(fast=True)
    image = RNG.random((128, 128), dtype=np.float32)
    estimate = memory.needed(128, 128, 1, 1, n_features=dsift(image).size)
    assert 0.5 * estimate < most_taken(dsift, image) < estimate


def test_many_features_count(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 2**30)
    memory.check_fits(512, 512, 1, 1)
    with pytest.raises(ValueError, match=r"with 3\.4e\+07 features each, needs .* larger step"):
        memory.check_fits(512, 512, 1, 1, n_features=34_000_000)
