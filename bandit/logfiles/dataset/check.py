"""Checks a dataset: every file of its manifest is there, as it was written."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.errors import InputError
from bandit.logfiles.dataset.folders import file_hash, folder_of
from bandit.logfiles.dataset.manifest import MANIFEST_NAME, read_manifest
from bandit.printable import counted
from bandit.store.customer_hash import CLEAR_CHECK

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.domain import Progress
    from bandit.logfiles.dataset.folders import DatasetFolder
    from bandit.logfiles.dataset.manifest import DatasetFile, DatasetManifest

_PART = 1 << 20


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """What was found in a dataset: what is wrong with it, and what is worth knowing, as sentences."""

    address: str
    manifest: DatasetManifest
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> dict[str, object]:
        """Return what the dataset has, by name."""
        manifest = self.manifest
        return {
            "address": self.address,
            "written by": manifest.written_by,
            "decisions": manifest.rows,
            "events": manifest.n_events,
            "partitions": manifest.partitions,
            "files": len(manifest.file_names),
            "bytes": manifest.n_bytes,
            "catalogue versions": len(manifest.catalogues),
            "customers in the clear": manifest.customers == CLEAR_CHECK,
        }


def check_dataset(address: str | Path, progress: Progress | None = None) -> DatasetCheck:
    """Return what is wrong with a dataset, after reading all of its files once, a megabyte at a time.

    `progress` is called with the bytes read and those of all files. InputError where there is no dataset; LogFileError
    for a manifest that cannot be read.
    """
    folder = folder_of(address)
    manifest = read_manifest(folder)
    if manifest is None:
        raise InputError(f"{folder.address}: is no dataset: it has no {MANIFEST_NAME}")
    done, problems = 0, []
    for run in manifest.runs:
        for file in run.files:
            problems += _problems(folder, file)
            done += file.n_bytes
            if progress is not None:
                progress(done, manifest.n_bytes)
    return DatasetCheck(folder.address, manifest, tuple(problems), _notes(folder, manifest))


def _problems(folder: DatasetFolder, file: DatasetFile) -> list[str]:
    try:
        digest, size = _read(folder, file.name)
    except FileNotFoundError:
        return [f"{file.name} is not there: {counted(file.rows, 'row')} of the log are lost; export it anew"]
    except OSError as fault:
        return [f"{file.name} cannot be read: {fault.strerror or fault}; check the address and your rights"]
    if (digest, size) != (file.digest, file.n_bytes):
        return [
            f"{file.name} is not as it was written ({size:,} bytes, {file.n_bytes:,} were written); export the log anew"
        ]
    return []


def _read(folder: DatasetFolder, name: str) -> tuple[str, int]:
    found, size = file_hash(), 0
    with closing(folder.open(name)) as stream:
        while content := stream.read(_PART):
            found.update(content)
            size += len(content)
    return found.hexdigest(), size


def _notes(folder: DatasetFolder, manifest: DatasetManifest) -> tuple[str, ...]:
    own = {*manifest.file_names, MANIFEST_NAME}
    other = sorted(name for name in folder.names() if name not in own and name.endswith(".parquet"))
    notes = list(manifest.notices)
    if other:
        notes.append(
            f"{counted(len(other), 'file')} in {folder.address} are of no finished export, such as {other[0]}; the "
            "next export or erasure removes them"
        )
    if manifest.customers == CLEAR_CHECK:
        notes.append(f"customers are stored in the clear in {folder.address}")
    return tuple(notes)
