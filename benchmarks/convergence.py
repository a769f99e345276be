"""How often an inversion that has not converged says rightly how many evaluations more it needs.

Runs of few evaluations say in their notes how many more would about halve the error.
Each is repeated with so many more; the forecast is right where the error has been halved within a
factor of 2 of what it said: half as many more do not yet halve it, and twice as many do.

    python benchmarks/convergence.py [--evaluations N]
"""

from __future__ import annotations

import argparse

import numpy as np
import skimage
from report import Report
from skimage.transform import resize

import repinv
from repinv.io.image import as_unit, to_gray
from repinv.search.convergence import forecast

ENCODERS = {
    "HOG.vlfeat, bilinear": repinv.HOG.vlfeat(bilinear_orientations=True),
    "HOG.opencv": repinv.HOG.opencv(win_size=(96, 96)),
    "DSIFT.natural": repinv.DSIFT.natural(),
    "DSIFT.vlfeat, 8 apart": repinv.DSIFT.vlfeat(8, 4),
}
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "camera")
SIDE = 96


def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-image, gray and square."""
    whole = to_gray(as_unit(getattr(skimage.data, name)()))
    return resize(whole, (SIDE, SIDE), anti_aliasing=True).astype(np.float32)


def main() -> None:
    """Print a table of runs, and how many forecasts were right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=100)
    evaluations = parser.parse_args().evaluations
    report = Report("Convergence", __doc__.split("\n", maxsplit=1)[0])
    report.table("Runs", "error, %", "more to halve", "half of it, %", "it, %", "twice, %", "right")
    right = total = 0
    for label, encoder in ENCODERS.items():
        for name in PHOTOGRAPHS:
            image = photograph(name)
            features = encoder(image)

            def error(n: int, features=features, encoder=encoder):  # type: ignore[no-untyped-def]
                return repinv.invert(features, encoder, shape=(SIDE, SIDE), max_iter=n)

            result = error(evaluations)
            more = forecast(result.trace["data"][:, 0], evaluations // 10)
            total += 1
            if more is None:
                report.row(f"{label}, {name}", f"{100 * result.error[0]:.3g}", "-", "", "", "", "")
                continue
            at = [error(evaluations + round(f * more)).error[0] for f in (0.5, 1, 2)]
            is_right = at[0] > result.error[0] / 2 >= at[2]
            right += is_right
            cells = (f"{100 * e:.3g}" for e in at)
            first = f"{100 * result.error[0]:.3g}"
            report.row(f"{label}, {name}", first, str(more), *cells, "yes" if is_right else "no")
    report.note(f"Right within a factor of 2: {right} of {total}.")
    report.write(None)


if __name__ == "__main__":
    main()
