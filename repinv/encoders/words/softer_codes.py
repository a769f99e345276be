"""Codes of a bag of words as those of its softened encoder, as far as they tell these."""

from __future__ import annotations

import dataclasses

import numpy as np

from repinv.encoders.words import scaling
from repinv.encoders.words.assignment import (
    LLC,
    Assignment,
    HardAssignment,
    SoftAssignment,
    coded,
)


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


def softer_features(
    features: np.ndarray,
    vocabulary: np.ndarray,
    assignments: tuple[Assignment, Assignment],
    power: float,
    norm: str | None,
    is_pooled: bool,
) -> np.ndarray:
    """The same of features (N, *F), which have a power, and a norm of each image or descriptor."""
    vocabulary = vocabulary.astype(features.dtype, copy=False)
    sums = scaling.powered(features, 1 / power)[0]
    strong = scaling.powered(softer(sums, vocabulary, *assignments), power)[0]
    flat = strong.reshape(len(strong), -1) if is_pooled else strong
    return scaling.normed(flat, norm)[0].reshape(features.shape)
