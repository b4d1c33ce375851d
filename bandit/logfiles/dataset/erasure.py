"""Erasure of a customer from a dataset: the files of the customer's partition are written again without them."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.clock import now
from bandit.domain import Progress
from bandit.errors import InputError
from bandit.logfiles.columns.arrow import arrow
from bandit.logfiles.dataset.export import commit, writing
from bandit.logfiles.dataset.folders import folder_faults, folder_of
from bandit.logfiles.dataset.manifest import DECISIONS, MANIFEST_NAME, DatasetFile, read_manifest
from bandit.logfiles.dataset.partition import Partitioner
from bandit.logfiles.dataset.writer import PartitionFile, file_name
from bandit.store.customer_hash import CLEAR_CHECK, CustomerHash, possible_hashes
from bandit.tabular import Cell, Tabular

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from bandit.domain import IntArray
    from bandit.logfiles.dataset.folders import DatasetFolder
    from bandit.logfiles.dataset.manifest import DatasetManifest


@dataclass(frozen=True, slots=True)
class DatasetErasure(Tabular):
    """The result of an erasure from a dataset: `decisions` and `events` are gone, `files` were written again."""

    address: str
    decisions: int
    events: int
    files: int

    def to_dict(self) -> dict[str, Cell]:
        """Return plain JSON values."""
        return {"dataset": self.address, "decisions": self.decisions, "events": self.events, "files": self.files}

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row."""
        return [self.to_dict()]


def erase_from_dataset(
    address: str | Path, customer: str, customer_key: bytes | None = None, progress: Progress | None = None
) -> DatasetErasure:
    """Erase a customer from a dataset: the decisions, and the events on them; nothing where they have none.

    `customer` is as given to `decide`, `customer_key` the key of the database that was exported. Only files of the
    customer's partition that name them are written again; readers see the dataset with or without them, and the former
    files are removed. A store that keeps versions of its objects keeps them: that is set there.

    Raises InputError where there is no dataset, or where the key is not the one that it was written under.
    """
    folder = folder_of(address)
    with folder_faults(folder, "read"):
        seen = folder.read(MANIFEST_NAME)
    if seen is None:
        raise InputError(f"{folder.address}: is no dataset: it has no {MANIFEST_NAME}; check the address")
    with writing(folder):
        manifest = read_manifest(folder)
        if manifest is None:
            raise InputError(f"{folder.address}: is no dataset any more; check the address")
        key = stored_form(manifest, customer, customer_key, folder)
        partition = Partitioner(manifest.partitions).of(key)
        files = [f for run in manifest.runs for f in run.files if f.partition == partition]
        rewriting = _Rewriting(folder, key)
        replaced = rewriting.replace_all(files, progress)
        if replaced:
            runs = tuple(
                replace(run, files=tuple(f for f in (replaced.get(f.name, f) for f in run.files) if f.rows))
                for run in manifest.runs
            )
            try:
                commit(folder, replace(manifest, runs=runs), None, seen)
            except BaseException:
                rewriting.abandon(replaced)
                raise
    return DatasetErasure(folder.address, rewriting.n_decisions, rewriting.n_events, len(replaced))


def stored_form(manifest: DatasetManifest, customer: str, key: bytes | None, folder: DatasetFolder) -> str:
    """Return a customer as the dataset has it; InputError where that takes another key."""
    if manifest.customers == CLEAR_CHECK:
        return customer
    found = next(filter(None, (each.with_check(manifest.customers) for each in possible_hashes(key))), None)
    if found is None:
        raise InputError(
            f"{folder.address}: customers are stored under a key, which neither OFFER_BANDIT_KEY nor "
            "OFFER_BANDIT_KEY_FILE gives; set the key of the database that was exported"
        )
    form: CustomerHash = found
    return form.of(customer)


class _Rewriting:
    """Writes files again without a customer, given in stored form."""

    def __init__(self, folder: DatasetFolder, customer: str) -> None:
        self._pa: Any = arrow("writing a dataset")
        self._folder, self._customer = folder, customer
        self._rows: IntArray = np.zeros(0, dtype=np.int64)
        self._at, self._token = now(), secrets.token_hex(4)
        self.n_decisions = self.n_events = 0

    def replace_all(self, files: list[DatasetFile], progress: Progress | None) -> dict[str, DatasetFile]:
        """Return what takes the place of the files that have the customer, by name; 0 rows where nothing does."""
        ordered = sorted(files, key=lambda file: file.kind != DECISIONS)  # the events are known by their decisions
        found: dict[str, DatasetFile] = {}
        try:
            with folder_faults(self._folder, "written"):
                for place, file in enumerate(ordered):
                    new = self._rewritten(file, place)
                    if new is not None:
                        found[file.name] = new
                    if progress is not None:
                        progress(place + 1, len(ordered))
                self._folder.sync()
        except BaseException:
            self.abandon(found)
            raise
        return found

    def abandon(self, found: dict[str, DatasetFile]) -> None:
        """Remove what was written: the erasure failed, and nothing refers to it."""
        with suppress(OSError):
            for old, new in found.items():
                if new.name != old:
                    self._folder.remove(new.name)

    def _rewritten(self, file: DatasetFile, place: int) -> DatasetFile | None:
        """Write a file without the rows of the customer; None where it has none."""
        from pyarrow import parquet  # noqa: PLC0415 - an optional extra

        with self._folder.open(file.name) as raw:
            source: Any = parquet.ParquetFile(raw, pre_buffer=False)
            groups = range(source.metadata.num_row_groups)
            column = "customer" if file.kind == DECISIONS else "row"
            masks = [
                self._is_theirs(source.read_row_group(g, columns=["row", column], use_threads=False), file)
                for g in groups
            ]
            n = int(sum(mask.sum() for mask in masks))
            if not n:
                return None
            if file.kind == DECISIONS:
                self.n_decisions += n
            else:
                self.n_events += n
            if n == file.rows:
                return replace(file, rows=0)
            stem = file.name.rpartition("/")[2].partition("-")[0]
            name = file_name(stem, file.partition, self._at, f"{self._token}{place:04x}")
            new = PartitionFile(self._folder, name, file.kind, file.partition, source.schema_arrow)
            try:
                for group, mask in zip(groups, masks, strict=True):
                    kept = source.read_row_group(group, use_threads=False).filter(self._pa.array(~mask))
                    if kept.num_rows:
                        new.write(kept)
                return new.close()
            except BaseException:
                new.abandon()
                self._folder.remove(name)
                raise

    def _is_theirs(self, table: Any, file: DatasetFile) -> Any:  # noqa: ANN401 - pyarrow has no types
        rows = table.column("row").to_numpy()
        if file.kind != DECISIONS:
            return np.isin(rows, self._rows)
        theirs = np.array([each == self._customer for each in table.column("customer").to_pylist()], dtype=np.bool_)
        self._rows = np.concatenate([self._rows, rows[theirs]])
        return theirs
