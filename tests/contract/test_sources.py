"""What every source of columns does, whichever format it reads: CSV, Parquet, dsjson, JSON and dataframes."""

import csv
import gzip
import io
import json

import numpy as np
import pytest

from bandit.errors import LogFileError
from bandit.logfiles.sources.csv import CsvSource
from bandit.logfiles.sources.dsjson import DsjsonSource
from bandit.logfiles.sources.frame import FrameSource
from bandit.logfiles.sources.json_lines import JsonLinesSource
from bandit.logfiles.sources.open_source import open_source
from bandit.logfiles.sources.parquet import ParquetSource

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

N = 25
ROWS = {
    "name": [["é", 'so "so"', "a,b", "", "line"][row % 5] for row in range(N)],
    "id": [f"id-{row}" for row in range(N)],
    "amount": [None if row % 7 == 3 else row + 0.25 for row in range(N)],
    "count": [row * 1_000 for row in range(N)],
    "loyal": [row % 3 == 0 for row in range(N)],
}
"""Texts, of which few or all are distinct, numbers with blanks (Arrow writes 2.0 as "2"), whole numbers and truths."""


def text(value):
    """A value as the text that every source gives."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


TEXTS = {name: list(map(text, column)) for name, column in ROWS.items()}


def some_rows(n):
    return {name: column[:n] for name, column in ROWS.items()}


def csv_bytes(rows):
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(rows)
    writer.writerows(zip(*(map(text, column) for column in rows.values()), strict=True))
    return written.getvalue().encode()


def dsjson_bytes(rows):
    lines = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
    return "".join(f"{json.dumps({'offer_bandit': line}, ensure_ascii=False)}\n" for line in lines).encode()


def json_bytes(rows):
    lines = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()


def json_source(folder, rows):
    (folder / "log.json").write_bytes(json_bytes(rows))
    return JsonLinesSource(folder / "log.json")


def zipped_json_source(folder, rows):
    (folder / "log.json.gz").write_bytes(gzip.compress(json_bytes(rows), mtime=0))
    return JsonLinesSource(folder / "log.json.gz")


def csv_source(folder, rows):
    (folder / "log.csv").write_bytes(csv_bytes(rows))
    return CsvSource(folder / "log.csv", ",")


def zipped_csv_source(folder, rows):
    (folder / "log.csv.gz").write_bytes(gzip.compress(csv_bytes(rows), mtime=0))
    return CsvSource(folder / "log.csv.gz", ",")


def dsjson_source(folder, rows):
    (folder / "log.dsjson").write_bytes(dsjson_bytes(rows))
    return DsjsonSource(folder / "log.dsjson")


def zipped_dsjson_source(folder, rows):
    (folder / "log.dsjson.gz").write_bytes(gzip.compress(dsjson_bytes(rows), mtime=0))
    return DsjsonSource(folder / "log.dsjson.gz")


def parquet_source(folder, rows):
    parquet.write_table(pa.table(rows), folder / "log.parquet", row_group_size=10)
    return ParquetSource(folder / "log.parquet")


def frame_source(_folder, rows):
    return FrameSource(pa.table(rows))


SOURCES = {
    "csv": csv_source,
    "csv.gz": zipped_csv_source,
    "dsjson": dsjson_source,
    "dsjson.gz": zipped_dsjson_source,
    "json": json_source,
    "json.gz": zipped_json_source,
    "parquet": parquet_source,
    "frame": frame_source,
}
FILES = [name for name in SOURCES if name != "frame"]


@pytest.fixture(params=SOURCES)
def make(request, tmp_path):
    """A function that makes a source of a format from columns."""
    return lambda rows=ROWS: SOURCES[request.param](tmp_path, rows)


def prefix(source):
    """What stands before a column's name: dsjson names columns by their path."""
    return "offer_bandit." if isinstance(source, DsjsonSource) else ""


def read(source, names=tuple(ROWS), size=1_000, progress=None):
    """All rows as {name: texts}, with the lines and the sizes of the chunks."""
    columns = {name: [] for name in names}
    lines, sizes = [], []
    for chunk in source.chunks([prefix(source) + name for name in names], size, progress):
        assert chunk.lines.dtype == np.int64
        assert not chunk.misfits
        assert len(chunk) == len(chunk.lines)
        for name in names:
            column = chunk.columns[prefix(source) + name]
            assert len(column) == len(chunk)
            columns[name] += list(column)
        lines += chunk.lines.tolist()
        sizes.append(len(chunk))
    return columns, lines, sizes


def test_a_column_called_weight_is_a_column_like_others_unless_the_format_says_so(make):
    source = make()
    assert source.has_weights is isinstance(source, DsjsonSource)


def test_the_same_rows_are_read_from_each_format(make):
    columns, lines, _ = read(make())
    assert columns == TEXTS
    assert len(lines) == N
    assert np.all(np.diff(lines) > 0)


@pytest.mark.parametrize("size", [1, 7, 10, N, 1_000])
def test_chunks_of_any_size_have_the_same_rows(make, size):
    columns, lines, sizes = read(make(), size=size)
    assert columns == TEXTS
    assert lines == read(make())[1]
    assert max(sizes) <= size


def test_a_source_can_be_read_twice(make):
    source = make()
    first = next(source.chunks([f"{prefix(source)}id"], 3, None))
    assert list(first.columns[f"{prefix(source)}id"]) == ["id-0", "id-1", "id-2"]
    assert read(source) == read(source)


def test_only_the_columns_asked_for_are_read_in_any_order(make):
    names = ("loyal", "id")
    source = make()
    chunk = next(source.chunks([prefix(source) + name for name in names], 5, None))
    assert set(chunk.columns) == {prefix(source) + name for name in names}
    assert read(source, names)[0] == {name: TEXTS[name] for name in names}


def test_the_columns_are_named(make):
    source = make()
    assert list(source.columns) == [prefix(source) + name for name in ROWS]


def test_a_missing_column_is_refused_by_its_name_or_blank_where_columns_are_paths(make):
    """An object of JSON leaves out what it does not have, so that a path it lacks is a blank."""
    source = make()
    if isinstance(source, (DsjsonSource, JsonLinesSource)):
        assert read(source, ("id", "weather"))[0] == {"id": TEXTS["id"], "weather": [""] * N}
        return
    with pytest.raises(LogFileError, match=r'has no column "weather"; the columns are "name", "id", "amount"'):
        read(source, ("id", "weather"))


def test_progress_rises_to_the_total(make):
    seen = []
    read(make(), size=4, progress=lambda done, total: seen.append((done, total)))
    done, totals = zip(*seen, strict=True)
    assert len(set(totals)) == 1
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1] > 0


def test_the_digest_is_stable(make):
    source = make()
    before = source.digest
    read(source)
    assert source.digest == before == make().digest
    assert len(bytes.fromhex(before)) == 8


@pytest.mark.parametrize("name", FILES)
def test_other_content_has_another_digest(tmp_path, name):
    """24 rows and 25: a frame's digest is of its schema alone, a file's of its content."""
    assert SOURCES[name](tmp_path, some_rows(24)).digest != SOURCES[name](tmp_path, ROWS).digest


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_opened_by_its_content_whatever_its_name(tmp_path, name):
    source = SOURCES[name](tmp_path, ROWS)
    path = source.path.rename(tmp_path / "log")
    opened = open_source(path)
    assert type(opened) is type(source)
    assert read(opened)[0] == TEXTS


def test_a_file_of_no_format_is_a_csv_file_without_the_columns_and_a_directory_is_refused(tmp_path):
    (tmp_path / "log").write_bytes(b"PAR0 or {")
    with pytest.raises(LogFileError, match='has no column "id"'):
        read(open_source(tmp_path / "log"), ("id",))
    with pytest.raises(LogFileError, match="cannot be read"):
        open_source(tmp_path)


def test_a_source_without_rows_has_no_rows(make):
    """An empty frame has its columns; an empty dsjson file has no line to name them in."""
    source = make({name: column[:0] for name, column in ROWS.items()})
    assert read(source)[1] == []
