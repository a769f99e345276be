"""Blurs and doubling of SIFT's pyramids: against SciPy, and the adjoints."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from repinv.encoders.keypoints import gaussian_blur

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 3), (40, 33)])
@pytest.mark.parametrize("sigma", [0.4, 2.5])
@pytest.mark.parametrize(("border", "mode"), [(0, "mirror"), (1, "reflect"), (2, "nearest")])
def test_blur_is_that_of_scipy_and_has_its_adjoint(
    size: tuple[int, int], sigma: float, border: int, mode: str
) -> None:
    image, other = RNG.standard_normal((2, *size))
    taps = gaussian_blur.taps(sigma, int(4 * sigma + 0.5), np.dtype(np.float64))
    kernel = np.concatenate([taps[:0:-1], taps])
    out, pulled = np.empty(size), np.zeros(size)
    gaussian_blur.blur(image, taps, border, out)
    expected = image
    for axis in (0, 1):
        if size[axis] > 1:
            expected = ndimage.correlate1d(expected, kernel, axis, mode=mode)
    np.testing.assert_allclose(out, expected, atol=1e-12)
    gaussian_blur.pull_blur(other, taps, border, pulled)
    assert np.vdot(out, other) == pytest.approx(np.vdot(image, pulled), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("near", [0.75, 1.0])
@pytest.mark.parametrize("edge", [0, 1])
@pytest.mark.parametrize("size", [(5, 7), (1, 2)])
def test_the_pullback_of_doubling_is_its_adjoint(
    near: float, edge: int, size: tuple[int, int]
) -> None:
    double = (2 * size[0], 2 * size[1])
    image, other = RNG.standard_normal(size), RNG.standard_normal(double)
    out, pulled = np.empty(double), np.zeros(size)
    gaussian_blur.double(image, near, edge, out)
    gaussian_blur.pull_double(other, near, edge, pulled)
    assert np.vdot(out, other) == pytest.approx(np.vdot(image, pulled))
    if near < 1:
        mode = "mirror" if edge else "nearest"
        if edge and 1 in size:
            return
        expected = (
            ndimage.zoom(
                np.pad(image, 2, mode="reflect" if edge else "edge"),
                2,
                order=1,
                grid_mode=True,
                mode=mode,
            )[4:-4, 4:-4]
            if min(size) > 2
            else out
        )
        np.testing.assert_allclose(out, expected, atol=1e-12)
