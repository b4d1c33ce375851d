"""The manifest of a dataset: which files it has, what is in them, and until when; readers see no other files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from bandit.catalogue import Catalogue
from bandit.errors import LogFileError
from bandit.logfiles.dataset.folders import folder_faults

if TYPE_CHECKING:
    from bandit.logfiles.dataset.folders import DatasetFolder

MANIFEST_NAME = "_offer_bandit.json"
"""The name of the manifest in the folder of its dataset."""

DATASET_FORMAT = 1
"""The version of the format of datasets that is written; it changes when an earlier reader would misread it."""

DECISIONS, EVENTS = "decisions", "events"

PARTITION_HASH = "blake2b-64"
"""How the partition of a customer is found: see `bandit.logfiles.dataset.partition`."""


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """One Parquet file of one partition: `rows` decisions or events in `n_bytes`, with their `digest`.

    `first` and `last` are the least and the largest number of a decision in it. Of decisions, `latest` is the time of
    the last one, `catalogues` are the versions that they were made under, and `unknown` have no known propensity.
    """

    name: str
    kind: str
    partition: int
    rows: int
    n_bytes: int
    digest: str
    first: int
    last: int
    latest: int = 0
    catalogues: tuple[int, ...] = ()
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """What one export added, at `written_at` (microseconds): its files.

    The decisions of all its files up to each of the numbers `cuts` are row groups of their own, so that the partitions
    can be read side by side in the order of the log.
    """

    written_at: int
    cuts: tuple[int, ...]
    files: tuple[DatasetFile, ...]


@dataclass(frozen=True, slots=True)
class DatasetCatalogue:
    """A catalogue version of the log: its number there, its content, and which version an import extended to it."""

    id: int
    version: str
    content: Mapping[str, object]
    extends: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """What a dataset consists of.

    `customers` is the check of the key under which customers are stored, "none" in the clear. `since` is the time of
    the first decision that it may have, `until` the time until when outcomes are in it, both in microseconds since 1970
    UTC. `last_row` and `last_event` say where the next export continues; `landmarks` are numbers and ids of some
    decisions, by which their database is recognised. `source` is what the log is: {"kind": "database"}, or
    {"kind": "file", "digest": ...}. `newest` is the catalogue to read it with, `policies` has
    the label of each policy by its number, `facts` the kind of each fact that has a column.
    """

    format: int
    written_by: str
    partitions: int
    partition_hash: str
    customers: str
    source: Mapping[str, str]
    since: int
    until: int
    last_row: int
    landmarks: tuple[tuple[int, str], ...]
    last_event: int
    newest: int
    catalogues: tuple[DatasetCatalogue, ...]
    policies: Mapping[str, str]
    facts: Mapping[str, str]
    dimensions: tuple[str, ...]
    notices: tuple[str, ...] = ()
    runs: tuple[DatasetRun, ...] = field(default=())

    @property
    def rows(self) -> int:
        """The number of decisions."""
        return sum(file.rows for run in self.runs for file in run.files if file.kind == DECISIONS)

    @property
    def n_events(self) -> int:
        """The number of events, corrected ones among them."""
        return sum(file.rows for run in self.runs for file in run.files if file.kind == EVENTS)

    @property
    def n_bytes(self) -> int:
        """The number of bytes of all files."""
        return sum(file.n_bytes for run in self.runs for file in run.files)

    @property
    def file_names(self) -> frozenset[str]:
        """The names of all files."""
        return frozenset(file.name for run in self.runs for file in run.files)

    def only(self, partition: int) -> DatasetManifest:
        """Return the manifest of one partition alone."""
        runs = (replace(run, files=tuple(f for f in run.files if f.partition == partition)) for run in self.runs)
        return replace(self, runs=tuple(run for run in runs if run.files))

    def catalogue(self) -> Catalogue:
        """Return the catalogue to read it with."""
        content = next(each.content for each in self.catalogues if each.id == self.newest)
        return Catalogue.from_stored(content, where="the catalogue of the dataset")


class _Version(msgspec.Struct):
    """What every manifest has, whatever its version."""

    format: int
    written_by: str = "an unknown version"


def read_manifest(folder: DatasetFolder) -> DatasetManifest | None:
    """Return the manifest of a dataset, None where there is none; LogFileError where it cannot be used."""
    with folder_faults(folder, "read"):
        content = folder.read(MANIFEST_NAME)
    if content is None:
        return None
    where = f"{folder.address}: the manifest {MANIFEST_NAME}"
    try:
        version = msgspec.json.decode(content, type=_Version)
        if version.format > DATASET_FORMAT:
            raise LogFileError(
                f"{where} has format {version.format}, written by offer-bandit {version.written_by}; this version "
                f"reads formats up to {DATASET_FORMAT}: install that version or a later one"
            )
        found = msgspec.json.decode(content, type=DatasetManifest)
    except msgspec.MsgspecError as fault:
        raise LogFileError(f"{where} is damaged ({fault}); export the log anew") from fault
    if found.partition_hash != PARTITION_HASH:
        raise LogFileError(f'{where} names the hash "{found.partition_hash}", which this version does not know')
    return found


def names_in(content: bytes | None) -> frozenset[str]:
    """Return the names of the files of a manifest, none where it is not there or damaged."""
    try:
        return frozenset() if content is None else msgspec.json.decode(content, type=DatasetManifest).file_names
    except msgspec.MsgspecError:
        return frozenset()


def write_manifest(folder: DatasetFolder, manifest: DatasetManifest) -> None:
    """Write the manifest as a whole: from then on its files are the dataset."""
    folder.replace(MANIFEST_NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
