"""Fit the statistic that decides which of a pre-image and its negative is likelier a photograph.

Run as ``python scripts/polarity.py FOLDER OTHER_FOLDER``: photographs of the first folder are
inverted from HOG without signs; the sign of a pre-image's correlation with its photograph is what
the statistic has to tell. Prints the weights for `repinv/search/polarity.py`, and how often they
are right on photographs and pre-images of the first folder (ten-fold) and of the second.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from skimage.color import rgb2gray
from skimage.io import imread
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

import repinv
from repinv.search import polarity
from repinv.variables.dct import blurred

#: Correlation of a pre-image with its photograph below which its polarity is not one.
LEAST = 0.15


def photographs(folder: str) -> list[np.ndarray]:
    """Gray photographs in [0, 1]."""
    found = [imread(path) for path in sorted(Path(folder).glob("*.[jJ]*[gG]"))]
    return [(rgb2gray(x) if x.ndim == 3 else x / 255).astype(np.float32) for x in found]


def measured(images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of photographs, and those of pre-images times the sign of their correlation."""
    hog, own, found = repinv.HOG.skimage(), [], []
    for seed, image in enumerate(images):
        own.append(polarity.statistics(image[None, None])[0])
        result = repinv.invert(hog(image), hog, shape=image.shape, seed=seed, max_iter=200)
        x, y = (blurred(a[None, None], 4.0).ravel() for a in (result.image, image))
        correlation = np.corrcoef(x, y)[0, 1]
        if abs(correlation) > LEAST:
            statistics = polarity.statistics(result.image[None, None])[0]
            found.append(np.sign(correlation) * statistics)
    return np.array(own), np.array(found)


def mirrored(statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statistics of images and of their negatives, which is which, and groups of both."""
    count = len(statistics)
    labels = np.repeat([1, 0], count)
    return np.concatenate([statistics, -statistics]), labels, np.tile(np.arange(count), 2)


if __name__ == "__main__":
    own, found = measured(photographs(sys.argv[1]))
    x, y, groups = mirrored(np.concatenate([own, found]))
    model = LogisticRegression(fit_intercept=False)
    held_out = cross_val_predict(model, x, y, groups=groups, cv=GroupKFold(10)) == y
    weights = model.fit(x, y).coef_[0]
    print("weights", np.round(weights, 2).tolist())
    half = np.concatenate([np.arange(len(own) + len(found)) >= len(own)] * 2)
    for name, which in (("photographs", ~half), ("pre-images", half)):
        print(f"held out, {name}: {held_out[which].mean():.2f}")
    others = measured(photographs(sys.argv[2]))
    for name, values in zip(("photographs", "pre-images"), others, strict=True):
        right, single = (values @ weights > 0).mean(), (values > 0).mean(axis=0)
        print(f"other folder, {len(values)} {name}: {right:.2f}; each alone {single.round(2)}")
