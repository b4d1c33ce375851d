"""Files of exports that are tables: Parquet, CSV and gzipped CSV."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from bandit.logfiles.columns.arrow import arrow
from bandit.logfiles.export.table import ColumnKind, columns, kinds
from bandit.printable import without_formulas

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.export.rows import ExportRows
    from bandit.logfiles.mapping.layout import ExportLayout


class ParquetFile:
    """A Parquet file being written: times in microseconds UTC, null where missing."""

    def __init__(self, path: Path, layout: ExportLayout, catalogue: Catalogue) -> None:
        """Open the file; MissingExtraError without pyarrow."""
        self._arrow: Any = arrow("writing Parquet")
        from pyarrow import parquet  # noqa: PLC0415 - an optional extra

        self._layout, self._catalogue = layout, catalogue
        types = {name: self._type(kind) for name, kind in kinds(layout, catalogue).items()}
        self._schema = self._arrow.schema(list(types.items()))
        self._file: Any = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: ExportRows) -> None:
        """Append rows."""
        pa = self._arrow
        arrays = []
        for column in columns(rows, self._layout, self._catalogue):
            values = column.values
            missing = np.isnan(values) if column.kind == "number" else values < 0 if column.kind == "count" else None
            arrays.append(pa.array(values, type=self._type(column.kind), mask=missing))
        self._file.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _type(self, kind: ColumnKind) -> Any:  # noqa: ANN401 - pyarrow has no types
        pa = self._arrow
        return {
            "text": pa.string(),
            "time": pa.timestamp("us", tz="UTC"),
            "number": pa.float64(),
            "truth": pa.bool_(),
            "count": pa.int64(),
        }[kind]


class CsvFile:
    """A CSV file being written, gzipped on request: times in ISO 8601, a blank where missing.

    Text that a spreadsheet would run as a formula has an apostrophe before it (`bandit.printable`).
    """

    def __init__(self, path: Path, layout: ExportLayout, catalogue: Catalogue, *, zipped: bool) -> None:
        self._layout, self._catalogue = layout, catalogue
        self._raw = path.open("wb")
        # The header of gzip has no name and no time, so that the same rows make the same bytes.
        content = gzip.GzipFile("", "wb", 6, self._raw, mtime=0) if zipped else self._raw
        self._text = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8", newline="")
        # With this line end a carriage return within a text is quoted, too.
        self._csv = csv.writer(self._text, lineterminator="\r\n")
        self._csv.writerow(without_formulas(layout.names))

    def write(self, rows: ExportRows) -> None:
        """Append rows."""
        table = [
            without_formulas(column.texts()) if column.kind == "text" else column.texts()
            for column in columns(rows, self._layout, self._catalogue)
        ]
        self._csv.writerows(zip(*table, strict=True))

    def close(self) -> None:
        """Finish the file."""
        self._text.close()
        self._raw.close()
