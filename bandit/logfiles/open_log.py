"""Logs from outside the database: a frame, a Parquet file, or any file that can be imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.column_log import ColumnLog
from bandit.logfiles.mapping.layout import ExportLayout
from bandit.logfiles.mapping.mapping import LogMapping
from bandit.logfiles.sources.dsjson import EXPORT_PROPERTY, DsjsonSource
from bandit.logfiles.sources.frame import FRAME_NAME, FrameSource
from bandit.logfiles.sources.open_source import open_source
from bandit.logfiles.sources.parquet import ParquetSource

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.sources.source import Source

MappingLike: TypeAlias = Mapping[str, object] | LogMapping | None
"""A mapping as its TOML file has it, one that is read already, or None where the columns are named as in an export."""


def from_frame(
    frame: object, catalogue: Catalogue, mapping: MappingLike = None, *, progress: Progress | None = None
) -> ColumnLog:
    """Return any dataframe as a log: pandas, polars, a pyarrow table or reader, a DuckDB relation, a dict of columns.

    The frame's columns are taken over once, as an Arrow table in memory. `mapping` is what a mapping file has; without
    one the columns are named as `export` names them. Rows that cannot be used are refused as an import refuses them:
    see the log's `report`. NaN is missing in pandas and in numpy's columns; elsewhere what is missing is null, and NaN
    is refused.

    Raises LogFileError for what is no frame, for a missing column and where no row can be used; CatalogueError where
    the mapping does not fit the catalogue; MissingExtraError without pyarrow.
    """
    source = FrameSource(frame)
    return ColumnLog(
        source, catalogue, _chosen(mapping, source, catalogue, str(FRAME_NAME)), str(FRAME_NAME), progress=progress
    )


def from_parquet(
    path: str | Path, catalogue: Catalogue, mapping: MappingLike = None, *, progress: Progress | None = None
) -> ColumnLog:
    """Return a Parquet file of any size as a log that is read batch by batch, again and again; as `from_frame`.

    The rows are read once to check them, and once more whenever the log is read.
    """
    path = Path(path)
    if path.is_dir():
        raise LogFileError(f"{path}: is a directory; name one Parquet file")
    try:
        source = ParquetSource(path)
    except OSError as fault:
        raise LogFileError(f"{path}: cannot be read: {fault.strerror}; give the path of a Parquet file") from fault
    chosen = _chosen(mapping, source, catalogue, str(path))
    return ColumnLog(source, catalogue, chosen, str(path), unchanged=_watch(path), progress=progress)


def open_log(
    path: str | Path,
    catalogue: Catalogue,
    mapping: MappingLike = None,
    *,
    progress: Progress | None = None,
    max_listed: int = 1_000,
) -> ColumnLog:
    """Return any file that can be imported (Parquet, CSV, gzipped CSV, dsjson) as a log, without a database.

    As `from_parquet`; a CSV file needs a mapping, unless its columns are named as in an export.
    """
    path = Path(path)
    read = LogMapping.from_dict(mapping) if isinstance(mapping, Mapping) else mapping
    source = open_source(path, "," if read is None else read.file.delimiter)
    chosen = read or _of_export(source, catalogue, str(path))
    return ColumnLog(
        source, catalogue, chosen, str(path), unchanged=_watch(path), progress=progress, max_listed=max_listed
    )


def export_mapping(path: str | Path, catalogue: Catalogue) -> LogMapping:
    """Return the mapping that reads a file which `export` wrote, in any of its formats.

    Raises LogFileError where the file does not have the columns of an export.
    """
    path = Path(path)
    return _of_export(open_source(path), catalogue, str(path))


def _chosen(mapping: MappingLike, source: Source, catalogue: Catalogue, name: str) -> LogMapping:
    if mapping is None:
        return _of_export(source, catalogue, name)
    return mapping if isinstance(mapping, LogMapping) else LogMapping.from_dict(mapping)


def _of_export(source: Source, catalogue: Catalogue, name: str) -> LogMapping:
    """Return the mapping of an export's columns, as far as they are there."""
    layout, present, prefix = ExportLayout.of(catalogue), source.columns, ""
    if isinstance(source, DsjsonSource):
        # What is not known is not written in a line; the first line need not have every fact.
        prefix = f"{EXPORT_PROPERTY}."
        present = [*layout.names] if present else []
    needed = [*layout.dimensions.values(), "propensity", "reward" if layout.rewarded else "converted"]
    missing = next((column for column in needed if column not in present), None)
    if missing is not None:
        raise LogFileError(
            f'{name}: has no column "{prefix}{missing}", which an export has; give a mapping that says which column '
            "has what"
        )
    return LogMapping.from_dict(layout.mapping(catalogue, present=present, prefix=prefix))


def _watch(path: Path) -> Callable[[], None]:
    """Return what raises LogFileError where the file is no longer the one that it is now."""

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
