"""What a study costs beside its jobs: prints what the targets are about, and whether they are met.

Each part runs in a process of its own, so that its memory is its own.

    python benchmarks/study.py [PART ...] [--json FILE]      # overhead workers memory plan resume
"""

from __future__ import annotations

import os

for _name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from report import Report

import repinv
from repinv.app.study import dask_engine, grid, images, job, parsing, study
from repinv.app.study.store import Store

_TEXT = """
[study]
name = "benchmark"
seeds = {seeds}
[images]
files = ["skimage:camera", "skimage:astronaut", "skimage:chelsea", "skimage:coffee"]
size = [{side}, {side}]
[encoders]
{encoders}
[solvers.short]
max_iter = {max_iter}
"""
_HOG = 'hog = "hog.vlfeat(bilinear_orientations=True)"'
_FIVE = "\n".join(f'hog{n} = "hog.vlfeat(num_orientations={n})"' for n in (5, 6, 7, 8, 9))


def _file(folder: Path, *, seeds: int, side: int, max_iter: int, encoders: str = _HOG) -> Path:
    """A study file."""
    path = folder / f"study-{seeds}-{side}.toml"
    path.write_text(_TEXT.format(seeds=seeds, side=side, max_iter=max_iter, encoders=encoders))
    return path


def _say(name: str, value: float, unit: str, target: float, *, least: bool = False) -> None:
    """A figure beside its target, for whoever started the process of this part."""
    met = value >= target if least else value <= target
    sign = "≥" if least else "≤"
    _tell("row", name, f"{value:.3g} {unit}", f"{sign} {target:g}", "yes" if met else "no")


def _note(text: str) -> None:
    _tell("note", text)


def _tell(kind: str, *cells: str) -> None:
    print(json.dumps([kind, *cells]), flush=True)


def overhead(folder: Path) -> None:
    """Milliseconds of a job in a study beyond those of the bare inversion, one worker."""
    count, side, max_iter = 100, 64, 30
    path = _file(folder, seeds=count, side=side, max_iter=max_iter)
    hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    pixels = [found[1] for found in images.load(parsing.read(path))]  # type: ignore[index]

    def bare() -> float:
        began = time.perf_counter()
        for image in pixels:
            features = hog.encode(image[None, None])[0]
            for seed in range(count):
                repinv.invert(features, hog, shape=image.shape, max_iter=max_iter, seed=seed)
        return (time.perf_counter() - began) / (count * len(pixels))

    warm = _file(folder, seeds=1, side=side + 1, max_iter=max_iter)
    with dask_engine.connected(workers=1) as client:
        study.run(warm, client=client)
        repinv.invert(hog.encode(pixels[0][None, None])[0], hog, max_iter=max_iter)
        rounds = []
        for k in range(3):
            alone = bare()
            progress = study.run(path, client=client, store=str(folder / f"overhead-{k}"))
            rounds.append((alone, progress.seconds / progress.computed))
    alone, whole = (1e3 * np.median(values) for values in zip(*rounds, strict=True))
    _note(f"A bare inversion of {side}x{side} takes {alone:.2f} ms, as a job {whole:.2f} ms.")
    _say("overhead of a job", float(whole - alone), "ms", 5)


def workers(folder: Path) -> None:
    """Throughput of two workers over that of one."""
    path = _file(folder, seeds=16, side=128, max_iter=200)
    warm = _file(folder, seeds=2, side=129, max_iter=200)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for k in range(2):
        for count, found in rates.items():
            with dask_engine.connected(workers=count) as client:
                study.run(warm, client=client, store=str(folder / f"warm-{k}-{count}"))
                progress = study.run(path, client=client, store=str(folder / f"w-{k}-{count}"))
                found.append(progress.computed / progress.seconds)
    one, two = (float(np.max(rates[count])) for count in (1, 2))
    _note(f"Jobs a second: {one:.2f} with one worker, {two:.2f} with two.")
    _say("throughput of two workers over one", two / one, "times", 1.8, least=True)


@contextmanager
def _sampled(found: list[tuple[int, int]]) -> Iterator[None]:
    """Resident bytes of this process and of those below it, twice a second."""
    ended, me = threading.Event(), psutil.Process()

    def watch() -> None:
        while not ended.wait(0.5):
            below = sum(child.memory_info().rss for child in me.children(recursive=True))
            found.append((me.memory_info().rss, below))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def memory(folder: Path) -> None:
    """Resident memory early in a study of 2,000 small jobs, and at its end."""
    path = _file(folder, seeds=500, side=48, max_iter=10)
    warm = _file(folder, seeds=25, side=48, max_iter=10)
    samples: list[tuple[int, int]] = []
    with dask_engine.connected(workers=2) as client:
        study.run(warm, client=client, store=str(folder / "memory-warm"))
        with _sampled(samples):
            progress = study.run(path, client=client, store=str(folder / "memory"))
    tenth = max(1, len(samples) // 10)
    for index, name in enumerate(("client and scheduler", "workers")):
        early = np.mean([sample[index] for sample in samples[tenth : 2 * tenth]]) / 2**20
        late = np.mean([sample[index] for sample in samples[-tenth:]]) / 2**20
        _note(f"{name}: {early:.0f} MiB early, {late:.0f} late, over {progress.computed} jobs.")
        # A client keeps the figures of every job, about 2 KB; workers keep nothing.
        _say(f"growth of {name}", float(late - early), "MiB", 16)


def _hundred_thousand(folder: Path) -> Path:
    return _file(folder, seeds=5000, side=32, max_iter=10, encoders=_FIVE)


def plan(folder: Path) -> None:
    """Seconds and memory of planning 100,000 jobs."""
    path = _hundred_thousand(folder)
    began = time.perf_counter()
    read = parsing.read(path)
    seen = [found[0] for found in images.load(read)]  # type: ignore[index]
    grid.check(read, seen)
    planned = grid.plan(read, seen)
    seconds = time.perf_counter() - began
    assert len(planned.jobs) == 100_000
    _say("planning 100,000 jobs", seconds, "s", 20)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    _say("memory of a plan of 100,000 jobs, all of Python included", peak, "GiB", 1)


def _nothing(orders: object, store: Store) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """A job of no cost."""
    return {"error": 0.5, "seconds": 0.0}, {"images": np.zeros((1, 2, 2), np.float32)}


def resume(folder: Path) -> None:
    """Seconds to go on with 100,000 jobs of no cost of which 99 % are done."""
    path = _hundred_thousand(folder)
    store = Store(study.default_store(path))
    read = parsing.read(path)
    seen = [found[0] for found in images.load(read)]  # type: ignore[index]
    keys = list(grid.plan(read, seen).jobs)
    store.say(name=read.name, text=read.text, images=[], skipped=[])
    fsync, os.fsync = os.fsync, lambda handle: None
    for key in keys[:99_000]:
        record, arrays = _nothing(None, store)
        store.put_result(key, record | {"key": key, "at": 0.0}, arrays)
    os.fsync = fsync
    job.computed = _nothing  # type: ignore[assignment]
    for name, lost in (("its table lost", True), ("its table there", False)):
        if not lost:
            for key in keys[-1000:]:
                store.remove(f"results/{key[:2]}/{key}.npz")
        with dask_engine.connected(workers=2, in_process=True) as client:
            began = time.perf_counter()
            progress = study.run(path, client=client)
            seconds = time.perf_counter() - began
        assert (progress.done, progress.computed) == (100_000, 1_000), progress
        _say(f"going on from 99 % of 100,000 jobs, {name}", seconds, "s", 30)
    began = time.perf_counter()
    study.results_of(path)
    _note(f"Looking at 100,000 results takes {time.perf_counter() - began:.1f} s.")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    _say("memory of a study of 100,000 results", peak, "GiB", 1)


_PARTS = {part.__name__: part for part in (overhead, workers, memory, plan, resume)}


def main() -> None:
    """Run each part in a process of its own, and gather what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--here", choices=_PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        with tempfile.TemporaryDirectory() as folder:
            _PARTS[options.here](Path(folder))
        return
    report = Report(
        "Studies",
        "What a study costs beside its jobs, each part in a process of its own. A job is an "
        "inversion of a HOG; that of 'overhead' takes 30 evaluations.",
    )
    report.table("Targets", "measured", "target", "met")
    for name in options.parts or _PARTS:
        arguments = [sys.executable, __file__, "--here", name]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                kind, *cells = json.loads(line)
                getattr(report, kind)(*cells)
        if process.returncode:
            raise SystemExit(process.returncode)
    report.write(options.json)


if __name__ == "__main__":
    main()
