"""Stages of a run."""

from __future__ import annotations

import dataclasses

from repinv.solvers.rules import UpdateRule


@dataclasses.dataclass(frozen=True)
class Stage:
    """One leg of a run.

    Parameters
    ----------
    share : float
        Of the iterations; the shares of a run are taken relative to their sum.
    rule : UpdateRule
        How a step is made.
    softness : float
        Of the encoder (`Encoder.softened`); 0 is the encoder itself.
    straight_through : bool
        Features are the true encoder's, and the softened one gives the pullback alone.
    priors : float
        Factor of the weights of all priors.
    without : tuple of str
        Names of priors that this stage does without.
    opened : bool
        Of an encoder that ends with a rectifier, what that is given is looked at, so that features
        which are off in the image and should be on are drawn there (`Encoder.unrectified`).
    relaxed : float
        If positive, rectifiers and clips inside of an encoder are pulled back as bends of this
        width (`Encoder.relaxed`); features stay what they are.
    local : float
        If positive, the solver turns changes of the image that this stage begins with (`Local`),
        weighted by how little the encoder answers to changes within so many pixels; later stages
        go on with them. Stages of fewer than `WORTHWHILE` iterations do not begin anew, nor do
        those whose places are `ALIKE` to the encoder.
    gathers : bool
        Begins with the average of each image's several starts, as `Problem.restorer` restores it;
        from there on an image is one problem.
    pull : float
        Weight of `Pull` towards that average.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.LBFGS : Limited-memory BFGS with backtracking, every problem of a batch by itself.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    >>> hog = repinv.HOG.vlfeat()
    >>> soft_then_hard = (
    ...     repinv.Stage(0.7, repinv.LBFGS(), softness=1.0),
    ...     repinv.Stage(0.3, repinv.LBFGS(), softness=0.1),
    ... )
    >>> result = repinv.invert(
    ...     hog(image), hog, shape=(32, 32), solver=soft_then_hard, max_iter=40
    ... )
    >>> result.iterations
    40
    """

    share: float
    rule: UpdateRule
    softness: float = 0.0
    straight_through: bool = False
    priors: float = 1.0
    without: tuple[str, ...] = ()
    opened: bool = False
    relaxed: float = 0.0
    local: float = 0.0
    gathers: bool = False
    pull: float = 0.0
