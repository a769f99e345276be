"""Pooled votes → normalized descriptors; the pullback below."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from repinv.encoders._kernels.clipping import passed
from repinv.encoders._kernels.jit import helper, jit
from repinv.encoders._kernels.simd import add_scaled, put_scaled

#: Square roots pass nothing below this, where their slope exceeds 1e5.
_STEEP = 5e-6
#: Least sum that a RootSIFT divides by.
_LEAST_SUM = 1e-12


class Grid(NamedTuple):
    """Which pooled windows make up which descriptor, along one axis."""

    window: np.ndarray  # (frames, bins) int64
    factor: np.ndarray  # (bins,), floating


class Normalization(NamedTuple):
    """v → v/ν(v), clipped, perhaps once more v/ν(v), perhaps the root of v/Σv + `root_epsilon`.

    ν(v) = max(√(|v|² + `squared`) + `added`, `least`): the three places where libraries put
    their epsilon. With u the sum of a descriptor over `area` and `threshold`, it is then weighted
    by clip(½ + (u − 1)/(2·`softness`), 0, 1): softness 0 makes descriptors of low contrast zero.
    The clip has a surrogate slope of width `slope_width`·`clip`; 0 leaves it sharp.
    """

    squared: float
    added: float
    least: float
    clip: float
    twice: bool
    root: bool
    root_epsilon: float
    threshold: float
    area: float
    softness: float = 0.0
    slope_width: float = 0.0


@helper
def _gathered(pooled, rows, columns, y, x, bins, values):  # type: ignore[no-untyped-def]
    """The raw descriptor of a frame, in a line that is eight entries longer.

    Eight lanes are copied at once; what is too much, the next ones cover.
    """
    lanes, width, at = pooled.shape[2], pooled.shape[1], np.uint64(0)
    for i in range(rows.factor.size):
        line = rows.window[y, i] * width
        for j in range(columns.factor.size):
            own = np.uint64((line + columns.window[x, j]) * lanes)
            factor = rows.factor[i] * columns.factor[j]
            for k in range(np.uint64(0), np.uint64(bins), np.uint64(8)):
                put_scaled(values, at + k, pooled, own + k, factor)
            at += np.uint64(bins)


@helper
def _pull_gathered(values, rows, columns, y, x, bins, grad):  # type: ignore[no-untyped-def]
    """Pullback of `_gathered`, added to grad; what is too much goes to the lanes of padding."""
    lanes, width, at = grad.shape[2], grad.shape[1], np.uint64(0)
    for i in range(rows.factor.size):
        line = rows.window[y, i] * width
        for j in range(columns.factor.size):
            own = np.uint64((line + columns.window[x, j]) * lanes)
            factor = rows.factor[i] * columns.factor[j]
            for k in range(np.uint64(0), np.uint64(bins), np.uint64(8)):
                add_scaled(grad, own + k, values, at + k, factor)
            at += np.uint64(bins)


@helper
def _length(values, rule):  # type: ignore[no-untyped-def]
    """ν(v), and the factor of v in its gradient."""
    real = values.dtype.type
    total = real(0)
    for i in range(values.size):
        total += values[i] * values[i]
    rounded = math.sqrt(total + real(rule.squared))
    length = rounded + real(rule.added)
    if length > real(rule.least) and rounded > 0:
        return length, real(1) / rounded
    return max(length, real(rule.least)), real(0)


@helper
def _pull_divided(values, length, slope, grad):  # type: ignore[no-untyped-def]
    """Pullback of v/ν(v), in place."""
    real = values.dtype.type
    along = real(0)
    for i in range(values.size):
        along += grad[i] * values[i]
    inverse = real(1) / length
    along *= slope * inverse * inverse
    for i in range(values.size):
        grad[i] = grad[i] * inverse - along * values[i]


@helper
def _presence(values, rule):  # type: ignore[no-untyped-def]
    """The weight of a raw descriptor by its contrast, and its slope in every entry."""
    real = values.dtype.type
    zero, one, half = real(0), real(1), real(0.5)
    if rule.threshold <= 0:
        return one, zero
    total = zero
    for i in range(values.size):
        total += values[i]
    scale = real(1 / (rule.threshold * rule.area))
    if rule.softness <= 0:
        return (zero if total * scale < one else one), zero
    rise = half / real(rule.softness)
    weight = half + (total * scale - one) * rise
    return min(one, max(zero, weight)), (rise * scale if zero < weight < one else zero)


@jit
def norms_of(pooled, rows, columns, bins, rule, norms):  # type: ignore[no-untyped-def]
    """The sum of each raw descriptor over the area of its frame."""
    size = rows.factor.size * columns.factor.size * bins
    line = np.empty(size + 8, pooled.dtype)
    values, across = line[:size], columns.window.shape[0]
    for f in range(norms.size):
        _gathered(pooled, rows, columns, f // across, f % across, bins, line)
        total = 0.0
        for i in range(values.size):
            total += values[i]
        norms[f] = total / rule.area


@jit
def describe(pooled, rows, columns, bins, rule, features):  # type: ignore[no-untyped-def]
    """Descriptors (frames, D) of pooled votes, frames row by row."""
    real = pooled.dtype.type
    size, across = features.shape[1], columns.window.shape[0]
    line = np.empty(size + 8, pooled.dtype)
    values = line[:size]
    clip, zero = real(rule.clip), real(0)
    for f in range(features.shape[0]):
        _gathered(pooled, rows, columns, f // across, f % across, bins, line)
        weight, _ = _presence(values, rule)
        if weight == zero:
            for i in range(size):
                features[f, i] = zero
            continue
        inverse = real(1) / _length(values, rule)[0]
        for i in range(size):
            values[i] = min(values[i] * inverse, clip)
        if rule.twice:
            inverse = real(1) / _length(values, rule)[0]
            for i in range(size):
                values[i] *= inverse
        if rule.root:
            total = zero
            for i in range(size):
                total += values[i]
            inverse = real(1) / max(total, real(_LEAST_SUM))
            for i in range(size):
                values[i] = math.sqrt(values[i] * inverse + real(rule.root_epsilon))
        for i in range(size):
            features[f, i] = weight * values[i]


@jit
def pull_describe(cotangent, pooled, rows, columns, bins, rule, grad):  # type: ignore[no-untyped-def]
    """Pullback of `describe`, added to grad, of the shape of `pooled`."""
    real = pooled.dtype.type
    size, across = cotangent.shape[1], columns.window.shape[0]
    line, gathered = np.zeros(size + 8, pooled.dtype), np.empty(size + 8, pooled.dtype)
    raw, back, values = gathered[:size], line[:size], np.empty(size, pooled.dtype)
    clip, zero, half = real(rule.clip), real(0), real(0.5)
    square = real(rule.slope_width * rule.slope_width * rule.clip * rule.clip)
    for f in range(cotangent.shape[0]):
        y, x = f // across, f % across
        _gathered(pooled, rows, columns, y, x, bins, gathered)
        weight, weight_slope = _presence(raw, rule)
        if weight == zero:
            continue
        length, slope = _length(raw, rule)
        inverse = real(1) / length
        for i in range(size):
            values[i] = min(raw[i] * inverse, clip)
            back[i] = weight * cotangent[f, i]
        second, second_slope, from_weight = real(1), zero, zero
        if rule.twice:
            second, second_slope = _length(values, rule)
        if not rule.root:
            for i in range(size):
                from_weight += cotangent[f, i] * values[i]
            from_weight /= second
        else:
            total = zero
            for i in range(size):
                total += values[i]
            # The sum of v/ν(v); what it is divided by is only this when it is not tiny.
            total /= second
            free = real(1) if total > real(_LEAST_SUM) else zero
            share = real(1) / (second * max(total, real(_LEAST_SUM)))
            along = zero
            for i in range(size):
                root = math.sqrt(values[i] * share + real(rule.root_epsilon))
                from_weight += cotangent[f, i] * root
                back[i] = back[i] * half / root if root >= real(_STEEP) else zero
                along += back[i] * values[i] * share
            inverse_total = real(1) / max(total, real(_LEAST_SUM))
            for i in range(size):
                back[i] = (back[i] - free * along) * inverse_total
        if rule.twice:
            _pull_divided(values, second, second_slope, back)
        for i in range(size):
            back[i] *= passed(raw[i] * inverse, clip, square, half)
        _pull_divided(raw, length, slope, back)
        if weight_slope != zero:
            for i in range(size):
                back[i] += weight_slope * from_weight
        _pull_gathered(line, rows, columns, y, x, bins, grad)
