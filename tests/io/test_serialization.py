"""Files of runs: what goes in comes out, and what is damaged or hostile is refused."""

import dataclasses
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import skimage

import repinv
from repinv import HOG, LBFGS
from repinv.io import serialization

IMAGE = (skimage.data.camera()[::16, ::16] / 255).astype(np.float32)
ENCODER = HOG.vlfeat(bilinear_orientations=True)

DESCRIBED = {
    "hard HOG": HOG.vlfeat(),
    "softened HOG": HOG.vlfeat().softened(0.3),
    "skimage's HOG": HOG.skimage(8, (7, 9), (2, 3), "L1-sqrt", True, channel_axis=-1),
    "OpenCV's HOG": HOG.opencv((32, 24), (16, 8), (8, 8), (8, 4), win_stride=(8, 8)),
    "DPM's HOG": HOG.dpm(6, normalize=False),
    "straight through": repinv.StraightThrough(HOG.vlfeat(), HOG.vlfeat().softened(0.1)),
    "parametrization": repinv.Jitter(repinv.Spectral(exponent=0.7), 3, seed=8),
    "priors": (
        repinv.Weighted("a", 1e-3, repinv.TotalVariation(beta=1.5)),
        repinv.Weighted("b", 2.0, repinv.AlphaNorm()),
        repinv.Weighted("c", 2.0, repinv.IntensityRange()),
        repinv.Weighted("d", 2.0, repinv.NaturalContrast()),
    ),
    "stages": (
        repinv.Stage(0.5, LBFGS(memory=3), softness=0.5),
        repinv.Stage(0.5, repinv.Adam(decay_over=7), straight_through=True),
        repinv.Stage(0.5, repinv.Momentum(((0.1, 3), (0.01, 4)))),
        repinv.Stage(0.5, repinv.AdaGrad()),
    ),
    "plain": (None, True, 3, 0.1, "text", (), ((1,),)),
    "infinity": float("inf"),
}


@pytest.mark.parametrize("value", DESCRIBED.values(), ids=DESCRIBED)
def test_a_description_is_json_and_restores_the_value(value):
    text = json.dumps(serialization.describe(value))
    assert serialization.restore(json.loads(text)) == value


def test_numbers_of_numpy_come_back_as_pythons():
    assert serialization.restore(serialization.describe(np.float32(0.5))) == 0.5
    assert serialization.restore(serialization.describe(np.float32)) is np.float32


def test_arrays_of_a_description_lie_in_the_archive_and_come_back(tmp_path):
    path, words = tmp_path / "file.npz", np.arange(6, dtype=np.float32).reshape(2, 3)
    header = {"kind": "encoder", "several": [serialization.describe((words, 1, words.T))]}
    serialization.save(path, header, {"z": np.ones(2)})
    got, arrays = serialization.load(path, kind="encoder")
    first, one, last = serialization.restore(got["several"][0])
    assert (one, first.dtype, list(arrays)) == (1, np.float32, ["z"])
    np.testing.assert_array_equal(first, words)
    np.testing.assert_array_equal(last, words.T)
    with pytest.raises(ValueError, match="not a run saved by repinv; it holds: encoder"):
        serialization.load(path)


@dataclasses.dataclass(frozen=True)
class Foreign:
    """Not one of repinv's."""

    x: int = 0


@pytest.mark.parametrize("value", [Foreign(), object(), {"a": 1}, np.array(["a"]), (1, Foreign())])
def test_other_values_are_not_described(value):
    with pytest.raises(TypeError, match="repinv's own frozen dataclasses"):
        serialization.describe(value)


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "subprocess:Popen",
        "builtins:eval",
        "repinv_evil:Thing",
        "repinv.io.serialization:zipfile.ZipFile",
        "repinv.io.serialization:Path",
        "repinv.io.serialization:save",
        "repinv.encoder:Encoder",
        "repinv.solvers.lbfgs:LBFGS",
        "repinv.rules:Nothing",
        "Encoder",
        "repinv",
        "",
    ],
)
def test_a_description_of_anything_else_is_refused_and_not_run(name):
    with pytest.raises(ValueError, match="does not know"):
        serialization.restore({"class": name, "fields": {}})


@pytest.fixture(scope="module")
def part():
    """A run stopped halfway."""
    return repinv.invert(
        ENCODER(IMAGE),
        ENCODER,
        shape=IMAGE.shape,
        max_iter=30,
        solver=LBFGS(memory=3),
        callback=lambda snapshot: snapshot.iteration == 10,
    )


@pytest.fixture(scope="module")
def data(part, tmp_path_factory):
    """The bytes of that run's file."""
    path = tmp_path_factory.mktemp("run") / "run.npz"
    part.save(path)
    return path.read_bytes()


def test_a_file_holds_no_pickle_and_its_images(part, data):
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    assert all(array.dtype.kind in "fiuU" for array in arrays.values())
    np.testing.assert_array_equal(arrays["found/images"], part.images)
    np.testing.assert_array_equal(arrays["found/error"], part.error)


def test_saving_leaves_one_file_and_replaces_the_one_before(part, data, tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(b"older")
    part.save(path)
    part.save(str(path))
    assert list(tmp_path.iterdir()) == [path]
    assert repinv.resume(path).iterations == 30
    assert len(path.read_bytes()) == len(data)


def test_the_name_of_a_file_is_the_one_given(part, tmp_path):
    part.save(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert repinv.resume(tmp_path / "run").iterations == 30


def test_saving_where_nothing_can_be_written_fails_and_leaves_nothing(part, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        part.save(tmp_path / "nowhere" / "run.npz")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - the words are the system's
        part.save(folder)
    assert list(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()) == []


def refused(path, content, words="not a run"):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        repinv.resume(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        repinv.resume(tmp_path / "run.npz")


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    refused(path, b"")
    refused(path, b"\x89PNG\r\n\x1a\n" + bytes(100))
    refused(path, b"no archive of any kind")
    refused(path, pickle.dumps({"header": 1}))
    array = io.BytesIO()
    np.save(array, np.ones(3))
    refused(path, array.getvalue())
    arrays = io.BytesIO()
    np.savez(arrays, z=np.ones(3))
    refused(path, arrays.getvalue())
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("header", "{}")
    refused(path, other.getvalue())


class Bomb:
    """Notes when it is unpickled."""

    lit: list = []  # noqa: RUF012

    def __reduce__(self):
        return (Bomb.lit.append, (1,))


def test_pickled_arrays_are_refused_and_not_loaded(tmp_path, data):
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["z"] = np.array([Bomb()], dtype=object)
    content = io.BytesIO()
    np.savez(content, allow_pickle=True, **arrays)
    refused(tmp_path / "run.npz", content.getvalue())
    assert Bomb.lit == []


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 1.0])
def test_truncated_files_are_refused(tmp_path, data, share):
    refused(tmp_path / "run.npz", data[: min(int(share * len(data)), len(data) - 1)])


def test_files_with_a_wrong_bit_are_refused_or_not_changed_by_it(tmp_path, data):
    path = tmp_path / "run.npz"
    path.write_bytes(data)
    header, arrays = serialization.load(path)
    rng = np.random.default_rng(0)
    # Half of the places in the directory at the end, which says what the rest is.
    places = np.concatenate(
        [rng.integers(0, len(data), 100), len(data) - 1 - rng.integers(0, 1500, 100)]
    )
    whole = 0
    for place in places:
        content = bytearray(data)
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            got, got_arrays = serialization.load(path)
        except ValueError:
            continue
        # Dates and attributes of the archive mean nothing.
        np.testing.assert_equal(got, header)
        assert got_arrays.keys() == arrays.keys()
        for name in arrays:
            np.testing.assert_array_equal(got_arrays[name], arrays[name])
        whole += 1
    assert whole < 100


def rewritten(data, change):
    """The file with its header (a dict) and arrays changed in place."""
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(str(arrays["header"]))
    change(header, arrays)
    arrays["header"] = np.array(json.dumps(header))
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def target_of(header):
    """The name of the target's array."""
    return header["problem"]["loss"]["fields"]["target"]["array"]


def test_a_file_of_another_version_is_refused(tmp_path, data):
    content = rewritten(data, lambda header, _: header.update(repinv=99))
    refused(tmp_path / "run.npz", content, "another repinv")


@pytest.mark.parametrize(
    "change",
    [
        lambda header, arrays: header.pop("problem"),
        lambda header, arrays: header.pop("position"),
        lambda header, arrays: header.pop("seconds"),
        lambda header, arrays: header.update(problem=3),
        lambda header, arrays: header["problem"].pop("stages"),
        lambda header, arrays: header["problem"].update(more=1),
        lambda header, arrays: header["position"].pop("stage"),
        lambda header, arrays: header["position"].update(stage=7),
        lambda header, arrays: header["position"].update(iteration="x"),
        lambda header, arrays: header["problem"].update(max_iter=None),
        lambda header, arrays: arrays.pop("z"),
        lambda header, arrays: arrays.pop(target_of(header)),
        lambda header, arrays: arrays.pop("state/best_value"),
        lambda header, arrays: arrays.pop("trace/energy"),
        lambda header, arrays: arrays.update(z=arrays["z"][..., :-1]),
        lambda header, arrays: arrays.update(
            {target_of(header): arrays[target_of(header)][:, :-1]}
        ),
    ],
    ids=[
        "no problem",
        "no position",
        "no seconds",
        "problem of another kind",
        "no stages",
        "an option too many",
        "no stage",
        "a stage too far",
        "an iteration that is no number",
        "no max_iter",
        "no z",
        "no target",
        "half a state",
        "half a trace",
        "z of another shape",
        "target of another shape",
    ],
)
def test_a_file_that_lacks_something_is_refused(tmp_path, data, change):
    path = tmp_path / "run.npz"
    path.write_bytes(rewritten(data, lambda header, arrays: None))
    assert repinv.resume(path).iterations == 30
    path.write_bytes(rewritten(data, change))
    with pytest.raises(ValueError, match="run"):
        repinv.resume(path)


def test_a_file_that_names_another_class_is_refused_and_nothing_is_run(tmp_path, data):
    path = tmp_path / "run.npz"
    path.write_bytes(data)
    header, arrays = serialization.load(path)
    header["problem"]["encoder"] = {"class": "subprocess:Popen", "fields": {"args": "true"}}
    serialization.save(path, header, arrays)
    with pytest.raises(ValueError, match="names 'subprocess:Popen', which this version"):
        repinv.resume(path)


def test_others_may_read_what_was_saved(tmp_path):
    mask = os.umask(0o022)
    try:
        serialization.save(tmp_path / "run.npz", {}, {})
    finally:
        os.umask(mask)
    assert (tmp_path / "run.npz").stat().st_mode & 0o777 == 0o644
