"""Image gradient in polar form, its direction between orientation bins, and the adjoint."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.extending import overload

#: Magnitudes below this have no direction, and gradient zero.
FLAT = 1e-10

#: Rules of `Binning`.
C_FLOAT, SKIMAGE, DPM = 0, 1, 2

#: Distance to a border between bins, in bins, below which the mirrored arithmetic decides.
_DOUBTFUL = 0.01

# Chebyshev interpolation of arctan(√s)/√s on [0, 1]; largest error of the angle 6.3e-8 rad.
_ARCTAN = (
    0.9999998819964927,
    -0.3333181265562583,
    0.19966961829568286,
    -0.14003290184552686,
    0.09868865457940856,
    -0.0588297531413815,
    0.02378051859662378,
    -0.004559791986139317,
)

# voc-release's directed bin centres, rounded to four decimals there.
_DPM_UNITS = np.array(
    [
        (
            round(sign * math.cos(math.radians(20 * k)), 4),
            round(sign * math.sin(math.radians(20 * k)), 4),
        )
        for sign in (1, -1)
        for k in range(9)
    ]
)

#: How every kernel is compiled: cached on disk, without the interpreter's lock or zero checks.
jit = numba.njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"contract", "nsz", "arcp", "reassoc"},
)


class Binning(NamedTuple):
    """How an angle becomes votes for two orientation bins.

    An angle θ lies at `per_radian`·θ − `shift` between the centres of bins 0 … `count` − 1,
    which wrap around. With f the fraction between two centres, the upper one has the weight
    clip(½ + (f − ½)/softness, 0, 1): 1 is linear interpolation, 0 the nearest bin.

    `rule` says whose ties are followed. C_FLOAT: channels are compared by squares in float32,
    and halfway between two bins the lower one wins. SKIMAGE: channels are compared by
    magnitude in their own precision; bin i is the interval [i, i+1)·180°/count with borders in
    float32, and what lies in none (an angle that evaluates to 180°) votes nowhere. DPM: as
    C_FLOAT, with squares in float64 and bin centres of four decimals.
    """

    count: int
    per_radian: float
    shift: float
    directed: bool
    softness: float
    scale: float  # of pixel values
    rule: int


class Polar(NamedTuple):
    """The image gradient in polar form; all a pullback needs to know of the image."""

    across: np.ndarray  # (H, W) unit vector, x
    down: np.ndarray  # (H, W) unit vector, y
    position: np.ndarray  # (H, W) between the bin centres
    channel: np.ndarray  # (H, W) uint8, whose gradient it is


def _arctan(t: Any) -> Any:
    """Inverse tangent on [0, 1]."""
    raise NotImplementedError


@overload(_arctan, jit_options={"fastmath": True})
def _arctan_overload(t):  # type: ignore[no-untyped-def]
    """A polynomial in float32 (error below 3e-7 rad, rounding included), exact in float64."""
    if t != types.float32:
        return lambda t: math.atan(t)
    c0, c1, c2, c3, c4, c5, c6, c7 = (np.float32(c) for c in _ARCTAN)

    def polynomial(t):  # type: ignore[no-untyped-def]
        s = t * t
        return t * (c0 + s * (c1 + s * (c2 + s * (c3 + s * (c4 + s * (c5 + s * (c6 + s * c7)))))))

    return polynomial


@jit
def _difference_row(channel, y, scale, across, down):  # type: ignore[no-untyped-def]
    """I(x+1) − I(x−1) along both axes for one row, zero where it would cross the border."""
    height, width = channel.shape
    here, above, below = channel[y], channel[max(y - 1, 0)], channel[min(y + 1, height - 1)]
    across[0] = across[width - 1] = 0
    for x in range(1, width - 1):
        across[x] = scale * (here[x + 1] - here[x - 1])
    if 0 < y < height - 1:
        for x in range(width):
            down[x] = scale * (below[x] - above[x])
    else:
        down[:] = 0


@jit
def _strength_row(across, down, rule, strength):  # type: ignore[no-untyped-def]
    """What channels are compared by, in strength[0]; see `Binning`.

    Products go through memory, since the compiler would fuse them with the sum, and ties hang
    on each being rounded.
    """
    if rule == SKIMAGE:
        for x in range(across.size):
            strength[0, x] = math.hypot(across[x], down[x])
        return
    if rule == DPM:
        for x in range(across.size):
            strength[0, x] = np.float64(across[x]) * np.float64(across[x])
        for x in range(across.size):
            strength[1, x] = np.float64(down[x]) * np.float64(down[x])
        for x in range(across.size):
            strength[0, x] += strength[1, x]
        return
    for x in range(across.size):
        strength[0, x] = np.float32(across[x]) * np.float32(across[x])
    for x in range(across.size):
        strength[1, x] = np.float32(down[x]) * np.float32(down[x])
    for x in range(across.size):
        strength[0, x] = np.float32(strength[0, x] + strength[1, x])


@jit
def _strongest_row(image, y, scale, rule, across, down, channel):  # type: ignore[no-untyped-def]
    """`_difference_row` of the channel where it is largest, the first one on a tie."""
    width = image.shape[2]
    best, strength = np.empty((2, width)), np.empty((2, width))
    other_across, other_down = np.empty_like(across), np.empty_like(down)
    _strength_row(across, down, rule, best)
    channel[:] = 0
    for c in range(1, image.shape[0]):
        _difference_row(image[c], y, scale, other_across, other_down)
        _strength_row(other_across, other_down, rule, strength)
        for x in range(width):
            if strength[0, x] > best[0, x]:
                best[0, x], channel[x] = strength[0, x], c
                across[x], down[x] = other_across[x], other_down[x]


@jit
def _skimage_bin(gx, gy, count):  # type: ignore[no-untyped-def]
    """scikit-image's bin of a gradient, in its arithmetic; −1 for none."""
    degrees = (math.atan2(np.float64(gy), np.float64(gx)) * (180 / math.pi)) % 180.0
    width = np.float32(180 / count)
    for k in range(count):
        if width * np.float32(k) <= degrees < width * np.float32(k + 1):
            return k
    return -1


@jit
def _dpm_bin(gx, gy, lower):  # type: ignore[no-untyped-def]
    """Bin `lower` or the next, by the larger product with voc-release's unit vectors."""
    first, second = _DPM_UNITS[lower % 18], _DPM_UNITS[(lower + 1) % 18]
    rises = second[0] * gx + second[1] * gy > first[0] * gx + first[1] * gy
    return (lower + rises) % 18


@jit
def _settle_row(binning, magnitude, position, across, down):  # type: ignore[no-untyped-def]
    """Positions → nearest bins, by the binning's rule; no magnitude where there is none."""
    count, real = binning.count, position.dtype.type
    for x in range(position.size):
        position[x] -= real(0.5)
    if binning.rule == C_FLOAT:
        for x in range(position.size):
            nearest = math.ceil(position[x])
            position[x] = nearest - real(count) if nearest >= count else nearest
        return
    for x in range(position.size):
        nearest = math.floor(position[x] + real(0.5) + real(0.5))
        if abs(position[x] - np.rint(position[x])) < _DOUBTFUL:
            if binning.rule == SKIMAGE:
                nearest = _skimage_bin(across[x], down[x], count)
                if nearest < 0:
                    magnitude[x] = real(0)
            else:
                nearest = _dpm_bin(across[x], down[x], int(np.rint(position[x])))
        position[x] = 0 if nearest < 0 or nearest >= count else nearest


@jit
def polar_row(image, y, binning, magnitude, scaled, across, down, position, channel):  # type: ignore[no-untyped-def]
    """Gradient of one row in polar form; `scaled` is what `_add_votes` compares bins with."""
    real = image.dtype.type
    one, half, zero = real(1), real(0.5), real(0)
    width = image.shape[2]
    scale, count = real(binning.scale), real(binning.count)
    _difference_row(image[0], y, scale, across, down)
    if image.shape[0] > 1:
        _strongest_row(image, y, scale, binning.rule, across, down, channel)

    half_turn = real(binning.per_radian * math.pi)
    per_radian, shift = real(binning.per_radian), real(binning.shift)
    turn = half_turn + half_turn if binning.directed else half_turn
    for x in range(width):
        gx, gy = across[x], down[x]
        a, b = abs(gx), abs(gy)
        large, small = max(a, b), min(a, b)
        magnitude[x] = math.sqrt(gx * gx + gy * gy)
        angle = per_radian * _arctan(small / (large if large > zero else one))
        angle = half * half_turn - angle if b > a else angle
        angle = half_turn - angle if gx < zero else angle
        angle = turn - angle if gy < zero else angle
        angle -= shift
        angle = angle + count if angle < zero else angle
        # NaN compares false and goes to the first bin: an index stays an index.
        position[x] = angle if angle <= count else zero
    if binning.softness > 0:
        slope = real(1 / binning.softness)
        for x in range(width):
            scaled[x] = magnitude[x] * ((position[x] - half) * slope + half)
    else:
        _settle_row(binning, magnitude, position, across, down)
        scaled[:] = position
    for x in range(width):
        inverse = one / magnitude[x] if magnitude[x] >= real(FLAT) else zero
        across[x] *= inverse
        down[x] *= inverse


@jit
def pull_gradient(across, down, channel, scale, grad):  # type: ignore[no-untyped-def]
    """Adjoint of the differences: scatter (across, down) to the pixels they came from.

    <I(x+1) − I(x−1), p> = <I, p(x−1) − p(x+1)>, p zero where the difference is not taken.
    """
    channels, height, width = grad.shape
    scale = grad.dtype.type(scale)
    zero = grad.dtype.type(0)
    if channels == 1:
        for y in range(height):
            row = grad[0, y]
            row[:] = zero
            for x in range(width - 2):
                row[x] = -scale * across[y, x + 1]
            for x in range(2, width):
                row[x] += scale * across[y, x - 1]
            if y > 1:
                for x in range(width):
                    row[x] += scale * down[y - 1, x]
            if y < height - 2:
                for x in range(width):
                    row[x] -= scale * down[y + 1, x]
        return
    grad[:] = zero
    for y in range(height):
        for x in range(width):
            c = channel[y, x]
            if 0 < x < width - 1:
                grad[c, y, x + 1] += scale * across[y, x]
                grad[c, y, x - 1] -= scale * across[y, x]
            if 0 < y < height - 1:
                grad[c, y + 1, x] += scale * down[y, x]
                grad[c, y - 1, x] -= scale * down[y, x]
