"""The store: whole files or none, one study a folder, and no name that leads out of it."""

import errno
import json
import os
import uuid

import numpy as np
import pytest

from repinv.app.study import study
from repinv.app.study.store import VERSION, Store, StoreError

KEY, OTHER = "ab" + "0" * 30, "cd" + "1" * 30
ARRAYS = {"images": np.arange(6.0).reshape(1, 2, 3)}


@pytest.fixture(scope="module")
def bucket(extra):
    """A bucket of S3, whose server is a thread of this process."""
    pytest.importorskip("s3fs", reason="needs s3fs: a bucket is not tried")
    server = pytest.importorskip("moto.server", reason="needs moto[server]: a bucket is not tried")
    import fsspec

    served = server.ThreadedMotoServer(port=0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec.config.conf, "s3", {"endpoint_url": f"http://{host}:{port}"})
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        fsspec.filesystem("s3").mkdir("studies")
        yield "s3://studies"
        fsspec.filesystem("s3").clear_instance_cache()
    served.stop()


@pytest.fixture(params=["local", "memory", "s3"])
def store(extra, request, tmp_path):
    if request.param == "local":
        return Store(str(tmp_path / "a folder" / "store"))
    if request.param == "s3":
        return Store(f"{request.getfixturevalue('bucket')}/{uuid.uuid4().hex}/store")
    return Store(f"memory://test-{uuid.uuid4().hex}/store")


def test_what_is_put_is_got(store):
    n_bytes = store.put_result(KEY, {"key": KEY, "error": 0.5}, ARRAYS)
    record, arrays = store.result(KEY)
    assert record == {"key": KEY, "error": 0.5}
    np.testing.assert_array_equal(arrays["images"], ARRAYS["images"])
    assert store.record(KEY) == (record, n_bytes)
    ((key, (size, when)),) = store.listing("results").items()
    assert (key, size) == (KEY, n_bytes)
    assert when > 1e9


def test_a_second_writer_of_the_same_result_changes_nothing(store):
    for _ in range(2):
        store.put_result(KEY, {"key": KEY}, ARRAYS)
    assert list(store.listing("results")) == [KEY]


def test_images_are_kept_once(store):
    pixels = np.random.default_rng(0).random((4, 5), np.float32)
    store.put_image(KEY, pixels)
    store.put_image(KEY, 0 * pixels)
    np.testing.assert_array_equal(store.image(KEY), pixels)


def test_failures_are_kept_until_they_are_forgotten(store):
    store.put_failure(KEY, {"reason": "why"})
    assert list(store.failures()) == [KEY]
    assert store.failure(KEY) == {"reason": "why"}
    store.forget_failure(KEY)
    store.forget_failure(KEY)
    assert list(store.failures()) == []


def test_an_empty_store_has_nothing(store):
    assert store.description() is None
    assert store.open("x") is None
    assert store.listing("results") == {}
    with pytest.raises(FileNotFoundError):
        store.result(KEY)


def test_two_studies_in_one_folder_are_refused(store):
    store.describe(name="one")
    assert store.open("one")["name"] == "one"
    with pytest.raises(StoreError, match="holds the study 'one', and this is 'two'"):
        store.open("two")


def test_a_store_of_a_newer_version_is_refused(store):
    store.put("study.json", json.dumps({"version": VERSION + 1, "name": "x"}).encode())
    with pytest.raises(StoreError, match="newer repinv"):
        store.open("x")


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"name": "x"}', b'{"version": "one"}'])
def test_a_store_that_says_nothing_sensible_is_refused(store, text):
    store.put("study.json", text)
    with pytest.raises(StoreError, match=r"damaged|not of a study"):
        store.open("x")


def test_a_folder_of_other_things_is_refused(store):
    store.put("thesis.tex", b"x")
    with pytest.raises(StoreError, match=r"holds 'thesis.tex' and no study"):
        store.open("x")


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "a" * 31, "g" * 32, "a" * 31 + "\n", "", "A" * 32]
)
def test_keys_never_lead_out_of_the_folder(store, key):
    calls = (
        lambda: store.put_result(key, {}, {}),
        lambda: store.result(key),
        lambda: store.put_failure(key, {}),
        lambda: store.forget_failure(key),
        lambda: store.put_image(key, ARRAYS["images"]),
        lambda: store.image(key),
    )
    for call in calls:
        with pytest.raises(ValueError, match="expected a key"):
            call()


def test_names_that_are_no_keys_are_not_listed(store):
    for name in ("x.npz", "..npz", f"{KEY}x.npz", f"{OTHER}.npz"):
        store.put(f"results/ab/{name}", b"x")
    assert list(store.listing("results")) == [OTHER]


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_half_file_is_never_read_as_a_result(store, keep):
    store.put_result(KEY, {"key": KEY}, ARRAYS)
    whole = store.get(f"results/ab/{KEY}.npz")
    store.put(f"results/ab/{KEY}.npz", whole[:keep])
    with pytest.raises(ValueError, match="damaged"):
        store.record(KEY)
    assert store.listing("results") == {}
    assert list(store.listing("damaged")) == [KEY]


def test_bytes_that_changed_are_noticed(store):
    store.put_result(KEY, {"key": KEY}, {"images": np.zeros(1000)})
    data = bytearray(store.get(f"results/ab/{KEY}.npz"))
    data[len(data) // 2] ^= 1
    store.put(f"results/ab/{KEY}.npz", bytes(data))
    with pytest.raises(ValueError, match="damaged"):
        store.result(KEY)


def test_a_result_under_another_name_is_none(store):
    store.put_result(KEY, {"key": KEY}, ARRAYS)
    store.put(f"results/cd/{OTHER}.npz", store.get(f"results/ab/{KEY}.npz"))
    with pytest.raises(ValueError, match=f"result of {KEY}"):
        store.result(OTHER)


def test_a_full_disk_leaves_nothing_behind_and_says_what_to_do(extra, tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"))
    store.put_result(KEY, {"key": KEY}, ARRAYS)

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device.*make room"):
        store.put_result(OTHER, {"key": OTHER}, ARRAYS)
    monkeypatch.undo()
    assert list(store.listing("results")) == [KEY]
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_temporary_files_of_dead_writers_are_removed_and_those_of_others_are_not(extra, tmp_path):
    store = Store(str(tmp_path / "store"))
    store.put_result(KEY, {"key": KEY}, ARRAYS)
    old, new = (tmp_path / "store" / "tmp" / name for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (1e9, 1e9))
    store.sweep()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_protocol_that_nobody_knows_is_refused(extra):
    with pytest.raises(StoreError, match="cannot open"):
        Store("nonsense://x/y").description()


def test_a_study_in_a_bucket_is_as_in_a_folder(write, client, bucket, tmp_path):
    url = f"{bucket}/small"
    first, again = (study.run(write(), store=url, client=client) for _ in range(2))
    assert (first.computed, again.computed, again.done) == (16, 0, 16)
    study.run(write(), store=str(tmp_path / "folder"), client=client)
    ours, theirs = study.results_of(url), study.results_of(tmp_path / "folder")
    for key in theirs.plan.jobs:
        arrays = ours.store.result(key)[1]
        for name, values in theirs.store.result(key)[1].items():
            np.testing.assert_array_equal(arrays[name], values)
