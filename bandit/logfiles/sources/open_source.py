"""Opening a file as a source of columns, by its content: Parquet, dsjson, JSON, CSV or gzipped CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.sources.csv import CsvSource
from bandit.logfiles.sources.dsjson import DsjsonSource, begins_with_object, is_dsjson
from bandit.logfiles.sources.json_lines import JsonLinesSource, is_json
from bandit.logfiles.sources.parquet import PARQUET_MAGIC, ParquetSource
from bandit.store.connection import is_open_here

if TYPE_CHECKING:
    from bandit.logfiles.sources.source import Source


def open_source(
    path: Path, delimiter: str = ",", progress: Progress | None = None, *, escaped_formulas: bool = False
) -> Source:
    """Return a file as a source of columns, whatever its name; LogFileError where it is damaged or cannot be read.

    `delimiter` is that of CSV, and with `escaped_formulas` its texts are read as they were before `export` wrote an
    apostrophe before formulas; `progress` is called while the source is opened, where that takes a pass over the file.
    """
    if is_open_here(path):  # closing what is opened here would release SQLite's locks on it in this process (POSIX)
        raise LogFileError(f"{path}: is a database that this process has open; judge its log by bandit.store.StoreLog")
    try:
        with path.open("rb") as content:
            magic = content.read(len(PARQUET_MAGIC))
    except OSError as fault:
        raise LogFileError(f"{path}: cannot be read: {fault.strerror}; give the path of a log") from fault
    if magic == PARQUET_MAGIC:
        return ParquetSource(path)
    if not is_dsjson(path) and is_json(path):
        return JsonLinesSource(path)
    if is_dsjson(path) or begins_with_object(path):
        return DsjsonSource(path, progress)
    return CsvSource(path, delimiter, progress, escaped_formulas=escaped_formulas)
