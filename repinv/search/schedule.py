"""A stage of a run: for how long, by which rule, and what of the energy is different in it."""

from __future__ import annotations

import dataclasses

from repinv.solvers.rules import UpdateRule


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Parameters
    ----------
    share : float
        Share of the evaluations; the shares of a run are divided by their sum.
    rule : UpdateRule
        How a step is made.
    softness : float
        If positive, the stage inverts the smoothed version of an encoder with hard assignments
        (`Encoder.softened`); 0 is the encoder itself.
    straight_through : bool
        Features are the true encoder's, and the smoothed one gives the pullback alone.
    priors : float
        Factor of the weights of all priors.
    without : tuple of str
        Names of priors that are left out.
    pre_activations : bool
        Of an encoder that ends with a rectifier, compare pre-activations with the target: at least
        zero where the target is zero, so that units which are off in the image and should be on
        have a gradient (`Encoder.pre_activations`).
    surrogate_width : float
        If positive, rectifiers and clips inside an encoder are pulled back with surrogate slopes of
        this width (`Encoder.with_surrogate_slopes`); the features stay exact.
    sensitivity_radius : float
        If positive, the variables become changes of the image that the stage begins with
        (`Local`), weighted by the inverse of the features' sensitivity, which is averaged over a
        Gaussian of so many pixels. Later stages keep these variables. A stage of fewer than 30
        evaluations keeps the old ones, and so does one where the sensitivity is even.
    averages_starts : bool
        The stage begins with the average of each image's several starts, restored if the run has a
        restorer. From there on an image is one problem.
    begins_with_outline : bool
        Of that average, the stage takes low frequencies alone: they decide what is light.
    pull : float
        Weight of `Pull` towards that average.
    exponent : float
        If positive, the stage takes this exponent for the spectrum of its variables, where the
        parametrization has one (`Spectral`).
    noise : float
        Noise of the natural spectrum that is added to the image as the stage begins: root mean
        square of its gradient, in units of the image's.
    chooses_polarity : bool
        The stage begins with whichever of x and 1 − x is likelier to be a photograph.
    transforms : bool
        Whether the image is changed at random in every step, where the parametrization says so
        (`Jitter`, `RandomView`).

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
    pre_activations: bool = False
    surrogate_width: float = 0.0
    sensitivity_radius: float = 0.0
    averages_starts: bool = False
    begins_with_outline: bool = False
    pull: float = 0.0
    exponent: float = 0.0
    noise: float = 0.0
    chooses_polarity: bool = False
    transforms: bool = True
