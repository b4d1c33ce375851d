"""Migrations go forward, one transaction each."""

import sqlite3

import pytest

from bandit.errors import StoreError
from bandit.store import Store, schema
from tests.store.rows import fill


def test_migrations_go_forward_one_transaction_each(path, monkeypatch):
    fill(path)

    def second(db):
        db.execute("CREATE TABLE later (x INTEGER) STRICT")

    def broken(db):
        db.execute("CREATE TABLE never (x INTEGER) STRICT")
        db.execute("not SQL")

    def version_and_tables():
        raw = sqlite3.connect(path)
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master")}
        version = raw.execute("PRAGMA user_version").fetchone()[0]
        raw.close()
        return version, tables

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, second, broken))
    version = schema.VERSION
    monkeypatch.setattr(schema, "VERSION", version + 2)
    with pytest.raises(StoreError, match="open it once for writing"):
        Store.open(path, read_only=True)
    with pytest.raises(StoreError):
        Store.open(path)
    now, tables = version_and_tables()
    assert now == version + 1
    assert "later" in tables
    assert "never" not in tables
