"""Parquet files that cannot be read are refused in one sentence."""

import gzip
import sys

import numpy as np
import pytest

from bandit.errors import LogFileError, MissingExtraError
from bandit.logfiles.sources.parquet import ParquetSource
from tests.logfiles.import_tools import (
    HEADER,
    ROW,
    bring,
    columns_of,
    mapping,
    sample,
    table,
)


def test_gzip_and_parquet_give_the_log_that_csv_gives(tmp_path):
    """Parquet in its own types: numbers, booleans, times, dictionaries, nulls for blanks."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    rows = sample(400, np.random.default_rng(3))
    text = table(*rows)
    columns = dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True))
    typed = pa.table(
        {
            "id": pa.array(columns["id"]),
            "who": pa.array(columns["who"]).dictionary_encode(),
            "at": pa.array(np.array(columns["at"], "datetime64[ms]").astype(int), pa.timestamp("ms", tz="UTC")),
            "sex": pa.array([sex or None for sex in columns["sex"]]),
            "rec": pa.array([float(rec) if rec else None for rec in columns["rec"]]),
            "club": pa.array([club == "true" for club in columns["club"]]),
            "disc": pa.array([int(disc) for disc in columns["disc"]], pa.int16()),
            "ch": pa.array(columns["ch"], pa.large_string()),
            "gift": pa.array(columns["gift"].copy()),
            "p": pa.array([float(p) for p in columns["p"]]),
            "bought": pa.array([bool(bought) for bought in columns["bought"]]),
            "amount": pa.array([None if amount == "" else float(amount) for amount in columns["amount"]]),
        }
    )
    parquet.write_table(typed, tmp_path / "made.parquet", row_group_size=64)
    bring(tmp_path, text, db="csv.db")
    bring(tmp_path, gzip.compress(text.encode()), name="no-telling-name", db="gz.db")
    bring(tmp_path, (tmp_path / "made.parquet").read_bytes(), name="neither", db="parquet.db")
    wanted = columns_of(tmp_path, "csv.db")
    for db in ("gz.db", "parquet.db"):
        got = columns_of(tmp_path, db)
        for name in ("decision_id", "time", "customer", "context", "offer", "propensity", "converted", "revenue"):
            assert getattr(got, name).tolist() == getattr(wanted, name).tolist(), (db, name)


def test_parquet_that_cannot_be_read_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    parquet.write_table(pa.table({name: [[value]] for name, value in zip(HEADER, ROW, strict=True)}), tmp_path / "a")
    with pytest.raises(LogFileError, match="is of the type list"):
        bring(tmp_path, (tmp_path / "a").read_bytes())
    with pytest.raises(LogFileError, match="damaged Parquet"):
        bring(tmp_path, (tmp_path / "a").read_bytes()[:-30])
    parquet.write_table(pa.table({name: [f"{name}\0"] for name in HEADER}), tmp_path / "b")
    with pytest.raises(LogFileError, match="row 1 has a NUL"):
        bring(tmp_path, (tmp_path / "b").read_bytes())
    columns = {"customer": "customer_key", "propensity": "p"}
    with pytest.raises(LogFileError, match='the schema has no column "customer_key"'):
        bring(tmp_path, (tmp_path / "b").read_bytes(), using=mapping(columns=columns))


def test_parquet_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "offer-bandit\[parquet\]"'):
        bring(tmp_path, b"PAR1 and more")


def test_a_second_pass_that_reads_ids_without_a_dictionary_gives_what_the_first_one_gave(tmp_path):
    """Ids are mostly distinct, options are not: only the former are read plainly, and both say the same again."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    n = 20_000
    columns = {
        "id": [f"decision-{place * 7919 % n}" for place in range(n)],
        "ch": [("email", "sms", None)[place % 3] for place in range(n)],
        "at": [None if place % 10 else float(place) for place in range(n)],
    }
    parquet.write_table(pa.table(columns), tmp_path / "log.parquet", row_group_size=7_000)
    source = ParquetSource(tmp_path / "log.parquet")
    passes = [list(source.chunks(["id", "ch", "at"], 4_096, None)) for _ in range(3)]
    for name, values in columns.items():
        wanted = ["" if value is None else str(value).removesuffix(".0") for value in values]
        for chunks in passes:
            assert [text.removesuffix(".0") for chunk in chunks for text in chunk.columns[name]] == wanted
    assert source._coded == {"ch"}


def test_a_pass_that_ends_early_shows_nothing_about_the_texts(tmp_path):
    """The text of 100 rows after the first batch would be a dictionary's again, so the first pass must be whole."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    texts = [f"id-{place}" for place in range(2_000)] + ["one"] * 2_000
    parquet.write_table(pa.table({"id": texts}), tmp_path / "log.parquet", row_group_size=2_000)
    source = ParquetSource(tmp_path / "log.parquet")
    next(iter(source.chunks(["id"], 2_000, None)))
    assert source._coded == {"id"}
    assert len(list(source.chunks(["id"], 2_000, None))) == 2
    assert source._coded == {"id"}
