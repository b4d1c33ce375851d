"""Folding spools into the database: in order and once."""

import contextlib

import numpy as np

from bandit.store.spool.file import REFUSED, Spool, spools
from bandit.store.spool.records import spooled_events
from bandit.store.spool.recovery import SpoolRecovery
from bandit.store.spool.refused import refused_lines
from tests.store.rows import decisions, events

N = 10


def left(path, *records):
    """A spool that a process left behind."""
    spool = Spool(path, sync=False)
    for record in records:
        spool.append(record)
    where = spool.path
    spool.release()
    return where


def spooled(store, ids, **changes):
    """A spool of one line of decisions, left behind by a writer."""
    writer = store.writer()
    rows = decisions(1, N, ids, **changes)
    assert writer.spool_decisions(rows, rows.customers) is None
    return writer


def as_line(rows, *, correct=False):
    return spooled_events(rows, correct=correct)


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


def test_a_line_that_is_refused_again_after_a_rollback_is_kept_once(store, path):
    """The fold is undone after the refused line was kept, as by a full disk, and done again."""
    store.decision_writer.append(decisions(1, N, ["a"]))
    where = spooled(store, ["a"], propensity=np.full(1, 0.5))
    for _ in range(3):
        with contextlib.suppress(ZeroDivisionError), store.transaction():
            where._recovery.fold(where._spool.token, where._spool.read)
            raise ZeroDivisionError
    where.fold_all()
    assert len(path.with_name(path.name + REFUSED).read_bytes().splitlines()) == 1
    assert [(line.kind, line.decision_ids) for line in refused_lines(path)] == [("decisions", ("a",))]
