"""The export of a log file to a dataset, without a database: any file that can be imported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bandit._version import __version__
from bandit.catalogue.catalogue import checked_catalogue
from bandit.clock import now
from bandit.domain import Progress
from bandit.errors import InputError, LogFileError
from bandit.logfiles.columns.outcome_events import check_outcome_events
from bandit.logfiles.dataset.export import BEGINNING, DatasetReport, abandoned, commit, dataset_report, writing
from bandit.logfiles.dataset.folders import folder_of
from bandit.logfiles.dataset.manifest import (
    DATASET_FORMAT,
    MANIFEST_NAME,
    PARTITION_HASH,
    DatasetCatalogue,
    DatasetManifest,
    DatasetRun,
)
from bandit.logfiles.dataset.partition import DEFAULT_PARTITIONS, Partitioner
from bandit.logfiles.dataset.sources import FileRows
from bandit.logfiles.dataset.tables import DatasetTables
from bandit.logfiles.dataset.writer import RunWriter
from bandit.logfiles.events.event_rows import decision_rows
from bandit.logfiles.extended import ImportTarget
from bandit.logfiles.open_log import opened_with_mapping
from bandit.logfiles.row_names import RowNames
from bandit.logfiles.row_reader import LOG_POLICY, RowReader
from bandit.store.customer_hash import CustomerHash, hash_for_new

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.dataset.folders import DatasetFolder
    from bandit.logfiles.open_log import MappingLike
    from bandit.logfiles.outside import OutsideOffers
    from bandit.logfiles.rejections import ImportReport


def export_file(
    path: str | Path,
    catalogue: Catalogue,
    mapping: MappingLike,
    address: str | Path,
    *,
    partitions: int | None = None,
    customer_key: bytes | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[DatasetReport, ImportReport]:
    """Write a log file to a new dataset; return what was written, and which rows could not be used.

    The rows are those that an import would take, with the customers and ids that it would give them; with
    `customer_key` customers are stored under a keyed hash, else as they are in the file. Rows whose offer no policy of
    `catalogue` can choose are written under an extended version of it. Memory: some 100,000 rows.

    Raises InputError where a dataset is there and `force` is not given, LogFileError where the file cannot be imported,
    CatalogueError where the mapping does not fit.
    """
    checked_catalogue(catalogue)
    folder = folder_of(address)
    _, checked = opened_with_mapping(Path(path), catalogue, mapping)
    check_outcome_events(catalogue, checked)
    hashing = CustomerHash() if customer_key is None else hash_for_new(customer_key)
    with writing(folder):
        seen = folder.read(MANIFEST_NAME)
        if seen is not None and not force:
            raise InputError(f"{folder.address}: is a dataset already; write it anew with --force, or name another")
        run = _FileExport(Path(path), folder, hashing, partitions, progress)
        given = ImportTarget(catalogue, checked)
        manifest, added, report, outside = run.attempt(given, given)
        if added is None:
            reasons = outside.reasons()
            manifest, added, report, _ = run.attempt(given, given.extended(outside))
            report = replace(report, outside=reasons)
        manifest = commit(folder, replace(manifest, notices=tuple(f.sentence for f in report.findings)), added, seen)
    n_events = manifest.last_event
    return dataset_report(folder, manifest, manifest.rows, n_events, 0), report


@dataclass(slots=True)
class _FileExport:
    """The attempts to write one file: under the catalogue given, then under one with all offers of the file."""

    path: Path
    folder: DatasetFolder
    hashing: CustomerHash
    partitions: int | None
    progress: Progress | None

    def attempt(
        self, given: ImportTarget, target: ImportTarget
    ) -> tuple[DatasetManifest, DatasetRun | None, ImportReport, OutsideOffers]:
        """Return the manifest, its run (None where the target lacks offers of the file), and what was read."""
        source, _ = opened_with_mapping(self.path, given.stored, target.mapping)
        source = decision_rows(source, target.reading, target.mapping)
        reader = RowReader(target.reading, target.mapping, str(self.path), own_weights=source.has_weights)
        manifest = self._manifest(given, target, source.digest)
        number = manifest.catalogues[-1].id
        versions = {1: given.stored, number: target.stored}
        rows = FileRows(reader, source, target.reading, number)
        tables = DatasetTables(manifest.facts, manifest.dimensions, versions)
        writer = RunWriter(self.folder, tables, Partitioner(manifest.partitions), now())
        with abandoned(writer):
            names = RowNames.of_lines(source.digest)
            for page, events in rows.pages(names, self.hashing, writer.started_at, self.progress):
                writer.add(page, events)
            report = reader.report()
            if reader.outside.n and target is given:
                writer.abandon()
                return manifest, None, report, reader.outside
            if report.n_refused == report.n_rows:
                raise LogFileError(
                    f"{self.path}: every row is refused, the first because {report.refused[0].reason}; correct the "
                    "mapping or the log"
                )
            reader.reject_findings(report)
            run = writer.finish()
        return replace(manifest, last_row=rows.n, last_event=rows.n_events), run, report, reader.outside

    def _manifest(self, given: ImportTarget, target: ImportTarget, digest: str) -> DatasetManifest:
        catalogue = given.stored
        catalogues = [DatasetCatalogue(1, catalogue.version, catalogue.to_dict())]
        if target is not given:
            catalogues.append(DatasetCatalogue(2, target.stored.version, target.stored.to_dict(), extends=1))
        has_time = target.mapping.file.columns.time is not None
        return DatasetManifest(
            format=DATASET_FORMAT,
            written_by=__version__,
            partitions=DEFAULT_PARTITIONS if self.partitions is None else self.partitions,
            partition_hash=PARTITION_HASH,
            customers=self.hashing.check,
            source={"kind": "file", "digest": digest, "times": "known" if has_time else "unknown"},
            since=BEGINNING,
            until=now(),
            last_row=0,
            landmarks=(),
            last_event=0,
            newest=1,
            catalogues=tuple(catalogues),
            policies={"-1": LOG_POLICY},
            facts={name: str(fact.kind) for name, fact in catalogue.facts.items()},
            dimensions=catalogue.dimension_names,
        )
