"""The paper's questions, asked of any encoder: inversion. The defaults live here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from repinv import checkpoint, memory, starts, targets
from repinv import restorer as restorers
from repinv.encoder import Array, Encoder
from repinv.energy import Weighted
from repinv.losses import SquaredError
from repinv.parametrizations import Jitter, Parametrization, Pixels
from repinv.priors import AlphaNorm, IntensityRange, NaturalContrast, TotalVariation
from repinv.restorer import Restorer
from repinv.result import Result
from repinv.rules import LBFGS, Momentum, UpdateRule
from repinv.runs import Problem, Stage, check_position, moved, run
from repinv.solvers import Snapshot

#: Priors where none are given. That images are smooth is in `Spectral`, and in growing them out of
#: gray: a total variation added to these changed neither error nor likeness in benchmarks.
PRIORS = (
    Weighted("contrast", 5e-4, NaturalContrast()),
    Weighted("range", 1e-2, IntensityRange()),
)
#: For encoders without hard decisions: the features first, out of all but gray; then with contrast;
#: then, twice anew, in changes to which the features answer alike everywhere.
SMOOTH = (
    Stage(0.1, LBFGS(), without=("contrast",)),
    Stage(0.25, LBFGS()),
    Stage(0.2, LBFGS(), local=4.0),
    Stage(0.45, LBFGS(), local=4.0),
)
#: Starts that a restorer is given.
SEEDS = 4
#: Where starts have come together, of encoders without hard decisions: what they agree on is soon
#: found, and most of the run is for the features. Pulls are shares of those below.
TOGETHER: tuple[Stage, ...] = (
    Stage(0.072, LBFGS(), gathers=True, pull=1.0),
    Stage(0.198, LBFGS(), local=4.0, pull=1.0),
    Stage(0.63, LBFGS(), local=4.0, pull=0.1),
)
#: Weights of the pull towards the average of several starts, and towards what was restored from it;
#: and of the energies of its cells.
PULL, LEARNED_PULL, CELLS = 1e-3, 6e-3, 0.0
#: What follows the softened selves of an encoder with hard decisions: the encoder itself.
_HARD = Stage(0.05, LBFGS(), softness=0.05, straight_through=True)


def stages(encoder: Encoder) -> tuple[Stage, ...]:
    """The stages that `invert` takes where no solver is given.

    `SMOOTH` for encoders without hard decisions. For others a stage for each leg of their
    `Encoder.annealing`: the first fits the features alone, in the second contrast grows fast, and
    after a third of the run or so the solver turns changes to which the features answer alike
    everywhere; if all legs are of softened selves, the encoder itself ends the run.

    Examples
    --------
    >>> import repinv
    >>> from repinv.tasks import stages
    >>> [stage.softness for stage in stages(repinv.HOG.vlfeat())]
    [1.0, 1.0, 0.3, 0.055, 0.01, 0.05]
    """
    legs = encoder.annealing
    if not legs:
        return SMOOTH
    begins = np.cumsum([0.0] + [share for share, _ in legs])
    evened = int(np.argmax(begins >= 0.3 * begins[-1]))
    found = tuple(
        Stage(
            share,
            LBFGS(),
            softness=softness,
            priors=2.0 if leg == 1 else 1.0,
            without=("contrast",) if leg == 0 else (),
            local=SMOOTH[-1].local if leg == evened else 0.0,
        )
        for leg, (share, softness) in enumerate(legs)
    )
    return found if encoder.softened(legs[-1][1]) is None else (*found, _HARD)


def gathering(encoder: Encoder, learned: bool = False) -> tuple[Stage, ...]:
    """The stages that `invert` takes where it averages several starts.

    Half of the run is that of `stages`, for every start; the average, restored if a restorer has
    been `learned`, is then refined, without the part that grows an image out of gray: by
    `TOGETHER`, or by what follows the first leg of an encoder with hard decisions.

    Examples
    --------
    >>> import repinv
    >>> from repinv.tasks import gathering
    >>> [stage.gathers for stage in gathering(repinv.HOG.vlfeat(bilinear_orientations=True))]
    [False, False, False, False, True, False, False]
    """
    apart = stages(encoder)
    together = TOGETHER
    if apart is not SMOOTH:
        together = tuple(
            replace(stage, without=(), pull=1.0, gathers=number == 0)
            for number, stage in enumerate(apart[1:])
        )
    pull, cells = (LEARNED_PULL, CELLS) if learned else (PULL, 0.0)
    return (*apart, *(replace(s, pull=pull * s.pull, cells=cells) for s in together))


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


def invert(
    features: Array,
    encoder: Encoder,
    *,
    shape: tuple[int, ...] | None = None,
    n_preimages: int = 1,
    mask: Array | None = None,
    filter_group: slice | Sequence[int] | None = None,
    neighbourhood: int | None = None,
    max_iter: int = 400,
    solver: UpdateRule | tuple[Stage, ...] | None = None,
    parametrization: Parametrization | None = None,
    priors: tuple[Weighted, ...] | None = None,
    prior: str | Restorer | None = None,
    seeds: int | None = None,
    jitter: int = 0,
    initial: Any = None,
    seed: int = 0,
    tol: float = 0.0,
    check_every: int = 10,
    time_limit: float | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    progress: bool = False,
) -> Result:
    """Find natural-looking images that an encoder cannot tell from the one encoded.

    Parameters
    ----------
    features : array
        Φ₀, in the layout in which the mirrored library returns it, or flat.
    encoder : Encoder
        Φ.
    shape : tuple of int, optional
        (H, W) or (H, W, C) of the image. Where features determine the size well enough it may be
        left out: the smallest size that fits is taken, and `Result.notes` says so.
    n_preimages : int
        Images to find, each from a start of its own.
    mask : array, broadcastable to the features in their layout, optional
        Boolean, or weights ≥ 0 of the squared differences: which features count.
    filter_group : slice or sequence of int, optional
        Channels of a map of features that count, such as ``slice(0, 96)``.
    neighbourhood : int, optional
        Of a map of features, only the places in the middle count, so many a side.
    max_iter : int
        Evaluations of the energy.
    solver : UpdateRule or tuple of Stage, optional
        A rule that runs alone on the true encoder, or stages. By default L-BFGS; for encoders
        with hard decisions, their softened selves are inverted first.
    parametrization : Parametrization, optional
        What the solver turns; by default `Spectral`, in natural colours where there are three. How
        steep its spectrum is and how faint the start, the encoder is asked.
    priors : tuple of Weighted, optional
        By default `repinv.tasks.PRIORS`.
    prior : {"learned"} or Restorer, optional
        What the average of several starts is restored by, and the rest of the run pulled towards:
        "learned" is the one that ships for HOG or dense SIFT. For gray images.
    seeds : int, optional
        Starts of each image, averaged after half of the run, which the rest of it is pulled
        towards: what they have in common the features ask for. Each start takes its evaluations,
        so the time grows with `seeds`. 1 by default, and 4 with a learned prior. With a `solver`
        that does not gather them, the best of them is returned.
    jitter : int
        Largest random shift of the image in every step, in pixels.
    initial : array, shape (H, W) or (H, W, C), in [0, 1], or inverter, optional
        Image to start from, in place of noise; or one of `repinv.inverters`, to start from the
        image that it finds.
    seed : int
        Of the starts and the jitter; one seed gives one result.
    tol : float
        Stop when no energy falls by more than this share between two checks; 0 never does.
    check_every : int
        Iterations between two checks of the energy, the clock and the callback.
    time_limit : float, optional
        Seconds.
    callback : callable, optional
        Shown a `Snapshot` at every check; the run stops when it returns True.
    progress : bool
        Show a progress bar.

    Returns
    -------
    result : Result
        Also when interrupted from the keyboard: with the best images so far.

    Raises
    ------
    TypeError, ValueError
        If the features are not the encoder's, or an option is impossible.

    See Also
    --------
    repinv.maximize : Find natural-looking images that excite a component of a representation.
    repinv.caricature : Exaggerate what a representation sees in an image.
    repinv.resume : Continue a run that was stopped early and saved, to the end it would have had.
    repinv.compare : Invert one image by several methods, and measure what each finds.

    References
    ----------
    .. [1] Mahendran and Vedaldi, "Visualizing deep convolutional neural networks using natural
       pre-images", IJCV 120, 2016, eq. (2). :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> result = repinv.invert(hog(image), hog, shape=(32, 32), max_iter=100)
    >>> result.image.shape, bool(result.error[0] < 0.01)
    ((32, 32), True)
    """
    targets.check_counts(n_preimages=n_preimages, max_iter=max_iter, check_every=check_every)
    targets.check_counts(least=0, jitter=jitter)
    if not (solver is None or isinstance(solver, tuple) or hasattr(solver, "update")):
        raise TypeError(f"solver must be a rule, such as repinv.Adam(), or stages; got {solver!r}.")
    restorer = restorers.chosen(prior, encoder)
    count = seeds if seeds is not None else 1 if restorer is None else SEEDS
    targets.check_counts(seeds=count)
    target, image_shape, notes = targets.target(features, encoder, shape)
    restorers.check_use(restorer, count, image_shape[0], initial is not None)
    if hasattr(initial, "invert"):
        initial = targets.inverted(initial, target, encoder, image_shape)
    memory.check_fits(
        *image_shape[1:], image_shape[0], n_preimages * count, n_features=int(np.prod(target.shape))
    )
    target = encoder.asarray(target)[None, ...]
    weight = targets.weight(target[0], encoder, image_shape, mask, filter_group, neighbourhood)
    weight = None if weight is None else encoder.asarray(weight)[None, ...]
    noise = starts.noise(seed, n_preimages * count, image_shape)
    if parametrization is None:
        scale = 1.0 if initial is not None else starts.faint_scale(encoder, noise[:1])
        parametrization = starts.parametrization(encoder, noise[:1], scale)
    if jitter:
        parametrization = Jitter(parametrization, jitter, seed)
    if solver is None:
        solver = stages(encoder) if count == 1 else gathering(encoder, restorer is not None)
    problem = Problem(
        encoder,
        SquaredError(target, weight),
        parametrization,
        PRIORS if priors is None else tuple(priors),
        solver if isinstance(solver, tuple) else (Stage(1.0, solver),),
        int(max_iter),
        tol,
        int(check_every),
        count,
        restorer,
    )
    if initial is None:
        z = parametrization.start(encoder.asarray(noise))
    else:
        x = targets.initial(initial, image_shape)
        z = parametrization.inverse(encoder.asarray(np.repeat(x, n_preimages, axis=0)))
    position: dict[str, Any] = {"stage": 0, "iteration": 0, "z": z, "state": None}
    return run(problem, position, {}, 0.0, notes, time_limit, callback, progress)


def resume(
    path: str | os.PathLike[str],
    *,
    encoder: Encoder | None = None,
    time_limit: float | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    progress: bool = False,
) -> Result:
    """Continue a run that was stopped early and saved, to the end it would have had.

    Parameters
    ----------
    path : path
        What `Result.save` wrote.
    encoder : Encoder, optional
        Needed for encoders that are not repinv's own.
    time_limit, callback, progress : optional
        As for `invert`.

    Returns
    -------
    result : Result
        Bit for bit what the run would have ended with, had it not been stopped.

    Raises
    ------
    ValueError
        If the file is not a run, or is damaged.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.Result : Images that a task found, and how.

    Examples
    --------
    >>> import numpy as np, os, repinv, tempfile
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> features = hog(np.random.default_rng(0).random((32, 32)))
    >>> whole = repinv.invert(features, hog, shape=(32, 32), max_iter=60)
    >>> part = repinv.invert(features, hog, shape=(32, 32), max_iter=60,
    ...                      callback=lambda snapshot: snapshot.iteration == 20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     part.save(os.path.join(folder, "run.npz"))
    ...     continued = repinv.resume(os.path.join(folder, "run.npz"))
    >>> bool(np.all(continued.image == whole.image))
    True
    """
    header, arrays = checkpoint.load(path)
    try:
        described = dict(header["problem"])
        if encoder is None and described["encoder"] is None:
            raise ValueError(
                f"{path}: the run's encoder is not one of repinv's own; pass it as encoder=."
            )
        given = checkpoint.restore(described["encoder"]) if encoder is None else encoder
        rest = {
            name: moved(checkpoint.restore(value), given.asarray)
            for name, value in described.items()
            if name != "encoder"
        }
        problem = Problem(encoder=given, **rest)
        position = dict(header["position"])
        seconds, notes = float(header["seconds"]), tuple(header["notes"])
        position["z"] = given.asarray(arrays["z"])
        position["seen"] = arrays.get("seen")
        kept = ("around", "weights", "reference", "log_energy")
        position |= {name: given.asarray(arrays[name]) for name in kept if name in arrays}
        if position["state"] is not None:
            position["state"] = dict(position["state"]) | {
                name: given.asarray(values) for name, values in _under("state/", arrays).items()
            }
        trace = _under("trace/", arrays)
        check_position(problem, position, trace)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} is not a whole run saved by repinv ({error!r}).") from None
    return run(problem, position, trace, seconds, notes, time_limit, callback, progress)


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays whose name begins with a prefix, by the rest of their name."""
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }
