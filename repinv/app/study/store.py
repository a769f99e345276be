"""The store of a study: a folder, or any URL of fsspec, that many processes write to."""

from __future__ import annotations

import datetime
import io
import json
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from repinv.app.study.optional_imports import needed

#: Version of the layout below; a store of a newer version is refused.
VERSION = 1
_KEY = re.compile(r"[0-9a-f]{32}")
#: Seconds after which a temporary file counts as abandoned by its writer.
_ABANDONED = 3600


class StoreError(OSError):
    """The store cannot be used, or is full."""


class Store:
    """A folder of results: ``results/ab/<key>.npz``, and the study that they are of.

    Every file is written under a temporary name and moved into place, so that a name in its place
    is a whole file. Keys are made of hexadecimal digits; no name from a study file becomes part of
    a path.

    Parameters
    ----------
    url : str
        A path, or a URL such as ``s3://bucket/study`` or ``memory://study``.
    """

    def __init__(self, url: str) -> None:
        self.url = str(url)

    @cached_property
    def _where(self) -> tuple[Any, str]:
        core = needed("fsspec.core")
        try:
            fs, root = core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise StoreError(f"cannot open {self.url}: {error}") from error
        return fs, root.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the store is a folder of this machine."""
        protocol = self._where[0].protocol
        return "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    @property
    def is_private(self) -> bool:
        """Whether only this process sees the store."""
        return self.url.startswith("memory:")

    def __getstate__(self) -> dict[str, Any]:
        """Workers open the store themselves."""
        return {"url": self.url}

    # Bytes.

    def get(self, name: str) -> bytes:
        """The bytes of a file; FileNotFoundError if there is none."""
        fs, root = self._where
        data: bytes = fs.cat_file(f"{root}/{name}")
        return data

    def put(self, name: str, data: bytes) -> None:
        """Replace a file in one step: a reader gets all of it or nothing.

        Raises
        ------
        StoreError
            If the disk is full, or the store cannot be written.
        """
        try:
            if self.is_local:
                _put(Path(self._where[1]), name, data)
            else:
                fs, root = self._where
                part = f"{root}/tmp/{uuid.uuid4().hex}"
                fs.makedirs(f"{root}/tmp", exist_ok=True)
                fs.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
                fs.pipe_file(part, data)
                fs.mv(part, f"{root}/{name}")
        except OSError as error:
            why = error.strerror or str(error)
            raise StoreError(
                f"cannot write into {self.url}: {why}. What is there is kept; make room, and run "
                "the study again to go on."
            ) from error

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        fs, root = self._where
        try:
            fs.rm_file(f"{root}/{name}")
        except FileNotFoundError:
            return

    def listing(self, folder: str) -> dict[str, tuple[int, float]]:
        """Size and time of every file below a folder, by the key that it is named after."""
        fs, root = self._where
        if self.is_local:
            return dict(_listed(Path(root) / folder))
        try:
            entries = fs.find(f"{root}/{folder}", detail=True)
        except FileNotFoundError:
            return {}
        found = {}
        for path, entry in entries.items():
            key = path.rpartition("/")[2].partition(".")[0]
            if _KEY.fullmatch(key):
                found[key] = int(entry.get("size") or 0), _seconds(entry)
        return found

    # The description of the study.

    def open(self, name: str) -> dict[str, Any] | None:
        """The description of the study in the store; None if the store is empty.

        Raises
        ------
        StoreError
            If it is another study's, was written by a newer version, or is no store.
        """
        said = self.description()
        if said is None:
            fs, root = self._where
            paths = fs.ls(root, detail=False) if fs.isdir(root) else []
            others = sorted({path.rstrip("/").rpartition("/")[2] for path in paths} - {"tmp"})
            if others:
                raise StoreError(
                    f"{self.url} holds {others[0]!r} and no study. Give an empty folder, or a new "
                    "name with --store."
                )
            return None
        if said.get("name") != name:
            raise StoreError(
                f"{self.url} holds the study {said.get('name')!r}, and this is {name!r}. Give "
                "another folder with --store."
            )
        return said

    def description(self) -> dict[str, Any] | None:
        """The file that describes the study in the store, or None.

        Raises
        ------
        StoreError
            If it is of a newer version, or is damaged.
        """
        try:
            said = json.loads(self.get("study.json"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise StoreError(f"{self.url}/study.json is damaged: {error}.") from error
        version = said.get("version") if isinstance(said, dict) else None
        if not isinstance(version, int):
            raise StoreError(f"{self.url}/study.json is not of a study.")
        if version > VERSION:
            raise StoreError(
                f"{self.url} was written by a newer repinv (store version {version}; this one "
                f"knows {VERSION}). Install that version."
            )
        return dict(said)

    def describe(self, **said: Any) -> None:
        """Write the file that describes the study in the store."""
        text = json.dumps({"version": VERSION, **said}, indent=1, ensure_ascii=False)
        self.put("study.json", text.encode())

    def sweep(self) -> None:
        """Remove abandoned temporary files."""
        fs, root = self._where
        if self.is_local:
            for path in Path(root, "tmp").glob("*"):
                if path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink(missing_ok=True)
        elif self.is_private and fs.isdir(f"{root}/tmp"):
            fs.rm(f"{root}/tmp", recursive=True)

    # Images.

    def put_image(self, digest: str, pixels: np.ndarray) -> None:
        """Store an image, unless it is there already."""
        name = f"images/{_checked(digest)}.npy"
        fs, root = self._where
        if not fs.exists(f"{root}/{name}"):
            stream = io.BytesIO()
            np.save(stream, pixels, allow_pickle=False)
            self.put(name, stream.getvalue())

    def image(self, digest: str) -> np.ndarray:
        """An image of the study."""
        data = io.BytesIO(self.get(f"images/{_checked(digest)}.npy"))
        return np.asarray(np.load(data, allow_pickle=False))

    # Results and failures.

    def put_result(
        self, key: str, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> int:
        """Store the result of a job; returns the size of its file in bytes."""
        stream = io.BytesIO()
        text = np.array(json.dumps(dict(record)))
        np.savez(stream, allow_pickle=False, record=text, **arrays)
        self.put(_result(key), stream.getvalue())
        return stream.tell()

    def result(self, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The record and the arrays of a job.

        Raises
        ------
        FileNotFoundError
            If the job has no result.
        ValueError
            If the file is not whole: it has been moved aside, and the job will be run again.
        """
        return self._whole(key)[:2]

    def record(self, key: str) -> tuple[dict[str, Any], int]:
        """The record of a job, its whole file checked, and the bytes of the file; like `result`."""
        record, _, n_bytes = self._whole(key)
        return record, n_bytes

    def _whole(self, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray], int]:
        data = self.get(_result(key))
        try:
            # A zip archive ends with its table of contents, and each member has a checksum.
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            record = json.loads(str(arrays.pop("record")))
            if record["key"] != key:
                raise ValueError(f"it is the result of {record['key']}")
        except Exception as error:  # a damaged archive fails in as many ways as it has parts
            self.put(f"damaged/{key}.npz", data)
            self.remove(_result(key))
            raise ValueError(f"the result of {key} is damaged ({error}), and set aside.") from None
        return record, arrays, len(data)

    def put_failure(self, key: str, failure: Mapping[str, Any]) -> None:
        """Store why a job failed."""
        self.put(f"failures/{_checked(key)}.json", json.dumps(dict(failure)).encode())

    def failure(self, key: str) -> dict[str, Any]:
        """Why a job failed."""
        try:
            return dict(json.loads(self.get(f"failures/{_checked(key)}.json")))
        except (ValueError, TypeError):
            return {"reason": "its record is damaged"}

    def failures(self) -> Iterator[str]:
        """Keys of the jobs that failed."""
        yield from self.listing("failures")

    def forget_failure(self, key: str) -> None:
        """Remove the failure of a job, which may then be tried again."""
        self.remove(f"failures/{_checked(key)}.json")


def _checked(key: str) -> str:
    """A key, which is part of a path; anything else is a mistake."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"expected a key of 32 hexadecimal digits; got {key!r}.")
    return key


def _result(key: str) -> str:
    """The name of a result's file; folders stay small enough to be listed fast."""
    return f"results/{_checked(key)[:2]}/{key}.npz"


def _put(root: Path, name: str, data: bytes) -> None:
    """Write a local file under a temporary name, flush it to disk, and move it into place."""
    part = root / "tmp" / uuid.uuid4().hex
    target = root / name
    for attempt in (0, 1):
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            break
        except FileNotFoundError:
            if attempt:
                raise
            part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            # The name must not come before the bytes when the power fails.
            os.fsync(file.fileno())
        try:
            part.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _listed(folder: Path) -> Iterator[tuple[str, tuple[int, float]]]:
    """Key, size and time of the files below a folder of this machine."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _listed(Path(entry.path))
            continue
        key = entry.name.partition(".")[0]
        if _KEY.fullmatch(key):
            status = entry.stat(follow_symlinks=False)
            yield key, (status.st_size, status.st_mtime)


def _seconds(entry: Mapping[str, Any]) -> float:
    """When a file was written, from the entry of its file system; 0 if that does not hold it."""
    for name in ("mtime", "created", "LastModified", "last_modified", "updated"):
        when = entry.get(name)
        if isinstance(when, int | float):
            return float(when)
        if isinstance(when, datetime.datetime):
            return float(when.timestamp())
    return 0.0
