"""Vocabularies that ship with the package, and the descriptors that they are words of."""

from __future__ import annotations

import hashlib
import importlib.resources
import io
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import numpy as np

from repinv.encoders import _accept
from repinv.encoders.dsift import DSIFT

_E = TypeVar("_E")

#: What `scripts/learn_vocabularies.py` learned the words of.
LOCAL = DSIFT.vlfeat(step=5, size=5, fast=True)

#: SHA-256 of the file of each vocabulary, by its number of words.
CHECKSUMS = {
    256: "bc0e0bc90f6c6c19d863476248726245439af1144a579e06adf0df4991868673",
    1024: "a0ed934b255aebaa003d0e13adaaf76aa7010963b80cb9bbcdd0024395da681a",
}


#: The same of what was learned by `scripts/learn_hoggles.py`, by kind and size.
PARAMETERS = {
    ("hoggle", 256): "ceabad4574ad5b0e49ccd937d5558639fa2579e93e656a01541807df7180fa80",
    ("hoggle", 1024): "a099faaae8a7f734f8e0f1288094c8c35bcf2c678ad8dc5b97e2907245025a23",
    ("ridge", 5): "c20664c363be22a1fdcfa463dd0000ba290fe5c67ef25a669d58afb39795e4b1",
}


def parameters(cls: type[_E], kind: str, size: Any) -> _E:
    """An encoder or inverter of a class, read from the package.

    Raises
    ------
    ValueError
        If none ships of that size, or its file is missing or damaged.
    """
    count = _accept.whole("size", size)
    sizes = [n for name, n in PARAMETERS if name == kind]
    if count not in sizes:
        raise ValueError(
            f"{cls.__name__} ships in the size{'s' * (len(sizes) > 1)} "
            f"{', '.join(map(str, sizes))}; got {count}. Choose one of these, or learn "
            f"another with {cls.__name__}.fit."
        )
    path = importlib.resources.files("repinv.encoders") / "dictionaries" / f"{kind}_{count}.npz"
    _checked(path, PARAMETERS[kind, count])
    with importlib.resources.as_file(path) as file:
        found: _E = cls.load(file)  # type: ignore[attr-defined]
    return found


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
    content = _checked(path, CHECKSUMS[count])
    words: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return words.astype(np.float32)


def _checked(path: Traversable, expected: str) -> bytes:
    """What a file of the package holds, if it is what it was."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"expected {path}, which ships with repinv; it cannot be read ({error}). Install "
            "repinv anew."
        ) from error
    if checksum(content) != expected:
        raise ValueError(
            f"expected {path} as it ships with repinv; the file is damaged or has been changed. "
            "Install repinv anew."
        )
    return content
