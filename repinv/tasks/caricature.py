"""Caricatures: what a representation sees in an image, exaggerated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from repinv._core.typing import Array
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.energy.energy import Weighted
from repinv.energy.priors import IntensityRange
from repinv.energy.reference_priors import Pull
from repinv.energy.responses import Shortfall
from repinv.io.image import as_batch, as_unit
from repinv.search import validation
from repinv.search.problem import Problem
from repinv.search.result import Result
from repinv.search.run import Watch, run
from repinv.search.schedule import Stage
from repinv.search.state import RunState
from repinv.solvers import memory
from repinv.solvers.lbfgs import LBFGS
from repinv.solvers.minimize import Snapshot
from repinv.solvers.rules import UpdateRule
from repinv.variables.base import Parametrization
from repinv.variables.colour import Decorrelated
from repinv.variables.spectral import Spectral

#: Stages of a caricature; of an encoder with hard assignments first of smoothed versions, since
#: its own gradient does not show where assignments would change.
_SMOOTH = (Stage(1.0, LBFGS(first_step=0.01)),)
_HARD = tuple(
    Stage(share, LBFGS(first_step=0.01), softness=softness)
    for share, softness in ((0.4, 1.0), (0.3, 0.3), (0.3, 0.05))
)
#: Weight of the pull to the photograph: what keeps a caricature from drifting without end.
_PULL = 1.0


def caricature(
    image: Array,
    encoder: Encoder | str,
    *,
    strength: float | None = None,
    pull: float = _PULL,
    max_iter: int = 100,
    solver: UpdateRule | None = None,
    parametrization: Parametrization | None = None,
    priors: tuple[Weighted, ...] | None = None,
    tol: float = 0.0,
    check_every: int = 10,
    time_limit: float | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    progress: bool = False,
) -> Result:
    """Exaggerate what a representation sees in an image.

    Parameters
    ----------
    image : array, shape (H, W) or (H, W, C)
        x₀; floats in [0, 1], or integers that stand for fractions of white. Channels stand where a
        call of the encoder takes them.
    encoder : Encoder or str
        Φ; of a network, the layer is the encoder's. Or its expression on the command line.
    strength : float, optional
        How much more it shall respond: 0 is the image itself, 1 twice its response, and so on. By
        default 0.5; of networks of colour images, which reach half as much again by changes that
        nobody sees, 2.
    pull : float
        Weight of the pull to the image; 0 lets what is seen grow freely, as DeepDream [2]_ does.
    max_iter : int
        Evaluations of the energy.
    solver : UpdateRule, optional
        By default L-BFGS, and encoders with hard assignments are smoothed at first.
    parametrization : Parametrization, optional
        By default `Spectral`, in natural colours.
    priors : tuple of Weighted, optional
        By default a pull to the image and the range of pixels.
    tol, check_every, time_limit, callback, progress : optional
        As for `repinv.invert`.

    Returns
    -------
    result : Result
        `Result.response` is ⟨Φ(x), d⟩ with d = max(Φ(x₀), 0), in units of that of the image. It is
        not below 1: the image itself counts as the first that was found.

    Raises
    ------
    TypeError, ValueError
        If the image is none, too small, or without a positive feature.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.maximize : Find natural-looking images that excite a component of a representation.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016, sec. 2 and 7. :doi:`10.1007/s11263-016-0911-8`
    .. [2] Mordvintsev, Olah and Tyka, "Inceptionism: going deeper into neural networks", 2015.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((32, 32))
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> result = repinv.caricature(image, hog, strength=0.2, max_iter=30)
    >>> bool(result.response[0] > 1)
    True
    """
    encoder = expressions.encoder_of(encoder, image)
    validation.check_counts(max_iter=max_iter, check_every=check_every)
    if strength is None:
        strength = 2.0 if encoder.is_network and encoder.channels == 3 else 0.5
    if not (0 <= strength < np.inf and 0 <= pull < np.inf):
        raise ValueError(f"strength and pull must be >= 0 and finite; got {strength} and {pull}.")
    unit = as_unit(encoder.in_layout(image))
    pixels = as_batch(unit, channels=encoder.channels, any_channels=encoder.any_channels)
    x = encoder.asarray(pixels)
    channels, height, width = pixels.shape[1:]
    n_features = int(np.prod(encoder.feature_shape((channels, height, width))))
    memory.check_fits(height, width, channels, 1, n_features=n_features)
    features = encoder.encode(x)
    direction = (features > 0) * features
    scale = float((direction * direction).sum())
    if not scale > 0:
        raise ValueError(
            "the image has no positive feature to exaggerate. Name another layer, or take an "
            "image with more in it."
        )
    if parametrization is None:
        spectral = Spectral(start_scale=1.0)
        parametrization = Decorrelated(spectral) if channels == 3 else spectral
    if priors is None:
        priors = (
            *((Weighted("pull", float(pull), Pull(x)),) if pull else ()),
            Weighted("range", 1.0, IntensityRange()),
        )
    problem = Problem(
        encoder=encoder,
        loss=Shortfall(direction, scale, 1.0 + float(strength)),
        parametrization=parametrization,
        priors=tuple(priors),
        stages=_caricaturing(encoder) if solver is None else (Stage(1.0, solver),),
        max_iter=int(max_iter),
        tol=tol,
        check_every=int(check_every),
    )
    z = parametrization.inverse(x)
    return run(problem, RunState(z, initial=x), Watch(time_limit, callback, progress))


def _caricaturing(encoder: Encoder) -> tuple[Stage, ...]:
    """The stages of a caricature where no solver is given."""
    return _SMOOTH if encoder.softened(1.0) is None else _HARD
