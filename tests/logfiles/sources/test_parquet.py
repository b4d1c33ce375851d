"""Parquet files that cannot be read are refused in one sentence."""

import gzip
import sys

import numpy as np
import pytest

from bandit.errors import LogFileError, MissingExtraError
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
