"""Inputs that are small to send and large to read: time and memory are bounded, and one sentence says why."""

import gzip
import json
import subprocess
import sys
import textwrap
import time

import pyarrow as pa
import pytest
from pyarrow import parquet

from bandit.errors import LogFileError, OfferBanditError
from bandit.logfiles import open_log
from bandit.logfiles.sources import binary_file, csv, dsjson
from bandit.logfiles.sources.csv import CsvSource
from bandit.logfiles.sources.parquet import ParquetSource
from tests.logfiles.import_tools import HEADER, MAPPING, ROW, bring, is_empty, mapping, row, spring, table

pytestmark = pytest.mark.filterwarnings("ignore:customers are stored in the clear")


def _bounded(tmp_path, name, megabytes, using=MAPPING):
    """What importing a file says in a process of its own that may not have more memory; and the seconds it took."""
    script = f"""
        import resource, sys
        from pathlib import Path
        from bandit.catalogue import Catalogue
        from bandit.errors import OfferBanditError
        from bandit.logfiles import LogMapping, import_log
        from bandit.logfiles import open_log
        from bandit.store import Store
        from tests.conftest import SPRING
        import pyarrow.parquet, pyarrow.compute

        catalogue = Catalogue.from_dict(SPRING)
        status = Path("/proc/self/status").read_text()
        now = int(status.split("VmSize:")[1].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (now + {megabytes} * 2**20,) * 2)
        using = LogMapping.from_dict({using!r})
        with Store.open(r"{tmp_path / "offers.db"}", durability="process") as store:
            for read in (lambda: import_log(store, catalogue, using, r"{tmp_path / name}"),
                         lambda: open_log(r"{tmp_path / name}", catalogue, using)):
                try:
                    read()
                except OfferBanditError as fault:
                    print(str(fault))
                else:
                    print("taken")
    """
    begun = time.monotonic()
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    first, second = ran.stdout.splitlines()
    assert len(first) <= 1_000
    return first, second, time.monotonic() - begun


@pytest.mark.parametrize("name", ["log.csv.gz", pytest.param("log.dsjson.gz", marks=pytest.mark.slow)])
def test_a_gzip_file_that_unpacks_to_far_more_than_any_log_is_refused(tmp_path, monkeypatch, name):
    """20 MB of equal rows in some 40 KB; the limit is lowered from 100 MB to 1 MB to keep this short."""
    monkeypatch.setattr(binary_file, "INFLATION_FROM", 1_000_000)
    line = table(row(), row()).encode() if "csv" in name else b'{"EventId":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}\n'
    (tmp_path / name).write_bytes(gzip.compress(line * (20_000_000 // len(line)), 9))
    begun = time.monotonic()
    with pytest.raises(LogFileError, match="times as large"):
        open_log(tmp_path / name, spring(), mapping() if "csv" in name else mapping(columns={
            "row_customer": True, "propensity": 0.5, "decision_id": "EventId"}))  # fmt: skip
    assert time.monotonic() - begun < 20.0


@pytest.mark.slow
def test_ten_gigabytes_of_zeros_in_ten_megabytes_are_refused_in_bounded_memory(tmp_path):
    """The same member again and again: 1,000 times 10 MB of zeros, and as many of the letter a in one line."""
    for name, letter in (("zeros.csv.gz", b"\0"), ("letters.csv.gz", b"a"), ("lines.csv.gz", b"a,b\n")):
        member = gzip.compress(letter * (10_000_000 // len(letter)), 9)
        (tmp_path / name).write_bytes(member * 1_000)
        first, _, seconds = _bounded(tmp_path, name, 300)
        assert any(words in first for words in ("NUL byte", "more than", "times as large")), first
        assert seconds < 60.0


@pytest.mark.slow
def test_a_csv_line_of_a_gigabyte_is_refused_in_bounded_memory(tmp_path):
    with (tmp_path / "log.csv").open("wb") as file:
        file.write(",".join(HEADER).encode() + b"\n")
        for _ in range(1_000):
            file.write(b"a" * 1_000_000)
    first, second, _ = _bounded(tmp_path, "log.csv", 300)
    assert "a line from line 2 on has more than" in first
    assert first == second


@pytest.mark.parametrize("sign", ["a,", '"a",', pytest.param('"\n",', marks=pytest.mark.slow)])
def test_a_line_of_millions_of_fields_is_refused(tmp_path, sign):
    begun = time.monotonic()
    with pytest.raises(LogFileError):
        bring(tmp_path, ",".join(HEADER) + "\n" + sign * (40_000_000 // len(sign)))
    assert is_empty(tmp_path)
    assert time.monotonic() - begun < 20.0


def test_a_million_columns_and_a_field_of_megabytes_are_refused(tmp_path):
    with pytest.raises(LogFileError, match="1,000,000 columns"):
        bring(tmp_path, ",".join(["c"] * 1_000_000) + "\n1\n")
    with pytest.raises(LogFileError, match="field larger than"):
        bring(tmp_path, table(row(who="w" * 1_000_000)))
    assert is_empty(tmp_path)


def test_long_rows_come_in_smaller_chunks_and_nothing_is_lost(tmp_path, monkeypatch):
    """Chunks end after 2,000 characters here; quoted line ends, and rows far longer than others."""
    monkeypatch.setattr(csv, "CHUNK_TEXT", 2_000)
    rows = [row(id=f"d{place}", who="w" * (1 + 37 * place % 700)) for place in range(60)]
    for quoting, who in ((0, "plain"), (1, "two\nlines")):
        text = table(*rows, row(id="last", who=who), quoting=quoting)
        (tmp_path / "log.csv").write_text(text)
        chunks = list(CsvSource(tmp_path / "log.csv", ",").chunks(["id", "who"], 50_000, None))
        assert len(chunks) > 3
        assert [name for chunk in chunks for name in chunk.columns["id"]] == [f"d{n}" for n in range(60)] + ["last"]
        assert chunks[-1].columns["who"][-1] == who
        assert [line for chunk in chunks for line in chunk.lines.tolist()] == [*range(2, 63)]


def test_a_row_that_never_ends_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "CHUNK_TEXT", 10_000)
    with pytest.raises(LogFileError, match="goes on for more than"):
        bring(tmp_path, table(row()) + '"\n",' * 5_000)


def test_an_event_of_gigabytes_is_refused_and_long_ones_come_in_smaller_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(dsjson, "MAX_EVENT", 1_000)
    monkeypatch.setattr(dsjson, "CHUNK_BYTES", 2_000)
    events = [
        json.dumps({"c": {}, "EventId": f"e{place}", "_label_Action": 1, "fill": "f" * (place * 13)})
        for place in range(60)
    ]
    (tmp_path / "log.dsjson").write_text("\n".join(events))
    source = dsjson.DsjsonSource(tmp_path / "log.dsjson")
    chunks = list(source.chunks(["EventId"], 50_000, None))
    assert len(chunks) > 5
    assert [name for chunk in chunks for name in chunk.columns["EventId"]] == [f"e{place}" for place in range(60)]
    (tmp_path / "log.dsjson").write_text("\n".join([*events, json.dumps({"x": "f" * 2_000})]))
    with pytest.raises(LogFileError, match="line 61 has more than 1,000 bytes"):
        list(source.chunks(["EventId"], 50_000, None))


def _parquet(path, n, **changed):
    columns = {name: [value] * n for name, value in zip(HEADER, ROW, strict=True)}
    parquet.write_table(pa.table(columns | changed), path, compression="zstd")


@pytest.mark.slow
def test_a_parquet_file_whose_dictionary_is_a_bomb_is_read_in_bounded_memory(tmp_path):
    """One text of 10 MB in 40,000 rows: 400 GB where each row has a copy of its own; 63 KB in the file."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 40_000, pa.int8()), pa.array(["s" * 10_000_000]))
    _parquet(tmp_path / "log.parquet", 40_000, sex=text)
    first, second, _ = _bounded(tmp_path, "log.parquet", 900)
    assert "taken" in (first, second) or "refused" in first, (first, second)


def test_a_parquet_file_that_claims_more_rows_than_it_can_have_is_refused(tmp_path):
    """Two million equal rows take some kilobytes."""
    parquet.write_table(pa.table({"id": pa.array([b""] * 0 + ["a"] * 2_000_000)}), tmp_path / "log.parquet")
    with pytest.raises(LogFileError, match="claims 2,000,000 rows"):
        open_log(tmp_path / "log.parquet", spring(), mapping())


def test_a_parquet_file_of_a_hundred_thousand_columns_is_refused(tmp_path):
    parquet.write_table(pa.table({f"c{place}": [1] for place in range(10_001)}), tmp_path / "log.parquet")
    with pytest.raises(LogFileError, match="10,001 columns"):
        open_log(tmp_path / "log.parquet", spring(), mapping())


def test_row_groups_of_one_row_make_no_batches_of_one_row(tmp_path):
    columns = {name: [value] * 300 for name, value in zip(HEADER, ROW, strict=True)}
    columns["id"] = [f"d{place}" for place in range(300)]
    parquet.write_table(pa.table(columns), tmp_path / "log.parquet", row_group_size=7)
    chunks = list(ParquetSource(tmp_path / "log.parquet").chunks(["id", "who"], 100, None))
    assert [len(chunk) for chunk in chunks] == [100, 100, 100]
    assert [name for chunk in chunks for name in chunk.columns["id"]] == columns["id"]


@pytest.mark.slow
def test_the_limit_of_memory_does_bind(tmp_path):
    """The control: with next to no memory more than it has, the process cannot even read a small log."""
    (tmp_path / "log.csv").write_text(table(*[row(id=f"d{place}") for place in range(60_000)]))
    with pytest.raises((AssertionError, OfferBanditError)):
        _bounded(tmp_path, "log.csv", 8)
