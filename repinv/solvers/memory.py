"""Whether an inversion fits into memory, checked before anything is allocated."""

from __future__ import annotations

import os
from pathlib import Path

from repinv.solvers.lbfgs import remembered

#: Arrays of the image's size that an inversion holds at once, beside the steps that L-BFGS
#: remembers: the variable, the image, gradients, and what the encoder keeps for its pullback.
_ARRAYS = 28
#: Arrays of the features' size: the target, features and what they are made of, differences and
#: cotangents. Dense descriptors have a hundred times as many numbers as their image.
_FEATURES = 9


def available() -> int | None:
    """Bytes that this process may still take, or None where the system does not say."""
    found = [n for n in (_of_the_system(), _of_the_group()) if n is not None]
    return min(found, default=None)


def check_fits(
    height: int, width: int, channels: int, n_images: int, *, n_features: int = 0
) -> None:
    """Raise ValueError if inverting images of this size needs more memory than there is.

    Parameters
    ----------
    height, width, channels, n_images : int
        Of the pre-images, which are float32.
    n_features : int
        Of one image; left out where they are few.
    """
    of_images, of_features = _numbers(height, width, channels, n_features)
    wanted, free = 4 * (of_images + of_features) * n_images, available()
    if free is not None and wanted > free:
        count = f"{n_images} images" if n_images > 1 else "an image"
        features = fewer = ""
        if of_features > of_images:
            features = f", with {n_features:.3g} features each,"
            fewer = " Fewer features take less too, such as those of a larger step."
        raise ValueError(
            f"inverting {count} of {height}x{width} pixels{features} needs about "
            f"{wanted / 2**30:.3g} GiB of memory; {free / 2**30:.3g} GiB are free. "
            f"Make the image smaller, or ask for fewer.{fewer}"
        )


def needed(height: int, width: int, channels: int, n_images: int, *, n_features: int = 0) -> int:
    """Bytes that inverting images of this size takes; parameters as of `check_fits`."""
    return 4 * sum(_numbers(height, width, channels, n_features)) * n_images


def _numbers(height: int, width: int, channels: int, n_features: int) -> tuple[int, int]:
    """Numbers that an inversion holds of an image, and of its features."""
    size = height * width * channels
    return (_ARRAYS + 2 * remembered(size)) * size, _FEATURES * n_features


def _of_the_system() -> int | None:
    """Free memory of the machine."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None


def _of_the_group() -> int | None:
    """What the control group of a container leaves; None outside of one."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        return max(0, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return None
