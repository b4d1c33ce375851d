"""Opening, closing and counting a store."""

import json
import shutil
import sqlite3

import pytest

import bandit
from bandit.catalogue import Catalogue
from bandit.errors import StoreError
from bandit.store import Store, schema
from tests.conftest import SPRING
from tests.store.rows import decisions, events, fill

N = 10


def test_a_new_file_is_a_strict_wal_database_that_names_its_program(path):
    fill(path)
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert raw.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID
    assert raw.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
    tables = raw.execute(
        "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
    ).fetchall()
    assert all(strict for name, strict in tables if not name.startswith("sqlite_"))
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute("INSERT INTO decisions (decision_id, time) VALUES ('x', 'noon')")
    raw.close()


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("process", 1)])
def test_durability_sets_the_pragma_of_sqlite(path, durability, level):
    with Store.open(path, durability=durability) as store:
        assert store._connection.raw.execute("PRAGMA synchronous").fetchone()[0] == level
        assert store._connection.raw.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_durability_has_two_values(path):
    with pytest.raises(StoreError, match="durability"):
        Store.open(path, durability="none")


def test_reading_only_reads_and_never_writes(path):
    with pytest.raises(StoreError, match="no such file"):
        Store.open(path, read_only=True)
    fill(path)
    with Store.open(path, read_only=True) as store:
        assert store.counts().decisions == 2
        assert store.check() == []
        with pytest.raises(StoreError, match="reading only"):
            store.decision_writer.append(decisions(1, N, ["c"]))
    assert not path.with_name("other.db").exists()


def test_a_closed_store_says_so(path):
    store = Store.open(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.counts()


def test_counts_say_what_is_there(path):
    fill(path)
    with Store.open(path) as store:
        store.events.append(events(["a"]))
        counts = store.counts()
    assert (counts.decisions, counts.events, counts.customers, counts.catalogues, counts.policies) == (2, 1, 2, 1, 0)
    assert (counts.first_time, counts.last_time) == (0, 1_000_000)
    assert counts.file_bytes > 0


def test_a_file_copied_with_its_log_beside_it_opens_as_it_was(path, tmp_path):
    with Store.open(path, durability="process") as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, N, ["a"]))
        copy = tmp_path / "copy.db"
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    with Store.open(copy) as store:
        assert store.decisions.has("a")


def test_only_declared_context_is_stored(tmp_path):
    """With undeclared = "drop", what the catalogue does not declare never reaches the file."""
    catalogue = Catalogue.from_dict(SPRING | {"context": SPRING["context"] | {"undeclared": "drop"}})
    with bandit.Engine.open(
        tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=b"a key for our tests"
    ) as engine:
        engine.decide("c", {"gender": "f", "recency": 1.0, "loyal": True, "email": "anna@example.org"})
        text = engine.store.decisions.page("purchase", 1).context[0]
    assert set(json.loads(text)) == {"gender", "recency", "loyal"}
    assert b"anna@example.org" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_backup_is_a_store_of_its_own_and_overwrites_nothing(path, tmp_path):
    fill(path)
    copy = tmp_path / "copy.db"
    with Store.open(path) as store:
        store.backup(copy)
        with pytest.raises(StoreError, match="exists already"):
            store.backup(copy)
        with pytest.raises(StoreError, match="does not exist"):
            store.backup(tmp_path / "nowhere" / "copy.db")
        store.decision_writer.append(decisions(1, N, ["later"]))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "offers.db"]
    with Store.open(copy) as store:
        assert store.counts().decisions == 2
        assert store.check() == []
