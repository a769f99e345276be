"""Photographs that come with scikit-image: what figures are measured against by default."""

from __future__ import annotations

import numpy as np

from repinv.io.image import as_unit

#: Photographs inside scikit-image's wheel; nothing is downloaded.
NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def photographs(size: tuple[int, int, int], *, whole: bool = False) -> np.ndarray:
    """The photographs and quarters of them, at a size.

    Parameters
    ----------
    size : (int, int, int)
        (C, H, W); channels are gray unless there are three.
    whole : bool
        Leave out the quarters.

    Returns
    -------
    x : ndarray, shape (20, C, H, W), or (4, C, H, W) of whole ones, float32, in [0, 1]

    Examples
    --------
    >>> photographs((1, 16, 24)).shape
    (20, 1, 16, 24)
    """
    import skimage.data
    from skimage.transform import resize

    channels, height, width = size
    found = []
    for name in NAMES:
        image = as_unit(getattr(skimage.data, name)())
        middle, centre = image.shape[0] // 2, image.shape[1] // 2
        halves = image[:middle], image[middle:]
        quarters = [part for half in halves for part in (half[:, :centre], half[:, centre:])]
        for part in (image, *([] if whole else quarters)):
            x = np.moveaxis(resize(part, (height, width), anti_aliasing=True), -1, 0)
            gray = np.repeat(x.mean(axis=0, keepdims=True), channels, axis=0)
            found.append(x if channels == 3 else gray)
    return np.stack(found).astype(np.float32)
