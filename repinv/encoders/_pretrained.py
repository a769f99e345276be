"""Vocabularies that ship with the package, and the descriptors that they are words of."""

from __future__ import annotations

import hashlib
import importlib.resources
import io
from typing import Any

import numpy as np

from repinv.encoders import _accept
from repinv.encoders.dsift import DSIFT

#: What `scripts/learn_vocabularies.py` learned the words of.
LOCAL = DSIFT.vlfeat(step=5, size=5, fast=True)

#: SHA-256 of the file of each vocabulary, by its number of words.
CHECKSUMS = {
    256: "bc0e0bc90f6c6c19d863476248726245439af1144a579e06adf0df4991868673",
    1024: "a0ed934b255aebaa003d0e13adaaf76aa7010963b80cb9bbcdd0024395da681a",
}


def file_name(n_words: int) -> str:
    """Name of a vocabulary's file in the folder of vocabularies."""
    return f"dsift_{n_words}.npy"


def checksum(content: bytes) -> str:
    """What a file is recognized by."""
    return hashlib.sha256(content).hexdigest()


def vocabulary(n_words: Any) -> np.ndarray:
    """Words (n_words, 128), float32, read from the package.

    Raises
    ------
    ValueError
        If there is no vocabulary of so many words, or its file is missing or damaged.
    """
    count = _accept.whole("n_words", n_words)
    if count not in CHECKSUMS:
        raise ValueError(
            f"n_words must be one of {', '.join(map(str, CHECKSUMS))}, which ship with repinv; "
            f"got {count}. Choose one of these, or learn a vocabulary with BoVW.fit."
        )
    path = importlib.resources.files("repinv.encoders") / "vocabularies" / file_name(count)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"expected the vocabulary {path}; it cannot be read ({error}). Install repinv anew."
        ) from error
    if checksum(content) != CHECKSUMS[count]:
        raise ValueError(
            f"expected the vocabulary of {count} words that ships with repinv in {path}; the file "
            "is damaged or has been changed. Install repinv anew."
        )
    words: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return words.astype(np.float32)
