"""HOG.opencv against OpenCV itself: what its constructors take where nothing is said."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import skimage

from repinv import DSIFT, HOG
from repinv.encoders import expressions

IMAGE = skimage.data.camera()[100:260, 60:250].copy()
#: OpenCV's arctangent is approximate, by so much in its features.
TOLERANCE = 1e-3


def loaded(descriptor, path):
    """A descriptor that went through a file."""
    descriptor.save(str(path))
    read = cv2.HOGDescriptor()
    read.load(str(path))
    return read


SIZES = ((32, 48), (16, 16), (8, 8), (8, 8), 9)
BUILT = {
    "nothing": lambda path: cv2.HOGDescriptor(),
    "sizes": lambda path: cv2.HOGDescriptor(*SIZES),
    "other bins": lambda path: cv2.HOGDescriptor((64, 64), (32, 16), (16, 8), (16, 8), 7),
    "sigma": lambda path: cv2.HOGDescriptor(*SIZES, 1, 2.5),
    "threshold": lambda path: cv2.HOGDescriptor(*SIZES, 1, -1, 0, 0.35),
    "gamma": lambda path: cv2.HOGDescriptor(*SIZES, 1, -1, 0, 0.2, True),
    "levels": lambda path: cv2.HOGDescriptor(*SIZES, 1, 3.0, 0, 0.15, False, 32),
    "signed": lambda path: cv2.HOGDescriptor(*SIZES, 1, -1, 0, 0.2, True, 64, True),
    "default, loaded": lambda path: loaded(cv2.HOGDescriptor(), path),
    "signed, loaded": lambda path: loaded(
        cv2.HOGDescriptor(*SIZES, 1, 3.5, 0, 0.3, True, 64, True), path
    ),
    "read by the constructor": lambda path: (
        cv2.HOGDescriptor(*SIZES, 1, 1.5).save(str(path)) or cv2.HOGDescriptor(str(path))
    ),
}


#: Features by a process of their own: OpenCV 4 keeps the threshold of a process's first call.
ALONE = """
import sys, cv2, numpy
descriptor = cv2.HOGDescriptor(sys.argv[1])
numpy.save(sys.argv[3], descriptor.compute(numpy.load(sys.argv[2])).ravel())
"""


def computed(descriptor, folder):
    """What OpenCV computes with a descriptor."""
    if abs(descriptor.L2HysThreshold - 0.2) < 1e-6:
        return descriptor.compute(IMAGE).ravel()
    names = [str(folder / name) for name in ("d.yml", "image.npy", "features.npy")]
    descriptor.save(names[0])
    np.save(names[1], IMAGE)
    subprocess.run([sys.executable, "-c", ALONE, *names], check=True, timeout=60)
    return np.load(names[2])


@pytest.mark.parametrize("built", BUILT)
def test_every_setting_of_a_descriptor_is_read(tmp_path, built):
    descriptor = BUILT[built](tmp_path / "descriptor.yml")
    hog = HOG.from_opencv(descriptor)
    expected = computed(descriptor, tmp_path)
    assert hog(IMAGE).shape == expected.shape
    np.testing.assert_allclose(hog(IMAGE), expected, atol=TOLERANCE)


def test_without_sizes_it_is_the_constructor_without_arguments():
    expected = cv2.HOGDescriptor().compute(IMAGE).ravel()
    np.testing.assert_allclose(HOG.opencv()(IMAGE), expected, atol=TOLERANCE)
    assert HOG.opencv() == HOG.from_opencv(cv2.HOGDescriptor())
    assert HOG.opencv(win_stride=(16, 16), win_sigma=3.0).flavour.gamma_correction


@pytest.mark.parametrize(
    "given",
    [
        {"win_size": (64, 128)},
        {"block_size": (16, 16)},
        {"block_stride": (8, 8)},
        {"cell_size": (8, 8)},
        {"nbins": 9},
    ],
    ids=lambda given: next(iter(given)),
)
def test_with_any_of_the_sizes_it_is_the_constructor_with_sizes(given):
    constructed = cv2.HOGDescriptor((64, 128), (16, 16), (8, 8), (8, 8), 9)
    expected = constructed.compute(IMAGE).ravel()
    np.testing.assert_allclose(HOG.opencv(**given)(IMAGE), expected, atol=TOLERANCE)
    # The two differ by far more than the tolerance, so that this is not true of both.
    assert np.abs(HOG.opencv()(IMAGE) - expected).max() > 0.05
    assert HOG.opencv(**given, gamma_correction=True) == HOG.opencv()


def test_the_command_line_has_the_same_defaults():
    assert expressions.parse("hog.opencv") == HOG.opencv()
    assert expressions.parse("hog.opencv(win_size=(32, 32))") == HOG.opencv((32, 32))
    gamma = expressions.parse("hog.opencv(win_size=(32, 32), gamma_correction=True)")
    assert gamma == HOG.opencv((32, 32), gamma_correction=True)


@pytest.mark.parametrize(
    ("cell", "window_stride", "padding"),
    [
        ((10, 10), None, (8, 8)),
        ((10, 10), (20, 20), (1, 2)),
        ((6, 6), (12, 6), (7, 3)),
        ((7, 7), None, (8, 3)),
        ((8, 8), (12, 20), (5, 11)),
        ((8, 8), None, (8, 16)),
    ],
)
def test_padding_is_rounded_as_opencv_rounds_it(cell, window_stride, padding):
    width, height = cell
    sizes = ((6 * width, 6 * height), (2 * width, 2 * height), cell, cell, 9)
    descriptor = cv2.HOGDescriptor(*sizes)
    stride = cell if window_stride is None else window_stride
    expected = descriptor.compute(IMAGE, winStride=stride, padding=padding).ravel()
    found = HOG.opencv(*sizes, win_stride=window_stride, padding=padding)(IMAGE)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    "given",
    [None, DSIFT.natural(), cv2.HOGDescriptor, "hog"],
    ids=["None", "DSIFT", "class", "str"],
)
def test_what_is_no_descriptor_is_refused(given):
    with pytest.raises(TypeError, match=r"expected a cv2\.HOGDescriptor; got .*HOG\.opencv"):
        HOG.from_opencv(given)
