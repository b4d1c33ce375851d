"""The unused bytes of a database file: all that is deleted or was moved is zero, and nothing that is used changes."""

import os
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from bandit.store.maintenance import unused_bytes
from bandit.store.maintenance.unused_bytes import UnknownLayoutError, free_share, wipe_unused

MARK = "the secret of row"


def text(rng, number):
    """A text that names its row in every 24 characters, of up to some pages."""
    word = f"{MARK} {number:05d} "
    return (word * int(rng.integers(2, 2 + 10 ** int(rng.integers(1, 4)))))[: int(rng.integers(30, 4_000))]


def name(number):
    """What names a row in each of its texts, too long to be made by the end of one value and the bytes after it."""
    return f"{MARK} {number:05d} the".encode()


def build(path, page_bytes, rng, rows=400, *, secure=False):
    """Tables with and without row numbers, long index keys, and a schema that has its own long text."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(f"PRAGMA page_size = {page_bytes:d}")
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = OFF")
        raw.execute(f"PRAGMA secure_delete = {'ON' if secure else 'OFF'}")
        raw.execute(f"CREATE TABLE plain (id INTEGER PRIMARY KEY, a TEXT, b TEXT) -- {'x' * 300}")
        raw.execute("CREATE INDEX plain_a ON plain (a)")
        raw.execute("CREATE TABLE keyed (a TEXT, n INTEGER, b BLOB, PRIMARY KEY (a, n)) WITHOUT ROWID")
        for number in rng.permutation(rows).tolist():
            a, b = text(rng, number), text(rng, number)
            raw.execute("INSERT INTO plain VALUES (?, ?, ?)", (number, a, b))
            raw.execute("INSERT INTO keyed VALUES (?, ?, ?)", (a[:60], number, b.encode()))
            if rng.random() < 0.2:
                raw.execute("UPDATE plain SET b = ? WHERE id = ?", (text(rng, number), number))
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def delete(path, numbers):
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA secure_delete = OFF")
        raw.execute("PRAGMA synchronous = OFF")
        raw.execute("BEGIN")
        raw.executemany("DELETE FROM plain WHERE id = ?", [(number,) for number in numbers])
        raw.executemany("DELETE FROM keyed WHERE n = ?", [(number,) for number in numbers])
        raw.execute("COMMIT")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def content(path):
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [
            raw.execute("SELECT * FROM plain ORDER BY 1").fetchall(),
            raw.execute("SELECT * FROM keyed ORDER BY 1, 2").fetchall(),
        ]


def wiped(path):
    fd = os.open(path, os.O_RDWR)
    try:
        return wipe_unused(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("page_bytes", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_deleted_is_gone_and_the_rest_is_as_it_was(tmp_path, page_bytes, seed, monkeypatch):
    """A third of 400 rows is deleted without SQLite's own overwriting; their 24-byte words name them."""
    monkeypatch.setattr(unused_bytes, "BLOCK_BYTES", 1 << 17)  # several blocks
    rng = np.random.default_rng([seed, page_bytes])
    path = tmp_path / "some.db"
    build(path, page_bytes, rng)
    gone = rng.choice(400, 133, replace=False).tolist()
    delete(path, gone)
    words = list(map(name, gone))
    before, left = content(path), path.read_bytes()
    assert any(word in left for word in words)  # the negative control: without wiping they are there
    report = wiped(path)
    left = path.read_bytes()
    assert report.wiped > 0
    assert not [word for word in words if word in left]
    assert content(path) == before
    assert wiped(path).wiped == 0


@pytest.mark.parametrize("page_bytes", [512, 1024])
def test_no_byte_is_left_that_a_rewritten_file_does_not_have(tmp_path, page_bytes):
    """Of texts that were cut by later content a part may be left, such as " 00123 the"; none of a deleted row is."""
    rng = np.random.default_rng(page_bytes)
    path = tmp_path / "some.db"
    build(path, page_bytes, rng, rows=300)
    delete(path, range(100, 300))
    wiped(path)
    numbers = [f" {number:05d} the".encode() for number in range(100, 300)]
    left = path.read_bytes()
    assert not [number for number in numbers if number in left]


def test_a_file_whose_layout_is_another_is_left_alone(tmp_path):
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA auto_vacuum = FULL")
        raw.execute("CREATE TABLE one (a)")
    before = path.read_bytes()
    with pytest.raises(UnknownLayoutError, match="pointer maps"):
        wiped(path)
    path.write_bytes(before + bytes(512))
    with pytest.raises(UnknownLayoutError):
        wiped(path)


def test_the_share_of_free_pages_is_that_of_the_header(tmp_path):
    path = tmp_path / "some.db"
    build(path, 1024, np.random.default_rng(1))
    delete(path, range(400))
    with closing(sqlite3.connect(path)) as raw:
        n, free = (raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    fd = os.open(path, os.O_RDONLY)
    assert free_share(fd) == free / n > 0.8
    os.close(fd)
    assert wiped(path).free_pages == free
    assert MARK.encode() not in path.read_bytes()


def test_progress_goes_to_the_end_of_the_file(tmp_path):
    path, seen = tmp_path / "some.db", []
    build(path, 1024, np.random.default_rng(1), rows=50)
    fd = os.open(path, os.O_RDWR)
    wipe_unused(fd, lambda done, total: seen.append((done, total)))
    os.close(fd)
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
