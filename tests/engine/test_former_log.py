"""A database's log and index: kept while the file is away, never mixed with another file's."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import bandit
from bandit.errors import LogFileError
from bandit.logfiles import open_log
from bandit.store import Store
from bandit.store.former_log import take_former_log_away
from tests.engine.conftest import KEY, context

OTHER = """
import sqlite3, sys
raw = sqlite3.connect(sys.argv[1], isolation_level=None)
raw.execute("SELECT count(*) FROM meta").fetchone()
print("open", flush=True)
for line in sys.stdin:
    try:
        print(raw.execute(line).fetchall(), flush=True)
    except sqlite3.Error as fault:
        print("refused:", fault, flush=True)
"""
"""Another program with the file open, which looks for no change of it."""


@contextmanager
def other_program(path):
    """Yield a function that executes a statement in the other program."""
    arguments = [sys.executable, "-c", OTHER, str(path)]
    with subprocess.Popen(  # noqa: S603 - our own program
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"

        def execute(statement):
            process.stdin.write(statement + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield execute
        process.stdin.close()


def log_of(path):
    return Path(f"{path}-wal"), Path(f"{path}-shm")


def integrity(path):
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute("PRAGMA integrity_check").fetchall()


def test_all_go_on_with_one_log_once_a_moved_file_is_back(open_engine, catalogue, path, monkeypatch):
    """An engine that saw the file gone and a program that saw nothing write in turns: each has what the other wrote.

    With the log removed while the file was away, the program would go on with the removed one, and both would copy
    their own pages into one file.
    """
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    engine = open_engine(bandit.Uniform(catalogue), busy_timeout=0.2)
    engine.decide("c", context(0))
    with other_program(path) as other:
        path.rename(path.with_name("away.db"))
        engine.decide("c", context(1))
        assert "moved or removed" in engine.status().outage
        path.with_name("away.db").rename(path)
        assert other("CREATE TABLE seen (number INTEGER)") == "[]"
        engine.store.checkpoint()
        with Store.open(path, customer_key=KEY) as fresh:  # as an engine that is started meanwhile
            for number in range(20):
                assert engine.decide("c", context(number)).logged
                assert other("INSERT INTO seen VALUES (1)") == "[]"
            rows = fresh._connection.raw.execute("SELECT count(*) FROM seen").fetchall()
        assert rows == [(20,)]
        assert other("SELECT count(*) FROM decisions") == "[(22,)]"
    assert integrity(path) == [("ok",)]
    assert engine.verify().problems == ()


@pytest.mark.parametrize("n_logged", [0, 10])
def test_a_log_that_is_in_use_for_a_file_moved_away_is_not_applied_to_the_next_one(
    open_engine, catalogue, path, tmp_path, n_logged
):
    """The program keeps the moved file and its log open; a backup of ten decisions is put in the file's place.

    It is opened with its ten decisions, not with what the log has of the other file, which is kept under another name.
    """
    with open_engine(bandit.Uniform(catalogue)) as engine:
        for number in range(10):
            engine.decide("c", context(number))
        engine.store.backup(tmp_path / "backup.db")
    with other_program(path) as other:
        other("PRAGMA wal_autocheckpoint = 0")
        other("CREATE TABLE filled (number INTEGER)")
        for _ in range(n_logged):
            other("INSERT INTO filled VALUES (1)")
        if not n_logged:
            other("PRAGMA wal_checkpoint(TRUNCATE)")
        path.rename(path.with_name("away.db"))
        shutil.copy(tmp_path / "backup.db", path)
        with Store.open(path, customer_key=KEY) as store:
            assert store.counts().decisions == 10
            tables = store._connection.raw.execute("SELECT name FROM sqlite_schema WHERE name = 'filled'").fetchall()
            assert tables == []
            assert integrity(path) == [("ok",)]
        kept = list(path.parent.glob(f"{path.name}-wal-of-a-former-file-*"))
        assert len(kept) == bool(n_logged)
        assert other("SELECT count(*) FROM filled") == f"[({n_logged},)]"
    assert integrity(path) == [("ok",)]


def test_the_log_of_the_file_itself_is_left_alone(open_engine, catalogue, path):
    """In use by another program, or left by one that was killed: it holds commits of this very file."""
    with open_engine(bandit.Uniform(catalogue)) as engine:
        engine.decide("c", context(0))
    with other_program(path) as other:
        other("CREATE TABLE filled (number INTEGER)")
        before = [each.stat().st_ino for each in log_of(path)]
        take_former_log_away(path)
        assert [each.stat().st_ino for each in log_of(path)] == before
        copied = path.with_name("copied.db")
        for each, name in zip((path, *log_of(path)), (copied, *log_of(copied)), strict=True):
            shutil.copy(each, name)
    take_former_log_away(copied)  # nobody has it open
    assert log_of(copied)[0].stat().st_size > 0
    with closing(sqlite3.connect(copied)) as raw:
        assert raw.execute("SELECT count(*) FROM filled").fetchall() == [(0,)]


def test_a_database_that_is_open_is_not_read_as_a_log_file(open_engine, catalogue, path):
    """Closing what was read would release SQLite's locks on it in this process, and others could take its log away."""
    engine = open_engine(bandit.Uniform(catalogue))
    engine.decide("c", context(0))
    with pytest.raises(LogFileError, match="is a database that this process has open"):
        open_log(path, catalogue)
    with other_program(path) as other:
        assert "locked" in other("PRAGMA journal_mode = DELETE")
