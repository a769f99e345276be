"""The method of the paper, as options of `invert`."""

from __future__ import annotations

from typing import Any

from repinv.energy.energy import Weighted
from repinv.energy.priors import AlphaNorm, TotalVariation
from repinv.search.schedules import PRIORS as PRIORS
from repinv.solvers.rules import Momentum
from repinv.variables.pixels import Pixels


def mahendran(shape: tuple[int, int], max_iter: int = 800) -> dict[str, Any]:
    """Options of `invert` that make it the method of the paper, to run beside the default.

    Momentum in pixels from white noise, a quadratic total variation and a 6-norm, with the
    constants that the authors published for HOG and dense SIFT, in the units of this package.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the image.
    max_iter : int
        Evaluations; the step falls by ten after each quarter of them.

    Returns
    -------
    options : dict
        ``invert(features, encoder, **mahendran(shape))``.

    Notes
    -----
    Published: pixels in [−128, 127]; ‖Φ − Φ₀‖²/‖Φ₀‖² + (½ Σ|∇x|² + ½·8e-10 Σ x⁶)/σ² and a start
    of norm σ, σ = 27098 for images of 256x256. A norm grows as the square root of the number of
    pixels, and so the weights of means do not depend on it.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016. :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> from repinv.tasks import mahendran
    >>> sorted(mahendran((256, 256)))
    ['max_iter', 'parametrization', 'priors', 'shape', 'solver']
    """
    deviation = 27098 / 256  # of a pixel at the start
    variation, norm = TotalVariation(beta=2.0, scale=0.05), AlphaNorm(alpha=6.0, scale=0.5)
    weights = (
        0.5 * (255 * variation.scale / deviation) ** 2,
        0.5 * 8e-10 * (255 * norm.scale) ** 6 / deviation**2,
    )
    return {
        "shape": shape,
        "max_iter": max_iter,
        "solver": Momentum.mahendran(shape[0] * shape[1], max_iter),
        "parametrization": Pixels(noise=deviation / 255, bounded=False),
        "priors": (
            Weighted("total_variation", weights[0], variation),
            Weighted("alpha_norm", weights[1], norm),
        ),
    }
