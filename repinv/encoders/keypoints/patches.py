"""Votes of rotated patches of a layer, as OpenCV's SIFT takes them; the pullback below.

Histograms have (BINS + 2)·(BINS + 2)·LANES entries: a border of cells that is dropped in the end,
eight orientations, and a lane that wraps around to the first one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from repinv.encoders._kernels.gradient import FLAT, _arctan
from repinv.encoders._kernels.jit import helper, jit

#: Spatial bins along a side, and orientations.
BINS, ORIENTATIONS = 4, 8
#: Cells along a side of a histogram, and entries of a cell.
CELLS, LANES = BINS + 2, ORIENTATIONS + 1
#: VLFeat's polynomial of angles, and twice its least gradient, as differences are not halved here.
#: VLFeat's images lie in [0, 1]; of 8-bit pixels less is dropped, which is what blurs leave of flat
#: areas.
_ROUGH_1, _ROUGH_3, LEAST = 0.9675, 0.1821, 2e-4


class Patches(NamedTuple):
    """Where descriptors lie in the layers that they are taken from, one entry for each."""

    row: np.ndarray  # (K,) int64, of the pixel at the centre
    column: np.ndarray  # (K,) int64
    past_row: np.ndarray  # (K,) of the centre itself, from that pixel
    past_column: np.ndarray  # (K,)
    radius: np.ndarray  # (K,) int64, half the side of the square that holds the patch
    cosine: np.ndarray  # (K,) of the rotation, over the width of a bin in pixels
    sine: np.ndarray  # (K,)
    turn: np.ndarray  # (K,) the rotation in orientations, in [0, 8)


class Samples(NamedTuple):
    """What votes along a line of a patch; `end` entries of each are in use."""

    down: np.ndarray  # position in bins, from the first centre
    across: np.ndarray
    around: np.ndarray  # position in orientations
    weight: np.ndarray  # of the Gaussian; zero outside of the patch
    size: np.ndarray  # |g|
    x: np.ndarray  # g/|g|, up being positive
    y: np.ndarray
    slope: np.ndarray  # of rough angles, over that of exact ones


@helper
def _samples(width, kind):  # type: ignore[no-untyped-def]
    """Room for a line."""
    return Samples(
        np.empty(width, kind.dtype),
        np.empty(width, kind.dtype),
        np.empty(width, kind.dtype),
        np.empty(width, kind.dtype),
        np.empty(width, kind.dtype),
        np.empty(width, kind.dtype),
        np.empty(width, kind.dtype),
        np.empty(width, kind.dtype),
    )


@helper
def _empty_bell(patches, members, like):  # type: ignore[no-untyped-def]
    """Where `_bell` writes, for the largest patch; of the precision of an array."""
    largest = 0
    for k in members:
        largest = max(largest, patches.radius[k])
    return np.empty((2, 2 * largest + 1), like.dtype)


@helper
def _bell(patches, k, bell):  # type: ignore[no-untyped-def]
    """The Gaussian over a patch, a product of one of the line and one of the column.

    `bell` holds both about the middle.
    """
    real = bell.dtype.type
    scale = (patches.cosine[k] ** 2 + patches.sine[k] ** 2) / (0.5 * BINS * BINS)
    middle = bell.shape[1] // 2
    for n in range(-patches.radius[k], patches.radius[k] + 1):
        bell[0, middle + n] = real(math.exp(-scale * (n - patches.past_row[k]) ** 2))
        bell[1, middle + n] = real(math.exp(-scale * (n - patches.past_column[k]) ** 2))


@helper
def _span(patches, k, i, width):  # type: ignore[no-untyped-def]
    """First column from the centre, and the number of columns, that hold a line of the patch.

    Positions down are i·cosine + j·sine, those across j·cosine − i·sine; inside both are nearer
    than (BINS + 1)/2. Columns at the border of the image have no gradient.
    """
    edge = 0.5 * (BINS + 1)
    radius, column = patches.radius[k], patches.column[k]
    cosine, sine = float(patches.cosine[k]), float(patches.sine[k])
    low, high = max(-radius, 1 - column), min(radius + 1, width - 1 - column)
    line, past = i - patches.past_row[k], patches.past_column[k]
    for turned in range(2):
        slope = cosine if turned else sine
        at = (-line * sine if turned else line * cosine) - past * slope
        if abs(slope) > 1e-9:
            one, other = (-edge - at) / slope, (edge - at) / slope
            low = max(low, int(max(min(one, other), -1e6) - 1))
            high = min(high, int(min(max(one, other), 1e6)) + 2)
    return low, max(high - low, 0)


@helper
def _sample(flat, width, patches, k, i, first, count, bell, samples):  # type: ignore[no-untyped-def]
    """Samples of `count` columns of a line, from `first` on, of a layer as one line `flat`.

    Indices are unsigned: what could be negative is not compiled to vector instructions.
    """
    real = flat.dtype.type
    zero, one, half = real(0), real(1), real(0.5)
    cosine, sine, turn = real(patches.cosine[k]), real(patches.sine[k]), real(patches.turn[k])
    edge, begin = real(BINS), real(first - patches.past_column[k])
    flat_below, dust = real(FLAT), real(1e-37)
    per_radian, full = real(ORIENTATIONS / (2 * math.pi)), real(ORIENTATIONS)
    quarter, eighth = real(ORIENTATIONS // 4), real(ORIENTATIONS // 8)
    line = real(i - patches.past_row[k])
    down_at = line * cosine + real(BINS // 2 - 0.5)
    across_at = real(BINS // 2 - 0.5) - line * sine
    center = bell.shape[1] // 2
    of_line, middle = bell[0, center + i], np.uint64(center + first)
    row, column = patches.row[k] + i, patches.column[k] + first
    own, wide, next_one = np.uint64(row * width + column), np.uint64(width), np.uint64(1)
    for n in range(np.uint64(count)):
        j = begin + real(np.int32(n))
        down, across = j * sine + down_at, j * cosine + across_at
        inside = (down > -one) & (down < edge) & (across > -one) & (across < edge)
        # An index stays an index, whatever it is of.
        samples.down[n] = down if inside else half
        samples.across[n] = across if inside else half
        samples.weight[n] = of_line * bell[1, middle + n] if inside else zero
    for n in range(np.uint64(count)):
        x = own + n
        samples.x[n] = flat[x + next_one] - flat[x - next_one]
        samples.y[n] = flat[x - wide] - flat[x + wide]
    # Loops over more arrays have more tests of overlap than the compiler puts before vectors.
    for n in range(np.uint64(count)):
        gx, gy = samples.x[n], samples.y[n]
        a, b = abs(gx), abs(gy)
        large, small = max(a, b), min(a, b)
        size = math.sqrt(gx * gx + gy * gy)
        # One division for both small/large and 1/size, of what counts by no more than dust.
        shared = one / (large * size + dust)
        inverse = large * shared if size >= flat_below else zero
        angle = per_radian * _arctan(small * size * shared)
        angle = eighth if a == b else angle
        angle = quarter - angle if b > a else angle
        angle = quarter + quarter - angle if gx < zero else angle
        angle = full - angle if gy < zero else angle
        angle = angle - turn
        angle = angle + full if angle < zero else angle
        angle = angle - full if angle >= full else angle
        samples.around[n] = angle if angle > zero else zero
        samples.size[n] = size
        samples.x[n] = gx * inverse
        samples.y[n] = gy * inverse


@helper
def _roughen(samples, count, turn):  # type: ignore[no-untyped-def]
    """Angles by a polynomial of the third degree, as VLFeat has them, and their slopes.

    With r = (|x| − |y|)/(|x| + |y|) = tan(π/4 − θ) they are π/4 + (C₃r² − C₁)·r within a quadrant:
    up to 0.006 radians from θ. Differences of less than LEAST have the size 0.
    """
    real = samples.x.dtype.type
    zero, one, three = real(0), real(1), real(3)
    first, third, least = real(_ROUGH_1), real(_ROUGH_3), real(LEAST)
    per_radian, full = real(ORIENTATIONS / (2 * math.pi)), real(ORIENTATIONS)
    half, eighth = real(ORIENTATIONS // 2), real(ORIENTATIONS // 8)
    dust = real(1e-30)
    for n in range(np.uint64(count)):
        x, y = samples.x[n], samples.y[n]
        a, b = abs(x), abs(y)
        r = (a - b) / (a + b + dust)
        square = r * r
        angle = eighth + per_radian * (third * square - first) * r
        angle = half - angle if x < zero else angle
        angle = full - angle if y < zero else angle
        angle = angle - turn
        angle = angle + full if angle < zero else angle
        angle = angle - full if angle >= full else angle
        samples.around[n] = angle if angle > zero else zero
        samples.slope[n] = (first - three * third * square) * (one + square)
    for n in range(np.uint64(count)):
        weak = samples.size[n] < least
        samples.size[n] = zero if weak else samples.size[n]
        samples.x[n] = zero if weak else samples.x[n]
        samples.y[n] = zero if weak else samples.y[n]


@helper
def _neighbours():  # type: ignore[no-untyped-def]
    """How far the cells to the right, below, and both, are."""
    return np.uint64(LANES), np.uint64(CELLS * LANES), np.uint64((CELLS + 1) * LANES)


@helper
def _corner(samples, n):  # type: ignore[no-untyped-def]
    """Where a sample's eight entries begin, and its fractions down, across and around."""
    r, c, o = samples.down[n], samples.across[n], samples.around[n]
    # Positions are above −1.
    row, column, lane = np.int32(r + 1), np.int32(c + 1), np.int32(o)
    at = np.uint64((row * CELLS + column) * LANES + lane)
    return at, r - (row - 1), c - (column - 1), o - lane


@helper
def _vote(samples, count, histogram):  # type: ignore[no-untyped-def]
    """Every sample's trilinear shares in eight entries of the histogram."""
    one = np.uint64(1)
    right, below, both = _neighbours()
    for n in range(np.uint64(count)):
        at, r, c, o = _corner(samples, n)
        value = samples.weight[n] * samples.size[n]
        low = value * r
        high = value - low
        high_right, low_right = high * c, low * c
        high_left, low_left = high - high_right, low - low_right
        far = high_left * o
        histogram[at] += high_left - far
        histogram[at + one] += far
        far = high_right * o
        histogram[at + right] += high_right - far
        histogram[at + right + one] += far
        far = low_left * o
        histogram[at + below] += low_left - far
        histogram[at + below + one] += far
        far = low_right * o
        histogram[at + both] += low_right - far
        histogram[at + both + one] += far


@helper
def _pull_vote(samples, count, histogram, turning, rough, across, up):  # type: ignore[no-untyped-def]
    """Pullback of `_vote` and of the polar form, to the gradients of a line.

    A vote is |g|·w(θ). With u = g/|g| and t ⟂ u, d(|g|·w) = w·u·dg + w′(θ)·t·dg.
    """
    one = np.uint64(1)
    right, below, both = _neighbours()
    for n in range(np.uint64(count)):
        at, r, c, o = _corner(samples, n)
        low = samples.weight[n] * r
        high = samples.weight[n] - low
        high_right, low_right = high * c, low * c
        high_left, low_left = high - high_right, low - low_right
        near = high_left * histogram[at] + high_right * histogram[at + right]
        near += low_left * histogram[at + below] + low_right * histogram[at + both]
        far = high_left * histogram[at + one] + high_right * histogram[at + right + one]
        far += low_left * histogram[at + below + one] + low_right * histogram[at + both + one]
        rise = far - near
        across[n] = near + o * rise
        up[n] = turning * rise
    if rough:
        for n in range(np.uint64(count)):
            up[n] *= samples.slope[n]
    for n in range(np.uint64(count)):
        along, turn = across[n], up[n]
        across[n] = along * samples.x[n] - turn * samples.y[n]
        up[n] = along * samples.y[n] + turn * samples.x[n]


@jit
def votes_of(layer, patches, members, rough, histograms):  # type: ignore[no-untyped-def]
    """Histograms (K, CELLS·CELLS·LANES) of those patches that lie in a layer (H, W).

    With `rough` angles are those of `_roughen`.
    """
    height, width = layer.shape
    samples, flat = _samples(width, layer), layer.reshape(-1)
    bell = _empty_bell(patches, members, layer)
    for k in members:
        histogram = histograms[k]
        histogram[:] = 0
        _bell(patches, k, bell)
        radius, centre = patches.radius[k], patches.row[k]
        for i in range(max(-radius, 1 - centre), min(radius + 1, height - 1 - centre)):
            first, count = _span(patches, k, i, width)
            if count > 0:
                _sample(flat, width, patches, k, i, first, count, bell, samples)
                if rough:
                    _roughen(samples, count, layer.dtype.type(patches.turn[k]))
                _vote(samples, count, histogram)
        for cell in range(CELLS * CELLS):
            histogram[cell * LANES] += histogram[cell * LANES + ORIENTATIONS]


@jit
def pull_votes(cotangent, layer, patches, members, rough, grad):  # type: ignore[no-untyped-def]
    """Pullback of `votes_of`, added to grad (H, W).

    `cotangent` is that of the histograms, with zeros in the border's cells, and the first lane
    of a cell repeated in its last.
    """
    height, width = layer.shape
    samples, flat = _samples(width, layer), layer.reshape(-1)
    across, up = np.empty(width, layer.dtype), np.empty(width, layer.dtype)
    turning = layer.dtype.type(ORIENTATIONS / (2 * math.pi))
    into, one, wide = grad.reshape(-1), np.uint64(1), np.uint64(width)
    bell = _empty_bell(patches, members, layer)
    for k in members:
        _bell(patches, k, bell)
        radius, centre, column = patches.radius[k], patches.row[k], patches.column[k]
        for i in range(max(-radius, 1 - centre), min(radius + 1, height - 1 - centre)):
            first, count = _span(patches, k, i, width)
            if count == 0:
                continue
            _sample(flat, width, patches, k, i, first, count, bell, samples)
            if rough:
                _roughen(samples, count, layer.dtype.type(patches.turn[k]))
            _pull_vote(samples, count, cotangent[k], turning, rough, across, up)
            own = np.uint64((centre + i) * width + column + first)
            for n in range(np.uint64(count)):
                into[own + n + one] += across[n]
            for n in range(np.uint64(count)):
                into[own + n - one] -= across[n]
            for n in range(np.uint64(count)):
                into[own + n - wide] += up[n]
            for n in range(np.uint64(count)):
                into[own + n + wide] -= up[n]


@jit
def weigh(patches, members, grad):  # type: ignore[no-untyped-def]
    """Add the weights of patches, which sum to one for each, to those of a layer (H, W)."""
    height, width = grad.shape
    samples, flat = _samples(width, grad), grad.reshape(-1)
    bell = _empty_bell(patches, members, grad)
    for k in members:
        _bell(patches, k, bell)
        radius, centre, column = patches.radius[k], patches.row[k], patches.column[k]
        total = 0.0
        for written in range(2):
            for i in range(max(-radius, 1 - centre), min(radius + 1, height - 1 - centre)):
                first, count = _span(patches, k, i, width)
                if count == 0:
                    continue
                _sample(flat, width, patches, k, i, first, count, bell, samples)
                for n in range(count):
                    # Shares that go to the border's cells are dropped.
                    r, c = samples.down[n], samples.across[n]
                    kept = min(min(r, BINS - 1 - r), 0) + 1
                    kept *= min(min(c, BINS - 1 - c), 0) + 1
                    if written:
                        grad[centre + i, column + first + n] += samples.weight[n] * kept / total
                    else:
                        total += samples.weight[n] * kept
            if total <= 0:
                break
