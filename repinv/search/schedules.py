"""What an inversion does where the user does not say: its priors, and the stages of its run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from repinv.encoders.base import Encoder
from repinv.energy.energy import Weighted
from repinv.energy.priors import IntensityRange, NaturalContrast
from repinv.search.schedule import Stage
from repinv.solvers.lbfgs import LBFGS
from repinv.solvers.rules import Adam
from repinv.variables.transforms import RandomView

#: Priors where none are given. That images are smooth is in `Spectral`, and in a start of low
#: contrast: a total variation added to these changed neither error nor likeness in benchmarks.
PRIORS = (
    Weighted("contrast", 5e-4, NaturalContrast()),
    Weighted("range", 5e-2, IntensityRange()),
)
#: Widths of the surrogate slopes of rectifiers and clips in the thirds of a run: wide ones reach
#: more units that are off, narrow ones are nearer to the gradient.
_WIDTHS = (0.8, 0.4, 0.2)
#: Pixels over which sensitivities are averaged; see `Stage.sensitivity_radius`.
_RADIUS = 4.0
#: The end of a run: the encoder's own gradient.
_EXACT = Stage(0.1, LBFGS())
#: For encoders without hard assignments: first the features from a start of low contrast, without
#: the prior on contrast, then with it, then twice in changes weighted by inverse sensitivity.
SMOOTH = (
    Stage(0.1, LBFGS(), without=("contrast",), surrogate_width=_WIDTHS[0]),
    Stage(0.25, LBFGS(), surrogate_width=_WIDTHS[0]),
    Stage(0.2, LBFGS(), sensitivity_radius=_RADIUS, surrogate_width=_WIDTHS[1]),
    Stage(0.35, LBFGS(), sensitivity_radius=_RADIUS, surrogate_width=_WIDTHS[2]),
    _EXACT,
)
#: For layers that end with a rectifier: pre-activations are compared with the target until the last
#: stage. Such features determine contrast, so no stage leaves its prior out.
RECTIFIED = (
    *(Stage(0.3, LBFGS(), pre_activations=True, surrogate_width=width) for width in _WIDTHS),
    _EXACT,
)
#: For encoders whose features are rounded: without rounding, whose best images are the same within
#: it. Descriptors at keypoints differ much in how sensitive they are to a pixel, for which a long
#: memory is of more use than weights that are averaged over regions.
ROUNDED = (
    Stage(0.1, LBFGS(memory=40), softness=1.0, without=("contrast",), surrogate_width=_WIDTHS[0]),
    Stage(0.9, LBFGS(memory=40), softness=1.0),
)
#: Share of a run that is the rough inversion which a restorer is given.
ROUGH = 0.25
#: Share of the run after which it is restored once more.
_AGAIN = 0.25
#: For several starts that are only averaged: structure common to them appears early.
APART = tuple(
    replace(stage, share=share)
    for stage, share in zip(SMOOTH[:3], (0.08, 0.205, 0.165), strict=True)
)
APART_RECTIFIED = tuple(replace(stage, share=0.45 * stage.share) for stage in RECTIFIED)
#: From the average on, of encoders without hard assignments. Pulls are shares of those below.
TOGETHER: tuple[Stage, ...] = (
    Stage(0.072, LBFGS(), averages_starts=True, pull=1.0, surrogate_width=_WIDTHS[1]),
    Stage(0.198, LBFGS(), sensitivity_radius=_RADIUS, pull=1.0, surrogate_width=_WIDTHS[1]),
    Stage(0.53, LBFGS(), sensitivity_radius=_RADIUS, pull=0.1, surrogate_width=_WIDTHS[2]),
    replace(_EXACT, pull=0.1),
)
#: Weights of the pull towards the average of several starts, and towards the restored average; and
#: the least share of its weight that the second keeps to the end.
PULL, LEARNED_PULL, LEAST_SHARE = 1e-3, 1.2e-2, 0.6
#: Exponents of the spectrum in the parts of a run for encoders that do not tell light from dark,
#: and the parts' shares. Under a steep spectrum low frequencies decide which side of a contour is
#: bright, over its whole length; texture is lost, and grows again out of noise in the last part.
_STEEP = ((2.2, 0.08), (1.6, 0.12))
_LAST_EXPONENT, _LAST_SHARE, _NOISE = 1.0, 0.8, 4.0
#: Part of `_STEEP` that begins from an image whose polarity is to be followed.
_FOLLOWING = 1
#: Share of a run under random changes of the image, and its rule.
_VIEWED_SHARE, _VIEWED_EXPONENT = 0.8, 1.0
_VIEWED_RULE = Adam(step_size=0.05, betas=(0.9, 0.999), returns_last=True)
#: What a result says of such a run.
VIEWED = (
    "random views were compared with the target in the first 80 % of the run, by Adam; the image "
    "itself in the rest, by L-BFGS"
)
#: What `transforms="robust"` stands for.
ROBUST = (RandomView(rotation=10.0, scale=(0.8, 1.15), shift=0.054, noise=0.03),)
#: The end of a run for encoders with hard assignments: their own features, a nearly hard pullback.
_HARD = Stage(0.05, LBFGS(), softness=0.05, straight_through=True)


def stages(encoder: Encoder) -> tuple[Stage, ...]:
    """The stages that `invert` takes where no solver is given.

    For encoders without hard assignments `SMOOTH`, or `RECTIFIED` if they end with a rectifier, and
    `ROUNDED` if their features are only rounded. For others a stage for each entry of their
    `Encoder.annealing`, from smooth to hard: the first leaves the prior on contrast out, the second
    doubles the priors, the first that begins after 0.3 of the run changes to weighted variables.
    The encoder itself ends the run.

    Examples
    --------
    >>> import repinv
    >>> from repinv.search.schedules import stages
    >>> [stage.softness for stage in stages(repinv.HOG.vlfeat())]
    [1.0, 1.0, 0.3, 0.055, 0.01, 0.05]
    """
    annealing = encoder.annealing
    if annealing and encoder.is_rounded:
        return ROUNDED
    if not annealing:
        return SMOOTH if encoder.pre_activations is None else RECTIFIED
    begins = np.cumsum([0.0] + [share for share, _ in annealing])
    weighted = int(np.argmax(begins >= 0.3 * begins[-1]))
    found = tuple(
        Stage(
            share,
            LBFGS(),
            softness=softness,
            priors=2.0 if number == 1 else 1.0,
            without=("contrast",) if number == 0 else (),
            sensitivity_radius=_RADIUS if number == weighted else 0.0,
            surrogate_width=_WIDTHS[int(3 * begins[number] / begins[-1])],
        )
        for number, (share, softness) in enumerate(annealing)
    )
    return (*found, _EXACT if _ends_as_itself(encoder) else _HARD)


def viewed(usual: tuple[Stage, ...], is_spectral: bool = True) -> tuple[Stage, ...]:
    """The stages of a run whose image is changed at random in every step.

    Most of it under these changes, by a rule that does not need the same energy at every step; the
    end without them, by the stages of a run that has none.

    Parameters
    ----------
    usual : tuple of Stage
        Those of a run that has none.
    is_spectral : bool
        Whether the variables have a spectrum, which is then that of photographs in the first part.
    """
    last = (replace(s, transforms=False) for s in _scaled(usual, 1 - _VIEWED_SHARE))
    exponent = _VIEWED_EXPONENT if is_spectral else 0.0
    return (Stage(_VIEWED_SHARE, _VIEWED_RULE, exponent=exponent, priors=0.0), *last)


def _ends_as_itself(encoder: Encoder) -> bool:
    """Whether the last entry of an encoder's annealing is the encoder itself, which is not hard."""
    return encoder.softened(encoder.annealing[-1][1]) is None


def graduated(
    usual: tuple[Stage, ...], encoder: Encoder, follows: bool = False
) -> tuple[Stage, ...]:
    """The stages of a run for an encoder that does not tell light from dark.

    Parameters
    ----------
    usual : tuple of Stage
        Those of an encoder that does; they are the last part.
    encoder : Encoder
        If it has hard assignments, the parts before are of its softest version.
    follows : bool
        Whether the run begins from an image whose polarity is to be followed.
    """
    softness = encoder.annealing[0][1] if encoder.annealing else 0.0
    steep = tuple(
        Stage(share, LBFGS(), softness=softness, surrogate_width=_WIDTHS[0], exponent=exponent)
        for exponent, share in _STEEP[_FOLLOWING * follows :]
    )
    last = [replace(s, exponent=_LAST_EXPONENT) for s in _scaled(usual, _LAST_SHARE)]
    last[0] = replace(last[0], without=(), noise=_NOISE, chooses_polarity=not follows)
    return (*steep, *last)


def averaging(encoder: Encoder) -> tuple[Stage, ...]:
    """The stages that `invert` takes where it averages several starts.

    Every start is inverted by `stages` for half of the run, or by `APART` for a third of it, if the
    encoder has no hard assignments. Then the average is refined; see `_refined`.

    Examples
    --------
    >>> import repinv
    >>> from repinv.search.schedules import averaging
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> [stage.averages_starts for stage in averaging(hog)]
    [False, False, False, True, False, False, False]
    """
    apart = stages(encoder)
    refined = _refined(encoder, apart, PULL, 0.0)
    if not encoder.annealing:
        apart = APART if apart is SMOOTH else APART_RECTIFIED
    return (*apart, *refined)


def restoring(encoder: Encoder) -> tuple[Stage, ...]:
    """The stages that `invert` takes with a restorer.

    A short run, which is what restorers were trained on; then what was restored is refined, as an
    average of starts is. That is restored once more, from features that are met better, and refined
    in the rest of the run.

    Examples
    --------
    >>> import repinv
    >>> from repinv.search.schedules import restoring
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> [number for number, stage in enumerate(restoring(hog)) if stage.averages_starts]
    [5, 9]
    """
    refined = _refined(encoder, stages(encoder), LEARNED_PULL, LEAST_SHARE)
    shares = (ROUGH, _AGAIN, 1 - ROUGH - _AGAIN)
    parts = (stages(encoder), refined, refined)
    return tuple(
        stage for part, share in zip(parts, shares, strict=True) for stage in _scaled(part, share)
    )


def restoring_polarity(encoder: Encoder) -> tuple[Stage, ...]:
    """The same for an encoder that does not tell light from dark.

    What is light in the restored image is followed, as an image that a user gives is; the rest of
    it is not.
    """
    usual = stages(encoder)
    first, *rest = graduated(usual, encoder, follows=True)
    first = replace(first, averages_starts=True, begins_with_outline=True)
    rough = _scaled(graduated(usual, encoder), ROUGH)
    return (*rough, *_scaled((first, *rest), 1 - ROUGH))


def _refined(
    encoder: Encoder, usual: tuple[Stage, ...], pull: float, least: float
) -> tuple[Stage, ...]:
    """The stages from an average of starts on, restored or not, which images are pulled to.

    `TOGETHER`, or the usual stages after the first for an encoder with hard assignments. An encoder
    that is annealed but ends as itself, such as a bag of soft words, would lose what the starts
    have in common if it were softened as much again: `TOGETHER` inverts it no softer than the last
    but one of its annealing, then as the last. No pull is less than `least` of the whole.
    """
    together = TOGETHER
    if encoder.annealing and _ends_as_itself(encoder):
        softness = [0.0, *(softness for _, softness in encoder.annealing)]
        soft = tuple(replace(stage, softness=softness[-2]) for stage in TOGETHER[:2])
        middle = replace(TOGETHER[2], softness=softness[-1])
        together, least = (*soft, middle, *TOGETHER[3:]), 0.0
    elif encoder.annealing:
        together = tuple(
            replace(stage, without=(), pull=1.0, averages_starts=number == 0)
            for number, stage in enumerate(usual[1:])
        )
    return tuple(replace(s, pull=pull * max(s.pull, least)) for s in together)


def _scaled(given: tuple[Stage, ...], share: float) -> tuple[Stage, ...]:
    """Stages that take a share of a run together."""
    factor = share / sum(stage.share for stage in given)
    return tuple(replace(stage, share=stage.share * factor) for stage in given)
