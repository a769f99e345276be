"""Studies: run, interrupted, gone on with; every job once, and none of them lost."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import repinv
from repinv import metrics
from repinv.app.study import grid, job, study
from repinv.app.study.spec import StudyError
from repinv.app.study.store import Store, StoreError
from repinv.io.image import as_unit, to_gray

#: A study of two jobs that version 0.1 ran, with its results.
OLD = pathlib.Path(__file__).parents[2] / "golden" / "files_0_1" / "study"


def test_every_job_has_what_invert_finds(finished):
    found = study.results_of(finished)
    records = found.records()
    assert len(records) == 16
    cell, record = next(
        (cell, record)
        for cell, record in records
        if (cell.encoder.name, cell.prior.name, cell.seed) == ("hog", "tv", 1)
    )
    image = found.store.image(cell.image.digest)
    hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    target = hog.encode(image[None, None])
    priors = (repinv.Weighted("total_variation", 0.1, repinv.TotalVariation()),)
    alone = repinv.invert(target[0], hog, shape=(40, 48), max_iter=12, seed=1, priors=priors)
    kept, arrays = found.store.result(cell.key)
    np.testing.assert_array_equal(arrays["images"][0], alone.image)
    assert record["error"] == kept["error"] == alone.error[0]
    assert record["ncc"] == metrics.ncc(alone.image, image)
    assert arrays["energy"].shape == (12,)


def test_the_papers_unit_is_that_of_the_studys_images(finished):
    found = study.results_of(finished)
    hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    targets = np.stack(
        [hog.encode(found.store.image(image.digest)[None, None])[0] for image in found.plan.images]
    )
    cell, record = found.records()[0]
    held = found.store.result(cell.key)[1]["images"][:1]
    expected = metrics.pairwise_error(hog.encode(held[:, None]), targets[:1], targets)[0]
    assert record["pairwise_error"] == pytest.approx(expected, rel=1e-4)


def test_finished_jobs_are_never_computed_again(finished, client, monkeypatch):
    def computed(*args):
        raise AssertionError("it was computed again")

    monkeypatch.setattr(job, "computed", computed)
    progress = study.run(finished, client=client)
    assert (progress.done, progress.computed, progress.failed) == (16, 0, 0)


@pytest.fixture
def old(extra, tmp_path, monkeypatch):
    """The path of a copy of that study, as if no version since had found other images."""
    monkeypatch.setattr(grid, "RESULTS", "0.1.0.dev0")
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old" / "s.toml"


def test_results_of_an_older_version_are_found(old, run):
    status, out, err = run("study", "status", old)
    assert (status, err) == (0, "")
    assert "2 of 2 jobs done" in out
    assert {cell.prior.name for cell, _ in study.results_of(old).records()} == {"default", "tv"}


def test_jobs_of_a_version_that_found_other_images_are_computed_anew(old, monkeypatch):
    monkeypatch.setattr(grid, "RESULTS", "99")
    assert not list(study.results_of(old).records())


def test_jobs_that_an_older_version_did_are_not_computed_again(old, client):
    progress = study.run(old, client=client)
    assert (progress.jobs, progress.done, progress.computed, progress.failed) == (2, 2, 0, 0)


def test_the_table_of_results_is_made_again_where_it_is_lost_or_damaged(finished, client):
    store = study.results_of(finished).store
    for spoil in (lambda: store.put("summary.parquet", b"nonsense"),
                  lambda: store.remove("summary.parquet")):  # fmt: skip
        before = study.results_of(finished).summary.records
        spoil()
        assert study.results_of(finished).summary.records == before
        assert study.run(finished, client=client).computed == 0
        assert store.get("summary.parquet")[:4] == b"PAR1"


def test_the_table_of_results_is_for_everybody(finished):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = study.default_store(finished)
    table = parquet.read_table(f"{path}/summary.parquet").to_pylist()
    assert len(table) == 16
    row = next(row for row in table if row["encoder"] == "sift" and row["seed"] == 1)
    assert {"key", "image", "task", "prior", "solver", "error", "ssim", "seconds"} <= set(row)
    assert row["image"] in ("camera", "astronaut")


def test_a_damaged_result_is_set_aside_and_its_job_done_again(write, client):
    path = write()
    study.run(path, client=client)
    found = study.results_of(path)
    key = next(iter(found.plan.jobs))
    whole = found.store.result(key)[1]["images"]
    found.store.put(f"results/{key[:2]}/{key}.npz", b"half")
    progress = study.run(path, client=client)
    assert (progress.done, progress.computed) == (16, 1)
    assert len(progress.damaged) == 1
    np.testing.assert_array_equal(found.store.result(key)[1]["images"], whole)


def test_a_grid_that_has_grown_keeps_what_it_has(write, client):
    path = write()
    study.run(path, client=client)
    path.write_text(path.read_text().replace("seeds = [0, 1]", "seeds = [1, 2]"))
    progress = study.run(path, client=client)
    assert (progress.jobs, progress.done, progress.computed) == (16, 16, 8)


def test_another_study_in_the_same_folder_is_refused(finished, client, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(finished.read_text().replace('name = "small"', 'name = "other"'))
    store = study.default_store(finished)
    with pytest.raises(StoreError, match="holds the study 'small'"):
        study.run(other, store=store, client=client)


def test_nothing_is_written_for_a_study_with_faults(write, client, tmp_path):
    path = write(write().read_text().replace("hog.vlfeat(", "hog.opencv(win_size=1, "))
    with pytest.raises(StudyError):
        study.run(path, client=client)
    assert [p.name for p in tmp_path.iterdir()] == ["study.toml"]


def _fails_for(seed):
    """Jobs of a seed fail."""
    computed = job.computed

    def failing(settings, store):
        if settings["seed"] == seed:
            raise RuntimeError("out of\nluck")
        return computed(settings, store)

    return failing


def test_failures_are_kept_with_their_reason_and_tried_again_on_request(write, client, monkeypatch):
    path = write()
    monkeypatch.setattr(job, "computed", _fails_for(1))
    progress = study.run(path, client=client)
    assert (progress.done, progress.failed) == (8, 8)
    failures = study.results_of(path).failures()
    assert len(failures) == 8
    (reason,) = {failure["reason"] for failure in failures.values()}
    assert reason == "out of luck"
    assert all("RuntimeError" in failure["traceback"] for failure in failures.values())
    monkeypatch.undo()
    progress = study.run(path, client=client)
    assert (progress.done, progress.failed, progress.computed) == (8, 8, 0)
    progress = study.run(path, client=client, retry_failed=True)
    assert (progress.done, progress.failed, progress.computed) == (16, 0, 8)
    assert study.results_of(path).failures() == {}


def test_a_full_disk_ends_a_run_and_what_was_finished_stays(write, client, monkeypatch):
    path, fsync, left = write(), os.fsync, [5]

    def full(handle):
        # Images, the study's file and units come first.
        left[0] -= 1
        if left[0] < -4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        study.run(path, client=client)
    monkeypatch.undo()
    before = len(study.results_of(path).summary.records)
    assert 0 < before < 16
    progress = study.run(path, client=client)
    assert progress.done == 16
    # What was on its way to the worker when the disk was full may have been finished since.
    assert 16 - before - 4 <= progress.computed <= 16 - before


def test_images_come_from_the_store_and_not_from_their_files(write, client, tmp_path):
    picture = np.random.default_rng(0).random((40, 48))
    Image.fromarray((255 * picture).astype(np.uint8)).save(tmp_path / "x.png")
    path = write(write().read_text().replace('"skimage:camera"', '"x.png"'))
    study.run(path, client=client)
    (tmp_path / "x.png").unlink()
    found = study.results_of(path)
    assert len(found.records()) == 16
    held = found.store.image(found.plan.images[0].digest)
    np.testing.assert_allclose(held, as_unit((255 * picture).astype(np.uint8)), atol=1e-6)


def test_images_that_were_left_out_are_remembered(write, client, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x")
    text = write().read_text().replace('"skimage:camera"', '"bad.png"')
    said = []
    path = write(text.replace("[study]", "[study]\nunreadable = 'skip'"))
    progress = study.run(path, client=client, say=said.append)
    assert (progress.jobs, progress.done) == (8, 8)
    assert any("left out bad.png" in message for message in said)
    assert study.results_of(path).skipped == progress.skipped


@pytest.mark.parametrize(
    ("tasks", "measures"),
    [
        ("[tasks.m]\nkind = 'maximize'\ncomponent = 3\nshape = [32, 32]", {"response"}),
        ("[tasks.c]\nkind = 'caricature'\nstrength = 0.2", {"response", "ssim"}),
        ("[tasks.i]\nneighbourhood = 2\nn_preimages = 2", {"error", "ssim", "spread"}),
    ],
)
def test_all_tasks_are_done(write, client, tasks, measures):
    path = write(write().read_text().replace("[priors.default]", f"{tasks}\n[priors.default]"))
    path.write_text(path.read_text().replace('sift = "dsift.natural"\n', ""))
    progress = study.run(path, client=client)
    assert progress.done == progress.jobs > 0, study.results_of(path).failures()
    assert all(measures <= set(record) for _, record in study.results_of(path).records())


def test_keypoints_are_those_of_each_image(write, client):
    text = write().read_text().replace('"dsift.natural"', '"sift.opencv(rootsift=True)"')
    path = write(text.replace("[40, 48]", "[64, 72]"))
    assert study.run(path, client=client).failed == 0
    found = study.results_of(path)
    images = {image.name: found.store.image(image.digest) for image in found.plan.images}
    for cell, record in found.records():
        if (cell.encoder.name, cell.prior.name, cell.seed) != ("sift", "default", 0):
            continue
        seen = images[cell.image.name]
        sift = repinv.SIFT.detect(to_gray(seen), rootsift=True)
        target = sift.encode(to_gray(seen)[None, None])[0]
        alone = repinv.invert(target, sift, shape=(64, 72), max_iter=12)
        assert record["error"] == alone.error[0]


def test_the_authors_method_is_a_solver(write, client):
    text = write().read_text()
    path = write(text.replace("max_iter = 12", "method = 'mahendran'\nmax_iter = 8"))
    assert study.run(path, client=client).failed == 0


def test_a_store_in_memory_is_filled_by_workers_of_this_process(extra, write):
    progress = study.run(write(), store="memory://studies/small", workers=1)
    assert (progress.done, progress.failed) == (16, 0)
    assert len(study.results_of(write(), store="memory://studies/small").records()) == 16
    with pytest.raises(ValueError, match="this process alone"):
        study.run(write(), store="memory://studies/small", scheduler="tcp://127.0.0.1:1")


def test_a_scheduler_that_is_not_there_is_said(extra, write, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def refused(address, **options):
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", refused)
    with pytest.raises(ValueError, match=r"no dask scheduler at tcp://127.0.0.1:1"):
        study.run(write(), scheduler="tcp://127.0.0.1:1")


def test_a_scheduler_of_somebody_else_runs_a_study(client, write):
    progress = study.run(write(), scheduler=client.scheduler.address)
    assert (progress.done, progress.failed) == (16, 0)


def test_a_study_that_was_not_begun_is_said(extra, write):
    with pytest.raises(StoreError, match="no study yet"):
        study.results_of(write())


@pytest.mark.parametrize("module", ["distributed", "fsspec", "pyarrow"])
def test_a_missing_package_is_said_and_how_to_get_it(write, module):
    code = (
        f"import sys\nsys.modules[{module!r}] = None\n"
        "from repinv.app.commands.main import main\n"
        f"main(['study', 'run', {str(write())!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"studies need {module}" in done.stderr
    assert "pip install 'repinv[study]'" in done.stderr


def test_a_job_whose_result_is_there_is_not_computed_again(finished, monkeypatch):
    there = study.results_of(finished)
    cell = next(iter(there.plan.jobs.values()))

    def computed(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(job, "computed", computed)
    outcome = job.perform(cell.settings(), there.store)
    assert outcome["record"] == there.store.record(cell.key)[0]


_DIGITS = """
    [study]
    name = "shared"
    seeds = [0, 1]
    [images]
    files = ["skimage:camera", "skimage:astronaut", "skimage:coins"]
    size = [32, 32]
    [encoders]
    digits = "cnn.digits('relu2')"
    [solvers.short]
    max_iter = 5
"""


def test_jobs_that_share_a_run_find_what_each_finds_alone(client, write, tmp_path, monkeypatch):
    pytest.importorskip("repinv_cnn")
    path, runs = write(_DIGITS), []
    study.run(path, store=str(tmp_path / "alone"), client=client)
    monkeypatch.setattr(job, "is_shared", lambda encoder: True)
    invert_each = job.invert_each

    def counted(wanted, *args, **options):
        runs.append(len(wanted))
        return invert_each(wanted, *args, **options)

    monkeypatch.setattr(job, "invert_each", counted)
    study.run(path, store=str(tmp_path / "shared"), client=client)
    assert runs == [6]
    alone, shared = (study.results_of(tmp_path / name) for name in ("alone", "shared"))
    assert list(alone.summary.records) == list(shared.summary.records)
    for key, record in alone.summary.records.items():
        assert shared.summary.records[key]["error"] == pytest.approx(record["error"], rel=1e-3)
        np.testing.assert_allclose(
            shared.store.result(key)[1]["images"], alone.store.result(key)[1]["images"], atol=1e-3
        )


def test_jobs_that_cannot_share_a_run_are_done_by_themselves(client, write, tmp_path, monkeypatch):
    pytest.importorskip("repinv_cnn")
    monkeypatch.setattr(job, "is_shared", lambda encoder: True)
    tried = []

    def out_of_memory(wanted, *args, **options):
        tried.append(len(wanted))
        raise MemoryError("the batch does not fit")

    monkeypatch.setattr(job, "invert_each", out_of_memory)
    progress = study.run(write(_DIGITS), store=str(tmp_path / "store"), client=client)
    assert progress.done == progress.jobs == 6
    assert tried == [6, 3, 2, 3, 2]


def test_jobs_can_be_told_to_workers_as_json(finished):
    settings = [cell.settings() for cell in study.results_of(finished).plan.jobs.values()]
    assert json.loads(json.dumps(settings)) == settings


def test_a_worker_opens_the_store_itself(extra, tmp_path):
    import pickle

    store = Store(str(tmp_path / "s"))
    store.describe(name="x")
    assert pickle.loads(pickle.dumps(store)).description()["name"] == "x"  # noqa: S301
