"""The export of a log to a dataset: the whole log at first, later only what is new."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bandit._version import __version__
from bandit.clock import now
from bandit.domain import Progress
from bandit.errors import InputError
from bandit.logfiles.dataset.folders import DatasetFolder, LocalFolder, folder_faults, folder_of
from bandit.logfiles.dataset.lock import held_lock
from bandit.logfiles.dataset.manifest import (
    DATASET_FORMAT,
    MANIFEST_NAME,
    PARTITION_HASH,
    DatasetCatalogue,
    DatasetManifest,
    DatasetRun,
    names_in,
    read_manifest,
    write_manifest,
)
from bandit.logfiles.dataset.partition import DEFAULT_PARTITIONS, Partitioner
from bandit.logfiles.dataset.sources import StoredRows
from bandit.logfiles.dataset.tables import DatasetTables
from bandit.logfiles.dataset.writer import RunWriter
from bandit.printable import counted
from bandit.store.customer_hash import CLEAR_CHECK
from bandit.tabular import Cell, Tabular

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.store import Store

Since = int | Literal["last"] | None

_OWN_FILE = re.compile(r"^partition=\d+/[a-z]+-(\d+)-[0-9a-f]+\.parquet$")
_LOCK = ".offer_bandit.lock"
_LANDMARKS = 16
_STALE = 24 * 3600
"""Seconds after which a file that no manifest names, of a place that cannot be locked, is one of an ended export."""

BEGINNING = -(1 << 62)
"""The time from which a dataset has all decisions."""

IMPORTED_LABEL = "import"
"""The label of the policy of decisions that were imported with their propensities."""


@dataclass(frozen=True, slots=True)
class DatasetReport(Tabular):
    """The result of an export to a dataset: what it added, and what is there now.

    `n` decisions and `n_events` events were added, `n_late` of the events on decisions that were there before. The
    dataset has `rows` decisions in `partitions` partitions and `files` files of `n_bytes`, with outcomes `until`
    (microseconds since 1970 UTC).
    """

    address: str
    n: int
    n_events: int
    n_late: int
    rows: int
    partitions: int
    files: int
    n_bytes: int
    until: int
    in_clear: bool

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "dataset": self.address,
            "decisions": self.n,
            "events": self.n_events,
            "late_events": self.n_late,
            "decisions_in_all": self.rows,
            "partitions": self.partitions,
            "files": self.files,
            "bytes": self.n_bytes,
            "until": self.until,
        }

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row."""
        return [dict(self.to_dict())]  # type: ignore[arg-type]  # all are plain values


def export_dataset(
    store: Store,
    catalogue: Catalogue,
    address: str | Path,
    *,
    partitions: int | None = None,
    since: Since = None,
    force: bool = False,
    progress: Progress | None = None,
) -> DatasetReport:
    """Write the decisions and events of a database to a dataset of Parquet files, partitioned by customer.

    `address` is a folder or an address that fsspec knows. Decisions that are still open are written, too: they count
    once their window is over and a later export has brought their outcomes. The facts of `catalogue` become columns;
    offers and eligible sets are those of each decision's own catalogue version. Customers are written as they are
    stored. With `since` "last" what was logged after the last export is added, events on earlier decisions among it;
    with a time (microseconds since 1970 UTC) a new dataset begins with the decisions of that time. Nothing that was
    written is seen before the manifest names it, so that a run that is broken off leaves the dataset as it was, and
    one that is repeated adds nothing twice. `force` writes a dataset anew. Memory: some 100,000 decisions.

    Raises InputError where the dataset is there and neither `since` nor `force` is given, where it is of another
    database, key or number of partitions, and where there is nothing to write; MissingExtraError without pyarrow, and
    without fsspec for an address.
    """
    folder = folder_of(address)
    with writing(folder):
        seen = folder.read(MANIFEST_NAME)
        before = _before(folder, since, force=force)
        manifest = _begun(store, catalogue, before, partitions, since)
        _check_same_database(store, manifest, folder)
        rows = StoredRows(store, catalogue, manifest.last_row, manifest.since)
        versions = {row.id: store.catalogues.get(row.id) for row in store.catalogues.all()}
        kinds = {name: fact.kind for name, fact in catalogue.facts.items()}
        tables = DatasetTables(kinds, manifest.dimensions, versions)
        writer = RunWriter(folder, tables, Partitioner(manifest.partitions), now())
        n = n_events = n_late = 0
        marks = list(manifest.landmarks[-_LANDMARKS // 2 :])
        with abandoned(writer):
            for page, events in rows.pages(progress):
                writer.add(page, events)
                n, n_events = n + len(page), n_events + len(events)
                marks.append((int(page.row[-1]), str(page.decision_id[-1])))
            if manifest.last_event:
                for events in rows.late(manifest.last_event):
                    writer.add_late(events)
                    n_late += len(events)
            if not n and not manifest.runs:
                raise InputError(f"{store.path}: there are no decisions to export; import or make some first")
            run = writer.finish()
            manifest = replace(
                manifest,
                last_row=max(rows.through, manifest.last_row),
                last_event=max(rows.through_event, manifest.last_event),
                landmarks=tuple(marks[-_LANDMARKS:]),
            )
            manifest = commit(folder, manifest, run, seen)
    return dataset_report(folder, manifest, n, n_events + n_late, n_late)


@contextmanager
def abandoned(writer: RunWriter) -> Iterator[None]:
    """Remove what a run has written if it fails."""
    try:
        yield
    except BaseException:
        writer.abandon()
        raise


def commit(
    folder: DatasetFolder, manifest: DatasetManifest, run: DatasetRun | None, seen: bytes | None
) -> DatasetManifest:
    """Write the manifest with what a run added, and remove the files that it does not name; return it.

    `seen` is the content of the manifest that the run began with. InputError where another one has been written since.
    """
    if run is not None and run.files:
        manifest = replace(manifest, runs=(*manifest.runs, run))
    with folder_faults(folder, "written"):
        if folder.read(MANIFEST_NAME) != seen:
            raise InputError(
                f"{folder.address}: was changed by another export while this one ran; nothing was added: run it again"
            )
        write_manifest(folder, manifest)
        _remove_others(folder, manifest, names_in(seen))
    return manifest


@contextmanager
def writing(folder: DatasetFolder) -> Iterator[None]:
    """Keep other exports from a local folder meanwhile; a folder that this one created goes if it remains empty."""
    if not isinstance(folder, LocalFolder):
        yield
        return
    path = Path(folder.path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, and a dataset is a folder; name a new folder")
    with folder_faults(folder, "written"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = path / _LOCK
    with held_lock(lock) as is_free:
        if not is_free:
            raise InputError(f"{path}: another export is writing it; wait until that has ended")
        try:
            yield
        finally:
            if not (path / MANIFEST_NAME).exists():
                _remove_empty(path, lock)


def _remove_empty(path: Path, lock: Path) -> None:
    """Remove a folder that has nothing but its lock and empty folders."""
    if all(each == lock or (each.is_dir() and each.name.startswith("partition=")) for each in path.rglob("*")):
        lock.unlink(missing_ok=True)
        for each in (*path.iterdir(), path):
            each.rmdir()


def _before(folder: DatasetFolder, since: Since, *, force: bool) -> DatasetManifest | None:
    """Return the manifest to continue, None to begin anew; InputError where neither is meant."""
    with folder_faults(folder, "read"):
        others = [name for name in folder.names() if name != MANIFEST_NAME and not _OWN_FILE.match(name)]
    if others:
        raise InputError(f"{folder.address}: has other files, such as {others[0]}; name an empty folder")
    if force and since is None:
        return None
    found = read_manifest(folder)
    if found is None:
        return None
    if since is None:
        raise InputError(
            f"{folder.address}: is a dataset of {counted(found.rows, 'decision')} already; --since last adds what is "
            "new, --force writes it anew"
        )
    if found.source.get("kind") != "database":
        raise InputError(f"{folder.address}: was written from a log file, and is written anew with --force")
    if since != "last" and since > found.until:
        raise InputError(
            f"{folder.address}: has the log until {shown_time(found.until)}; what lies between that and "
            f"{shown_time(since)} would be missing: continue with --since last"
        )
    return found


def _begun(
    store: Store, catalogue: Catalogue, before: DatasetManifest | None, partitions: int | None, since: Since
) -> DatasetManifest:
    """Return the manifest of a run: that of the dataset or a new one, with what the database has now."""
    every = store.catalogues.all()
    catalogues = tuple(
        DatasetCatalogue(row.id, row.version, store.catalogues.get(row.id).to_dict(), row.extends) for row in every
    )
    newest = next((row.id for row in every if row.version == catalogue.version), None)
    if newest is None:  # a file's, which no decision was made under
        newest = 0
        catalogues = (*catalogues, DatasetCatalogue(0, catalogue.version, catalogue.to_dict()))
    versions = [store.catalogues.get(row.id) for row in every] + [catalogue]
    policies = {str(row.id): f"{row.spec.get('kind', 'policy')} {row.id}" for row in store.catalogues.policies()}
    facts = {name: str(fact.kind) for name, fact in catalogue.facts.items()}
    new = DatasetManifest(
        format=DATASET_FORMAT,
        written_by=__version__,
        partitions=DEFAULT_PARTITIONS if partitions is None else partitions,
        partition_hash=PARTITION_HASH,
        customers=store.customers.check,
        source={"kind": "database"},
        since=BEGINNING if since is None or since == "last" else since,
        until=now(),
        last_row=0,
        landmarks=(),
        last_event=0,
        newest=newest,
        catalogues=catalogues,
        policies=policies | {"-1": IMPORTED_LABEL},
        facts=facts,
        dimensions=tuple(dict.fromkeys(name for each in versions for name in each.dimension_names)),
        notices=tuple(finding.sentence for finding in store.imports.findings()),
    )
    return new if before is None else continued(before, new, partitions)


def continued(before: DatasetManifest, new: DatasetManifest, partitions: int | None) -> DatasetManifest:
    """Return the manifest of a dataset that is continued; InputError where its rows and the new ones do not fit."""
    anew = "write the dataset anew with --force"
    if partitions not in {None, before.partitions}:
        raise InputError(f"the dataset has {before.partitions} partitions, not {partitions}; leave it, or {anew}")
    if new.customers != before.customers:
        raise InputError(f"customers are stored under another key than when the dataset was begun; {anew}")
    changed = next((name for name, kind in new.facts.items() if before.facts.get(name, kind) != kind), None)
    if changed is not None:
        raise InputError(
            f'the fact "{changed}" is {before.facts[changed]} in the dataset and {new.facts[changed]} in the '
            f"catalogue; {anew}"
        )
    return replace(
        new,
        partitions=before.partitions,
        since=before.since,
        last_row=before.last_row,
        landmarks=before.landmarks,
        last_event=before.last_event,
        catalogues=_joined(before.catalogues, new.catalogues),
        policies=dict(before.policies) | dict(new.policies),
        facts=dict(before.facts) | dict(new.facts),
        dimensions=tuple(dict.fromkeys((*before.dimensions, *new.dimensions))),
        runs=before.runs,
    )


def _joined(before: tuple[DatasetCatalogue, ...], new: tuple[DatasetCatalogue, ...]) -> tuple[DatasetCatalogue, ...]:
    """Return the versions of both, those of the new run as it has them."""
    known = {each.id for each in new}
    return (*(each for each in before if each.id not in known), *new)


def _check_same_database(store: Store, manifest: DatasetManifest, folder: DatasetFolder) -> None:
    """InputError where the database has other decisions under the numbers of the dataset, or has not come so far."""
    marks = dict(manifest.landmarks)
    found = store.event_pages.decision_ids(list(marks))
    is_other = any(marks[row] != decision_id for row, decision_id in found.items())
    if is_other or store.event_pages.highest_seq() < manifest.last_row or (marks and not found):
        raise InputError(
            f"{folder.address}: is the log of another database than {store.path}, or of a later state of it; name "
            "another folder, or write the dataset anew with --force"
        )


def dataset_report(
    folder: DatasetFolder, manifest: DatasetManifest, n: int, n_events: int, n_late: int
) -> DatasetReport:
    """Return the report of an export that added `n` decisions and `n_events` events, `n_late` on earlier decisions."""
    return DatasetReport(
        folder.address,
        n,
        n_events,
        n_late,
        manifest.rows,
        manifest.partitions,
        len(manifest.file_names),
        manifest.n_bytes,
        manifest.until,
        manifest.customers == CLEAR_CHECK,
    )


def _remove_others(folder: DatasetFolder, manifest: DatasetManifest, replaced: frozenset[str]) -> None:
    """Remove the files that the manifest does not name: those `replaced`, and those of runs that were broken off.

    Where another export cannot be kept away, of the latter only those that are older than a day.
    """
    kept, oldest = manifest.file_names, manifest.until // 1_000_000 - _STALE
    for name in folder.names():
        own = _OWN_FILE.match(name)
        if own and name not in kept and (folder.is_local or name in replaced or int(own[1]) < oldest):
            folder.remove(name)


def shown_time(time: int) -> str:
    """Return a time as text, to the second."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).isoformat(timespec="seconds")
