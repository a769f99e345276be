"""The images of a study: found by name or pattern, read, resized, and identified by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repinv.app.study.spec import Declaration, StudyError
from repinv.io import files
from repinv.io.image import as_unit, to_gray

#: Before the name of a photograph that comes with scikit-image; ``digits:7`` is a drawn digit.
BUNDLED, DIGIT = "skimage:", "digits:"
_PATTERN = "*?["


@dataclass(frozen=True)
class StudyImage:
    """An image of a study, without its pixels.

    Attributes
    ----------
    name : str
        In figures and tables.
    digest : str
        Of its pixels, as they are inverted.
    shape : tuple of int
        (H, W) or (H, W, 3).
    """

    name: str
    digest: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Skipped:
    """An image that was left out, and why."""

    name: str
    reason: str


def load(
    declaration: Declaration,
) -> Iterator[tuple[StudyImage, np.ndarray] | Skipped]:
    """Read the images of a study one by one.

    Yields
    ------
    image : (StudyImage, ndarray), or Skipped
        Pixels are float32 in [0, 1]. Images of the same pixels come once.

    Raises
    ------
    StudyError
        If there is no such image, or one cannot be read and the study does not skip those.
    """
    problems: list[str] = []
    seen: set[str] = set()
    names: set[str] = set()
    for name, source, where in _sources(declaration, problems):
        try:
            pixels = _prepared(_pixels(source), declaration)
        except (ValueError, OSError, TypeError) as error:
            if declaration.skips_unreadable:
                yield Skipped(name, " ".join(str(error).split()))
            else:
                problems.append(f"{where}: {error}")
            continue
        key = digest(pixels)
        if key in seen:
            yield Skipped(name, "it has the same pixels as another image of the study.")
            continue
        seen.add(key)
        unique = name
        while unique in names:
            unique += "'"
        names.add(unique)
        if not problems:
            yield StudyImage(unique, key, pixels.shape), pixels
    if problems:
        raise StudyError(problems)


def digest(pixels: np.ndarray) -> str:
    """A hash of the pixels and their shape."""
    found = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
    found.update(np.ascontiguousarray(pixels).tobytes())
    return found.hexdigest()[:32]


def _sources(
    declaration: Declaration, problems: list[str]
) -> Iterator[tuple[str, str | Path, str]]:
    """Name and source of every image, and its key; patterns are expanded in the order of names."""
    folder = declaration.path.parent
    for index, text in enumerate(declaration.files):
        where = f"{declaration.path}: images.files[{index}]"
        if text.startswith((BUNDLED, DIGIT)):
            yield text.partition(":")[2], text, where
        elif any(character in text for character in _PATTERN):
            found = sorted(path for path in _matching(folder, text) if path.is_file())
            if not found:
                problems.append(f"{where}: no file matches {text!r} in {folder.resolve()}.")
            yield from ((_shown(path), path, where) for path in found)
        elif not (folder / text).is_file():
            problems.append(f"{where}: there is no image {text!r} in {folder.resolve()}.")
        else:
            yield _shown(Path(text)), folder / text, where


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    """Files that match a pattern, relative to a folder or absolute."""
    whole = Path(pattern)
    if whole.is_absolute():
        return Path(whole.anchor).glob(str(whole.relative_to(whole.anchor)))
    return folder.glob(pattern)


def _shown(path: Path) -> str:
    """The name of a file, fit for tables and figures."""
    return "".join(c if c.isprintable() else "?" for c in path.name)


def _pixels(source: str | Path) -> np.ndarray:
    """The image of a source in [0, 1]."""
    if isinstance(source, Path):
        return as_unit(files.read(source))
    name = source.partition(":")[2]
    if source.startswith(DIGIT):
        return digit(name)
    import skimage.data

    # Names of the module that are functions of images in the wheel; nothing is downloaded.
    known = ("astronaut", "camera", "chelsea", "cat", "coffee", "coins", "clock", "brick", "grass",
             "gravel", "horse", "hubble_deep_field", "immunohistochemistry", "moon", "page",
             "retina", "rocket", "text", "cell")  # fmt: skip
    if name not in known or not hasattr(skimage.data, name):
        raise ValueError(f"scikit-image has no photograph {name!r}. It has {', '.join(known)}.")
    try:
        return as_unit(getattr(skimage.data, name)())
    except Exception as error:  # a download is needed, which fails in many ways
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"scikit-image ships without {name!r}: {reason}") from error


def digit(name: str) -> np.ndarray:
    """The first drawing of a digit among those of scikit-learn, (32, 32)."""
    if not (name.isascii() and name.isdigit() and len(name) == 1):
        raise ValueError(f"expected a digit such as 'digits:7'; got {name!r}.")
    from skimage.transform import resize
    from sklearn.datasets import load_digits

    digits = load_digits()
    drawing = digits.images[int(np.flatnonzero(digits.target == int(name))[0])] / 16
    enlarged = resize(drawing, (32, 32), order=3, mode="edge")
    image: np.ndarray = np.clip(enlarged, 0, 1).astype(np.float32)
    return image


def _prepared(image: np.ndarray, declaration: Declaration) -> np.ndarray:
    """An image gray or in colour, cropped to its middle and resized as the study declares."""
    found = image if declaration.color and image.ndim == 3 else to_gray(image)
    if declaration.color and found.ndim == 2:
        found = np.repeat(found[..., None], 3, axis=-1)
    if declaration.size is not None and found.shape[:2] != declaration.size:
        from skimage.transform import resize

        cropped = _middle(found, declaration.size)
        shrinks = cropped.shape[0] > declaration.size[0]
        found = resize(cropped, declaration.size, anti_aliasing=shrinks)
    return np.ascontiguousarray(np.clip(found, 0, 1), dtype=np.float32)


def _middle(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest part of an image with the proportions of a size, from its middle."""
    height, width = image.shape[:2]
    scale = min(height / size[0], width / size[1])
    rows, columns = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[top : top + rows, left : left + columns]
