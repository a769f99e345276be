"""Image gradient in polar form, its direction between orientation bins, and the adjoint."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from repinv.encoders._kernels.jit import helper

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
    edge: float = 0.0  # factor of the one-sided difference at the image's border
    epsilon: float = 0.0  # added to squared magnitudes, and to gradients across for their angle


class Polar(NamedTuple):
    """The image gradient in polar form; all a pullback needs to know of the image."""

    across: np.ndarray  # (H, W) unit vector, x
    down: np.ndarray  # (H, W) unit vector, y
    position: np.ndarray  # (H, W) between the bin centres
    channel: np.ndarray  # (H, W) uint8, whose gradient it is


def _arctan(t: Any) -> Any:
    """Inverse tangent on [0, 1]."""
    raise NotImplementedError


@overload(_arctan, jit_options={"fastmath": True, "forceinline": True})
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
def _difference_row(image, c, y, scale, edge, across, down, row):  # type: ignore[no-untyped-def]
    """I(x+1) − I(x−1) along both axes for one row.

    Where it would cross the border, `edge` times the difference of the pixel and its neighbour.
    """
    _, height, width = image.shape
    across[row, 0] = across[row, width - 1] = 0
    for x in range(1, width - 1):
        across[row, x] = scale * (image[c, y, x + 1] - image[c, y, x - 1])
    if edge != 0:
        across[row, 0] = scale * edge * (image[c, y, 1] - image[c, y, 0])
        across[row, width - 1] = scale * edge * (image[c, y, width - 1] - image[c, y, width - 2])
    if 0 < y < height - 1:
        for x in range(width):
            down[row, x] = scale * (image[c, y + 1, x] - image[c, y - 1, x])
    elif edge != 0:
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            down[row, x] = scale * edge * (image[c, below, x] - image[c, above, x])
    else:
        for x in range(width):
            down[row, x] = 0


@helper
def _strength_row(across, down, row, rule, strength):  # type: ignore[no-untyped-def]
    """What channels are compared by, in strength[0]; see `Binning`.

    Products go through memory, since the compiler would fuse them with the sum, and ties hang
    on each being rounded.
    """
    if rule == SKIMAGE:
        for x in range(strength.shape[1]):
            strength[0, x] = math.hypot(across[row, x], down[row, x])
        return
    if rule == DPM:
        for x in range(strength.shape[1]):
            strength[0, x] = np.float64(across[row, x]) * np.float64(across[row, x])
        for x in range(strength.shape[1]):
            strength[1, x] = np.float64(down[row, x]) * np.float64(down[row, x])
        for x in range(strength.shape[1]):
            strength[0, x] += strength[1, x]
        return
    for x in range(strength.shape[1]):
        strength[0, x] = np.float32(across[row, x]) * np.float32(across[row, x])
    for x in range(strength.shape[1]):
        strength[1, x] = np.float32(down[row, x]) * np.float32(down[row, x])
    for x in range(strength.shape[1]):
        strength[0, x] = np.float32(strength[0, x] + strength[1, x])


@helper
def _strongest_row(image, y, binning, across, down, channel, row):  # type: ignore[no-untyped-def]
    """`_difference_row` of the channel where it is largest, the first one on a tie."""
    width, real, rule = image.shape[2], image.dtype.type, binning.rule
    scale, edge = real(binning.scale), real(binning.edge)
    best, strength = np.empty((2, width)), np.empty((2, width))
    other_across, other_down = np.empty((1, width), image.dtype), np.empty((1, width), image.dtype)
    _strength_row(across, down, row, rule, best)
    for x in range(width):
        channel[row, x] = 0
    for c in range(1, image.shape[0]):
        _difference_row(image, c, y, scale, edge, other_across, other_down, 0)
        _strength_row(other_across, other_down, 0, rule, strength)
        for x in range(width):
            if strength[0, x] > best[0, x]:
                best[0, x], channel[row, x] = strength[0, x], c
                across[row, x], down[row, x] = other_across[0, x], other_down[0, x]


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
def _angle_row(binning, across, down, row, magnitude, position):  # type: ignore[no-untyped-def]
    """Gradient (across, down) → unit vectors in its place, magnitudes, and positions of angles.

    Positions lie between the centres of bins, the first one's at zero. With an epsilon the unit
    vectors are as much longer than one as the magnitudes are than the gradients.
    """
    real = across.dtype.type
    one, half, zero, flat, dust = real(1), real(0.5), real(0), real(FLAT), real(1e-37)
    per_radian, shift, bins = real(binning.per_radian), real(binning.shift), real(binning.bins)
    epsilon = real(binning.epsilon)
    # From the number of bins, which is exact: per_radian · π is not for all, and ties are.
    half_turn = half * bins if binning.directed else bins
    quarter = half * half_turn
    eighth = half * quarter
    turn = half_turn + half_turn if binning.directed else half_turn
    for x in range(magnitude.size):
        gx, gy = across[row, x], down[row, x]
        turned = gx + epsilon
        a, b = abs(turned), abs(gy)
        large, small = max(a, b), min(a, b)
        size = math.sqrt(gx * gx + gy * gy)
        # One division for both small/large and 1/size, of what counts by no more than dust.
        shared = one / (large * size + dust)
        inverse = large * shared if size >= flat else zero
        angle = per_radian * _arctan(small * size * shared)
        angle = eighth if a == b else angle
        angle = quarter - angle if b > a else angle
        angle = half_turn - angle if turned < zero else angle
        angle = turn - angle if gy < zero else angle
        magnitude[x] = size
        # NaN compares false and goes to the first bin: an index stays an index.
        position[row, x] = angle if angle <= turn else zero
        across[row, x] = gx * inverse
        down[row, x] = gy * inverse
    if shift > zero:
        for x in range(magnitude.size):
            angle = position[row, x] - shift
            position[row, x] = angle + bins if angle < zero else angle
    if epsilon > zero:
        for x in range(magnitude.size):
            size = magnitude[x]
            magnitude[x] = math.sqrt(size * size + epsilon) if size > zero else zero
            ratio = magnitude[x] / size if size >= flat else zero
            across[row, x] *= ratio
            down[row, x] *= ratio


@helper
def _nearest_row(bins, row, position):  # type: ignore[no-untyped-def]
    """Positions → nearest bins, the lower one halfway between two."""
    half, bins = position.dtype.type(0.5), position.dtype.type(bins)
    for x in range(position.shape[1]):
        nearest = math.ceil(position[row, x] - half)
        position[row, x] = nearest - bins if nearest >= bins else nearest


@helper
def _settled_row(binning, raw, row, magnitude, position):  # type: ignore[no-untyped-def]
    """Positions → nearest bins by the rule of a library, from the raw gradient where close.

    What lies in no bin loses its magnitude (or becomes NaN, if it has none that is finite).
    """
    bins, real = binning.bins, position.dtype.type
    for x in range(position.shape[1]):
        nearest = math.floor(position[row, x] + real(0.5))
        if abs(position[row, x] + real(0.5) - np.rint(position[row, x] + real(0.5))) < _DOUBTFUL:
            if binning.rule == SKIMAGE:
                nearest = _skimage_bin(raw[0, x], raw[1, x], bins)
                if nearest < 0:
                    magnitude[x] *= real(0)
            else:
                nearest = _dpm_bin(raw[0, x], raw[1, x], int(np.rint(position[row, x] - real(0.5))))
        position[row, x] = 0 if nearest < 0 or nearest >= bins else nearest


@helper
def polar_row(image, y, binning, polar, row, magnitude, votes, index, i):  # type: ignore[no-untyped-def]
    """Pairs of votes of line y, for bin index[i, x] and for the next; its polar form in `row`.

    Nothing is sliced: a view counts references, which for short rows costs as much as a row.
    """
    across, down, position, channel = polar
    real, width = image.dtype.type, image.shape[2]
    one, half, zero = real(1), real(0.5), real(0)
    scale, edge = real(binning.scale), real(binning.edge)
    _difference_row(image, 0, y, scale, edge, across, down, row)
    if image.shape[0] > 1:
        _strongest_row(image, y, binning, across, down, channel, row)
    raw = across[:0]
    if binning.softness == 0 and binning.rule != C_FLOAT:
        raw = np.empty((2, width), image.dtype)
        for x in range(width):
            raw[0, x], raw[1, x] = across[row, x], down[row, x]
    _angle_row(binning, across, down, row, magnitude, position)
    if raw.size > 0:
        _settled_row(binning, raw, row, magnitude, position)
    elif binning.softness == 0:
        _nearest_row(binning.bins, row, position)
    # A hard vote is a soft one whose fraction is zero.
    slope = real(1 / binning.softness) if binning.softness > 0 else real(1)
    for x in range(width):
        k = np.int32(position[row, x])
        w = min(one, max(zero, half + (position[row, x] - real(k) - half) * slope))
        w = w if binning.softness > 0 else zero
        index[i, x] = k
        far = w * magnitude[x]
        votes[i, 2 * x] = magnitude[x] - far
        votes[i, 2 * x + 1] = far


@helper
def _pull_line(y, edge, across, down, grad):  # type: ignore[no-untyped-def]
    """Line y of grad (1, H, W), from cotangents of its own differences and its neighbours'.

    <I(x+1) − I(x−1), p> = <I, p(x−1) − p(x+1)>, p zero where the difference is not taken.
    """
    width = grad.shape[2]
    here, above, below = y % 3, (y + 2) % 3, (y + 1) % 3
    for x in range(width):
        grad[0, y, x] = down[above, x] - down[below, x]
    for x in range(1, width - 1):
        grad[0, y, x + 1] += across[here, x]
    for x in range(1, width - 1):
        grad[0, y, x - 1] -= across[here, x]
    if edge != 0:
        first, last = edge * across[here, 0], edge * across[here, width - 1]
        grad[0, y, 1] += first
        grad[0, y, 0] -= first
        grad[0, y, width - 1] += last
        grad[0, y, width - 2] -= last


@helper
def gather_row(y, edge, across, down, grad):  # type: ignore[no-untyped-def]
    """Adjoint of a gray image's differences, from the last three lines, where y lies at y % 3.

    Writes the line above y, and y itself if it is the last. A line beyond the border that holds
    the border's own, negated, makes one rule of all lines: the one-sided difference pulls at
    both of its pixels.
    """
    height, width = grad.shape[1:]
    if y == 0 or y == height - 1:
        for x in range(width):
            down[y % 3, x] *= edge
    if y == 0:
        for x in range(width):
            down[2, x] = -down[0, x]
    if y > 0:
        _pull_line(y - 1, edge, across, down, grad)
    if y == height - 1:
        for x in range(width):
            down[(y + 1) % 3, x] = -down[y % 3, x]
        _pull_line(y, edge, across, down, grad)


@helper
def scatter_row(channel, y, edge, across, down, grad):  # type: ignore[no-untyped-def]
    """Adjoint of the differences of line y of an image in colour, added to grad (C, H, W)."""
    height, width = grad.shape[1:]
    row = y % 3
    one = grad.dtype.type(1)
    vertical = one if 0 < y < height - 1 else edge
    above, below = max(y - 1, 0), min(y + 1, height - 1)
    for x in range(width):
        c = channel[y, x]
        horizontal = one if 0 < x < width - 1 else edge
        grad[c, y, min(x + 1, width - 1)] += horizontal * across[row, x]
        grad[c, y, max(x - 1, 0)] -= horizontal * across[row, x]
        grad[c, below, x] += vertical * down[row, x]
        grad[c, above, x] -= vertical * down[row, x]


@helper
def pull_polar(binning, pairs, polar, y, scale, across, down, row):  # type: ignore[no-untyped-def]
    """Cotangents of votes → those of the gradient of line y, in `row`.

    A vote is |g|·w(θ). With u = g/|g| and t ⟂ u, d(|g|·w) = w·u·dg + w′(θ)·t·dg: bounded,
    and free of inverse functions of g.
    """
    real = pairs.dtype.type
    zero, one, half = real(0), real(1), real(0.5)
    width = across.shape[1]
    if binning.softness == 0:
        for x in range(width):
            along = scale * pairs[2 * x]
            across[row, x] = along * polar.across[y, x]
            down[row, x] = along * polar.down[y, x]
        return
    slope = real(1 / binning.softness)
    turning = scale * slope * real(binning.per_radian)
    for x in range(width):
        across[row, x] = pairs[2 * x]
        down[row, x] = pairs[2 * x + 1] - pairs[2 * x]
    for x in range(width):
        near, rise, position = across[row, x], down[row, x], polar.position[y, x]
        w = half + (position - real(np.int32(position)) - half) * slope
        along = scale * (near + min(one, max(zero, w)) * rise)
        turn = turning * rise if zero < w < one else zero
        if binning.epsilon > 0:
            # Vectors are longer than one by what the turn is to be, and the length is not.
            length = polar.across[y, x] ** 2 + polar.down[y, x] ** 2
            along = along / length if length > zero else zero
        across[row, x] = along * polar.across[y, x] - turn * polar.down[y, x]
        down[row, x] = along * polar.down[y, x] + turn * polar.across[y, x]
