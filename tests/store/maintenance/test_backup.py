"""Backups, and the copies that migrations make."""

import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bandit.catalogue import Catalogue
from bandit.errors import StoreError
from bandit.store import Store, schema
from bandit.store.maintenance import copy
from tests.conftest import SPRING
from tests.store.rows import decisions
from tests.store.schema.test_migrations import EARLIER, everything, old

N = 10

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "offers.db"
    with Store.open(path, durability="process") as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, N, [f"d{row}" for row in range(3_000)]))
    return path


def test_a_backup_made_while_others_write_is_one_state(path, tmp_path):
    """The writer adds batches of ten all the time; the copy has whole batches, and none that began after it."""
    stop = threading.Event()

    def write():
        with Store.open(path, durability="process") as other:
            turn = 0
            while not stop.is_set():
                other.decision_writer.append(decisions(1, N, [f"{turn}-{row}" for row in range(10)]))
                turn += 1

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    with Store.open(path, durability="process") as store:
        made = store.backup(tmp_path / "copy.db", progress=lambda done, total: seen.append((done, total)))
    stop.set()
    writer.join()
    assert seen[-1][0] == seen[-1][1]
    with Store.open(made.path, read_only=True) as copy:
        n = copy.counts().decisions
        assert n == made.rows["decisions"]
        assert n % 10 == 0
        assert copy.check() == []


def test_a_backup_is_recorded_and_overwrites_only_with_force(path, tmp_path):
    with Store.open(path) as store:
        made = store.backup(tmp_path / "copy.db")
        assert made.recorded
        assert [(run.kind, run.details["file"]) for run in store.journal()] == [("backup", str(made.path))]
        with pytest.raises(StoreError, match="--force"):
            store.backup(tmp_path / "copy.db")
        with pytest.raises(StoreError, match="database itself"):
            store.backup(path, force=True)
        store.backup(tmp_path / "copy.db", force=True)
        assert store.deletion.copies() == (made.path,)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "offers.db"]


def test_a_copy_that_is_not_sound_is_not_kept(path, tmp_path):
    damaged = tmp_path / "damaged.db"
    content = bytearray(path.read_bytes())
    middle = len(content) // 4096 // 2 * 4096
    content[middle : middle + 8 * 4096] = b"\xff" * 8 * 4096
    damaged.write_bytes(content)
    with pytest.raises(StoreError, match=r"sound|could not be made"):
        copy.copy_of(damaged, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    assert not (tmp_path / "copy.db.partial").exists()


@pytest.mark.parametrize("version", EARLIER)
def test_before_a_migration_a_copy_is_made_and_named(tmp_path, version):
    path = old(tmp_path / "offers.db", version)
    before = everything(path)
    with pytest.warns(UserWarning, match=r"it is kept in .*offers\.db\.version-"):
        Store.open(path).close()
    (kept,) = copy.beside(path)
    assert kept.name.startswith(f"offers.db.version-{version}.20")
    assert everything(kept) == before


def test_a_new_database_and_one_of_today_are_not_copied(path):
    Store.open(path).close()
    assert copy.beside(path) == []


def test_where_no_copy_can_be_made_nothing_is_migrated(tmp_path, monkeypatch):
    path = old(tmp_path / "offers.db", 2)
    before = everything(path)

    def full(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(copy, "copy_of", full)
    with pytest.raises(StoreError, match=r"version 2 of the schema and stays as it is.*disk is full"):
        Store.open(path)
    assert everything(path) == before


_KILLED = """
import os, signal, sys
from bandit.store import Store, schema
at, count = int(sys.argv[2]), 0
raw = schema.MIGRATIONS
class Counting:
    def __init__(self, db): self.db = db
    def __getattr__(self, name): return getattr(self.db, name)
    def execute(self, *args):
        global count
        count += 1
        if count == at: os.kill(os.getpid(), signal.SIGKILL)
        return self.db.execute(*args)
schema.MIGRATIONS = tuple(lambda db, m=m: m(Counting(db)) for m in raw)
Store.open(sys.argv[1]).close()
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*as it was before")
def test_a_migration_that_is_killed_leaves_one_version_or_the_other(tmp_path):
    """From version 1 there are 50 statements in seven migrations; killed before each of them, and not at all."""
    seen = set()
    for at in range(1, 52):
        path = old(tmp_path / f"{at}.db", 1)
        child = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-W", "ignore", "-c", _KILLED, str(path), str(at)], cwd=ROOT, check=False
        )
        assert child.returncode == (-signal.SIGKILL if at < 51 else 0)
        raw = sqlite3.connect(path)
        seen.add(schema.user_version(raw))
        raw.close()
        with Store.open(path) as store:
            assert store.check() == []
            assert store.counts().decisions == 4
        assert copy.beside(path)[0].stat().st_size > 0
    assert seen == {1, 2, 3, 4, 5, 6, 7, schema.VERSION}
