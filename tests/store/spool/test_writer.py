"""The writer that spools while the database cannot be written."""

import pytest

from bandit.errors import StoreError
from bandit.store import Store
from tests.store.rows import decisions, events

N = 10


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
