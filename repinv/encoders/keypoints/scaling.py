"""Histograms of votes → descriptors scaled as OpenCV's SIFT; the pullback below."""

from __future__ import annotations

import math

import numpy as np

from repinv.encoders._kernels.clipping import passed
from repinv.encoders._kernels.jit import helper, jit
from repinv.encoders.keypoints.patches import BINS, CELLS, LANES, ORIENTATIONS

#: Numbers of a descriptor.
SIZE = BINS * BINS * ORIENTATIONS
#: Entries are clipped at this share of the norm, and scaled to this norm afterwards.
CLIP, NORM = 0.2, 512.0
#: What a norm is at least, FLT_EPSILON; the largest value of eight bits.
_EPSILON, _WHITE = 1.1920929e-07, 255.0
#: How descriptors are rounded to whole numbers.
NOT, NEAREST, DOWN = 0, 1, 2
#: Whether the root of a descriptor over its sum is taken: of the rounded one, which then has the
#: norm 1, or of the clipped one, which is scaled and rounded afterwards.
NO_ROOT, AFTER, BEFORE = 0, 1, 2
#: Square roots pass nothing below this, where their slope exceeds 1e5.
_STEEP = 5e-6
#: Least sum that a RootSIFT divides by.
_LEAST_SUM = 1e-12


@helper
def _inner(histogram, values):  # type: ignore[no-untyped-def]
    """The entries of a histogram without its border, and their norm."""
    total = values[0] - values[0]
    for i in range(BINS):
        for j in range(BINS):
            to, at = (i * BINS + j) * ORIENTATIONS, ((i + 1) * CELLS + j + 1) * LANES
            for o in range(ORIENTATIONS):
                values[to + o] = histogram[at + o]
    for i in range(SIZE):
        total += values[i] * values[i]
    return math.sqrt(total)


@helper
def _clipped(values, top):  # type: ignore[no-untyped-def]
    """min(values, top) in place; the norm of what is left."""
    total = top - top
    for i in range(SIZE):
        values[i] = min(values[i], top)
        total += values[i] * values[i]
    return math.sqrt(total)


@helper
def _root(values, scale):  # type: ignore[no-untyped-def]
    """scale·√(v/Σv) in place."""
    real = values.dtype.type
    total = real(0)
    for i in range(SIZE):
        total += values[i]
    inverse = real(1) / max(total, real(_LEAST_SUM))
    for i in range(SIZE):
        values[i] = scale * math.sqrt(values[i] * inverse)


@jit
def describe(histograms, rounding, root, features):  # type: ignore[no-untyped-def]
    """Descriptors (K, SIZE) of histograms, rounded to 0 … 255 or only clipped there."""
    real = features.dtype.type
    white, zero = real(_WHITE), real(0)
    values = np.empty(SIZE, features.dtype)
    for k in range(features.shape[0]):
        values[0] = zero
        norm = _inner(histograms[k], values)
        second = _clipped(values, real(CLIP) * norm)
        if root == BEFORE:
            _root(values, real(NORM))
        else:
            scale = real(NORM) / max(second, real(_EPSILON))
            for i in range(SIZE):
                values[i] *= scale
        for i in range(SIZE):
            value = min(values[i], white)
            if rounding == NEAREST:
                value = np.rint(value)
            values[i] = np.floor(value) if rounding == DOWN else value
        if root == AFTER:
            _root(values, real(1))
        for i in range(SIZE):
            features[k, i] = values[i]


@helper
def _pull_root(values, back):  # type: ignore[no-untyped-def]
    """Pullback of √(v/Σv), in place."""
    real = values.dtype.type
    total, along, zero, half = real(0), real(0), real(0), real(0.5)
    for i in range(SIZE):
        total += values[i]
    free = real(1) if total > real(_LEAST_SUM) else zero
    inverse = real(1) / max(total, real(_LEAST_SUM))
    for i in range(SIZE):
        root = math.sqrt(values[i] * inverse)
        back[i] = back[i] * half / root if root >= real(_STEEP) else zero
        along += back[i] * values[i] * inverse
    for i in range(SIZE):
        back[i] = (back[i] - free * along) * inverse


@jit
def pull_describe(cotangent, histograms, root, slope_width, grad):  # type: ignore[no-untyped-def]
    """Pullback of `describe` without rounding, to histograms, as `pull_votes` takes it.

    With h the entries and n = |h|, features are 512·y/|y| of y = min(h/n, clip), or 512·√(y/Σy),
    which 255 clips once more.
    """
    real = grad.dtype.type
    zero, one, half = real(0), real(1), real(0.5)
    clip, white, square = real(CLIP), real(_WHITE), real((slope_width * CLIP) ** 2)
    raw, values = np.empty(SIZE, grad.dtype), np.empty(SIZE, grad.dtype)
    scaled, back = np.empty(SIZE, grad.dtype), np.empty(SIZE, grad.dtype)
    grad[:] = 0
    for k in range(cotangent.shape[0]):
        raw[0] = zero
        norm = _inner(histograms[k], raw)
        if not norm > real(_EPSILON):
            continue
        inverse = one / norm
        for i in range(SIZE):
            raw[i] *= inverse
            values[i] = raw[i]
        second = _clipped(values, clip)
        for i in range(SIZE):
            back[i] = cotangent[k, i]
            scaled[i] = values[i]
        if root == BEFORE:
            _root(scaled, real(NORM))
            for i in range(SIZE):
                back[i] = back[i] * real(NORM) if scaled[i] < white else zero
            _pull_root(values, back)
        else:
            scale = real(NORM) / max(second, real(_EPSILON))
            for i in range(SIZE):
                scaled[i] = min(values[i] * scale, white)
            if root == AFTER:
                _pull_root(scaled, back)
            along = zero
            for i in range(SIZE):
                back[i] = back[i] * scale if scaled[i] < white else zero
                along += back[i] * values[i]
            along /= second * second
            for i in range(SIZE):
                back[i] -= along * values[i]
        for i in range(SIZE):
            back[i] *= passed(raw[i], clip, square, half)
        along = zero
        for i in range(SIZE):
            along += back[i] * raw[i]
        for i in range(BINS):
            for j in range(BINS):
                at, to = (i * BINS + j) * ORIENTATIONS, ((i + 1) * CELLS + j + 1) * LANES
                for o in range(ORIENTATIONS):
                    grad[k, to + o] = (back[at + o] - along * raw[at + o]) * inverse
                grad[k, to + ORIENTATIONS] = grad[k, to]
