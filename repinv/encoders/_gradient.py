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

# Chebyshev interpolation of arctan(√s)/√s on [0, 1]; largest error of the angle 4.2e-7 rad.
_ARCTAN = (
    0.9999992255890979,
    -0.3332567803972574,
    0.19872040268233793,
    -0.13447864058168207,
    0.083126453007653,
    -0.03636043085859342,
    0.007648353927184611,
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

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp", "reassoc"},
}
_UNWRAPPED: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
#: How kernels are compiled: cached on disk, without the interpreter's lock or zero checks.
jit = numba.njit(**_OPTIONS)
#: The same for what only kernels call, which compiles faster.
helper = numba.njit(**_OPTIONS, **_UNWRAPPED)


class Binning(NamedTuple):
    """How an angle becomes votes for two orientation bins.

    An angle θ lies at `per_radian`·θ − `shift` between the centres of bins 0 … `bins` − 1,
    which wrap around. With f the fraction between two centres, the upper one has the weight
    clip(½ + (f − ½)/softness, 0, 1): 1 is linear interpolation, 0 the nearest bin.

    `rule` says whose ties are followed. C_FLOAT: channels are compared by squares in float32,
    and halfway between two bins the lower one wins. SKIMAGE: channels are compared by
    magnitude in their own precision; bin i is the interval [i, i+1)·180°/bins with borders in
    float32, and what lies in none (an angle that evaluates to 180°) votes nowhere. DPM: as
    C_FLOAT, with squares in float64 and bin centres of four decimals.
    """

    bins: int
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
    """A polynomial in float32 (error below 1e-6 rad, rounding included), exact in float64."""
    if t != types.float32:
        return lambda t: math.atan(t)
    c0, c1, c2, c3, c4, c5, c6 = (np.float32(c) for c in _ARCTAN)

    def polynomial(t):  # type: ignore[no-untyped-def]
        s = t * t
        return t * (c0 + s * (c1 + s * (c2 + s * (c3 + s * (c4 + s * (c5 + s * c6))))))

    return polynomial


@helper
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


@helper
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


@helper
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


@helper
def _skimage_bin(gx, gy, count):  # type: ignore[no-untyped-def]
    """scikit-image's bin of a gradient, in its arithmetic; −1 for none."""
    degrees = (math.atan2(np.float64(gy), np.float64(gx)) * (180 / math.pi)) % 180.0
    width = np.float32(180 / count)
    for k in range(count):
        if width * np.float32(k) <= degrees < width * np.float32(k + 1):
            return k
    return -1


@helper
def _dpm_bin(gx, gy, lower):  # type: ignore[no-untyped-def]
    """Bin `lower` or the next, by the larger product with voc-release's unit vectors."""
    first, second = _DPM_UNITS[lower % 18], _DPM_UNITS[(lower + 1) % 18]
    rises = second[0] * gx + second[1] * gy > first[0] * gx + first[1] * gy
    return (lower + rises) % 18


@helper
def _angle_row(binning, across, down, magnitude, position):  # type: ignore[no-untyped-def]
    """Gradient (across, down) → unit vectors in its place, magnitudes, and positions of angles.

    Positions lie between the centres of bins, the first one's at zero.
    """
    real = across.dtype.type
    one, half, zero, flat, dust = real(1), real(0.5), real(0), real(FLAT), real(1e-37)
    per_radian, shift, bins = real(binning.per_radian), real(binning.shift), real(binning.bins)
    half_turn = real(binning.per_radian * math.pi)
    quarter = half * half_turn
    turn = half_turn + half_turn if binning.directed else half_turn
    for x in range(across.size):
        gx, gy = across[x], down[x]
        a, b = abs(gx), abs(gy)
        large, small = max(a, b), min(a, b)
        size = math.sqrt(gx * gx + gy * gy)
        # One division for both small/large and 1/size, of what counts by no more than dust.
        shared = one / (large * size + dust)
        inverse = large * shared if size >= flat else zero
        angle = per_radian * _arctan(small * size * shared)
        angle = quarter - angle if b > a else angle
        angle = half_turn - angle if gx < zero else angle
        angle = turn - angle if gy < zero else angle
        magnitude[x] = size
        # NaN compares false and goes to the first bin: an index stays an index.
        position[x] = angle if angle <= turn else zero
        across[x] = gx * inverse
        down[x] = gy * inverse
    if shift > zero:
        for x in range(across.size):
            angle = position[x] - shift
            position[x] = angle + bins if angle < zero else angle


@helper
def _nearest_row(bins, position):  # type: ignore[no-untyped-def]
    """Positions → nearest bins, the lower one halfway between two."""
    half, bins = position.dtype.type(0.5), position.dtype.type(bins)
    for x in range(position.size):
        nearest = math.ceil(position[x] - half)
        position[x] = nearest - bins if nearest >= bins else nearest


@helper
def _settled_row(binning, raw, magnitude, position):  # type: ignore[no-untyped-def]
    """Positions → nearest bins by the rule of a library, from the raw gradient where close.

    What lies in no bin loses its magnitude (or becomes NaN, if it has none that is finite).
    """
    bins, real = binning.bins, position.dtype.type
    for x in range(position.size):
        nearest = math.floor(position[x] + real(0.5))
        if abs(position[x] + real(0.5) - np.rint(position[x] + real(0.5))) < _DOUBTFUL:
            if binning.rule == SKIMAGE:
                nearest = _skimage_bin(raw[0, x], raw[1, x], bins)
                if nearest < 0:
                    magnitude[x] *= real(0)
            else:
                nearest = _dpm_bin(raw[0, x], raw[1, x], int(np.rint(position[x] - real(0.5))))
        position[x] = 0 if nearest < 0 or nearest >= bins else nearest


@helper
def polar_row(image, y, binning, magnitude, votes, index, across, down, position, channel):  # type: ignore[no-untyped-def]
    """Pairs of votes of one row, for bin index[x] and for the next; and its polar form."""
    real = image.dtype.type
    one, half, zero = real(1), real(0.5), real(0)
    _difference_row(image[0], y, real(binning.scale), across, down)
    if image.shape[0] > 1:
        _strongest_row(image, y, real(binning.scale), binning.rule, across, down, channel)
    if binning.softness > 0:
        _angle_row(binning, across, down, magnitude, position)
    elif binning.rule == C_FLOAT:
        _angle_row(binning, across, down, magnitude, position)
        _nearest_row(binning.bins, position)
    else:
        raw = np.empty((2, across.size), image.dtype)
        for x in range(across.size):
            raw[0, x], raw[1, x] = across[x], down[x]
        _angle_row(binning, across, down, magnitude, position)
        _settled_row(binning, raw, magnitude, position)
    # A hard vote is a soft one whose fraction is zero.
    slope = real(1 / binning.softness) if binning.softness > 0 else real(1)
    for x in range(across.size):
        k = np.int32(position[x])
        w = min(one, max(zero, half + (position[x] - real(k) - half) * slope))
        w = w if binning.softness > 0 else zero
        index[x] = k
        far = w * magnitude[x]
        votes[2 * x] = magnitude[x] - far
        votes[2 * x + 1] = far


@helper
def pull_row(channel, y, across, down, grad):  # type: ignore[no-untyped-def]
    """Adjoint of the differences of one row, added to grad (C, H, W).

    <I(x+1) − I(x−1), p> = <I, p(x−1) − p(x+1)>, p zero where the difference is not taken.
    """
    channels, height, width = grad.shape
    inner = 0 < y < height - 1
    if channels == 1:
        here = grad[0, y]
        for x in range(1, width - 1):
            here[x + 1] += across[x]
        for x in range(1, width - 1):
            here[x - 1] -= across[x]
        if inner:
            above, below = grad[0, y - 1], grad[0, y + 1]
            for x in range(width):
                above[x] -= down[x]
            for x in range(width):
                below[x] += down[x]
        return
    for x in range(width):
        c = channel[x]
        if 0 < x < width - 1:
            grad[c, y, x + 1] += across[x]
            grad[c, y, x - 1] -= across[x]
        if inner:
            grad[c, y + 1, x] += down[x]
            grad[c, y - 1, x] -= down[x]
