"""Logs without a database: a dataframe, a Parquet file, or any file that can be imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bandit.catalogue.catalogue import checked_catalogue
from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.column_log import ColumnLog
from bandit.logfiles.dataset.folders import is_address
from bandit.logfiles.dataset.log import DatasetLog, open_dataset
from bandit.logfiles.mapping.layout import ExportLayout
from bandit.logfiles.mapping.mapping import LogMapping
from bandit.logfiles.sources.csv import CsvSource
from bandit.logfiles.sources.dsjson import DsjsonSource
from bandit.logfiles.sources.dsjson_event import EXPORT_PROPERTY
from bandit.logfiles.sources.frame import FRAME_NAME, FrameSource
from bandit.logfiles.sources.open_source import open_source
from bandit.logfiles.sources.parquet import ParquetSource

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.sources.source import Source

MappingLike: TypeAlias = Mapping[str, object] | LogMapping | str | Path | None
"""A mapping: the path of its TOML file, its content, a checked one, or None for the columns of an export."""


def from_frame(
    frame: object, catalogue: Catalogue, mapping: MappingLike = None, *, progress: Progress | None = None
) -> ColumnLog:
    """Return any dataframe as a log: pandas, polars, a pyarrow table or reader, a DuckDB relation, a dict of columns.

    The frame is copied once, to an Arrow table in memory. `mapping` is a mapping file or its content; without
    one the columns are named as `export` names them. Rows that an import would reject are rejected and listed in the
    log's `report`. NaN means missing in pandas and in numpy's columns; in other frames null does, and NaN is rejected.

    Raises LogFileError for an object that is not a frame, for a missing column and where no row can be used;
    CatalogueError where the mapping does not fit the catalogue; MissingExtraError without pyarrow.

    >>> from bandit import Catalogue
    >>> channels = {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}
    >>> catalogue = Catalogue.from_dict({"objective": {"kind": "conversion"}, "dimensions": [channels]})
    >>> frame = {"channel": ["email", "sms", "fax"], "propensity": [0.5] * 3, "converted": [True, False, False]}
    >>> log = from_frame(frame, catalogue)
    >>> log.n, log.left_out, log.outside_reasons[0].words
    (2, 1, 'channel fax')
    """
    source = FrameSource(frame)
    return ColumnLog(
        source, catalogue, _mapping_of(mapping, source, catalogue, str(FRAME_NAME)), str(FRAME_NAME), progress=progress
    )


def from_parquet(
    path: str | Path, catalogue: Catalogue, mapping: MappingLike = None, *, progress: Progress | None = None
) -> ColumnLog:
    """Return a Parquet file of any size as a log that is read batch by batch; as `from_frame`.

    The file is read once to check the rows, and once more each time the log is read.
    """
    path = Path(path)
    if path.is_dir():
        raise LogFileError(f"{path}: is a directory; name one Parquet file")
    try:
        source = ParquetSource(path)
    except OSError as fault:
        raise LogFileError(f"{path}: cannot be read: {fault.strerror}; give the path of a Parquet file") from fault
    checked = _mapping_of(mapping, source, catalogue, str(path))
    return ColumnLog(source, catalogue, checked, str(path), unchanged=_change_check(path), progress=progress)


def open_log(
    path: str | Path,
    catalogue: Catalogue | None = None,
    mapping: MappingLike = None,
    *,
    progress: Progress | None = None,
    max_listed: int = 1_000,
) -> ColumnLog | DatasetLog:
    """Return any file that can be imported (Parquet, CSV, gzipped CSV, dsjson) as a log, without a database.

    As `from_parquet`; a CSV file needs a mapping, unless its columns are named as in an export. A folder, and an
    address such as s3://bucket/log, is a dataset that `export` wrote: a `DatasetLog`, which needs no mapping, and a
    catalogue only if another than its own is wanted.
    """
    if is_address(path) or Path(path).is_dir():
        if mapping is not None:
            raise LogFileError(f"{path}: is read as a dataset, which needs no mapping; leave it out")
        return open_dataset(path, None if catalogue is None else checked_catalogue(catalogue))
    return open_file(path, checked_catalogue(catalogue), mapping, progress=progress, max_listed=max_listed)


def open_file(
    path: str | Path,
    catalogue: Catalogue,
    mapping: MappingLike = None,
    *,
    progress: Progress | None = None,
    max_listed: int = 1_000,
) -> ColumnLog:
    """Return what `open_log` returns for a file."""
    path = Path(path)
    source, checked = opened_with_mapping(path, catalogue, mapping)
    return ColumnLog(
        source, catalogue, checked, str(path), unchanged=_change_check(path), progress=progress, max_listed=max_listed
    )


def opened_with_mapping(path: Path, catalogue: Catalogue, mapping: MappingLike) -> tuple[Source, LogMapping]:
    """Return a file as a source, and the checked mapping that reads it: without one, that of an export's columns."""
    checked_catalogue(catalogue)
    given = None if mapping is None else LogMapping.of(mapping)
    source = _opened(path, given)
    return source, given or _export_mapping(source, catalogue, str(path))


def export_mapping(path: str | Path, catalogue: Catalogue) -> LogMapping:
    """Return the mapping that reads a file which `export` wrote, in any of its formats.

    Raises LogFileError where the file does not have the columns of an export.
    """
    path = Path(path)
    return _export_mapping(_opened(path, None), catalogue, str(path))


def _opened(path: Path, given: LogMapping | None) -> Source:
    """Return a file as a source: with the delimiter of its mapping, or as a file that `export` wrote."""
    if given is None:
        return open_source(path, escaped_formulas=True)
    return open_source(path, given.file.delimiter, escaped_formulas=given.file.escaped_formulas)


def _mapping_of(mapping: MappingLike, source: Source, catalogue: Catalogue, name: str) -> LogMapping:
    checked_catalogue(catalogue)
    if mapping is None:
        return _export_mapping(source, catalogue, name)
    return LogMapping.of(mapping)


def _export_mapping(source: Source, catalogue: Catalogue, name: str) -> LogMapping:
    """Return the mapping of an export's columns, as far as the source has them."""
    present, prefix = source.columns, ""
    layout = ExportLayout.found(catalogue, [name.removeprefix(f"{EXPORT_PROPERTY}.") for name in present])
    if isinstance(source, DsjsonSource):
        # A line does not have missing values, so the first line need not have every fact.
        prefix = f"{EXPORT_PROPERTY}."
        present = [*layout.names] if any(name.startswith(prefix) for name in present) else []
    needed = [*layout.dimensions.values(), "propensity", "reward" if layout.rewarded else "converted"]
    missing = next((column for column in needed if column not in present), None)
    if missing is not None:
        raise LogFileError(
            f'{name}: has no column "{prefix}{missing}", which an export has; give a mapping that says which column '
            "has what"
        )
    escaped = isinstance(source, CsvSource)
    return LogMapping.from_dict(layout.mapping(catalogue, present=present, prefix=prefix, escaped=escaped))


def _change_check(path: Path) -> Callable[[], None]:
    """Return the function that raises LogFileError once the file has changed."""

    def state() -> tuple[int, int]:
        found = path.stat()
        return found.st_size, found.st_mtime_ns

    before = state()

    def unchanged() -> None:
        try:
            same = state() == before
        except OSError as fault:
            raise LogFileError(f"{path}: cannot be read any more: {fault.strerror}; put it back") from fault
        if not same:
            raise LogFileError(f"{path}: has changed since it was checked; open it again")

    return unchanged
