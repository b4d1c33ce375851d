"""Erasure in a file that is too large to be rewritten: its unused bytes are set to zero where it lies."""

import sqlite3
from contextlib import closing

import pytest

import bandit
from bandit.governance.erasure import erase
from bandit.governance.verify import verify
from bandit.store import Store
from bandit.store.maintenance import deletion
from bandit.store.maintenance.unused_bytes import UnknownLayoutError
from tests.governance.conftest import KEY, WHO, explored_log, files, served_log, traces


@pytest.fixture(autouse=True)
def counted_as_large(monkeypatch):
    monkeypatch.setattr(deletion, "SMALL_BYTES", 0)


def test_no_byte_is_left_the_chain_is_whole_and_others_are_computed_again(tmp_path, catalogue):
    """62 decisions a round, of which the customer has 4; other connections remember pages and write them later."""
    path = tmp_path / "a.db"
    served_log(path, catalogue, bandit.ThompsonSampling(catalogue))
    policy = bandit.ThompsonSampling(catalogue)
    seen = []
    with bandit.Engine.open(path, catalogue, policy, seed=9, customer_key=KEY) as beside:
        beside.decide("a customer beside", {"recency": 1.0})
        with Store.open(path, customer_key=KEY) as store:
            stored = store.customers.stored(WHO)
            assert any(trace in b"".join(files(tmp_path).values()) for trace in traces(stored))
            assert erase(store, WHO, lambda done, total: seen.append((done, total))).decisions == 8
            assert not store.deletion.scrub_is_due()
        for row in range(20):
            beside.decide(f"one more {row}", {"recency": float(row)})
    assert seen[-1][0] == seen[-1][1] > 0
    assert [trace for trace in traces(stored) if trace in b"".join(files(tmp_path).values())] == []
    with Store.open(path, customer_key=KEY) as store:
        report = verify(store)
        assert report.problems == ()
        assert report.n_recomputed >= 1
        assert not store.check_chain().problems
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_layout_that_is_not_known_is_rewritten(tmp_path, catalogue, monkeypatch):
    def unknown(*_):
        raise UnknownLayoutError("of another kind")

    monkeypatch.setattr(deletion, "wipe_unused", unknown)
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    with Store.open(path, customer_key=KEY) as store:
        stored = store.customers.stored(WHO)
        assert erase(store, WHO).decisions == 6
        assert not store.deletion.scrub_is_due()
    assert [trace for trace in traces(stored) if trace in b"".join(files(tmp_path).values())] == []


def test_a_file_with_much_free_space_is_rewritten_and_gets_smaller(tmp_path, catalogue, monkeypatch):
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    with Store.open(path, customer_key=KEY) as store:
        size = path.stat().st_size
        erase(store, WHO)
        in_place = path.stat().st_size
        monkeypatch.setattr(deletion, "MOST_FREE", -1.0)
        erase(store, "customer-1")
    assert in_place >= size > path.stat().st_size
