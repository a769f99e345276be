"""Jobs on dask: processes of this machine, or whatever a client is connected to."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from repinv.app.study.optional_imports import needed
from repinv.app.study.store import StoreError

#: One thread each, so that as many workers as cores do not get into each other's way. These are set
#: in this process while a worker starts, for libraries that read them as they are loaded; Numba
#: would not forgive that, and has its own set in the workers.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
#: Tasks in flight for each thread: enough that none waits for work, few enough for any memory.
_AHEAD = 4
#: A job whose worker is lost so often is taken to be why, and fails.
_LOST = 20
#: Seconds between two looks at how many workers there are.
_LOOK = 2.0
#: Seconds of work that a message to a worker holds, and jobs at most: while a worker computes, it
#: is slow to answer, and jobs of milliseconds would wait for their messages.
_SPELL, _MOST = 0.25, 32
#: Jobs in a message whose first is to share a run with others.
_SHARED = 16
#: Times that starting our own workers is tried; seconds between two looks whether all are there,
#: and looks in a row after which one that is missing is replaced.
_ATTEMPTS, _WATCH, _PATIENCE = 8, 2.0, 5

Orders = Mapping[str, Any]


@contextlib.contextmanager
def connected(
    *, workers: int | None = None, scheduler: str | None = None, in_process: bool = False
) -> Iterator[Any]:
    """A dask client: of a scheduler's address, or of workers of our own, which end with it.

    Parameters
    ----------
    workers : int, optional
        Processes on this machine; by default one for each core that we may use.
    scheduler : str, optional
        Address of a scheduler, such as ``tcp://host:8786``.
    in_process : bool
        Workers are threads of this process; for a store that no other process sees.

    Raises
    ------
    ValueError
        If dask is missing, or there is no scheduler at the address.
    """
    distributed = needed("distributed")
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout="20s", set_as_default=False)
        except (OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise ValueError(f"there is no dask scheduler at {scheduler}: {reason}") from error
        with client:
            yield client
        return
    count = workers or _cores()
    settings = {
        "distributed.nanny.pre-spawn-environ": ONE_THREAD,
        "distributed.scheduler.allowed-failures": _LOST,
        # Jobs hold their memory in arrays; a worker is ended before the machine runs out of it.
        "distributed.worker.memory.terminate": 0.95,
        "distributed.admin.system-monitor.interval": "2s",
    }
    with (
        _quiet(),
        needed("dask").config.set(settings),
        _cluster(distributed, count, in_process) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        _kept_up(client, cluster, count),
    ):
        yield client


def _cluster(distributed: Any, count: int, in_process: bool) -> Any:
    """Workers of our own; tried again where one was killed while it began."""
    for attempt in range(_ATTEMPTS):
        try:
            return distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=not in_process,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                # Set in a worker's process alone, before it loads anything.
                **({} if in_process else {"env": {"NUMBA_NUM_THREADS": "1"}}),
            )
        except (RuntimeError, OSError) as error:
            if attempt == _ATTEMPTS - 1:
                raise ValueError(f"cannot start workers on this machine: {error}") from error
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _kept_up(client: Any, cluster: Any, count: int) -> Iterator[None]:
    """See that there are as many workers as were asked for.

    dask starts a worker again whose process ended, but once: one that is killed while it starts
    is never replaced, and a run would wait for it without end.
    """
    ended = threading.Event()

    def watch() -> None:
        short = 0
        while not ended.wait(_WATCH):
            with contextlib.suppress(Exception):
                missing = count - len(client.nthreads())
                short = short + 1 if missing > 0 else 0
                if short >= _PATIENCE:
                    cluster.scale(len(cluster.worker_spec) + missing)
                    short = 0

    thread = threading.Thread(target=watch, name="repinv-workers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=_WATCH + 5)


def run(
    orders: Iterable[Orders],
    client: Any,
    perform: Callable[..., list[dict[str, Any]]],
    *common: Any,
    done: Callable[[dict[str, Any]], object],
) -> None:
    """Have workers do jobs, with no more of them in flight than keeps all workers busy.

    Parameters
    ----------
    orders : iterable of mapping
        One at a time; never all in memory as futures.
    client : distributed.Client
    perform : callable
        ``perform(jobs, *common)`` runs on a worker and returns an outcome of each, with its 'key'.
    done : callable
        Takes each outcome as it comes. A job whose worker is lost again and again has an outcome
        with a 'failure' and 'lost'.

    Notes
    -----
    Short jobs are sent several at a time. Where such a message fails, or its worker is lost again
    and again, each of its jobs is sent anew by itself, so that the one to blame fails alone.

    Raises
    ------
    StoreError
        If a worker could not write; what was finished before is kept.
    """
    distributed = needed("distributed")
    waiting = iter(orders)
    alone: list[Orders] = []
    pace = _SPELL  # seconds of a job, as far as is known
    flying = distributed.as_completed(loop=client.loop)
    sent: dict[str, list[Orders]] = {}
    room, looked = 0, -_LOOK
    left = True
    try:
        while True:
            if time.monotonic() - looked > _LOOK:
                room, looked = _AHEAD * max(1, _threads(client)), time.monotonic()
            while left and len(sent) < room:
                group = [alone.pop()] if alone else _message(waiting, pace)
                if not group:
                    left = False
                    break
                future = client.submit(_timed, perform, group, *common, pure=False)
                sent[future.key] = group
                flying.add(future)
            if not sent:
                return
            future = next(flying)
            group = sent.pop(future.key)
            if len(group) > 1 and future.status != "finished" and not _is_full(future):
                alone += group
                left = True
            else:
                seconds, outcomes = _outcomes(future, group)
                pace += 0.5 * (seconds / len(group) - pace) if seconds else 0.0
                for outcome in outcomes:
                    done(outcome)
            # What is not held any more, scheduler and workers forget.
            future.release()
    finally:
        # Of a run that ends early: what has not begun does not begin.
        for future in list(flying.futures):
            with contextlib.suppress(Exception):
                future.cancel()
        flying.clear()


def _message(waiting: Iterator[Orders], pace: float) -> list[Orders]:
    """The next jobs, as many as a message holds if each takes `pace` seconds; none at the end."""
    group = list(itertools.islice(waiting, 1))
    if group:
        size = min(_MOST, max(_SHARED if group[0].get("shared") else 1, int(_SPELL / pace)))
        group += itertools.islice(waiting, size - 1)
    return group


def _timed(
    perform: Callable[..., list[dict[str, Any]]], group: list[Orders], *common: Any
) -> tuple[float, list[dict[str, Any]]]:
    """What a worker does with a message: its jobs; and the seconds that they took."""
    began = time.perf_counter()
    outcomes = perform(group, *common)
    return time.perf_counter() - began, outcomes


def _outcomes(future: Any, group: list[Orders]) -> tuple[float, list[dict[str, Any]]]:
    """What became of the jobs of a message, and the seconds that they took."""
    if future.status == "finished":
        answer: tuple[float, list[dict[str, Any]]] = future.result()
        return answer
    error = future.exception() if future.status == "error" else None
    if isinstance(error, StoreError):
        raise error
    if type(error).__name__ == "KilledWorker":
        reason = "its worker was lost each time, killed or out of memory"
    else:
        reason = str(error) or type(error).__name__ if error else f"it was {future.status}"
    reason = " ".join(reason.split())
    return 0.0, [{"key": orders["key"], "failure": reason, "lost": True} for orders in group]


def _is_full(future: Any) -> bool:
    """Whether a message failed since the store could not be written."""
    return future.status == "error" and isinstance(future.exception(), StoreError)


def dashboard(client: Any) -> str:
    """Where dask shows what workers do, and what that takes; empty if nobody serves it."""
    link = client.dashboard_link or ""
    if link and importlib.util.find_spec("bokeh") is None:
        return f"{link} (once bokeh is installed: pip install bokeh)"
    return str(link)


def _threads(client: Any) -> int:
    """Threads of all workers that there are now."""
    return sum(client.nthreads().values())


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep dask from telling of every worker that comes and goes; what matters, we say."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado.application")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
