"""Jobs on dask: on processes of this machine, or on the cluster of a client."""

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

#: One thread each, since there are as many workers as cores. These are set in this process while a
#: worker starts, for libraries that read them as they are loaded. Numba's is set in the workers:
#: Numba refuses a change in a process that uses it.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
#: Messages in flight for each thread: enough that none is idle, few enough for any memory.
_AHEAD = 4
#: A job whose worker is lost so often is taken for the cause, and fails.
_LOST = 20
#: Seconds between two counts of the workers.
_LOOK = 2.0
#: Seconds of work in a message to a worker, and jobs at most: a worker that computes replies
#: slowly, and jobs of milliseconds would wait for their messages.
_SPELL, _MOST = 0.25, 32
#: Jobs in a message whose first shares a run with others.
_SHARED = 16
#: Attempts to start our own workers; seconds between two counts of them, and counts in a row
#: after which a missing one is replaced.
_ATTEMPTS, _WATCH, _PATIENCE = 8, 2.0, 5

Settings = Mapping[str, Any]


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
        Workers are threads of this process; for a store in its memory.

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
        # A worker is ended before the machine runs out of memory.
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
    """Workers of our own; tried again where one was killed while it started."""
    for attempt in range(_ATTEMPTS):
        try:
            return distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=not in_process,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                # Set in the worker's process alone, before it imports anything.
                **({} if in_process else {"env": {"NUMBA_NUM_THREADS": "1"}}),
            )
        except (RuntimeError, OSError) as error:
            if attempt == _ATTEMPTS - 1:
                raise ValueError(f"cannot start workers on this machine: {error}") from error
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _kept_up(client: Any, cluster: Any, count: int) -> Iterator[None]:
    """Keep the number of workers at `count`.

    dask restarts a worker whose process ended, but only once: one that is killed while it starts
    is never replaced, and a run would wait for it forever.
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
    settings: Iterable[Settings],
    client: Any,
    perform: Callable[..., list[dict[str, Any]]],
    *common: Any,
    done: Callable[[dict[str, Any]], object],
) -> None:
    """Run jobs on workers, with only as many in flight as keep all workers busy.

    Parameters
    ----------
    settings : iterable of mapping
        Read one at a time; never all in memory as futures.
    client : distributed.Client
    perform : callable
        ``perform(jobs, *common)`` runs on a worker and returns an outcome of each, with its 'key'.
    done : callable
        Takes each outcome. A job whose worker is lost again and again has an outcome
        with a 'failure' and 'lost'.

    Notes
    -----
    Short jobs are sent several at a time. Where such a message fails, or its worker is lost again
    and again, each of its jobs is sent again by itself, so that only the one at fault fails.

    Raises
    ------
    StoreError
        If a worker could not write; results that are stored remain.
    """
    distributed = needed("distributed")
    waiting = iter(settings)
    alone: list[Settings] = []
    pace = _SPELL  # seconds of a job, as far as is known
    flying = distributed.as_completed(loop=client.loop)
    sent: dict[str, list[Settings]] = {}
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
            # Scheduler and workers drop what is released.
            future.release()
    finally:
        # Where a run ends early, jobs that have not started are cancelled.
        for future in list(flying.futures):
            with contextlib.suppress(Exception):
                future.cancel()
        flying.clear()


def _message(waiting: Iterator[Settings], pace: float) -> list[Settings]:
    """The next jobs, as many as a message holds if each takes `pace` seconds; none at the end."""
    group = list(itertools.islice(waiting, 1))
    if group:
        size = min(_MOST, max(_SHARED if group[0].get("shared") else 1, int(_SPELL / pace)))
        group += itertools.islice(waiting, size - 1)
    return group


def _timed(
    perform: Callable[..., list[dict[str, Any]]], group: list[Settings], *common: Any
) -> tuple[float, list[dict[str, Any]]]:
    """Run the jobs of a message on a worker; with the seconds that they took."""
    began = time.perf_counter()
    outcomes = perform(group, *common)
    return time.perf_counter() - began, outcomes


def _outcomes(future: Any, group: list[Settings]) -> tuple[float, list[dict[str, Any]]]:
    """The outcomes of the jobs of a message, and the seconds that they took."""
    if future.status == "finished":
        outcomes: tuple[float, list[dict[str, Any]]] = future.result()
        return outcomes
    error = future.exception() if future.status == "error" else None
    if isinstance(error, StoreError):
        raise error
    if type(error).__name__ == "KilledWorker":
        reason = "its worker was lost each time, killed or out of memory"
    else:
        reason = str(error) or type(error).__name__ if error else f"it was {future.status}"
    reason = " ".join(reason.split())
    return 0.0, [{"key": settings["key"], "failure": reason, "lost": True} for settings in group]


def _is_full(future: Any) -> bool:
    """Whether a message failed because the store could not be written."""
    return future.status == "error" and isinstance(future.exception(), StoreError)


def dashboard(client: Any) -> str:
    """The address of dask's dashboard, and what to install for it; empty if there is none."""
    link = client.dashboard_link or ""
    if link and importlib.util.find_spec("bokeh") is None:
        return f"{link} (once bokeh is installed: pip install bokeh)"
    return str(link)


def _threads(client: Any) -> int:
    """Threads of all current workers."""
    return sum(client.nthreads().values())


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence dask's log of workers that start and end."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado.application")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
