"""Codes of a bag of words as those of its softened encoder, as far as they tell these."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from repinv.encoders.words import scaling
from repinv.encoders.words.assignment import (
    LLC,
    Assignment,
    SoftAssignment,
    assignment,
    coded,
)

if TYPE_CHECKING:
    from repinv.encoders.words.bovw import BoVW

#: Power while a run is soft; softness down to which hard assignments and LLC have it, and down to
#: which LLC is compared as soft assignment.
_ROOT, _ROOTS, _SOFT_LLC = 0.5, 0.1, 0.04


def compared(bag: BoVW, soft: BoVW | None, softness: float) -> BoVW | None:
    """The bag that an inversion compares in place of one that is softened so, if another.

    Roots let the many small shares of a code count beside the few large ones. Codes of hard
    assignments have them only while these are soft. Sums of LLC's weights, which jump wherever the
    nearest words change, are compared as those of soft assignment.
    """
    given, found = assignment(bag.assignment), soft or bag
    is_soft, is_llc = isinstance(given, SoftAssignment), isinstance(given, LLC)
    if is_llc and bag.aggregation == "sum" and softness >= _SOFT_LLC:
        found = dataclasses.replace(found, assignment=SoftAssignment(softness * bag.warm))
    if bag.power > _ROOT and (is_soft or softness >= _ROOTS):
        found = dataclasses.replace(found, power=_ROOT)
    return None if found is bag else found


def softer(
    codes: np.ndarray, vocabulary: np.ndarray, given: Assignment, soft: Assignment
) -> np.ndarray:
    """Sums of codes (..., K) of one assignment, about as those of a softer one.

    Each word's share goes to the words among which the softer assignment shares this word: what is
    so for descriptors that are words, and about so for those that LLC makes of words. Temperatures
    add up as variances do, and codes that are soft already are softened by what is missing.
    """
    if not isinstance(soft, SoftAssignment):
        return codes
    missing = soft.temperature - (given.temperature if isinstance(given, SoftAssignment) else 0)
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
