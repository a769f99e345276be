"""The engine: every job once, few at a time, short ones together, and the one to blame alone."""

import time

from repinv.app.study import dask_engine


def _echo(jobs, offset):
    return [{"key": job["key"], "value": int(job["key"]) + offset} for job in jobs]


def test_the_engine_does_every_job_once(client):
    found = []
    settings = ({"key": str(k)} for k in range(100))
    dask_engine.run(settings, client, _echo, 5, done=found.append)
    assert sorted(outcome["value"] for outcome in found) == list(range(5, 105))


def _most_at_a_time(client, jobs, perform, *common):
    """The jobs that are taken and not done yet, at most."""
    taken, most = [0], [0]

    def settings():
        for k in range(jobs):
            taken[0] += 1
            yield {"key": str(k)}

    def done(outcome):
        most[0] = max(most[0], taken[0])
        taken[0] -= 1

    dask_engine.run(settings(), client, perform, *common, done=done)
    return most[0]


def test_the_engine_holds_few_jobs_at_a_time(client):
    most = _most_at_a_time(client, 2000, _echo, 0)
    # Jobs of no time are sent 32 at a time; 4 such messages for each of the client's threads.
    assert 32 < most <= 32 * 4 * sum(client.nthreads().values())


def _slow(jobs):
    time.sleep(0.3 * len(jobs))
    return [{"key": job["key"]} for job in jobs]


def test_long_jobs_are_sent_one_at_a_time(client):
    most = _most_at_a_time(client, 20, _slow)
    assert most <= 4 * sum(client.nthreads().values())


def _raise_at_130(jobs):
    if any(job["key"] == "130" for job in jobs):
        raise KeyError("nobody expected this")
    return [{"key": job["key"]} for job in jobs]


def test_a_job_that_breaks_its_message_fails_alone(client):
    found = []
    dask_engine.run(({"key": str(k)} for k in range(200)), client, _raise_at_130, done=found.append)
    assert sorted(int(outcome["key"]) for outcome in found) == list(range(200))
    assert [outcome["key"] for outcome in found if "failure" in outcome] == ["130"]


def _raise(jobs):
    raise KeyError("nobody expected this")


def test_what_nobody_expected_is_a_failure_too(client):
    found = []
    dask_engine.run([{"key": "1"}], client, _raise, done=found.append)
    assert found[0]["lost"]
    assert "nobody expected this" in found[0]["failure"]


def _counted(jobs):
    time.sleep(0.3)
    return [{"key": job["key"], "with": len(jobs)} for job in jobs]


def test_long_jobs_that_share_a_run_are_sent_together(client):
    found = []
    settings = ({"key": str(k), "shared": True} for k in range(40))
    dask_engine.run(settings, client, _counted, done=found.append)
    assert [outcome["with"] for outcome in found] == [16] * 32 + [8] * 8
