"""Features in the files that people have: every kind, one array of several, and what is refused."""

import importlib.metadata
import io
import pickle
import sys
import zipfile

import joblib
import numpy as np
import pytest
import scipy.io
import torch

from repinv.io import feature_files, files
from repinv.io.feature_files import has_features, read_features, split
from repinv_cnn import tensor_files

FEATURES = np.random.default_rng(0).random((3, 4, 5)).round(6)
FLAT = FEATURES.ravel()


class _Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle ran')",))


def test_features_come_from_npy(tmp_path):
    np.save(tmp_path / "f.npy", FEATURES)
    np.testing.assert_array_equal(read_features(tmp_path / "f.npy"), FEATURES)


def test_features_in_fortran_order_are_read(tmp_path):
    np.save(tmp_path / "f.npy", np.asfortranarray(FEATURES))
    np.testing.assert_array_equal(read_features(tmp_path / "f.npy"), FEATURES)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_features_come_from_npz(tmp_path, save):
    save(tmp_path / "one.npz", anything=FEATURES)
    save(tmp_path / "named.npz", other=np.zeros(3), features=FEATURES)
    for name in ("one.npz", "named.npz"):
        np.testing.assert_array_equal(read_features(tmp_path / name), FEATURES)


def test_an_npz_of_several_arrays_must_name_its_features(tmp_path):
    np.savez(tmp_path / "f.npz", a=FEATURES, b=FEATURES)
    with pytest.raises(ValueError, match=r"it holds a, b, and one array or one named 'features'"):
        read_features(tmp_path / "f.npz")
    zipfile.ZipFile(tmp_path / "none.npz", "w").close()
    with pytest.raises(ValueError, match="it holds nothing"):
        read_features(tmp_path / "none.npz")


def test_pickles_are_refused_and_never_run(tmp_path):
    np.save(tmp_path / "object.npy", np.array([_Bomb()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "object.npz", features=np.array([_Bomb()], dtype=object))
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(_Bomb()))
    for name in ("object.npy", "object.npz", "raw.npy"):
        with pytest.raises(ValueError, match=r"pickled objects.*is refused.*numpy\.save"):
            read_features(tmp_path / name)


@pytest.mark.parametrize("name", ["f.npy", "f.npz"])
@pytest.mark.parametrize("part", [0.01, 0.2, 0.6, 0.99])
def test_truncated_features_are_refused(tmp_path, name, part):
    (np.save if name == "f.npy" else np.savez)(tmp_path / name, FEATURES)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(part * len(data))])
    with pytest.raises(ValueError, match=rf"expected an array saved.*{name} cannot be read"):
        read_features(tmp_path / name)


def test_a_header_that_promises_the_moon_allocates_nothing(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**9)}
    )
    (tmp_path / "f.npy").write_bytes(stream.getvalue() + bytes(64))
    with pytest.raises(ValueError, match="truncated: 64 bytes of the 8000000000000000000"):
        read_features(tmp_path / "f.npy")


def test_images_are_no_features(tmp_path):
    files.write(tmp_path / "a.png", FEATURES[0])
    with pytest.raises(ValueError, match="expected an array saved"):
        read_features(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (FEATURES + 1j, "real numbers"),
        (np.array(["a"]), "real numbers"),
        (np.zeros((0, 3)), "holds none"),
        (np.array([1.0, np.nan]), "1 NaN or infinite of 2"),
        (np.array([1.0, -np.inf]), "1 NaN or infinite of 2"),
    ],
)
def test_features_that_are_no_numbers_are_refused(tmp_path, array, words):
    np.save(tmp_path / "f.npy", array)
    with pytest.raises(ValueError, match=words):
        read_features(tmp_path / "f.npy")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "f.npy").touch()
    with pytest.raises(ValueError, match="empty file"):
        read_features(tmp_path / "f.npy")


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_files_are_read(tmp_path, compressed):
    path = tmp_path / "f.mat"
    scipy.io.savemat(path, {"hog": FEATURES, "name": "cat"}, do_compression=compressed)
    np.testing.assert_array_equal(read_features(path), FEATURES)
    scipy.io.savemat(path, {"a": FLAT, "features": FEATURES, "s": {"b": 1}})
    np.testing.assert_array_equal(read_features(path), FEATURES)
    np.testing.assert_array_equal(read_features(f"{path}:a").ravel(), FLAT)
    scipy.io.savemat(path, {"f4": FLAT}, format="4")
    np.testing.assert_array_equal(read_features(path).ravel(), FLAT)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("f.csv", {"delimiter": ","}),
        ("f.csv", {"delimiter": ";"}),
        ("f.txt", {"delimiter": "\t"}),
        ("f.txt", {}),
        ("f.csv", {"delimiter": ",", "header": "a,b,c,d", "comments": ""}),
        ("f.txt", {"header": "of scikit-image"}),
    ],
)
def test_numbers_as_text_are_read(tmp_path, name, options):
    rows = FEATURES.reshape(15, 4)
    np.savetxt(tmp_path / name, rows, **options)
    np.testing.assert_allclose(read_features(tmp_path / name), rows)
    for flat in (FLAT[None], FLAT[:, None]):
        if "header" in options and options["header"] == "a,b,c,d":
            continue
        np.savetxt(tmp_path / name, flat, **options)
        np.testing.assert_allclose(read_features(tmp_path / name), FLAT)


def test_hdf5_is_read_where_h5py_is_there(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["cat/hog"] = FEATURES
        file["cat/name"] = "cat"
    np.testing.assert_array_equal(read_features(path), FEATURES)
    with h5py.File(path, "a") as file:
        file["dog/hog"] = FLAT
    np.testing.assert_array_equal(read_features(f"{path}:dog/hog"), FLAT)
    with pytest.raises(ValueError, match=r"it holds cat/hog, dog/hog.*f\.h5:cat/hog"):
        read_features(path)


def test_hdf5_of_matlab_has_its_axes_turned_back(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "f.mat", "w", userblock_size=512) as file:
        file["hog"] = FEATURES.T
    np.testing.assert_array_equal(read_features(tmp_path / "f.mat"), FEATURES)


@pytest.mark.parametrize("name", ["f.h5", "f.mat"])
def test_hdf5_without_h5py_says_what_to_install(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(ValueError, match="pip install h5py"):
        read_features(tmp_path / name)


class _Point:
    """An entry point of a package."""

    def __init__(self, name, read):
        self.name, self.load = name, lambda: read


@pytest.fixture
def torch_files(monkeypatch):
    """The readers that repinv_cnn registers when it is installed."""
    known = importlib.metadata.entry_points

    def found(*, group):
        if group != feature_files.GROUP:
            return known(group=group)
        return [_Point(name, tensor_files.read) for name in ("pt", "pth")]

    monkeypatch.setattr(importlib.metadata, "entry_points", found)


def test_the_package_registers_readers_of_torch():
    import configparser
    import pathlib

    declared = configparser.ConfigParser()
    declared.read(pathlib.Path(__file__).parents[2] / "setup.cfg")
    lines = declared["options.entry_points"][feature_files.GROUP].split("\n")
    named = dict(line.split(" = ") for line in lines if line)
    assert named == {"pt": "repinv_cnn.tensor_files:read", "pth": "repinv_cnn.tensor_files:read"}


@pytest.mark.usefixtures("torch_files")
@pytest.mark.parametrize("name", ["f.pt", "f.pth"])
def test_files_of_torch_are_read(tmp_path, name):
    path = tmp_path / name
    tensor = torch.asarray(FEATURES).requires_grad_()
    torch.save(tensor, path)
    np.testing.assert_array_equal(read_features(path), FEATURES)
    torch.save({"a": tensor.to(torch.bfloat16), "net": {"b": tensor}, "epoch": 3}, path)
    np.testing.assert_array_equal(read_features(f"{path}:net/b"), FEATURES)
    np.testing.assert_allclose(read_features(f"{path}:a"), FEATURES, rtol=0.01)
    with pytest.raises(ValueError, match=rf"it holds a, net/b.*Name one: {name}:a"):
        read_features(path)


@pytest.mark.usefixtures("torch_files")
def test_files_of_torch_run_nothing(tmp_path):
    torch.save(_Bomb(), tmp_path / "f.pt")
    with pytest.raises(ValueError, match=r"holds more than tensors.*is refused"):
        read_features(tmp_path / "f.pt")
    (tmp_path / "f.pt").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(ValueError, match=r"expected tensors saved by torch\.save"):
        read_features(tmp_path / "f.pt")
    torch.save([1, 2], tmp_path / "f.pt")
    with pytest.raises(ValueError, match="holds a list"):
        read_features(tmp_path / "f.pt")


def test_without_a_reader_files_of_torch_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [])
    torch.save(torch.zeros(3), tmp_path / "f.pt")
    with pytest.raises(ValueError, match=r"Install repinv\[cnn\]"):
        read_features(tmp_path / "f.pt")


@pytest.mark.parametrize(
    ("name", "save"), [("f.pkl", pickle.dump), ("f.pickle", pickle.dump), ("f.joblib", joblib.dump)]
)
def test_pickles_are_refused_by_name(tmp_path, name, save):
    with (tmp_path / name).open("wb") as file:
        save(_Bomb(), file)
    words = rf"{name} is a pickle, which could run code when opened.*numpy\.save"
    with pytest.raises(ValueError, match=words):
        read_features(tmp_path / name)


def test_keys_name_one_array_of_several(tmp_path):
    np.savez(tmp_path / "f.npz", a=FEATURES, b=FLAT)
    np.testing.assert_array_equal(read_features(f"{tmp_path / 'f.npz'}:b"), FLAT)
    with pytest.raises(ValueError, match=r"has no 'c': it holds a, b"):
        read_features(f"{tmp_path / 'f.npz'}:c")
    np.save(tmp_path / "f.npy", FLAT)
    with pytest.raises(ValueError, match="one array without a name; got the name 'a'"):
        read_features(f"{tmp_path / 'f.npy'}:a")


def test_a_file_whose_name_has_a_colon_is_read(tmp_path):
    np.save(tmp_path / "f.npy:a", FLAT)
    (tmp_path / "f.npy:a.npy").rename(tmp_path / "f.npy:a")
    assert split(tmp_path / "f.npy:a") == (tmp_path / "f.npy:a", None)
    assert split("c:f.npz:a:b") == (feature_files.Path("c:f.npz"), "a:b")


@pytest.mark.parametrize(
    "name", ["f.npy", "f.npz", "f.mat", "f.csv", "f.txt", "f.h5", "f.hdf5", "f.pt", "f.pth"]
)
@pytest.mark.parametrize("key", ["", ":hog", ":cat/hog"])
def test_none_is_taken_for_an_image(name, key):
    assert has_features(name + key)
    assert has_features(name.upper() + key)


def test_pickles_are_not_taken_for_images():
    assert all(map(has_features, ("f.pkl", "f.pickle", "f.joblib")))


def test_images_are_not_taken_for_features():
    assert not any(map(has_features, ("a.png", "a.jpg", "a.tif", "a:b.png", "a.npy.png", "a")))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("f.mat", b"no MATLAB"),
        ("f.csv", b"1,2\n3,x\n"),
        ("f.csv", b"1,2\n3\n"),
        ("f.txt", b"\xff\xfe\x00"),
        ("f.txt", b"words alone"),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match="expected"):
        read_features(tmp_path / name)
