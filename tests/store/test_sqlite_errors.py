"""A full disk, limits and permissions become one sentence."""

import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bandit.errors import StoreError
from bandit.store import Store, sqlite_errors
from tests.store.rows import decisions

N = 10

ROOT = Path(__file__).resolve().parents[2]


def test_a_full_disk_is_reported_and_the_stored_rows_stay(tmp_path, sound):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    with Store.open(path, durability="process") as store:
        store._connection.raw.execute("PRAGMA max_page_count = 1")  # SQLite takes the size that it has
        with pytest.raises(StoreError, match=r"disk is full.*nothing was written"):
            store.decision_writer.append(decisions(1, N, [f"e{row}" for row in range(500)]))
        assert store.counts().decisions == 120
        assert store.check() == []


_LIMITED = """
import resource, signal, sys
from bandit.errors import StoreError
from bandit.store import Store
from tests.store.rows import decisions
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(sys.argv[1], durability="process")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
for turn in range(100):
    try:
        store.decision_writer.append(decisions(1, 10, [f"{turn}-{row}" for row in range(200)]))
    except StoreError as fault:
        print(turn, fault)
        break
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="there are no limits of file sizes here")
def test_a_size_limit_is_reported_and_all_acknowledged_rows_stay(tmp_path, sound):
    path = tmp_path / "offers.db"
    path.write_bytes(sound)
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _LIMITED, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    turn, _, sentence = run.stdout.strip().partition(" ")
    assert "look at the disk" in sentence or "disk is full" in sentence
    with Store.open(path) as store:
        assert store.counts().decisions == 120 + 200 * int(turn)
        assert store.check() == []


_UNPRIVILEGED = """
import os, sys
from bandit.errors import StoreError
from bandit.store import Store
os.chdir(sys.argv[1])
if os.geteuid() == 0: os.setuid(65534)
for name in ("offers.db", "new.db"):
    try:
        Store.open(name)
    except StoreError as fault:
        print(fault)
"""


def test_a_read_only_directory_is_reported(tmp_path, sound):
    folder = tmp_path / "closed"
    folder.mkdir()
    path = folder / "offers.db"
    path.write_bytes(sound)
    path.chmod(0o444)
    folder.chmod(0o555)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)  # another user is to come to it
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _UNPRIVILEGED, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    folder.chmod(0o755)
    assert run.returncode == 0, run.stderr
    opened, made = run.stdout.splitlines()
    assert "reading only" in opened or "cannot be opened" in opened
    assert "cannot be opened" in made or "cannot be read" in made
    assert path.read_bytes() == sound
    assert [file.name for file in folder.iterdir()] == ["offers.db"]


def test_a_disk_that_is_too_full_to_open_a_database_is_named(tmp_path, sound, monkeypatch):
    """SQLite says "disk I/O error" where it cannot make the files that it shares with others beside the database."""
    path = tmp_path / "offers.db"
    path.write_bytes(sound)

    def fails(*_, **__):
        fault = sqlite3.OperationalError("disk I/O error")
        fault.sqlite_errorcode = sqlite3.SQLITE_IOERR | 19 << 8
        raise fault

    monkeypatch.setattr(sqlite3, "connect", fails)
    with pytest.raises(StoreError, match="could not be read or written by the system"):
        Store.open(path)
    monkeypatch.setattr(sqlite_errors.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(StoreError, match="the disk is full, and SQLite needs room beside the file even to read it"):
        Store.open(path)
