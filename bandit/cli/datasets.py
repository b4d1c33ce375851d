"""Datasets on the command line: whether a path is one, writing one, and erasing a customer from one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.cli.console import note, progress, show, show_json
from bandit.errors import InputError
from bandit.printable import counted

if TYPE_CHECKING:
    from bandit.logfiles.dataset.erasure import DatasetErasure
    from bandit.logfiles.dataset.export import DatasetReport, Since


@dataclass(frozen=True, slots=True)
class DatasetExport:
    """The options of `export` to a dataset, as given on the command line."""

    source: Path
    out: Path
    catalogue: Path | None
    mapping: str | None
    partitions: int | None
    since: str | None
    force: bool


def is_dataset(path: Path) -> bool:
    """Return whether a path is a folder or an address, which a database and a log file are not."""
    from bandit.logfiles.dataset.folders import is_address

    return is_address(path) or path.is_dir()


def refuse_dataset(path: Path) -> None:
    """Raise InputError for a dataset where a command needs a database."""
    from bandit.logfiles.dataset.folders import is_address
    from bandit.logfiles.dataset.manifest import MANIFEST_NAME

    if is_address(path) or (path.is_dir() and (path / MANIFEST_NAME).exists()):
        raise InputError(
            f"{path}: is a dataset, which has a log's decisions and outcomes but not its policies; this needs the "
            "database that it was exported from"
        )


def export_dataset_to(options: DatasetExport, *, as_json: bool) -> None:
    """Write a dataset from a database or from a log file, and print what was written."""
    from bandit.cli.logs import LOG_FILE_ENDINGS

    from_file = options.source.name.endswith(LOG_FILE_ENDINGS)
    report = _from_file(options) if from_file else _from_database(options)
    if report.in_clear:
        note(f"note: customers are in the clear in {report.address}, as they are in {options.source}")
    if as_json:
        show_json(report.to_dict())
        return
    show([], _sentences(report))


def _from_database(options: DatasetExport) -> DatasetReport:
    from bandit.cli.databases import catalogue_for, reading
    from bandit.logfiles.dataset.export import export_dataset

    if options.mapping is not None:
        raise InputError("--mapping is for single files; a dataset says itself what its columns are")
    since = _since(options.since)
    with reading(options.source) as store:
        target = catalogue_for(store, options.catalogue)
        with progress("exporting") as report:
            return export_dataset(
                store,
                target,
                options.out,
                partitions=options.partitions,
                since=since,
                force=options.force,
                progress=report,
            )


def _from_file(options: DatasetExport) -> DatasetReport:
    from bandit.catalogue import Catalogue
    from bandit.cli.logs import say_what_was_read
    from bandit.cli.mappings import mapping_of
    from bandit.logfiles.dataset.file_export import export_file
    from bandit.store.customer_key import customer_key

    source = options.source
    if options.since is not None:
        raise InputError(f"{source}: --since is for databases; a log file is exported as a whole, with --force anew")
    if options.catalogue is None:
        raise InputError(f"{source}: a log file has no catalogue; give one with --catalogue")
    target = Catalogue.from_toml(options.catalogue)
    mapping = None if options.mapping is None else mapping_of(Path(options.mapping), source, target)
    with progress("exporting") as report:
        written, read = export_file(
            source,
            target,
            mapping,
            options.out,
            partitions=options.partitions,
            customer_key=customer_key(),
            force=options.force,
            progress=report,
        )
    say_what_was_read(read)
    return written


def _since(text: str | None) -> Since:
    from bandit.cli.live import parse_moment

    return "last" if text == "last" else parse_moment(text)


def _sentences(report: DatasetReport) -> list[str]:
    from bandit.logfiles.dataset.export import shown_time

    late = f", {report.n_late:,} of them on decisions that were there" if report.n_late else ""
    added = f"{counted(report.n, 'decision')} and {counted(report.n_events, 'event')}{late}"
    whole = (
        f"The dataset has {counted(report.rows, 'decision')} in {counted(report.partitions, 'partition')} and "
        f"{counted(report.files, 'file')} of {report.n_bytes:,} bytes, with outcomes until {shown_time(report.until)}."
    )
    if not report.n and not report.n_events:
        return [f"Nothing is new: nothing was added to {report.address}.", whole]
    return [f"Written to {report.address}: {added}.", whole]


def erase_from(addresses: list[Path], customer: str) -> list[DatasetErasure]:
    """Erase a customer from datasets, with the key of the environment."""
    from bandit.logfiles.dataset.erasure import erase_from_dataset
    from bandit.store.customer_key import customer_key

    found = []
    for address in addresses:
        with progress("erasing") as report:
            found.append(erase_from_dataset(address, customer, customer_key(), report))
    return found


def erasure_sentences(erased: list[DatasetErasure]) -> list[str]:
    """Return what was erased from datasets, a sentence each."""
    return [
        f"Erased from {each.address}: {counted(each.decisions, 'decision')}, {counted(each.events, 'event')}; "
        f"{counted(each.files, 'file')} written again."
        if each.files
        else f"{each.address}: the customer has no decisions in this dataset."
        for each in erased
    ]
