"""The ledger: steps without gaps, snapshots, and outcomes as they were learned."""

import pytest

from bandit.errors import StoreError
from bandit.store import state_hash
from tests.store.rows import WEEK, events, learn


def test_learned_rows_are_as_they_were_learned(store):
    store.events.append(events(["b"], revenue=5.0))
    learn(store)
    store.events.append(events(["b"], event="return", revenue=-2.0))
    learn(store)
    first, second = (store.ledger.learned_rows(1, step, "purchase", WEEK) for step in (1, 2))
    assert first.decisions.revenue.tolist() == [5.0]
    assert first.is_update.tolist() == [False]
    assert (second.decisions.revenue.tolist(), second.previous_revenue.tolist()) == ([3.0], [5.0])
    assert second.is_update.tolist() == [True]
    assert len(store.ledger.learned_rows(1, 0, "purchase", WEEK)) == 0


def test_steps_have_no_gap_and_the_first_and_newest_state_are_kept(store):
    with pytest.raises(StoreError, match="expects step 1 and was given step 2"):
        store.ledger.record_step(1, 2, None, state_hash(b""), b"")
    with pytest.raises(StoreError, match="step 1 and was given step 0"):
        store.ledger.record_step(1, 0, None, state_hash(b""), b"")
    with pytest.raises(StoreError, match="hash"):
        store.ledger.record_step(1, 1, None, "0" * 32, b"")
    for step in (1, 2, 3):
        state = b"state %d" % step
        store.ledger.record_step(1, step, None, state_hash(state), state if step < 3 else None)
    assert [step.step for step in store.ledger.steps(1)] == [0, 1, 2, 3]
    assert store.ledger.snapshot(1, newest=False).state == b"0"
    newest = store.ledger.snapshot(1, newest=True)
    assert (newest.step, newest.state, newest.state_hash) == (2, b"state 2", state_hash(b"state 2"))
    kept = store._connection.raw.execute("SELECT step FROM snapshots").fetchall()
    assert kept == [(0,), (2,)]
    assert store.check() == []


def test_a_policy_that_learned_nothing_has_no_step(store):
    other = store.catalogues.register_policy(1, {"kind": "other"})
    assert store.ledger.latest_step(other) is None
    assert store.ledger.snapshot(other, newest=True) is None
    assert store.ledger.steps(other) == ()


def test_two_policies_learn_the_same_log_apart(store):
    other = store.catalogues.register_policy(1, {"kind": "other"})
    learn(store, now=2 * WEEK)
    assert len(store.ledger.due(other, "purchase", WEEK, 2 * WEEK)) == 6
