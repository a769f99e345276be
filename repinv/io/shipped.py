"""Files that ship with the package, read if they are what they were."""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

#: What to do about a file of the package that is not as it was.
_ADVICE = "Install repinv anew."


def checksum(content: bytes) -> str:
    """SHA-256 of what a file holds."""
    return hashlib.sha256(content).hexdigest()


def read(package: str, folder: str, name: str, expected: str) -> bytes:
    """What a file of a package holds.

    Parameters
    ----------
    package : str
        Such as ``"repinv.search"``.
    folder, name : str
        Where the file lies in it.
    expected : str
        Its `checksum`.

    Raises
    ------
    ValueError
        If it is missing, damaged or changed.
    """
    path = importlib.resources.files(package) / folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"expected {path}, which ships with repinv; it cannot be read ({error}). {_ADVICE}"
        ) from error
    if checksum(content) != expected:
        raise ValueError(
            f"expected {path} as it ships with repinv; the file is damaged or has been changed. "
            f"{_ADVICE}"
        )
    return content


def loaded(load: Callable[[Path], _T], package: str, folder: str, name: str, expected: str) -> _T:
    """What a function reads from such a file; parameters and errors as of `read`."""
    read(package, folder, name, expected)
    with importlib.resources.as_file(importlib.resources.files(package) / folder / name) as path:
        return load(path)
