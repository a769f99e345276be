"""Gaussian blur, doubling and halving of an image; the adjoints below."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from repinv.encoders._kernels.jit import helper, jit

#: What lies beyond the border: the image mirrored at its last pixel's middle, or beside that pixel,
#: which is then repeated once; or that pixel, as far as a blur reaches.
MIDDLE, BESIDE, LAST = 0, 1, 2


@functools.lru_cache(maxsize=256)
def taps(sigma: float, reach: int, dtype: Any) -> np.ndarray:
    """Right half (reach + 1,) of a Gaussian of the sum 1."""
    half = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    found: np.ndarray = (half / (2 * half.sum() - half[0])).astype(dtype)
    found.setflags(write=False)
    return found


@helper
def continued(i, size, border):  # type: ignore[no-untyped-def]
    """The pixel within an axis whose value one outside of it has."""
    if border == LAST:
        return min(max(i, 0), size - 1)
    beside = 1 if border == BESIDE else 0
    period = 2 * (size - 1 + beside)
    if period == 0:
        return 0
    i = i % period
    return i if i < size else period - beside - i


@helper
def _add_pair(source, low, high, count, weight, line, at):  # type: ignore[no-untyped-def]
    """line[at + x] += weight·(source[low + x] + source[high + x]).

    Indices are unsigned: what could be negative is not compiled to vector instructions.
    """
    low, high, at = np.uint64(low), np.uint64(high), np.uint64(at)
    for x in range(np.uint64(count)):
        line[at + x] += weight * (source[low + x] + source[high + x])


@helper
def _add_pairs(source, first, second, count, near, far, line, at):  # type: ignore[no-untyped-def]
    """The same of two pairs at once, which are (low, high), with the weights near and far."""
    a, b, at = np.uint64(first[0]), np.uint64(first[1]), np.uint64(at)
    c, d = np.uint64(second[0]), np.uint64(second[1])
    for x in range(np.uint64(count)):
        line[at + x] += near * (source[a + x] + source[b + x]) + far * (
            source[c + x] + source[d + x]
        )


@helper
def _across(padded, kernel, count, line):  # type: ignore[no-untyped-def]
    """line[x] = Σ kernel[|i|]·padded[x + reach + i]."""
    reach = kernel.size - 1
    middle = np.uint64(reach)
    for x in range(np.uint64(count)):
        line[x] = kernel[0] * padded[middle + x]
    i = 1
    while i + 1 <= reach:
        first, second = (reach - i, reach + i), (reach - i - 1, reach + i + 1)
        _add_pairs(padded, first, second, count, kernel[i], kernel[i + 1], line, 0)
        i += 2
    if i <= reach:
        _add_pair(padded, reach - i, reach + i, count, kernel[i], line, 0)


@helper
def _down(flat, height, width, y, kernel, border, line, at):  # type: ignore[no-untyped-def]
    """line[at + x] = Σ kernel[|i|]·image[y + i, x], of an image (H, W) as one line `flat`."""
    reach = kernel.size - 1
    own, to = np.uint64(y * width), np.uint64(at)
    for x in range(np.uint64(width)):
        line[to + x] = kernel[0] * flat[own + x]
    i = 1
    while i + 1 <= reach:
        first = (continued(y - i, height, border) * width, continued(y + i, height, border) * width)
        before, after = continued(y - i - 1, height, border), continued(y + i + 1, height, border)
        second = (before * width, after * width)
        _add_pairs(flat, first, second, width, kernel[i], kernel[i + 1], line, at)
        i += 2
    if i <= reach:
        above, below = continued(y - i, height, border), continued(y + i, height, border)
        _add_pair(flat, above * width, below * width, width, kernel[i], line, at)


@jit
def blur(image, kernel, border, out):  # type: ignore[no-untyped-def]
    """out (H, W) = image (H, W) blurred along both axes."""
    height, width = image.shape
    reach = kernel.size - 1
    flat = image.reshape(-1)
    padded = np.empty(width + 2 * reach, image.dtype)
    line = np.empty(width, image.dtype)
    for y in range(height):
        _down(flat, height, width, y, kernel, border, padded, reach)
        for x in range(1, reach + 1):
            padded[reach - x] = padded[reach + continued(-x, width, border)]
            padded[reach + width - 1 + x] = padded[reach + continued(width - 1 + x, width, border)]
        _across(padded, kernel, width, line)
        for x in range(width):
            out[y, x] = line[x]


@helper
def _pull_down(flat, height, width, y, kernel, line, at):  # type: ignore[no-untyped-def]
    """line[at + x] = Σ kernel[|i|]·cotangent[y + i, x], zero outside of it."""
    reach = kernel.size - 1
    to = np.uint64(at)
    for x in range(np.uint64(width)):
        line[to + x] = 0
    for i in range(max(-reach, -y), min(reach, height - 1 - y) + 1):
        weight, own = kernel[abs(i)], np.uint64((y + i) * width)
        for x in range(np.uint64(width)):
            line[to + x] += weight * flat[own + x]


@jit
def pull_blur(cotangent, kernel, border, grad):  # type: ignore[no-untyped-def]
    """Adjoint of `blur`, added to grad (H, W).

    The cotangent is blurred as an image with zeros around it, and what reaches beyond the border
    is added to the pixels whose values are taken there.
    """
    height, width = cotangent.shape
    reach = kernel.size - 1
    padded = np.zeros(width + 4 * reach, cotangent.dtype)
    line = np.empty(width + 2 * reach, cotangent.dtype)
    flat, into = cotangent.reshape(-1), grad.reshape(-1)
    for y in range(-reach, height + reach):
        if reach <= y < height - reach:
            _down(flat, height, width, y, kernel, border, padded, 2 * reach)
        else:
            _pull_down(flat, height, width, y, kernel, padded, 2 * reach)
        _across(padded, kernel, width + 2 * reach, line)
        to = continued(y, height, border)
        own, middle = np.uint64(to * width), np.uint64(reach)
        for x in range(np.uint64(width)):
            into[own + x] += line[middle + x]
        for x in range(1, reach + 1):
            grad[to, continued(-x, width, border)] += line[reach - x]
            grad[to, continued(width - 1 + x, width, border)] += line[reach + width - 1 + x]


@jit
def double(image, near, edge, out):  # type: ignore[no-untyped-def]
    """out (2H, 2W): linear interpolation of image (H, W).

    An even pixel has the weight `near`, and the one before it the rest; an odd pixel the same of
    the one after it. `near` ¾ keeps the edges of the image, 1 keeps the centre of its first
    pixel, and then an odd pixel is the mean of two. Beyond the border lies the border's own pixel,
    or with `edge` 1 the one beside it.
    """
    height, width = image.shape
    real = image.dtype.type
    near = real(near)
    far = real(1) - near
    odd = near if near < real(1) else real(0.5)
    after = real(1) - odd
    first, left, right = min(edge, height - 1), min(edge, width - 1), max(width - 1 - edge, 0)
    line = np.empty(width, image.dtype)
    for row in range(2 * height):
        y = row // 2
        if row % 2 == 0:
            other = y - 1 if y > 0 else first
            for x in range(width):
                line[x] = near * image[y, x] + far * image[other, x]
        else:
            other = y + 1 if y < height - 1 else max(height - 1 - edge, 0)
            for x in range(width):
                line[x] = odd * image[y, x] + after * image[other, x]
        out[row, 0] = near * line[0] + far * line[left]
        for x in range(1, width):
            out[row, 2 * x] = near * line[x] + far * line[x - 1]
        for x in range(width - 1):
            out[row, 2 * x + 1] = odd * line[x] + after * line[x + 1]
        out[row, 2 * width - 1] = odd * line[width - 1] + after * line[right]


@jit
def pull_double(cotangent, near, edge, grad):  # type: ignore[no-untyped-def]
    """Adjoint of `double`, added to grad (H, W)."""
    height, width = grad.shape
    real = grad.dtype.type
    near = real(near)
    far = real(1) - near
    odd = near if near < real(1) else real(0.5)
    after = real(1) - odd
    first, left, right = min(edge, height - 1), min(edge, width - 1), max(width - 1 - edge, 0)
    line = np.empty(width, grad.dtype)
    for row in range(2 * height):
        y = row // 2
        for x in range(width):
            line[x] = near * cotangent[row, 2 * x] + odd * cotangent[row, 2 * x + 1]
        for x in range(width - 1):
            line[x] += far * cotangent[row, 2 * x + 2]
        for x in range(1, width):
            line[x] += after * cotangent[row, 2 * x - 1]
        line[left] += far * cotangent[row, 0]
        line[right] += after * cotangent[row, 2 * width - 1]
        if row % 2 == 0:
            other, own, rest = (y - 1 if y > 0 else first), near, far
        else:
            own, rest = odd, after
            other = y + 1 if y < height - 1 else max(height - 1 - edge, 0)
        for x in range(width):
            grad[y, x] += own * line[x]
        for x in range(width):
            grad[other, x] += rest * line[x]


def halved(size: int) -> np.ndarray:
    """The pixels that the nearest neighbours of half as many, rounded down, are taken from."""
    count = size // 2
    found = np.floor(np.arange(count) * (size / max(count, 1))).astype(np.int64)
    pixels: np.ndarray = np.minimum(found, size - 1)
    return pixels


def blur_sigmas(sigma: float, layers: int) -> list[float]:
    """Deviations of the blurs from each layer of an octave to the next; the first is σ itself."""
    factor = 2.0 ** (1.0 / layers)
    found = [sigma]
    for i in range(1, layers + 3):
        before = factor ** (i - 1) * sigma
        found.append(math.sqrt((before * factor) ** 2 - before**2))
    return found
