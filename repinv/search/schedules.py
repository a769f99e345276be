"""What an inversion does where the user does not say: its priors, and the stages of its run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from repinv.encoders.base import Encoder
from repinv.energy.energy import Weighted
from repinv.energy.priors import IntensityRange, NaturalContrast
from repinv.search.schedule import Stage
from repinv.solvers.lbfgs import LBFGS

#: Priors where none are given. That images are smooth is in `Spectral`, and in growing them out of
#: gray: a total variation added to these changed neither error nor likeness in benchmarks.
PRIORS = (
    Weighted("contrast", 5e-4, NaturalContrast()),
    Weighted("range", 5e-2, IntensityRange()),
)
#: Widths of the bends that rectifiers and clips are pulled back as, in the thirds of a run: wide
#: ones hear more, narrow ones tell more exactly what a unit will do.
_BENDS = (0.8, 0.4, 0.2)
#: Pixels within which the weights of changes of an image are alike; see `Stage.local`.
_LOCAL = 4.0
#: What a run ends with: the encoder's own gradient.
_SETTLING = Stage(0.1, LBFGS())
#: For encoders without hard decisions: the features first, out of all but gray; then with contrast;
#: then, twice anew, in changes to which the features answer alike everywhere.
SMOOTH = (
    Stage(0.1, LBFGS(), without=("contrast",), relaxed=_BENDS[0]),
    Stage(0.25, LBFGS(), relaxed=_BENDS[0]),
    Stage(0.2, LBFGS(), local=_LOCAL, relaxed=_BENDS[1]),
    Stage(0.35, LBFGS(), local=_LOCAL, relaxed=_BENDS[2]),
    _SETTLING,
)
#: For layers that end with a rectifier: units that the start does not excite are drawn to what they
#: should be, and those inside that are nearly on are heard, until the run settles. Features tell
#: contrast, which has no need of a stage.
RECTIFIED = (
    *(Stage(0.3, LBFGS(), opened=True, relaxed=width) for width in _BENDS),
    _SETTLING,
)
#: Starts that a restorer is given.
SEEDS = 4
#: Of starts that are only averaged: what they agree on shows early, and what they differ in the
#: average takes away. A restorer was learned on starts that went on for longer.
APART = tuple(
    replace(stage, share=share)
    for stage, share in zip(SMOOTH[:3], (0.08, 0.205, 0.165), strict=True)
)
APART_RECTIFIED = tuple(replace(stage, share=0.45 * stage.share) for stage in RECTIFIED)
#: Where starts have come together, of encoders without hard decisions: what they agree on is soon
#: found, and most of the run is for the features. Pulls are shares of those below.
TOGETHER: tuple[Stage, ...] = (
    Stage(0.072, LBFGS(), gathers=True, pull=1.0, relaxed=_BENDS[1]),
    Stage(0.198, LBFGS(), local=_LOCAL, pull=1.0, relaxed=_BENDS[1]),
    Stage(0.53, LBFGS(), local=_LOCAL, pull=0.1, relaxed=_BENDS[2]),
    replace(_SETTLING, pull=0.1),
)
#: Weights of the pull towards the average of several starts, and towards what was restored from it;
#: and the least share of it that the second keeps to the end.
PULL, LEARNED_PULL, LEAST_SHARE = 1e-3, 1.2e-2, 0.6
#: What follows the softened selves of an encoder with hard decisions: the encoder itself.
_HARD = Stage(0.05, LBFGS(), softness=0.05, straight_through=True)


def stages(encoder: Encoder) -> tuple[Stage, ...]:
    """The stages that `invert` takes where no solver is given.

    For encoders without hard decisions `SMOOTH`, or `RECTIFIED` if they end with a rectifier. For
    others a stage for each leg of their `Encoder.annealing`: the first fits the features alone, in
    the second contrast grows fast, and after a third of the run or so the solver turns changes to
    which the features answer alike everywhere; the encoder itself ends the run. Until then
    rectifiers and clips are pulled back as bends.

    Examples
    --------
    >>> import repinv
    >>> from repinv.search.schedules import stages
    >>> [stage.softness for stage in stages(repinv.HOG.vlfeat())]
    [1.0, 1.0, 0.3, 0.055, 0.01, 0.05]
    """
    legs = encoder.annealing
    if not legs:
        return SMOOTH if encoder.unrectified is None else RECTIFIED
    begins = np.cumsum([0.0] + [share for share, _ in legs])
    evened = int(np.argmax(begins >= 0.3 * begins[-1]))
    found = tuple(
        Stage(
            share,
            LBFGS(),
            softness=softness,
            priors=2.0 if leg == 1 else 1.0,
            without=("contrast",) if leg == 0 else (),
            local=_LOCAL if leg == evened else 0.0,
            relaxed=_BENDS[int(3 * begins[leg] / begins[-1])],
        )
        for leg, (share, softness) in enumerate(legs)
    )
    return (*found, _SETTLING if _ends_as_itself(encoder) else _HARD)


def _ends_as_itself(encoder: Encoder) -> bool:
    """Whether the last leg of an encoder's annealing is the encoder, which then is not hard."""
    return encoder.softened(encoder.annealing[-1][1]) is None


def averaging(encoder: Encoder, learned: bool = False) -> tuple[Stage, ...]:
    """The stages that `invert` takes where it averages several starts.

    Every start is inverted for half of the run by `stages`, or for a third by `APART` where none of
    its decisions are hard and nothing was learned. The average, restored if a restorer has been
    `learned`, is then refined, without the part that grows an image out of gray: by `TOGETHER`, or
    by what follows the first leg of an encoder with hard decisions. One that is annealed but not
    hard, such as a bag of soft words, would lose what the starts agree on if it were softened as
    much again: `TOGETHER` inverts it no softer than in its last leg but one, and then as it is.

    Examples
    --------
    >>> import repinv
    >>> from repinv.search.schedules import averaging
    >>> [stage.gathers for stage in averaging(repinv.HOG.vlfeat(bilinear_orientations=True))]
    [False, False, False, True, False, False, False]
    """
    apart = stages(encoder)
    together = TOGETHER
    pull, least = (LEARNED_PULL, LEAST_SHARE) if learned else (PULL, 0.0)
    if encoder.annealing and _ends_as_itself(encoder):
        softness = [0.0, *(leg[1] for leg in encoder.annealing)][-2]
        soft = tuple(replace(stage, softness=softness) for stage in TOGETHER[:2])
        together, least = (*soft, *TOGETHER[2:]), 0.0
    elif encoder.annealing:
        together = tuple(
            replace(stage, without=(), pull=1.0, gathers=number == 0)
            for number, stage in enumerate(apart[1:])
        )
    elif not learned:
        apart = APART if apart is SMOOTH else APART_RECTIFIED
    pulled = (replace(s, pull=pull * max(s.pull, least)) for s in together)
    return (*apart, *pulled)
