"""The records of all jobs in one table, stored beside their files as Parquet."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any

from repinv.app.study.grid import Plan
from repinv.app.study.optional_imports import needed
from repinv.app.study.store import Store

_NAME = "summary.parquet"
#: Values of a record by the type of their column.
_NUMBERS = ("error", "distance", "ncc", "ssim", "psnr", "response", "spread", "seconds", "took",
            "at")  # fmt: skip
_WHOLE = ("evaluations", "bytes")
_TEXTS = ("stop_reason", "worker")


class Summary:
    """Records of finished jobs by key, read from the store once and kept up to date.

    Parameters
    ----------
    store : Store
    plan : Plan
        Whose jobs are read.
    """

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan = store, plan
        self.records: dict[str, dict[str, Any]] = {}
        self.damaged: list[str] = []
        self._written = 0
        self._last = time.monotonic()

    def read(self) -> None:
        """Read the finished jobs: those in the table, and those whose files are not in it.

        Files of which the table has the name and the size are not read; all others are read and
        checked. A damaged file is moved aside, and its job counts as not done.
        """
        listed = self.store.listing("results")
        known = _rows(self.store)
        for key, (n_bytes, _) in listed.items():
            if key not in self.plan.jobs:
                continue
            row = known.get(key)
            if row is not None and row["bytes"] == n_bytes:
                self.records[key] = row
                continue
            try:
                record, n_bytes = self.store.record(key)
            except FileNotFoundError:
                continue
            except ValueError as error:
                self.damaged.append(str(error))
                continue
            self.add(key, record, n_bytes)
        self._written = len(self.records) if known.keys() == self.records.keys() else -1

    def add(self, key: str, record: Mapping[str, Any], n_bytes: int) -> None:
        """Add a finished job."""
        kept = {name: record[name] for name in (*_NUMBERS, *_WHOLE, *_TEXTS) if name in record}
        self.records[key] = {**kept, "bytes": n_bytes}

    def write(self, *, every: float = 0.0) -> None:
        """Write the table, if records were added and the last writing is `every` seconds ago."""
        if len(self.records) == self._written or time.monotonic() - self._last < every:
            return
        arrow, parquet = needed("pyarrow"), needed("pyarrow.parquet")
        stream = io.BytesIO()
        parquet.write_table(arrow.table(self._columns(arrow)), stream)
        self.store.put(_NAME, stream.getvalue())
        self._written, self._last = len(self.records), time.monotonic()

    def _columns(self, arrow: Any) -> dict[str, Any]:
        jobs = [self.plan.jobs[key] for key in self.records]
        rows = list(self.records.values())
        columns: dict[str, Any] = {"key": arrow.array(list(self.records), arrow.string())}
        for axis in ("image", "encoder", "task", "prior", "solver"):
            names = arrow.array([job.labels()[axis] for job in jobs], arrow.string())
            columns[axis] = names.dictionary_encode()
        columns["seed"] = arrow.array([job.seed for job in jobs], arrow.int64())
        kinds = ((_NUMBERS, arrow.float64()), (_WHOLE, arrow.int64()), (_TEXTS, arrow.string()))
        for names, kind in kinds:
            for name in names:
                columns[name] = arrow.array([row.get(name) for row in rows], kind)
        return columns


def _rows(store: Store) -> dict[str, dict[str, Any]]:
    """Records of the table by key; none if there is no table, or it is damaged."""
    needed("pyarrow")
    parquet = needed("pyarrow.parquet")
    try:
        table = parquet.read_table(io.BytesIO(store.get(_NAME)))
        columns = {
            name: table.column(name).to_pylist() for name in ("key", *_NUMBERS, *_WHOLE, *_TEXTS)
        }
    except (OSError, KeyError, ValueError):
        # pyarrow's errors are kinds of these; the table is made again from the results.
        return {}
    keys = columns.pop("key")
    names = list(columns)
    return {
        key: {name: value for name, value in zip(names, values, strict=True) if value is not None}
        for key, *values in zip(keys, *columns.values(), strict=True)
    }
