"""What cannot fit is refused before it is allocated, and what fits is not."""

import subprocess
import sys

import pytest

from repinv import memory


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


def test_the_estimate_covers_what_an_inversion_takes():
    code = """
import resource, sys
import numpy as np, repinv
hog = repinv.HOG.vlfeat(bilinear_orientations=True)
def peak():
    unit = 1 if sys.platform == 'darwin' else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def run(side):
    image = np.random.default_rng(0).random((side, side), dtype=np.float32)
    repinv.invert(hog(image), hog, shape=(side, side), max_iter=15)
run(64)
before = peak()
run(1024)
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    taken = int(done.stdout)
    estimate = 4 * memory._ARRAYS * 1024**2
    assert 0.25 * estimate < taken < estimate
