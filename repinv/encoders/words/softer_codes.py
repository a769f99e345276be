"""Codes of a bag of words as those of its softened encoder, as far as they tell these."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from repinv.encoders.words import scaling
from repinv.encoders.words.assignment import (
    LLC,
    Assignment,
    HardAssignment,
    SoftAssignment,
    assignment,
    coded,
)

if TYPE_CHECKING:
    from repinv.encoders.words.bovw import BoVW

#: Power while a run is soft, and softness down to which hard assignments have it.
_ROOT, _HARD_ROOTS = 0.5, 0.1


def power(bag: BoVW, softness: float) -> float:
    """The power under which an inversion compares codes while they are softened so.

    Roots let the many small shares of a code count beside the few large ones. Codes of hard
    assignments have them only while these are soft, and weights of LLC never.
    """
    given = assignment(bag.assignment)
    is_own = isinstance(given, LLC) or (
        isinstance(given, HardAssignment) and softness < _HARD_ROOTS
    )
    return bag.power if is_own else min(bag.power, _ROOT)


def softer(
    codes: np.ndarray, vocabulary: np.ndarray, given: Assignment, soft: Assignment
) -> np.ndarray:
    """Sums of codes (..., K) of one assignment, about as those of a softer one.

    Each word's share goes to the words among which the softer assignment shares this word: what is
    so for descriptors that are words. Temperatures add up as variances do, and codes that are soft
    already are softened by what is missing. Weights of LLC stay as they are.
    """
    if isinstance(given, LLC) or not isinstance(soft, SoftAssignment):
        return codes
    missing = soft.temperature - (0 if isinstance(given, HardAssignment) else given.temperature)
    if missing <= 0:
        return codes
    coder, shared = dataclasses.replace(soft, temperature=missing), np.zeros_like(codes)
    for rows, of_words, _ in coded(vocabulary, coder, coder.words(vocabulary), None):
        shared += codes[..., rows] @ of_words
    return shared


def softer_features(features: np.ndarray, bag: BoVW, soft: BoVW) -> np.ndarray:
    """Features (N, *F) of a bag, about as those of a softer one, with its power."""
    sums = scaling.powered(features, 1 / bag.power)[0]
    if bag.aggregation == "sum":
        kinds = (assignment(one.assignment) for one in (bag, soft))
        vocabulary = bag.vocabulary.astype(features.dtype, copy=False)
        sums = softer(sums, vocabulary, *kinds)
    strong = scaling.powered(sums, soft.power)[0]
    flat = strong if bag.descriptor_axis is not None else strong.reshape(len(strong), -1)
    return scaling.normed(flat, bag.norm)[0].reshape(features.shape)
