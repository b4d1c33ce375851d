"""Migrations go forward, one transaction each."""

import gzip
import importlib
import pkgutil
import sqlite3
from pathlib import Path

import pytest

from bandit.errors import StoreError
from bandit.store import Store, schema
from tests.store.rows import fill

FIXTURES = Path(__file__).parents[2] / "fixtures"


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


def test_the_migrations_are_the_numbered_modules_in_order():
    """A module m001_..., m002_... each, with a docstring that says what it adds."""
    names = sorted(each.name for each in pkgutil.iter_modules(schema.__path__) if each.name.startswith("m"))
    names.remove("migrate")
    modules = [importlib.import_module(f"bandit.store.schema.{name}") for name in names]
    assert [name[:5] for name in names] == [f"m{number:03d}_" for number in range(1, schema.VERSION + 1)]
    assert tuple(module.apply for module in modules) == schema.MIGRATIONS
    assert all(module.__doc__.startswith(f"Migration {place}: ") for place, module in enumerate(modules, start=1))


def test_the_text_of_the_schema_of_version_0_4_0_has_not_changed(tmp_path):
    """Every table, index, trigger and view of it, by its statement; what is new is of migrations 4 to 8.

    One view is another: migration 5 leaves events before their decision out of the events that count. Migration 8 takes
    AUTOINCREMENT out of three tables, and gives the steps a table without row numbers.
    """

    def statements(path):
        raw = sqlite3.connect(path)
        rows = raw.execute(
            "SELECT type, name, replace(sql, ' AUTOINCREMENT', '') FROM sqlite_master "
            "WHERE name NOT IN ('counted_events', 'policy_steps', 'sqlite_autoindex_policy_steps_1')"
        ).fetchall()
        raw.close()
        return set(rows)

    earlier, new = tmp_path / "earlier.db", tmp_path / "new.db"
    earlier.write_bytes(gzip.decompress((FIXTURES / "version_0_4_0.db.gz").read_bytes()))
    Store.open(new).close()
    assert statements(earlier) <= statements(new)
    added = ("rollout_changes", "decision_arms", "repeats", "sqlite_autoindex_repeats")
    added += ("decision_weights", "imports", "carried_policies", "changed_states", "catalogue_extensions")
    added += ("learned_stages", "chain", "upkeep_set_aside")
    added += ("customer_effects", "replaced_customer_effects")
    assert all(name.startswith(added) for _, name, _ in statements(new) - statements(earlier))
