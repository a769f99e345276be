"""One job of a study, as a worker does it: from orders to a file in the store."""

from __future__ import annotations

import functools
import socket
import time
import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np

import repinv
from repinv import libraries, metrics
from repinv.app import expressions
from repinv.app.study import settings
from repinv.app.study.store import Store, StoreError
from repinv.comparison import as_seen
from repinv.encoder import Encoder
from repinv.encoders._threads import one_thread
from repinv.image import as_batch
from repinv.result import Result
from repinv.solvers import to_host

#: What a worker keeps from one job to the next: jobs of one encoder and image come together.
_ENCODERS, _IMAGES = 4, 32


def perform(orders: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """Do a job, and keep what it found, or why it failed.

    Parameters
    ----------
    orders : mapping
        What `Job.orders` says.
    store : Store

    Returns
    -------
    outcome : dict
        'key' and 'record', the figures without the images, with the 'bytes' of its file; or 'key'
        and 'failure', why there are none.

    Raises
    ------
    StoreError
        If nothing can be kept.
    """
    began = time.time()
    try:
        # Done by a worker that was lost before it could say so.
        record, n_bytes = store.record(orders["key"])
    except (FileNotFoundError, ValueError):
        pass
    else:
        return {"key": orders["key"], "record": record, "bytes": n_bytes}
    try:
        # One thread a job: the jobs are what is shared out between cores.
        with libraries.one_thread(), one_thread():
            record, arrays = computed(orders, store)
    except StoreError:
        raise
    # Whatever a job meets is its own affair: it is kept, and the other jobs go on.
    except Exception as error:
        reason = " ".join((str(error) or type(error).__name__).split())
        last = "".join(traceback.format_exception(error)[-3:])
        failure = {"key": orders["key"], "reason": reason, "traceback": last, "at": time.time()}
        store.put_failure(orders["key"], failure)
        return {"key": orders["key"], "failure": reason}
    record |= {"key": orders["key"], "at": time.time(), "took": time.time() - began}
    record["worker"] = socket.gethostname()
    n_bytes = store.put_result(orders["key"], record, arrays)
    return {"key": orders["key"], "record": record, "bytes": n_bytes}


def computed(
    orders: Mapping[str, Any], store: Store
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The figures of a job, and its images and the energy on the way to them."""
    encoder = _encoder(orders["encoder"])
    image = None if orders["image"] is None else _image(store.url, orders["image"])
    seen = None if image is None else as_seen(image, encoder)
    target = None
    if orders["task"]["kind"] == "invert" and seen is not None:
        x = encoder.asarray(as_batch(seen, channels=encoder.channels))
        target = encoder.encode(x)[0, ...]
    result = _answered(orders, encoder, seen, target)
    return _record(result, seen, None if target is None else to_host(target)), _arrays(result)


def _answered(
    orders: Mapping[str, Any], encoder: Encoder, seen: np.ndarray | None, target: Any
) -> Result:
    """The result of a task."""
    kind, options = orders["task"]["kind"], settings.task_arguments(orders["task"])
    shape = options["shape"] if seen is None else seen.shape
    options |= settings.solver_arguments(orders["solver"], shape)
    priors = settings.priors_of(orders["prior"])
    if priors is not None:
        options["priors"] = priors
    if kind == "maximize":
        return repinv.maximize(encoder, options.pop("component"), seed=orders["seed"], **options)
    if kind == "caricature":
        return repinv.caricature(seen, encoder, **options)
    return repinv.invert(target, encoder, shape=shape, seed=orders["seed"], **options)


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
    """What is kept of a result beside its figures: the images, the best first, and the energy."""
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
    with libraries.one_thread(), one_thread():
        encoder = _encoder(expression)
        try:
            features = (_features(encoder, _image(store.url, digest)) for digest in digests)
            return {"distance": metrics.pairwise_distance(features)}
        except ValueError as error:
            return {"distance": None, "reason": str(error)}


def _features(encoder: Encoder, image: np.ndarray) -> np.ndarray:
    """Features of an image of the store."""
    x = as_batch(as_seen(image, encoder), channels=encoder.channels)
    return to_host(encoder.encode(encoder.asarray(x)))


@functools.lru_cache(_ENCODERS)
def _encoder(expression: str) -> Encoder:
    """An encoder, made once a worker."""
    return expressions.parse(expression)


@functools.lru_cache(_IMAGES)
def _image(url: str, digest: str) -> np.ndarray:
    """An image of the store, read once a worker."""
    image = Store(url).image(digest)
    image.flags.writeable = False
    return image
