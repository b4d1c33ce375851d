"""The file beside the database, line by line, and how it is folded in."""

import os

import numpy as np
import pytest

from bandit.errors import StoreError
from bandit.store import Store
from bandit.store.spool.file import REFUSED, Spool, abandoned_spool, read_lines, spools
from bandit.store.spool.records import spooled_events
from bandit.store.spool.recovery import SpoolRecovery
from tests.store.rows import decisions, events

N = 10


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


@pytest.fixture
def store(path, catalogue):
    with Store.open(path, durability="process") as opened:
        opened.catalogues.register(catalogue)
        yield opened


def left(path, *records):
    """A spool that a process left behind."""
    spool = Spool(path, sync=False)
    for record in records:
        spool.append(record)
    where = spool.path
    spool.release()
    return where


def spooled(store, ids, **changes):
    """A spool of one line of decisions, left behind by an writer."""
    writer = store.writer()
    rows = decisions(1, N, ids, **changes)
    assert writer.spool_decisions(rows, rows.customers) is None
    return writer


def test_there_is_no_file_until_something_is_in_it(path):
    spool = Spool(path, sync=True)
    assert spools(path) == []
    spool.append({"a": 1})
    assert spools(path) == [spool.path]
    assert spool.path.stat().st_mode & 0o777 == 0o600
    spool.remove()
    assert spools(path) == []


def test_what_is_written_is_read_back_from_any_line(path):
    spool = Spool(path, sync=False)
    starts = [spool.append({"number": number, "text": "x" * number}) for number in (1, 2, 70_000, 3)]
    assert [line.record["number"] for line in spool.read(0)] == [1, 2, 70_000, 3]
    assert [line.record["number"] for line in spool.read(starts[2])] == [70_000, 3]
    spool.remove()


def test_a_line_cut_short_was_never_promised_and_a_changed_one_is_known(path):
    where = left(path, {"number": 1}, {"number": 2}, {"number": 3})
    content = bytearray(where.read_bytes())
    content[content.index(b'"number":2') + 9] ^= 1
    where.write_bytes(content[:-5])
    fd = os.open(where, os.O_RDONLY)
    assert [None if line.record is None else line.record["number"] for line in read_lines(fd, 0)] == [1, None]
    os.close(fd)


def test_the_spool_of_a_writer_that_lives_is_left_alone(path):
    spool = Spool(path, sync=False)
    spool.append({"a": 1})
    with abandoned_spool(spool.path) as mine:
        assert mine is None
    where = spool.path
    spool.release()
    with abandoned_spool(where) as mine:
        assert mine is not None
        assert mine.token == where.name[-16:]
        with abandoned_spool(where) as again:
            assert again is None


def test_a_line_that_cannot_be_written_is_not_there(path, monkeypatch):
    spool = Spool(path, sync=False)
    spool.append({"number": 1})
    whole = os.pwrite

    def half(fd, data, place):
        if len(data) > 20:
            return whole(fd, data[:20], place)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space"):
        spool.append({"number": 2})
    monkeypatch.setattr(os, "pwrite", whole)
    spool.append({"number": 3})
    assert [line.record["number"] for line in spool.read(0)] == [1, 3]
    assert len(spool) == 2
    spool.remove()


def test_what_is_left_is_folded_in_order_and_once(store, path):
    writer = spooled(store, ["a", "b"])
    rows = events(["a"], revenue=5.0)
    writer._spool.append(as_line(rows))
    writer.release()
    folded = store.fold_spools()
    assert (folded.lines, folded.refused, folded.left) == (2, 0, 0)
    assert (store.counts().decisions, store.counts().events) == (2, 1)
    assert spools(path) == []
    assert store.fold_spools().lines == 0
    assert store._connection.raw.execute("SELECT count(*) FROM meta WHERE name LIKE 'spool/%'").fetchone() == (0,)


def as_line(rows, *, correct=False):
    return spooled_events(rows, correct=correct)


def test_a_process_killed_after_folding_and_before_deleting_folds_nothing_twice(store, path, monkeypatch):
    """A correction to 7 is folded, the file stays; 9 is recorded; folding again must not bring 7 back."""
    store.decision_writer.append(decisions(1, N, ["a"]))
    store.events.append(events(["a"], revenue=5.0))
    where = left(path, as_line(events(["a"], revenue=7.0), correct=True))
    content = where.read_bytes()
    with monkeypatch.context() as killed:
        killed.setattr(SpoolRecovery, "forget", lambda self, token: None)
        store.fold_spools()
    where.write_bytes(content)
    store.events.append(events(["a"], revenue=9.0), correct=True)
    store.fold_spools()
    assert store.decisions.one("a", "purchase", 10**15).revenue.tolist() == [9.0]


def test_a_line_the_database_refuses_is_kept_and_stops_nothing(store, path):
    store.decision_writer.append(decisions(1, N, ["a"]))
    writer = spooled(store, ["a"], time=np.array([99]))  # the same id with other content
    writer._spool.append(as_line(events(["nobody"])))
    writer._spool.append({"type": "unknown"})
    writer._spool.append(as_line(events(["a"], revenue=1.0)))
    writer.release()
    folded = store.fold_spools()
    assert (folded.lines, folded.refused) == (4, 3)
    assert store.counts().events == 1
    kept = path.with_name(path.name + REFUSED).read_text().splitlines()
    assert [word in line for word, line in zip(("another time", "nobody", "damaged"), kept, strict=True)] == [True] * 3


def test_a_long_spool_is_folded_in_parts(store, monkeypatch):
    monkeypatch.setattr("bandit.store.spool.recovery.LINES_PER_FOLD", 3)
    writer = store.writer()
    for number in range(10):
        rows = decisions(1, N, [f"d{number}"])
        writer.spool_decisions(rows, rows.customers)
    writer.fold_all()
    assert store.counts().decisions == 10
    assert writer.spooled == 0


def test_events_wait_behind_what_waits_for_a_locked_database(store, path, monkeypatch):
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    with Store.open(path, busy_timeout=0.01, durability="process") as second:
        writer = second.writer()
        with store.transaction():
            with pytest.raises(StoreError, match="locked"):
                writer.decisions(decisions(1, N, ["a"]))
            rows = decisions(1, N, ["a"])
            writer.spool_decisions(rows, rows.customers)
            assert writer.events(events(["a"], revenue=3.0), correct=False).n_spooled == 1
            assert writer.waiting("a")[1] == 0
        assert writer.events(events(["a"], "shown"), correct=False).n_new == 1
        assert (writer.spooled, writer.waiting("a")) == (0, None)
        assert writer.last_ok
    assert (store.counts().decisions, store.counts().events) == (1, 2)
