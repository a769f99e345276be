"""A study as a whole: run from its file into its store, and read from there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from repinv.app.study import dask_engine, grid, job
from repinv.app.study.grid import Job, Plan
from repinv.app.study.images import Skipped, StudyImage, load
from repinv.app.study.parsing import parse, read
from repinv.app.study.spec import Declaration
from repinv.app.study.store import Store, StoreError
from repinv.app.study.summary import Summary

#: Seconds between two writings of the summary while a study runs.
_EVERY = 30.0
_UNITS = "units"


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes
    ----------
    jobs : int
        Of the grid, each once.
    done, failed : int
    computed : int
        By this run.
    skipped : tuple of Skipped
        Images that were left out.
    damaged : tuple of str
        Results whose files are damaged, and were moved aside.
    seconds : float
        Of this run.
    """

    jobs: int
    done: int
    failed: int
    computed: int = 0
    skipped: tuple[Skipped, ...] = ()
    damaged: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class Study:
    """A study that has been started: its plan, its store, and the records in it."""

    plan: Plan
    store: Store
    summary: Summary
    skipped: tuple[Skipped, ...]
    units: dict[str, float] = field(default_factory=dict)
    #: Expressions of encoders whose jobs share a run.
    shared: frozenset[str] = frozenset()

    def records(self) -> list[tuple[Job, dict[str, Any]]]:
        """Every finished job with its figures, in the order of the grid."""
        found = []
        for key, cell in self.plan.jobs.items():
            record = self.summary.records.get(key)
            if record is None:
                continue
            unit = self.units.get(cell.encoder.table["expression"])
            if unit and "distance" in record:
                record = {**record, "pairwise_error": 100 * record["distance"] / unit}
            found.append((cell, record))
        return found

    def failures(self) -> dict[str, dict[str, Any]]:
        """The failures of jobs that have no result, by key."""
        done = self.summary.records
        keys = [k for k in self.store.failures() if k in self.plan.jobs and k not in done]
        return {key: self.store.failure(key) for key in keys}


def default_store(path: Path) -> str:
    """The folder beside a study file that holds its results, unless another is named."""
    return str(path.with_suffix(".results"))


def run(
    path: str | Path,
    *,
    store: str | None = None,
    client: Any = None,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: bool = False,
    say: Callable[[str], object] = lambda message: None,
) -> Progress:
    """Run a study, or continue it: only jobs without a result are run.

    Parameters
    ----------
    path : path
        The study file.
    store : str, optional
        Folder or URL of the results; by default a folder beside the file.
    client : distributed.Client, optional
        Of any cluster, such as one of dask_jobqueue or dask_kubernetes, whose workers have repinv
        and see the store. By default processes of this machine.
    workers : int, optional
        How many processes; by default one a core.
    scheduler : str, optional
        Address of a scheduler, in place of a client.
    retry_failed : bool
        Whether jobs that failed before are tried again.
    progress : bool
        Show a progress bar.
    say : callable
        Takes messages of one line, such as the address of dask's dashboard.

    Returns
    -------
    progress : Progress

    Raises
    ------
    StudyError
        If the study file has faults: all of them, with their keys. Nothing has been started.
    StoreError
        If the store is another study's, of a newer version, or full.
    """
    began = time.perf_counter()
    declaration = read(Path(path))
    place = Store(store if store is not None else default_store(Path(path)))
    if place.is_private and scheduler is not None:
        raise ValueError(f"{place.url} is seen by this process alone, and not by a scheduler's.")
    place.open(declaration.name)
    study = _begun(declaration, place)
    for skipped in study.skipped:
        say(f"left out {skipped.name}: {skipped.reason}")
    todo, failed = _todo(study, retry_failed)
    say(f"{len(study.plan.jobs)} jobs: {len(study.summary.records)} done, {failed} failed before, "
        f"{len(todo)} to do")  # fmt: skip
    counts = {"done": 0, "failed": failed}
    if todo or _lacks_units(study):
        with _client(client, workers, scheduler, place) as connected:
            link = dask_engine.dashboard(connected)
            if link:
                say(f"dask's dashboard: {link}")
            _measure_units(study, connected)
            _do(study, todo, connected, counts, progress)
    study.summary.write()
    return Progress(
        jobs=len(study.plan.jobs),
        done=len(study.summary.records),
        failed=counts["failed"],
        computed=counts["done"],
        skipped=study.skipped,
        damaged=tuple(study.summary.damaged),
        seconds=time.perf_counter() - began,
    )


def checked(path: str | Path, *, say: Callable[[str], object] = lambda message: None) -> int:
    """Check a study file as `run` does, and run nothing.

    Returns
    -------
    jobs : int
        Of the study.

    Raises
    ------
    StudyError
        If the study file has faults: all of them, with their keys.
    """
    declaration = read(Path(path))
    images = []
    for found in load(declaration):
        if isinstance(found, Skipped):
            say(f"left out {found.name}: {found.reason}")
        else:
            images.append(found[0])
    grid.check(declaration, images)
    return len(grid.plan(declaration, images).jobs)


def results_of(path: str | Path, *, store: str | None = None) -> Study:
    """The results of a study so far; its image files are not needed, and it may be running.

    Parameters
    ----------
    path : path or URL
        The study file, or the folder or URL of its results, which holds a copy of it.
    store : path or URL, optional
        Where the results of the file are kept, if not beside it.

    Raises
    ------
    StoreError
        If the study has not been started.
    """
    if store is None and ("://" in str(path) or Path(path).is_dir()):
        place = Store(str(path))
        said = place.description()
        if said is None:
            raise StoreError(f"{place.url} holds no study.")
    else:
        declaration = read(Path(path))
        place = Store(store if store is not None else default_store(Path(path)))
        said = place.open(declaration.name)
        if said is None:
            raise StoreError(f"{place.url} holds no study yet. Start it: repinv study run {path}")
    # The copy that was run counts, not the file, which may have been edited since.
    declaration = parse(str(said["text"]), Path(path))
    images = [StudyImage(i["name"], i["digest"], tuple(i["shape"])) for i in said["images"]]
    skipped = tuple(Skipped(i["name"], i["reason"]) for i in said["skipped"])
    plan = grid.plan(declaration, images)
    study = Study(plan, place, Summary(place, plan), skipped)
    study.summary.read()
    study.units = _known_units(study)
    return study


def _begun(declaration: Declaration, place: Store) -> Study:
    """A study whose images are in its store, and whose plan has been checked."""
    images: list[StudyImage] = []
    skipped: list[Skipped] = []
    kept = []
    for found in load(declaration):
        if isinstance(found, Skipped):
            skipped.append(found)
            continue
        images.append(found[0])
        kept.append(found)
        # Many large images do not fit into memory until everything is checked.
        if sum(pixels.nbytes for _, pixels in kept) > 2**28:
            grid.check(declaration, images)
            _keep(place, kept)
    encoders = grid.check(declaration, images)
    plan = grid.plan(declaration, images)
    _keep(place, kept)
    place.sweep()
    place.describe(
        name=declaration.name,
        text=declaration.text,
        images=[{"name": i.name, "digest": i.digest, "shape": list(i.shape)} for i in images],
        skipped=[{"name": s.name, "reason": s.reason} for s in skipped],
    )
    shared = frozenset(one for one, encoder in encoders.items() if job.is_shared(encoder))
    study = Study(plan, place, Summary(place, plan), tuple(skipped), shared=shared)
    study.summary.read()
    return study


def _settings(cell: Job, shared: frozenset[str]) -> dict[str, Any]:
    """What a worker needs of a job; if it shares a run with others, the shape of their images."""
    settings = cell.settings()
    if (
        cell.image is None
        or settings["task"]["kind"] != "invert"
        or settings["encoder"] not in shared
    ):
        return settings
    return settings | {"shared": list(cell.image.shape)}


def _keep(place: Store, kept: list[Any]) -> None:
    """Store images, where workers read them."""
    while kept:
        image, pixels = kept.pop()
        place.put_image(image.digest, pixels)


def _todo(study: Study, retry_failed: bool) -> tuple[list[Job], int]:
    """Jobs without a result, and how many of those failed before and are left."""
    failed = set()
    for key in study.store.failures():
        if key not in study.plan.jobs:
            continue
        if retry_failed or key in study.summary.records:
            study.store.forget_failure(key)
        else:
            failed.add(key)
    done = study.summary.records
    jobs = [cell for key, cell in study.plan.jobs.items() if key not in done and key not in failed]
    return jobs, len(failed)


@contextlib.contextmanager
def _client(client: Any, workers: int | None, scheduler: str | None, place: Store) -> Iterator[Any]:
    """The client that was given, or one of our own."""
    if client is not None:
        yield client
        return
    private = place.is_private
    with dask_engine.connected(workers=workers, scheduler=scheduler, in_process=private) as own:
        yield own


def _do(study: Study, todo: list[Job], client: Any, counts: dict[str, int], progress: bool) -> None:
    """Run jobs on workers, and record each outcome."""
    bar = tqdm(
        total=len(study.plan.jobs),
        initial=len(study.summary.records),
        disable=not progress,
        unit="job",
        smoothing=0.05,
    )

    def note(outcome: dict[str, Any]) -> None:
        if "failure" in outcome:
            counts["failed"] += 1
            bar.set_postfix(failed=counts["failed"], refresh=False)
            if outcome.get("lost"):
                lost = {"key": outcome["key"], "reason": outcome["failure"], "at": time.time()}
                study.store.put_failure(outcome["key"], lost)
        else:
            counts["done"] += 1
            study.summary.add(outcome["key"], outcome["record"], outcome["bytes"])
            bar.update()
            study.summary.write(every=_EVERY)

    try:
        with bar:
            settings = (_settings(cell, study.shared) for cell in todo)
            dask_engine.run(settings, client, job.perform_all, study.store, done=note)
    finally:
        # The records so far are written also where the run is interrupted or the disk is full.
        with contextlib.suppress(OSError):
            study.summary.write()


# The paper's unit depends on all images of a study, and so belongs to no single job.


def _unit_key(expression: str, digests: tuple[str, ...]) -> str:
    """The key of a unit: a hash of all that it depends on."""
    said = json.dumps([grid.FORMAT, expression, *sorted(digests)])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _wanted_units(study: Study) -> dict[str, str]:
    """Keys of units by the expression of the encoder."""
    plan = study.plan
    inverts = any(task.table["kind"] == "invert" for task in plan.declaration.tasks)
    if not inverts or len(plan.images) < 2 or len({i.shape for i in plan.images}) > 1:
        return {}
    digests = tuple(image.digest for image in plan.images)
    expressions = {entry.table["expression"] for entry in plan.declaration.encoders}
    return {expression: _unit_key(expression, digests) for expression in sorted(expressions)}


def _known_units(study: Study) -> dict[str, float]:
    """Units that have been measured, by the expression of the encoder."""
    found = {}
    for expression, key in _wanted_units(study).items():
        with contextlib.suppress(OSError, ValueError, KeyError):
            said = json.loads(study.store.get(f"{_UNITS}/{key}.json"))
            if said["distance"]:
                found[expression] = float(said["distance"])
    return found


def _lacks_units(study: Study) -> bool:
    """Whether a unit has not been measured yet."""
    listed = study.store.listing(_UNITS)
    return any(key not in listed for key in _wanted_units(study).values())


def _measure_units(study: Study, client: Any) -> None:
    """Measure missing units on the workers, before the jobs."""
    listed = study.store.listing(_UNITS)
    digests = tuple(image.digest for image in study.plan.images)
    missing = {e: key for e, key in _wanted_units(study).items() if key not in listed}
    futures = {
        key: client.submit(job.unit, expression, digests, study.store, pure=False)
        for expression, key in missing.items()
    }
    for key, future in futures.items():
        if future.exception() is None:
            study.store.put(f"{_UNITS}/{key}.json", json.dumps(future.result()).encode())
    study.units = _known_units(study)
