"""Workers and clients that are killed at random moments: no job is lost, none is half."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from repinv.app.study import dask_engine, study

_RUN = "import sys\nfrom repinv.app.commands.main import main\nmain(sys.argv[1:])"


def _started(path, store):
    command = [sys.executable, "-c", _RUN, "study", "run", str(path), "--store", str(store)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "-w", "2", "-q"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _workers(client):
    """Processes that do the jobs of a client."""
    psutil = pytest.importorskip("psutil")
    try:
        below = psutil.Process(client.pid).children(recursive=True)
        return [p for p in below if "spawn_main" in " ".join(p.cmdline())]
    except psutil.Error:
        return []


def _killed(path, store, kills, seed):
    """Run a study to its end, and kill something so many times on the way."""
    rng = random.Random(seed)
    client = _started(path, store)
    begun = time.monotonic()
    victims = {"worker": 0, "client": 0}
    try:
        while sum(victims.values()) < kills and time.monotonic() - begun < 500:
            time.sleep(rng.uniform(0.3, 2.5))
            if client.poll() is not None:
                # It got to its end before all were killed: nothing is left to be disturbed.
                break
            workers = _workers(client)
            if workers and rng.random() < 0.6:
                rng.choice(workers).send_signal(signal.SIGKILL)
                victims["worker"] += 1
            else:
                client.kill()
                client.communicate()
                victims["client"] += 1
                client = _started(path, store)
        out, _ = client.communicate(timeout=500)
    finally:
        client.kill()
        client.wait()
    assert client.returncode == 0, out.decode()
    return victims


def _check(write, tmp_path, kills, jobs):
    text = write().read_text().replace("max_iter = 12", "max_iter = 150")
    path = write(text.replace("seeds = [0, 1]", f"seeds = {jobs // 8}"))
    victims = _killed(path, tmp_path / "killed", kills, seed=kills)
    assert sum(victims.values()) == kills, victims
    study.run(path, store=str(tmp_path / "whole"), workers=2)
    killed, whole = (
        study.results_of(path, store=str(tmp_path / name)) for name in ("killed", "whole")
    )
    names = sorted(p.stem for p in (tmp_path / "killed" / "results").rglob("*.npz"))
    assert names == sorted(whole.plan.jobs)
    assert not killed.summary.damaged
    assert not list((tmp_path / "killed").glob("failures/*"))
    for key in whole.plan.jobs:
        (record, arrays), (expected, others) = (s.store.result(key) for s in (killed, whole))
        for name in ("error", "distance", "ncc", "ssim", "evaluations"):
            assert record[name] == expected[name]
        np.testing.assert_array_equal(arrays["images"], others["images"])
        np.testing.assert_array_equal(arrays["energy"], others["energy"])


def test_a_worker_that_is_killed_while_it_starts_is_replaced(extra, monkeypatch):
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(dask_engine, "_WATCH", 0.2)
    with dask_engine.connected(workers=1) as client:
        (pid,) = client.run(os.getpid).values()
        psutil.Process(pid).kill()
        # Whatever comes in its place is killed too, before it can do anything.
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.kill()
            time.sleep(0.05)
        assert client.submit(int, "7").result(timeout=60) == 7


def test_workers_and_clients_may_be_killed(extra, write, tmp_path):
    _check(write, tmp_path, kills=3, jobs=72)


@pytest.mark.faults
@pytest.mark.skipif("REPINV_FAULTS" not in os.environ, reason="set REPINV_FAULTS=1; takes minutes")
def test_workers_and_clients_may_be_killed_twenty_times(extra, write, tmp_path):
    _check(write, tmp_path, kills=20, jobs=480)
