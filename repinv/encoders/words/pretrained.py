"""Vocabularies that ship with the package, and the descriptors that they are words of."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from repinv.encoders._parts import validation
from repinv.encoders.sift.dsift import DSIFT
from repinv.io import shipped

#: Local descriptors of the words, as `scripts/learn_vocabularies.py` learned them.
LOCAL = DSIFT.vlfeat(step=5, size=5, fast=True)

#: SHA-256 of the file of each vocabulary, by its number of words.
CHECKSUMS = {
    256: "bc0e0bc90f6c6c19d863476248726245439af1144a579e06adf0df4991868673",
    1024: "a0ed934b255aebaa003d0e13adaaf76aa7010963b80cb9bbcdd0024395da681a",
}


def file_name(n_words: int) -> str:
    """Name of a vocabulary's file in the folder of vocabularies."""
    return f"dsift_{n_words}.npy"


def vocabulary(n_words: Any) -> np.ndarray:
    """Words (n_words, 128), float32, read from the package.

    Raises
    ------
    ValueError
        If there is no vocabulary of so many words, or its file is missing or damaged.
    """
    count = validation.whole("n_words", n_words)
    if count not in CHECKSUMS:
        raise ValueError(
            f"n_words must be one of {', '.join(map(str, CHECKSUMS))}, which ship with repinv; "
            f"got {count}. Choose one of these, or learn a vocabulary with BoVW.fit."
        )
    content = shipped.read(
        "repinv.encoders.words", "vocabularies", file_name(count), CHECKSUMS[count]
    )
    words: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return words.astype(np.float32)
