"""The paper's questions, asked of any encoder: inversion. The defaults live here."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from tqdm import tqdm

from repinv import checkpoint
from repinv.encoder import Array, Encoder, StraightThrough
from repinv.energy import Energy, Weighted
from repinv.losses import SquaredError
from repinv.parametrizations import Jitter, Parametrization, Spectral
from repinv.priors import IntensityRange, TotalVariation
from repinv.result import Result
from repinv.solvers import LBFGS, Adam, Minimum, Snapshot, UpdateRule, minimize, to_host

#: Weights of the priors where none are given.
PRIORS = (
    Weighted("total_variation", 0.02, TotalVariation(beta=2.0, scale=0.05)),
    Weighted("range", 0.01, IntensityRange()),
)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One leg of a run.

    Parameters
    ----------
    share : float
        Of the iterations; the shares of a run are taken relative to their sum.
    rule : UpdateRule
    softness : float
        Of the encoder (`Encoder.softened`); 0 is the encoder itself.
    straight_through : bool
        Features are the true encoder's, and the softened one gives the pullback alone.
    priors : float
        Factor of the weights of all priors.
    """

    share: float
    rule: UpdateRule
    softness: float = 0.0
    straight_through: bool = False
    priors: float = 1.0


#: For encoders without hard decisions.
SMOOTH = (Stage(1.0, LBFGS()),)
#: For encoders with hard decisions: their softened selves, ever harder, then the encoder itself.
ANNEALED = (
    *(Stage(0.125, LBFGS(), softness) for softness in (1.0, 0.5, 0.25, 0.12, 0.06)),
    Stage(0.375, Adam(step_size=0.1), 0.1, straight_through=True, priors=0.1),
)


@dataclasses.dataclass(frozen=True)
class _Problem:
    """Everything that a run depends on but its position; plain enough to be written to a file."""

    encoder: Encoder
    parametrization: Parametrization
    priors: tuple[Weighted, ...]
    stages: tuple[Stage, ...]
    max_iter: int
    tol: float
    check_every: int

    def lengths(self) -> list[int]:
        """Iterations of each stage; they add up to `max_iter`."""
        total = sum(stage.share for stage in self.stages)
        ends = np.cumsum([stage.share / total for stage in self.stages])
        return [int(n) for n in np.diff(np.rint(ends * self.max_iter), prepend=0)]

    def objective(self, stage: Stage, target: Array, weight: Array | None) -> Energy:
        """The energy of one stage."""
        encoder = self.encoder
        if stage.softness > 0:
            soft = encoder.softened(stage.softness)
            if soft is not None:
                encoder = StraightThrough(encoder, soft) if stage.straight_through else soft
        priors = tuple(
            dataclasses.replace(term, weight=term.weight * stage.priors) for term in self.priors
        )
        return Energy(encoder, SquaredError(target, weight), self.parametrization, priors)

    def rule(self, stage: Stage, length: int) -> UpdateRule:
        """The rule of one stage; Adam's step falls to zero at its end."""
        if isinstance(stage.rule, Adam) and len(self.stages) > 1:
            return dataclasses.replace(stage.rule, decay_over=length)
        return stage.rule


def invert(
    features: Array,
    encoder: Encoder,
    *,
    shape: tuple[int, ...] | None = None,
    n_preimages: int = 1,
    mask: Array | None = None,
    max_iter: int = 400,
    solver: UpdateRule | tuple[Stage, ...] | None = None,
    parametrization: Parametrization | None = None,
    priors: tuple[Weighted, ...] | None = None,
    jitter: int = 0,
    initial: Array | None = None,
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
    max_iter : int
        Evaluations of the energy.
    solver : UpdateRule or tuple of Stage, optional
        A rule that runs alone on the true encoder, or stages. By default L-BFGS; for encoders
        with hard decisions, their softened selves are inverted first.
    parametrization : Parametrization, optional
        What the solver turns; `Spectral` by default.
    priors : tuple of Weighted, optional
        By default `repinv.tasks.PRIORS`.
    jitter : int
        Largest random shift of the image in every step, in pixels.
    initial : array, shape (H, W) or (H, W, C), in [0, 1], optional
        Image to start from, in place of noise.
    seed : int
        Of the starts and the jitter; one seed gives one result.
    tol : float
        Stop when no energy falls by more than this share between two checks.
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
    for name, value, least in (
        ("n_preimages", n_preimages, 1),
        ("max_iter", max_iter, 1),
        ("check_every", check_every, 1),
        ("jitter", jitter, 0),
    ):
        if value != int(value) or value < least:
            raise ValueError(f"{name} must be a whole number >= {least}; got {value}.")
    target, image_shape, notes = _target(features, encoder, shape)
    _check_memory(n_preimages, image_shape, target)
    target = encoder.asarray(target)[None, ...]
    weight = None if mask is None else encoder.asarray(_weight(mask, target.shape[1:]))[None, ...]
    parametrization = Spectral() if parametrization is None else parametrization
    if jitter:
        parametrization = Jitter(parametrization, jitter, seed)
    if solver is None:
        solver = SMOOTH if encoder.softened(1.0) is None else ANNEALED
    problem = _Problem(
        encoder,
        parametrization,
        PRIORS if priors is None else tuple(priors),
        solver if isinstance(solver, tuple) else (Stage(1.0, solver),),
        int(max_iter),
        tol,
        int(check_every),
    )
    if initial is None:
        noise = [
            np.random.default_rng((seed, k)).standard_normal(image_shape)
            for k in range(n_preimages)
        ]
        z = parametrization.start(encoder.asarray(np.stack(noise).astype(np.float32)))
    else:
        x = _initial(initial, image_shape)
        z = parametrization.inverse(encoder.asarray(np.repeat(x, n_preimages, axis=0)))
    position: dict[str, Any] = {"stage": 0, "iteration": 0, "z": z, "state": None}
    return _run(
        problem, position, target, weight, {}, 0.0, notes, time_limit, callback, progress
    )


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
    time_limit, callback, progress
        As for `invert`.

    Returns
    -------
    result : Result

    Raises
    ------
    ValueError
        If the file is not a run, or is damaged.

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
        given = encoder if encoder is not None else checkpoint.restore(described["encoder"])
        rest = {k: checkpoint.restore(v) for k, v in described.items() if k != "encoder"}
        problem = _Problem(encoder=given, **rest)
        position = dict(header["position"])
        seconds, notes = header["seconds"], tuple(header["notes"])
        position["z"] = given.asarray(arrays["z"])
        if position["state"] is not None:
            position["state"] = dict(position["state"]) | {
                name.removeprefix("state/"): given.asarray(values)
                for name, values in arrays.items()
                if name.startswith("state/")
            }
        target = given.asarray(arrays["target"])
        weight = given.asarray(arrays["weight"]) if "weight" in arrays else None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a whole run saved by repinv ({error!r}).") from None
    trace = {
        name.removeprefix("trace/"): values
        for name, values in arrays.items()
        if name.startswith("trace/")
    }
    return _run(
        problem, position, target, weight, trace, seconds, notes, time_limit, callback, progress
    )


def _run(
    problem: _Problem,
    position: dict[str, Any],
    target: Array,
    weight: Array | None,
    trace: dict[str, np.ndarray],
    seconds: float,
    notes: tuple[str, ...],
    time_limit: float | None,
    callback: Callable[[Snapshot], object] | None,
    progress: bool,
) -> Result:
    """Go through the stages from a position in them, and finish the images."""
    began = time.perf_counter()
    lengths = problem.lengths()
    found: Minimum | None = None
    traces = [trace] if trace else []
    bar = tqdm(
        total=problem.max_iter,
        initial=sum(lengths[: position["stage"]]) + position["iteration"],
        disable=not progress,
        unit="evaluation",
    )
    with bar:
        while True:
            stage, length = problem.stages[position["stage"]], lengths[position["stage"]]
            before = sum(lengths[: position["stage"]])
            rule = problem.rule(stage, length)
            energy = problem.objective(stage, target, weight)
            left = None if time_limit is None else time_limit - (time.perf_counter() - began)

            def watch(snapshot: Snapshot, before: int = before) -> object:
                shown = dataclasses.replace(snapshot, iteration=before + snapshot.iteration)
                bar.update(shown.iteration - bar.n)
                bar.set_postfix(energy=f"{float(np.min(shown.value)):.2e}", refresh=False)
                return callback(shown) if callback is not None else False

            found = minimize(
                energy.value_and_grad,
                position["z"],
                rule,
                max_iter=length,
                tol=problem.tol,
                check_every=problem.check_every,
                project=problem.parametrization.project,
                callback=watch if callback is not None or progress else None,
                time_limit=left,
                state=position["state"],
                iteration=position["iteration"],
            )
            if found.trace:
                traces.append({name: to_host(values) for name, values in found.trace.items()})
            position |= {"iteration": found.iteration, "z": found.next_z, "state": found.state}
            last = position["stage"] == len(problem.stages) - 1
            if last or found.stop_reason not in ("max_iter", "tolerance"):
                break
            position = _next_stage(problem, position, found)
        bar.update(before + found.iteration - bar.n)
    seconds += time.perf_counter() - began
    joined = {
        name: np.concatenate([part[name] for part in traces if name in part])
        for name in (traces[0] if traces else ())
    }
    images, features, error = _finished(problem.encoder, problem.parametrization, found, target, weight)
    return Result(
        images=images,
        error=error,
        features=features,
        trace=joined,
        iterations=len(joined["energy"]) if joined else 0,
        evaluations=(len(joined["energy"]) if joined else 0) + 2,
        seconds=seconds,
        stop_reason=found.stop_reason,
        notes=notes,
        run=_packed(problem, position, target, weight, joined, seconds, notes),
    )


def _next_stage(problem: _Problem, position: dict[str, Any], found: Minimum) -> dict[str, Any]:
    """The position at the beginning of the next stage."""
    here, after = (problem.stages[position["stage"] + k].rule for k in (0, 1))
    state = None
    if isinstance(here, LBFGS) and here == after:
        # Curvature changes little from one stage to the next.
        state = here.restart(found.state)
    return {"stage": position["stage"] + 1, "iteration": 0, "z": found.z, "state": state}


def _packed(
    problem: _Problem,
    position: dict[str, Any],
    target: Array,
    weight: Array | None,
    trace: dict[str, np.ndarray],
    seconds: float,
    notes: tuple[str, ...],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a run's file."""
    fields = {f.name: getattr(problem, f.name) for f in dataclasses.fields(problem)}
    try:
        encoder = checkpoint.describe(fields.pop("encoder"))
    except TypeError:
        encoder = None
    described = {"encoder": encoder} | {k: checkpoint.describe(v) for k, v in fields.items()}
    state = position["state"] or {}
    plain = {k: v for k, v in state.items() if isinstance(v, int | float)}
    header = {
        "problem": described,
        "position": {
            "stage": position["stage"],
            "iteration": position["iteration"],
            "state": plain if position["state"] is not None else None,
        },
        "seconds": seconds,
        "notes": list(notes),
    }
    arrays = {"z": to_host(position["z"]), "target": to_host(target)}
    if weight is not None:
        arrays["weight"] = to_host(weight)
    arrays |= {f"state/{k}": to_host(v) for k, v in state.items() if k not in plain}
    arrays |= {f"trace/{k}": v for k, v in trace.items()}
    return header, arrays


def _finished(
    encoder: Encoder,
    parametrization: Parametrization,
    found: Minimum,
    target: Array,
    weight: Array | None,
) -> tuple[np.ndarray, Array, np.ndarray]:
    """The exact last step: images within [0, 1], of natural contrast where that costs nothing."""
    loss = SquaredError(target, weight)
    x = parametrization.image(found.z)
    xp = array_namespace(x)
    plain = xp.clip(x, 0.0, 1.0)
    features = encoder.encode(plain)
    error = loss.value_and_grad(features)[0]
    # Encoders that normalize contrast leave it free; where the error says so, stretch.
    stretched = _stretched(x)
    its_features = encoder.encode(stretched)
    its_error = loss.value_and_grad(its_features)[0]
    better = its_error <= 1.02 * error
    select = xp.reshape(better, (-1, 1, 1, 1))
    images = to_host(xp.where(select, stretched, plain))
    select = xp.reshape(better, (-1,) + (1,) * (features.ndim - 1))
    features = xp.where(select, its_features, features)
    error = to_host(xp.where(better, its_error, error)).astype(np.float64)
    images = images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)
    return np.ascontiguousarray(images), features, error


def _stretched(x: Array) -> Array:
    """Images with the middle of their range at ½ and a contrast that fills [0, 1] well."""
    xp = array_namespace(x)
    flat = xp.sort(xp.reshape(x, (x.shape[0], -1)), axis=1)
    low, high = flat[:, 0], flat[:, -1]
    middle = xp.reshape((low + high) / 2, (-1, 1, 1, 1))
    half = (high - low) / 2
    gain = 0.5 / xp.where(half > 0, half, xp.ones_like(half))
    return xp.clip((x - middle) * xp.reshape(gain, (-1, 1, 1, 1)) + 0.5, 0.0, 1.0)


def _image_shape(shape: tuple[int, ...], encoder: Encoder) -> tuple[int, int, int]:
    """(C, H, W) of an image of shape (H, W) or (H, W, C)."""
    if len(shape) not in (2, 3) or any(int(n) != n or n < 1 for n in shape):
        raise ValueError(f"shape must be (H, W) or (H, W, C), in pixels; got {shape}.")
    channels = shape[2] if len(shape) == 3 else (encoder.channels or 1)
    if encoder.channels is not None and channels != encoder.channels:
        raise ValueError(
            f"the encoder takes {encoder.channels} channel(s); shape={shape} has {channels}."
        )
    return int(channels), int(shape[0]), int(shape[1])


def _target(
    features: Array, encoder: Encoder, shape: tuple[int, ...] | None
) -> tuple[Array, tuple[int, int, int], tuple[str, ...]]:
    """Checked features in the encoder's layout, the image shape (C, H, W), and notes."""
    target = np.asarray(features) if not hasattr(features, "__array_namespace__") and isinstance(
        features, list | tuple
    ) else features
    if is_numpy_array(target):
        if target.dtype.kind not in "fiu":
            raise TypeError(
                f"features must be real numbers; got an array of dtype {target.dtype}."
            )
        target = target.astype(np.float32)
        if not np.isfinite(target).all():
            raise ValueError("features must be finite; these hold NaN or infinity.")
    given = tuple(int(n) for n in target.shape)
    if target.size == 0 if is_numpy_array(target) else 0 in given:
        raise ValueError(f"features are empty: their shape is {given}.")
    notes: tuple[str, ...] = ()
    if shape is None:
        sizes = encoder.image_shapes(given)
        if sizes is None:
            raise ValueError(
                f"features of shape {given} do not tell the size of the image; "
                "pass shape=(H, W)."
            )
        (height, _), (width, _) = sizes
        shape = (height, width)
        notes = (f"shape {height}x{width}: the smallest of {_range(sizes)} that fit",)
    image_shape = _image_shape(tuple(shape), encoder)
    expected = tuple(encoder.feature_shape(image_shape))
    squeezed = tuple(n for n in given if n != 1)
    same_size = int(np.prod(given)) == int(np.prod(expected))
    if given != expected and not (same_size and len(squeezed) <= 1):
        sizes = _sizes(encoder, given)
        fit = f" fit images of {_range(sizes)}" if sizes else " are not of this encoder"
        raise ValueError(
            f"features of shape {given}{fit}; shape={tuple(shape)} gives {expected}."
        )
    return array_namespace(target).reshape(target, expected), image_shape, notes


def _sizes(encoder: Encoder, feature_shape: tuple[int, ...]) -> Any:
    """`Encoder.image_shapes`, or None for a shape that cannot be this encoder's."""
    try:
        return encoder.image_shapes(feature_shape)
    except (ValueError, IndexError):
        return None


def _range(sizes: Any) -> str:
    """Sizes in words."""
    (a, b), (c, d) = sizes
    return f"{a}..{b} x {c}..{d} pixels"


def _weight(mask: Array, shape: tuple[int, ...]) -> np.ndarray:
    """A checked mask as weights of the squared differences."""
    weight = np.asarray(mask)
    if weight.dtype.kind not in "bfiu":
        raise TypeError(f"mask must be boolean or weights; got dtype {weight.dtype}.")
    weight = weight.astype(np.float32)
    try:
        full = np.broadcast_to(weight, shape)
    except ValueError:
        raise ValueError(
            f"mask must broadcast to the features' shape {shape}; got {weight.shape}."
        ) from None
    if not np.isfinite(weight).all() or (weight < 0).any() or not full.any():
        raise ValueError("mask must be finite, not negative, and not zero everywhere.")
    return np.ascontiguousarray(full)


def _initial(image: Array, image_shape: tuple[int, int, int]) -> np.ndarray:
    """A checked start (1, C, H, W)."""
    x = np.asarray(image, dtype=np.float32)
    x = x[..., None] if x.ndim == 2 else x
    x = np.moveaxis(x, -1, 0)[None]
    if x.shape[1:] != image_shape:
        raise ValueError(f"initial must be an image of {image_shape} (C, H, W); got {x.shape[1:]}.")
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise ValueError("initial must lie in [0, 1]; divide 8-bit pixels by 255.")
    return np.ascontiguousarray(x)


def _check_memory(count: int, image_shape: tuple[int, int, int], target: Array) -> None:
    """Refuse what cannot fit, before anything is allocated."""
    # L-BFGS keeps 2·10 vectors of z; evaluation and update some 30 more, and features 6 times.
    need = 4 * count * (50 * int(np.prod(image_shape)) + 6 * int(np.prod(target.shape)))
    try:
        have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return
    if need > have:
        raise ValueError(
            f"{count} image(s) of {image_shape[1]}x{image_shape[2]} pixels need about "
            f"{need / 2**30:.0f} GiB; this machine has {have / 2**30:.0f}. "
            "Ask for fewer pre-images, or a smaller shape."
        )
