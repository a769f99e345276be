"""One job of a study on a worker: from its settings to a file in the store."""

from __future__ import annotations

import functools
import json
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

import repinv
from repinv import metrics
from repinv.app.study import task_options
from repinv.app.study.store import Store, StoreError
from repinv.comparison.compare import as_seen
from repinv.encoders import expressions
from repinv.encoders._parts.threads import one_thread
from repinv.encoders.base import Encoder
from repinv.io.image import as_batch
from repinv.search.result import Result
from repinv.solvers.minimize import to_host
from repinv.tasks.batched import invert_each

#: Encoders and images that a worker keeps: jobs of one encoder and image follow each other.
_ENCODERS, _IMAGES = 4, 32

#: The figures of a job; its images, and the energy on the way to them.
Found: TypeAlias = tuple[dict[str, Any], dict[str, np.ndarray]]


def is_shared(encoder: Encoder) -> bool:
    """Whether an encoder's jobs share a run: those on a GPU, which one job leaves idle."""
    device = getattr(encoder, "device", None)
    return device is not None and str(device) != "cpu"


def perform_all(group: Sequence[Mapping[str, Any]], store: Store) -> list[dict[str, Any]]:
    """Run the jobs of a message; ``shared`` inversions with the same options in one run.

    See `perform`.
    """
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for settings in group:
        if settings.get("shared") and _kept(settings, store) is None:
            settled = [settings[name] for name in ("encoder", "task", "prior", "solver", "shared")]
            alike.setdefault(json.dumps(settled, sort_keys=True), []).append(settings)
    found: dict[str, Found] = {}
    with one_thread():
        for several in alike.values():
            found |= _computed_together(several, store)
    return [perform(settings, store, found.get(settings["key"])) for settings in group]


def perform(
    settings: Mapping[str, Any], store: Store, found: Found | None = None
) -> dict[str, Any]:
    """Run a job, and store its result, or why it failed.

    Parameters
    ----------
    settings : mapping
        From `Job.settings`.
    store : Store
    found : optional
        The result of the job, if it has been computed.

    Returns
    -------
    outcome : dict
        'key' and 'record', the figures without the images, with the 'bytes' of its file; or 'key'
        and 'failure', why there are none.

    Raises
    ------
    StoreError
        If the store cannot be written.
    """
    began = time.time()
    kept = _kept(settings, store) if found is None else None
    if kept is not None:
        return kept
    try:
        # One thread a job: cores are used by running several jobs.
        with one_thread():
            record, arrays = found or computed(settings, store)
    except StoreError:
        raise
    # Any error of a job is stored as its result, and the other jobs run.
    except Exception as error:
        reason = " ".join((str(error) or type(error).__name__).split())
        last = "".join(traceback.format_exception(error)[-3:])
        failure = {"key": settings["key"], "reason": reason, "traceback": last, "at": time.time()}
        store.put_failure(settings["key"], failure)
        return {"key": settings["key"], "failure": reason}
    took = time.time() - began if found is None else record["seconds"]
    record |= {"key": settings["key"], "at": time.time(), "took": took}
    record["worker"] = socket.gethostname()
    n_bytes = store.put_result(settings["key"], record, arrays)
    return {"key": settings["key"], "record": record, "bytes": n_bytes}


def _kept(settings: Mapping[str, Any], store: Store) -> dict[str, Any] | None:
    """The outcome of a job whose worker was lost after it had stored the result."""
    try:
        record, n_bytes = store.record(settings["key"])
    except (FileNotFoundError, ValueError):
        return None
    return {"key": settings["key"], "record": record, "bytes": n_bytes}


def computed(settings: Mapping[str, Any], store: Store) -> Found:
    """The figures of a job, and its images and the energy on the way to them."""
    encoder = _encoder(settings["encoder"], store.url, settings["image"])
    seen, target = _asked(settings, encoder, store)
    result = _answered(settings, encoder, seen, target)
    return _record(result, seen, None if target is None else to_host(target)), _arrays(result)


def _computed_together(several: Sequence[Mapping[str, Any]], store: Store) -> dict[str, Found]:
    """Results of inversions with the same options, by key; none where they cannot share a run."""
    if len(several) < 2:
        return {}
    try:
        encoder = _encoder(several[0]["encoder"], store.url, None)
        asked = [_asked(settings, encoder, store) for settings in several]
        wanted = [
            (target, settings["seed"]) for (_, target), settings in zip(asked, several, strict=True)
        ]
        results = invert_each(
            wanted, encoder, **_options(several[0], asked[0][0].shape, encoder.layout)
        )
    # Too many for the device's memory, or one of them fails: halves, and in the end each alone.
    except Exception:
        half = len(several) // 2
        parts = several[:half], several[half:]
        return {key: one for part in parts for key, one in _computed_together(part, store).items()}
    return {
        settings["key"]: (_record(result, seen, to_host(target)), _arrays(result))
        for settings, (seen, target), result in zip(several, asked, results, strict=True)
    }


def _asked(settings: Mapping[str, Any], encoder: Encoder, store: Store) -> tuple[Any, Any]:
    """The image of a job as its encoder takes it, and its features if these are inverted."""
    if settings["image"] is None:
        return None, None
    seen = as_seen(_image(store.url, settings["image"]), encoder)
    if settings["task"]["kind"] != "invert":
        return seen, None
    x = encoder.asarray(as_batch(seen, channels=encoder.channels))
    return seen, encoder.encode(x)[0, ...]


def _options(
    settings: Mapping[str, Any], shape: tuple[int, ...] | None, layout: str | None
) -> dict[str, Any]:
    """Keyword arguments of a job's task, from its task, prior and solver."""
    options = task_options.task_arguments(settings["task"])
    shape = options["shape"] if shape is None else shape
    options |= task_options.solver_arguments(settings["solver"], shape)
    priors = task_options.priors_of(settings["prior"])
    if priors is not None:
        options["priors"] = priors
    if settings["task"]["kind"] == "invert":
        options["shape"] = shape
        options["layout"] = layout
    return options


def _answered(
    settings: Mapping[str, Any], encoder: Encoder, seen: np.ndarray | None, target: Any
) -> Result:
    """The result of a task."""
    kind, shape = settings["task"]["kind"], None if seen is None else seen.shape
    options = _options(settings, shape, encoder.layout)
    if kind == "maximize":
        return repinv.maximize(encoder, options.pop("component"), seed=settings["seed"], **options)
    if kind == "caricature":
        return repinv.caricature(seen, encoder, **options)
    return repinv.invert(target, encoder, seed=settings["seed"], **options)


def _record(result: Result, seen: np.ndarray | None, target: np.ndarray | None) -> dict[str, Any]:
    """The figures of a result, as JSON can hold them."""
    record: dict[str, Any] = {
        "seconds": float(result.seconds),
        "evaluations": int(result.evaluations),
        "stop_reason": result.stop_reason,
        "notes": list(result.notes),
    }
    image = np.asarray(to_host(result.image))
    if target is not None:
        best = int(np.argmin(result.error))
        features = to_host(result.features)[best].astype(np.float64).ravel()
        phi_0 = target.astype(np.float64).ravel()
        record["error"] = float(np.min(result.error))
        record["distance"] = float(np.linalg.norm(features - phi_0))
    if result.response is not None:
        record["response"] = float(np.max(np.asarray(result.response)))
    if seen is not None and image.shape == seen.shape:
        record["ncc"] = metrics.ncc(image, seen)
        record["psnr"] = metrics.psnr(image, seen)
        if min(image.shape[:2]) >= 7:
            record["ssim"] = metrics.ssim(image, seen)
    if len(result.images) > 1:
        record["spread"] = float(np.mean(result.spread))
    return record


def _arrays(result: Result) -> dict[str, np.ndarray]:
    """The arrays of a result that are stored: the images, the best first, and the energy."""
    rank = result.error if result.response is None else -np.asarray(result.response)
    order = np.argsort(np.asarray(rank), kind="stable")
    energy = np.asarray(result.trace["energy"], dtype=np.float32)[:, order[0]]
    return {"images": np.asarray(result.images, dtype=np.float32)[order], "energy": energy}


def unit(expression: str, digests: tuple[str, ...], store: Store) -> dict[str, Any]:
    """Root mean squared distance of the features of a study's images: the paper's unit.

    Returns
    -------
    unit : dict
        'distance', None where there is none, such as for images of several sizes.
    """
    with one_thread():
        try:
            features = (
                _features(_encoder(expression, store.url, digest), _image(store.url, digest))
                for digest in digests
            )
            return {"distance": metrics.pairwise_distance(features)}
        except ValueError as error:
            return {"distance": None, "reason": str(error)}


def _features(encoder: Encoder, image: np.ndarray) -> np.ndarray:
    """Features of an image of the store."""
    x = as_batch(as_seen(image, encoder), channels=encoder.channels)
    return to_host(encoder.encode(encoder.asarray(x)))


def _encoder(expression: str, url: str, digest: str | None) -> Encoder:
    """An encoder, made once a worker, or once for each image of the store that it is made of."""
    is_for_all = digest is None or not expressions.is_of_photograph(expression)
    return _made(expression, url, None if is_for_all else digest)


@functools.lru_cache(_ENCODERS)
def _made(expression: str, url: str, digest: str | None) -> Encoder:
    """An encoder of an expression, and of an image where it is made of one."""
    photograph = None if digest is None else _image(url, digest)
    return expressions.encoder_of(expression, photograph)


@functools.lru_cache(_IMAGES)
def _image(url: str, digest: str) -> np.ndarray:
    """An image of the store, read once a worker."""
    image = Store(url).image(digest)
    image.flags.writeable = False
    return image
