"""How the colours of photographs vary together: the matrix of `repinv.Decorrelated`.

Averages the covariance of the colours of scikit-image's photographs, each of unit mean variance,
and prints the symmetric root of the average, of unit mean variance too.

    python scripts/colour_statistics.py
"""

import numpy as np
import skimage.data

#: Colour photographs inside scikit-image's wheel, all freely licensed.
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def root() -> np.ndarray:
    """Symmetric M (3, 3): M @ M.T is the average covariance, M @ white noise such colours."""
    total = np.zeros((3, 3))
    for name in PHOTOGRAPHS:
        pixels = getattr(skimage.data, name)().reshape(-1, 3) / 255
        covariance = np.cov(pixels, rowvar=False)
        total += covariance / np.trace(covariance)
    values, vectors = np.linalg.eigh(3 * total / len(PHOTOGRAPHS))
    return (vectors * np.sqrt(values)) @ vectors.T


if __name__ == "__main__":
    for row in root():
        print("(" + ", ".join(f"{value:.3f}" for value in row) + "),")
