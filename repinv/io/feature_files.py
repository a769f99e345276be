"""Features in the files that people have: NumPy's, MATLAB's, text, HDF5, and those of plug-ins."""

from __future__ import annotations

import importlib.metadata
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from repinv.io.files import MAX_BYTES, contents

#: Where other packages register readers, by an ending without its dot: functions of a path that
#: return an array, or several by name.
GROUP = "repinv.feature_files"
#: Endings of files that would run code when they are opened.
_PICKLES = (".pkl", ".pickle", ".joblib")
#: Endings that readers of other packages are known for.
_ELSEWHERE = (".pt", ".pth")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def has_features(source: str | os.PathLike[str]) -> bool:
    """Whether a name, or ``name:key``, is that of a file of features by its ending, not an image's.

    Examples
    --------
    >>> [has_features(name) for name in ("cat.jpg", "hog.npy", "hog.mat:features", "hog.pkl")]
    [False, True, True, True]
    """
    return split(source)[0].suffix.lower() in _suffixes()


def split(source: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """The file and the key of ``file:key``; None where there is no key.

    Examples
    --------
    >>> split("hog.mat:features")
    (...Path('hog.mat'), 'features')
    >>> split("hog.mat")
    (...Path('hog.mat'), None)
    """
    text = os.fspath(source)
    name, colon, key = text.partition(":") if ":" in text else (text, "", "")
    while colon and Path(name).suffix.lower() not in _suffixes():
        more, colon, key = key.partition(":")
        name = f"{name}:{more}"
    return (Path(name), key) if colon and not Path(text).exists() else (Path(text), None)


def read_features(source: str | os.PathLike[str]) -> np.ndarray:
    """Features from a file.

    Parameters
    ----------
    source : path, or ``path:key``
        .npy and .npz of NumPy; .mat of MATLAB; .csv and .txt of numbers; .h5 and .hdf5, where h5py
        is installed; .pt of torch, where it is. Of several arrays, the one that `key` names, or the
        one named 'features'. What could run code when it is opened is refused.

    Returns
    -------
    features : ndarray, floating or integer, finite

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is truncated, pickled, of a kind that nothing reads, or holds anything else.
    """
    path, key = split(source)
    held, kind = _held(path)
    found = _chosen(held, path, key)
    features = np.asarray(_tried(found, path, kind) if callable(found) else found)
    if features.dtype.kind not in "buif":
        raise ValueError(f"expected features of real numbers; {path} holds {features.dtype}.")
    if features.size == 0:
        raise ValueError(f"expected features; {path} holds none, its shape is {features.shape}.")
    if not np.isfinite(features).all():
        n_bad = np.count_nonzero(~np.isfinite(features))
        raise ValueError(
            f"expected finite features; {path} holds {n_bad} NaN or infinite of {features.size}. "
            "Compute them again from an image without such pixels."
        )
    return features


def _suffixes() -> tuple[str, ...]:
    """Endings of files of features, those that are refused among them."""
    return (*_READERS, *_PICKLES, *_ELSEWHERE, *_plugins())


def _plugins() -> dict[str, importlib.metadata.EntryPoint]:
    """Readers that installed packages register, by their endings; none is loaded."""
    found = importlib.metadata.entry_points(group=GROUP)
    return {f".{point.name.lower()}": point for point in found}


def _held(path: Path) -> tuple[Any, str]:
    """An array, or arrays or functions that read them, by name; and what was expected, in words."""
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        contents(path)  # that there is none is more than that it would be refused
        raise ValueError(
            f"{path} is a pickle, which could run code when opened, and is refused. Save a plain "
            "array: numpy.save('features.npy', numpy.asarray(features, dtype=float))."
        )
    plugins = _plugins()
    if suffix in plugins:
        contents(path)
        try:
            read: Callable[[Path], Any] = plugins[suffix].load()
        except ImportError as error:
            raise ValueError(f"{path} needs a package that is missing: {error}.") from error
        return read(path), ""
    if suffix in _ELSEWHERE:
        raise ValueError(
            f"{path} is a file of torch, which repinv_cnn reads; it is not installed with torch. "
            "Install repinv[cnn], or save features.numpy(force=True) with numpy.save."
        )
    # Other names are NumPy's, or nothing.
    kind, read_it = _READERS.get(suffix, _READERS[".npy"])
    data = contents(path)
    return _tried(lambda: read_it(data), path, kind), kind


def _tried(read: Callable[[], Any], path: Path, kind: str) -> Any:
    """What a reader gives, or why it does not."""
    try:
        return read()
    # Readers meet damage in many places and raise what they happen to raise there.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
        if "pickle" in reason or "Object arrays" in reason:
            raise ValueError(
                f"{path} holds pickled objects, which could run code when opened, and is refused. "
                "Save a plain array: numpy.save(path, numpy.asarray(features, dtype=float))."
            ) from error
        raise ValueError(
            f"expected {kind}; {path} cannot be read as one: {reason}. Save it again."
        ) from error


def _chosen(held: Any, path: Path, key: str | None) -> Any:
    """The array that a key names, the only one, or the one named 'features'; or its reader."""
    if not isinstance(held, Mapping):
        if key is not None:
            raise ValueError(
                f"{path} holds one array without a name; got the name {key!r}. Leave it out."
            )
        return held
    names = sorted(held)
    name = key if key is not None else "features"
    if key is None and name not in held and len(held) == 1:
        name = names[0]
    if name not in held:
        found = ", ".join(names) or "nothing"
        wanted = f"has no {key!r}: " if key is not None else ""
        raise ValueError(
            f"{path} {wanted}it holds {found}, and one array or one named 'features' is taken. "
            f"Name one: {path.name}:{names[0] if names else 'name'}."
        )
    return held[name]


def _numpy(data: bytes) -> Any:
    """The array of an .npy file, or those of an .npz, no larger than the file makes plausible."""
    if data.startswith(b"\x80"):
        raise ValueError("it is a pickle")
    if not data.startswith(b"PK"):
        return _array(io.BytesIO(data), len(data))

    def reader(info: zipfile.ZipInfo) -> Callable[[], np.ndarray]:
        def read() -> np.ndarray:
            if info.file_size > MAX_BYTES:
                raise ValueError(f"its array unpacks to {info.file_size >> 20} MiB")
            with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(info) as file:
                return _array(file, info.file_size)

        return read

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename.removesuffix(".npy"): reader(info) for info in archive.infolist()}


def _array(file: Any, n_bytes: int) -> np.ndarray:
    """One array, once its header has been found to promise what the file holds."""
    data = io.BytesIO(file.read(n_bytes))
    version = np.lib.format.read_magic(data)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else (np.lib.format.read_array_header_2_0)
    )
    shape, _, dtype = header(data)
    promised, held = int(np.prod(shape, dtype=object)) * dtype.itemsize, n_bytes - data.tell()
    if not dtype.hasobject and promised > held:
        raise ValueError(f"it is truncated: {held} bytes of the {promised} that its header states")
    data.seek(0)
    array: np.ndarray = np.lib.format.read_array(data, allow_pickle=False)
    return array


def _matlab(data: bytes) -> dict[str, Any]:
    """Arrays of a .mat file by name; those of version 7.3, which is HDF5, with their axes back."""
    if _HDF5 in data[:1024]:
        return {name: (lambda read=read: read().T) for name, read in _hdf5(data).items()}
    from scipy.io import loadmat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of variables that are no arrays
        found = loadmat(io.BytesIO(data))  # type: ignore[arg-type]
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "buif"
    }


def _hdf5(data: bytes) -> dict[str, Any]:
    """Readers of the datasets of numbers in an HDF5 file, by their paths."""
    try:
        import h5py
    except ImportError:
        raise ValueError("HDF5 files need h5py, which is not installed: pip install h5py") from None
    found: dict[str, Any] = {}
    file = h5py.File(io.BytesIO(data), "r")

    def visit(name: str, item: Any) -> None:
        # What MATLAB adds for itself begins with '#'.
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "buif" and name[0] != "#":
            found[name] = lambda: item[()]

    file.visititems(visit)
    return found


def _text(data: bytes) -> np.ndarray:
    """Numbers between commas, semicolons, tabs or blanks; a first line of names is left out."""
    lines = data.decode("utf-8-sig").splitlines()
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    mark = next((mark for mark in (",", ";", "\t") if any(mark in line for line in lines)), None)
    if lines and not _is_row(lines[0], mark):
        lines = lines[1:]
    found: Any = np.loadtxt(io.StringIO("\n".join(lines)), delimiter=mark, ndmin=2) if lines else []
    array = np.asarray(found, dtype=float)
    return array.ravel() if 1 in array.shape else array


def _is_row(line: str, mark: str | None) -> bool:
    """Whether a line holds numbers."""
    try:
        return len([float(part) for part in line.split(mark)]) > 0
    except ValueError:
        return False


#: What reads files by their endings, and what it expects, in words.
_READERS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    **dict.fromkeys((".npy", ".npz"), ("an array saved by numpy.save or numpy.savez", _numpy)),
    ".mat": ("arrays saved by MATLAB or scipy.io.savemat", _matlab),
    **dict.fromkeys((".csv", ".txt"), ("lines of numbers", _text)),
    **dict.fromkeys((".h5", ".hdf5"), ("datasets of an HDF5 file", _hdf5)),
}
