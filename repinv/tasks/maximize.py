"""Activation maximization: images that excite a component of a representation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repinv._core.typing import Array
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.energy.energy import Weighted
from repinv.energy.losses import Loss
from repinv.energy.priors import IntensityRange, NaturalContrast, TotalVariation
from repinv.energy.reference_priors import Diversity
from repinv.energy.responses import InnerProduct, Margin, Shortfall
from repinv.io.image import as_batch, as_unit, to_gray
from repinv.io.sample_images import photographs
from repinv.io.streams import Images, stream
from repinv.search import initialization, polarity, validation
from repinv.search.feature_layout import image_shape, read
from repinv.search.problem import Problem
from repinv.search.result import Result
from repinv.search.run import Watch, run
from repinv.search.schedule import Stage
from repinv.search.schedules import PRIORS as INVERSION
from repinv.search.schedules import graduated, stages
from repinv.search.state import RunState
from repinv.solvers import memory
from repinv.solvers.minimize import Snapshot
from repinv.solvers.rules import Adam, UpdateRule
from repinv.variables.base import Parametrization
from repinv.variables.bounded import Bounded
from repinv.variables.colour import PHOTOGRAPHS, Decorrelated
from repinv.variables.fourier import Fourier
from repinv.variables.phase import Phase
from repinv.variables.transforms import Jitter, RandomView, transformed

#: Priors where none are given; networks of colour images have none. A steeper spectrum than that of
#: photographs does as much: fine patterns, which encoders respond to, then need large variables.
PRIORS = (
    Weighted("variation", 5e-3, TotalVariation(beta=1.5, scale=0.05)),
    Weighted("range", 1.0, IntensityRange()),
    Weighted("contrast", 1e-2, NaturalContrast()),
)
#: What responses are raised towards by default, in units of the largest of photographs: of a
#: pattern more than most images reach.
ENOUGH, ENOUGH_OF_A_PATTERN = 2.0, 10.0
#: Weight of the priors of an inversion for patterns, in units of the square of what is wanted, of
#: whose size their loss is; so large that they keep their contrast.
PATTERN_WEIGHT = 10.0
#: Share of what is wanted from which a response has got there.
_THERE = 0.95
#: Root mean square of x − ½ of networks' images, before it is bounded.
AMPLITUDE = 0.33


def maximize(
    encoder: Encoder | str,
    component: Any,
    *,
    shape: tuple[int, ...] | None = None,
    strength: float | None = None,
    scale: float | None = None,
    images: Images | None = None,
    n_images: int = 1,
    initial: Any = None,
    diversity: float = 0.0,
    max_iter: int = 300,
    solver: UpdateRule | None = None,
    parametrization: Parametrization | None = None,
    priors: tuple[Weighted, ...] | None = None,
    transforms: Sequence[Jitter | RandomView] | None = None,
    jitter: int | None = None,
    seed: int = 0,
    tol: float = 0.0,
    check_every: int = 10,
    time_limit: float | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    progress: bool = False,
) -> Result:
    """Find natural-looking images that excite a component of a representation.

    Parameters
    ----------
    encoder : Encoder or str
        Φ; or its expression on the command line, such as ``"hog.vlfeat"``.
    component : int, tuple of int, or array of the features' shape
        A class or a channel (its mean over all positions), one feature, or a direction d, such as
        the weights of a linear classifier (``LinearSVC().coef_``): a pattern of a high score, and
        one of a low score with ``-w``. `repinv.sklearn.direction` carries weights back through a
        pipeline. Of several classes, one less the mean of the others is surer than one
        alone.
    shape : tuple of int, optional
        (H, W) or (H, W, C) of the image. Only of a direction it may be left out, where its length
        determines the size, as that of OpenCV's windows does.
    strength : float, optional
        Response that is enough, in units of `scale`: more than that is not rewarded, and
        `Result.notes` says where a run got there. By default 2 of one component; 10 of a direction
        of different weights, such as a classifier's, which is more than most images reach (2 where
        a solver, variables or priors are given); of networks of colour images, without end (see
        Notes).
    scale : float, optional
        Z: the response ⟨Φ, d⟩ that counts as 1. By default the largest of `images`, so that a
        response of 3 is three times as much as the best of these photographs has.
    images : array (N, H, W) or (N, H, W, C) in [0, 1], or iterable of such, or path, optional
        What the largest response is measured on; by default crops of scikit-image's photographs.
    n_images : int
        Images to find.
    initial : array, shape (H, W) or (H, W, C), in [0, 1], optional
        Image to start from, in place of noise; as nearly as the variables can stand for it: of
        `Phase` its phases.
    diversity : float
        Weight of their mean squared correlation: drives them apart.
    max_iter : int
        Evaluations of the energy.
    solver : UpdateRule, optional
        By default Adam, for networks of colour images with a step that falls to zero.
    parametrization : Parametrization, optional
        By default `Fourier`, for networks of colour images `Phase`, in natural colours.
    priors : tuple of Weighted, optional
        By default `repinv.tasks.maximize.PRIORS`; none for networks of colour images.
    transforms : sequence of Jitter or RandomView, optional
        Random changes of the image in every step, the first applied first. Their `base` is set to
        the parametrization, and their seeds to those that follow from `seed`. By default a
        `RandomView` for networks of colour images.
    jitter : int, optional
        Largest random shift of the image in every step, in pixels, before `transforms`. By default
        2; 0 where there are transforms.
    seed, tol, check_every, time_limit, callback, progress : optional
        As for `repinv.invert`.

    Returns
    -------
    result : Result
        `Result.response` is ⟨Φ(x), d⟩ / scale of the images returned: without a `scale`, in units
        of the largest response of photographs. A classifier's bias is not part of it.

    Raises
    ------
    TypeError, ValueError
        If there is no such component, or an option is impossible.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.caricature : Exaggerate what a representation sees in an image.

    Notes
    -----
    A response as large as possible is met by patterns that no photograph has; the energy has its
    least value at `strength` (`Shortfall`), and leaves the rest to the priors. A direction of
    different weights is raised by the stages of an inversion, a component by Adam. [1]_ divides by
    the largest response times the squared receptive field of the component, which
    `repinv_cnn.receptive_field` measures.

    Networks of colour images (`Encoder.is_network`) differ, since fine patterns that nobody sees
    excite them. Their image is seen through a random view in every step (`RandomView`), which such
    patterns do not survive, and the response is raised without end: of a class of a classifier, its
    margin over all other classes (`Margin`); of a channel its mean, and of another direction the
    inner product (`InnerProduct`) [2]_. Phases are optimized under the magnitudes of photographs'
    spectra (`Phase`) [3]_, and the image after the last step is returned.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016, eq. (5). :doi:`10.1007/s11263-016-0911-8`
    .. [2] Olah, Mordvintsev and Schubert, "Feature visualization", Distill, 2017.
       :doi:`10.23915/distill.00007`
    .. [3] Fel et al., "Unlocking feature visualization for deeper networks with magnitude
       constrained optimization", NeurIPS 2023. :arxiv:`2306.06805`

    Examples
    --------
    >>> import repinv
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> result = repinv.maximize(hog, 3, shape=(32, 32), max_iter=60)
    >>> result.image.shape, bool(result.response[0] > 0.5)
    ((32, 32), True)
    """
    encoder = expressions.encoder_of(encoder)
    validation.check_counts(n_images=n_images, max_iter=max_iter, check_every=check_every)
    validation.check_counts(least=0, jitter=jitter or 0)
    if not ((strength is None or strength > 0) and diversity >= 0):
        raise ValueError(
            f"strength must be > 0 and diversity >= 0; got {strength} and {diversity}."
        )
    validation.check_is_numbers(component)
    size = size_of(shape, component, encoder)
    features = tuple(encoder.feature_shape(size))
    memory.check_fits(*size[1:], size[0], n_images, n_features=int(np.prod(features)))
    found = validation.direction(component, encoder, features)
    direction = encoder.asarray(found)[None, ...]
    if scale is None:
        scale = _largest(encoder, direction, _references(images, size))
    elif not scale > 0:
        raise ValueError(f"scale must be > 0; got {scale}.")
    chosen = (solver, parametrization, priors, transforms, jitter, initial)
    is_plain = all(option is None for option in chosen) and not diversity
    if is_plain and not encoder.is_network and _is_pattern(found):
        limits = {"max_iter": int(max_iter), "tol": tol, "check_every": int(check_every)}
        noise = initialization.noise(seed, n_images, size)
        loss = Shortfall(
            direction, float(scale), float(strength or ENOUGH_OF_A_PATTERN), free_contrast=True
        )
        problem, state = _pattern(encoder, loss, noise, limits)
        return _noted(run(problem, state, Watch(time_limit, callback, progress)), loss)
    of_photographs = encoder.is_network and size[0] == 3
    if strength is not None or not of_photographs:
        wanted: Loss = Shortfall(direction, float(scale), float(strength or ENOUGH))
    else:
        wanted = _endless(encoder, direction, float(scale))
    if parametrization is None:
        parametrization = _parametrization(of_photographs, encoder, size)
    if transforms is None and jitter is None:
        transforms, jitter = ((RandomView(),), 0) if of_photographs else ((), 2)
    changes = (*((Jitter(amount=jitter),) if jitter else ()), *(transforms or ()))
    if priors is None:
        priors = () if of_photographs else PRIORS
    rule = _rule(of_photographs, int(max_iter)) if solver is None else solver
    if diversity:
        priors = (*priors, Weighted("diversity", diversity, Diversity()))
    problem = Problem(
        encoder=encoder,
        loss=wanted,
        parametrization=transformed(parametrization, changes, seed),
        priors=tuple(priors),
        stages=(Stage(1.0, rule, pre_activations=True),),
        max_iter=int(max_iter),
        tol=tol,
        check_every=int(check_every),
    )
    if initial is None:
        z = parametrization.start(encoder.asarray(initialization.noise(seed, n_images, size)))
    else:
        x = np.repeat(validation.initial(initial, size), n_images, axis=0)
        z = parametrization.inverse(encoder.asarray(x))
    return _noted(run(problem, RunState(z), Watch(time_limit, callback, progress)), wanted)


def _noted(result: Result, loss: Loss) -> Result:
    """A result that says where its response is enough, so that the run did not raise it further."""
    wanted = getattr(loss, "wanted", None)
    assert result.response is not None
    if wanted is None or not result.response.max() >= _THERE * wanted:
        return result
    note = (
        f"a response of {wanted:g} is enough, and more is not rewarded: strength={2 * wanted:g} "
        "goes on"
    )
    return dataclasses.replace(result, notes=(*result.notes, note))


def size_of(
    shape: tuple[int, ...] | None, component: Any, encoder: Encoder
) -> tuple[int, int, int]:
    """(C, H, W) of the image, given or as a direction determines it."""
    if shape is not None:
        return image_shape(shape, encoder)
    if np.ndim(component) == 0 or isinstance(component, tuple):
        raise ValueError("shape is needed: one component does not tell how large the image is.")
    return read(np.ravel(component), encoder, None).size


def _is_pattern(direction: np.ndarray) -> bool:
    """Whether a direction weighs features by more than one number, as a classifier does."""
    return len(np.unique(direction[direction != 0])) > 1


def _pattern(
    encoder: Encoder,
    loss: Shortfall,
    noise: np.ndarray,
    limits: dict[str, Any],
) -> tuple[Problem, RunState]:
    """The problem of a linear classifier's pattern, and its start: the stages of an inversion."""
    white, usual = encoder.asarray(noise), stages(encoder)
    problem = Problem(
        encoder=encoder,
        loss=loss,
        parametrization=initialization.parametrization(encoder, noise[:1], polarity.START_SCALE),
        priors=tuple(
            dataclasses.replace(term, weight=term.weight * PATTERN_WEIGHT * loss.wanted**2)
            for term in INVERSION
        ),
        stages=usual,
        **limits,
    )
    state = RunState(problem.parametrization.start(white))
    if not polarity.is_blind(encoder, noise[:1]):
        return problem, state
    problem = dataclasses.replace(problem, stages=graduated(usual, encoder))
    state = RunState(problem.base(0).start(white), noise=white, notes=(polarity.NOTE,))
    return problem, state


def _endless(encoder: Encoder, direction: Array, scale: float) -> Loss:
    """What raises a network's response without end: a class's margin, or the response itself."""
    xp = array_namespace(direction)
    n_classes = int(xp.sum(xp.astype(direction != 0, xp.int32)))
    is_class = n_classes == 1 < direction.size and bool(xp.max(direction) > 0)
    if is_class and encoder.is_classifier:
        return Margin(direction, scale)
    return InnerProduct(direction, scale)


def _parametrization(
    of_photographs: bool, encoder: Encoder, image_shape: tuple[int, int, int]
) -> Parametrization:
    """The variables where none are given."""
    if of_photographs:
        return Bounded(Decorrelated(Phase(AMPLITUDE), PHOTOGRAPHS))
    one = initialization.noise(0, 1, image_shape)
    return initialization.in_natural_colours(Fourier(exponent=1.5), encoder, one)


def _rule(of_photographs: bool, max_iter: int) -> Adam:
    """The update rule where none is given."""
    if of_photographs:
        return Adam(step_size=0.1, betas=(0.9, 0.999), decay_over=max_iter, returns_last=True)
    return Adam(step_size=0.05)


def _largest(encoder: Encoder, direction: Array, images: np.ndarray) -> float:
    """The largest response to a batch of images, or the largest in size if none is positive."""
    loss = Shortfall(direction)
    found = [float(loss.response(encoder.encode(encoder.asarray(x[None])))[0]) for x in images]
    largest = max(found)
    if not largest > 0:
        largest = max(abs(value) for value in found)
    if not largest > 0:
        raise ValueError(
            "no image that it was tried on excites this component; give others as images=, or a "
            "scale."
        )
    return largest


def _reference(image: Any, channels: int) -> np.ndarray:
    """An image (C, H, W) in [0, 1], in as many channels as are measured."""
    unit = as_unit(image)
    if unit.ndim == 3 and unit.shape[-1] == 3 and channels == 1:
        unit = to_gray(unit)
    found: np.ndarray = as_batch(unit, channels=channels)[0]
    return found


def _references(images: Images | None, size: tuple[int, int, int]) -> np.ndarray:
    """Images (N, C, H, W) in [0, 1] to measure responses on, of a shape (C, H, W)."""
    if images is not None:
        found = [_reference(image, size[0]) for image in stream(images)]
        if not found or any(x.shape != size for x in found):
            shapes = sorted({x.shape for x in found})
            raise ValueError(f"images must have the shape (C, H, W) = {size}; got {shapes}.")
        return np.stack(found)
    return photographs(size)
