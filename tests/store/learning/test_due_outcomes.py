"""Outcomes become due for learning: new, changed, and silence of which more is known."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.catalogue import Catalogue
from bandit.store import DueCriterion, OneDue, Store, state_hash
from bandit.store.learning.conversion_delay import LEVEL_WEIGHTS
from tests.conftest import SPRING
from tests.store.rows import DAY, WEEK, decisions, due, events, learn, names, weights

N = 10


def test_silence_is_due_in_parts_and_whole_when_the_window_ends(store):
    """Without any conversion the share known is linear: 1/8 of the week is the first level, 3/8 the second, ..."""
    assert len(due(store, now=int(0.12 * WEEK))) == 0
    for share, weight, was in [(0.13, 0.25, 0.0), (0.5, 0.5, 0.25), (0.7, 0.75, 0.5), (0.99, 0.95, 0.75)]:
        rows = due(store, now=int(share * WEEK))
        assert names(rows) == "abcdef"
        assert (rows.weight.tolist(), rows.previous_weight.tolist()) == ([weight] * 6, [was] * 6)
        assert rows.is_update.all() == (was > 0)
        assert learn(store, now=int(share * WEEK)) == ["abcdef"]
        assert len(due(store, now=int((share + 0.01) * WEEK))) == 0
    assert len(due(store, now=WEEK)) == 0
    assert learn(store, now=WEEK + 1) == ["abcdef"]
    assert len(due(store, now=WEEK + 2)) == 0
    assert weights(store)["a"] == [0.25, 0.5, 0.75, 0.95, 1.0]


def test_a_conversion_after_parts_of_silence_ends_as_one_whole_conversion(store):
    learn(store, now=WEEK // 2)
    store.events.append(events(["b"], time=WEEK // 2, revenue=5.0))
    store.events.append(events(["c"], time=WEEK // 2, event="closed"))
    rows = due(store, now=WEEK // 2 + 1)
    assert names(rows) == "bc"
    assert (rows.weight.tolist(), rows.previous_weight.tolist()) == ([1.0, 1.0], [0.5, 0.5])
    assert rows.decisions.converted.tolist() == [True, False]
    assert rows.previous_converted.tolist() == [False, False]
    learn(store, now=WEEK // 2 + 1)
    assert learn(store, now=2 * WEEK) == ["adef"]
    assert weights(store)["b"] == [0.5, 1.0]


def test_what_was_learned_in_full_is_never_open_again(store):
    """A purchase that is corrected away within its window was one whole outcome and stays one."""
    store.events.append(events(["b"], revenue=5.0))
    learn(store)
    store.events.append(events(["b"], event="mistake", event_ids=["purchase"]), correct=True)
    rows = due(store, now=2)
    assert names(rows) == "b"
    assert (rows.weight.tolist(), rows.previous_weight.tolist()) == ([1.0], [1.0])
    assert rows.decisions.converted.tolist() == [False]


def test_raw_rewards_know_no_parts(store):
    assert len(due(store, now=WEEK, counts_at_once=True)) == 0
    rows = due(store, now=WEEK + 1, counts_at_once=True)
    assert rows.weight.tolist() == [1.0] * 6


def test_where_conversions_are_quick_silence_is_known_early(store):
    """40 decisions of a week before, all bought within the hour: of a new one nearly all is known after three."""
    ids = [f"old-{i}" for i in range(40)]
    store.decision_writer.append(decisions(1, N, ids, time=np.full(40, -2 * WEEK)))
    store.events.append(events(ids, time=-2 * WEEK + DAY // 24, revenue=5.0))
    rows = due(store, now=DAY // 8)
    assert names(rows)[:6] == "abcdef"
    assert rows.weight.tolist() == [0.95] * 6 + [1.0] * 40


def test_a_conversion_that_is_recorded_late_counts_as_late(store):
    """The same purchases within the hour, each reported after five days: nearly nothing is known after four."""
    ids = [f"old-{i}" for i in range(40)]
    store.decision_writer.append(decisions(1, N, ids, time=np.full(40, -2 * WEEK)))
    at = -2 * WEEK + DAY // 24
    store.events.append(events(ids, time=at, revenue=5.0, recorded_at=-2 * WEEK + 5 * DAY))
    assert len(due(store, now=DAY // 8)) == 40
    assert due(store, now=4 * DAY).weight.tolist() == [0.25] * 6 + [1.0] * 40
    assert due(store, now=6 * DAY).weight.tolist() == [0.95] * 6 + [1.0] * 40


@pytest.mark.filterwarnings("ignore:.*of the schema; as it was before")
def test_a_store_of_the_first_version_continues_from_its_watermark(tmp_path):
    """Its learner learned "a", "b" (and "a" anew), "c" and its return; "d" is open, and half a week old."""
    path = tmp_path / "old.db"
    raw = sqlite3.connect(path)
    raw.executescript((Path(__file__).parents[2] / "fixtures" / "store_version_1.sql").read_text())
    raw.close()
    with Store.open(path, durability="process") as store:
        assert weights(store) == {"a": [1.0, 1.0], "b": [1.0], "c": [1.0, 1.0]}
        assert store.ledger.learned_rows(1, 1, "purchase", WEEK).previous_weight.tolist() == [0.0, 0.0]
        assert store.ledger.learned_rows(1, 2, "purchase", WEEK).previous_weight.tolist() == [1.0, 0.0]
        rows = due(store, now=20 * DAY + WEEK // 2)
        assert (names(rows), rows.is_update.tolist()) == ("d", [False])
        assert 0.0 < rows.weight[0] < 1.0
        learn(store, now=20 * DAY + WEEK // 2)
        learn(store, now=40 * DAY)
        assert weights(store)["d"][-1] == 1.0
        assert store.check() == []


def test_a_conversion_counts_at_once_and_so_does_closed(store):
    store.events.append(events(["b"], revenue=5.0))
    store.events.append(events(["d"], event="closed"))
    store.events.append(events(["e"], event="opened"))
    rows = due(store)
    assert names(rows) == "bd"
    assert rows.decisions.converted.tolist() == [True, False]
    assert not rows.is_update.any()


def test_raw_rewards_count_at_once_only_where_asked(store):
    store.events.append(events(["c"], event="points", reward=2.0))
    assert len(due(store)) == 0
    assert names(due(store, counts_at_once=True)) == "c"


def test_what_was_learned_is_due_again_only_when_it_changed(store):
    store.events.append(events(["b"], revenue=5.0))
    assert learn(store) == ["b"]
    store.events.append(events(["b"], event="opened"))
    assert len(due(store)) == 0
    store.events.append(events(["b"], event="return", revenue=-5.0))
    rows = due(store)
    assert names(rows) == "b"
    assert rows.is_update.tolist() == [True]
    assert (rows.previous_converted.tolist(), rows.previous_revenue.tolist()) == ([True], [5.0])
    assert (rows.decisions.converted.tolist(), rows.decisions.revenue.tolist()) == ([False], [0.0])
    assert learn(store) == ["b"]
    assert len(due(store)) == 0


def test_an_event_after_the_window_restates_nothing(store):
    assert learn(store, now=2 * WEEK) == ["abcdef"]
    store.events.append(events(["a"], time=2 * WEEK, revenue=9.0))
    assert len(due(store, now=3 * WEEK)) == 0


def test_a_late_event_inside_the_window_restates_silence(store):
    learn(store, now=2 * WEEK)
    store.events.append(events(["a"], time=DAY, revenue=9.0))
    rows = due(store, now=3 * WEEK)
    assert (names(rows), rows.is_update.tolist(), rows.previous_converted.tolist()) == ("a", [True], [False])


def test_old_decisions_that_are_imported_later_are_found(store):
    learn(store, now=2 * WEEK)
    store.decision_writer.append(decisions(1, N, ["x", "y"], time=np.array([DAY, 10 * DAY])))
    rows = due(store, now=2 * WEEK)
    assert (names(rows), rows.weight.tolist()) == ("xy", [1.0, 0.5])
    learn(store, now=2 * WEEK)
    assert names(due(store, now=4 * WEEK)) == "y"


def test_an_open_decision_that_is_written_late_is_found_at_its_level(store):
    learn(store, now=2 * WEEK)
    for place, age in enumerate([0.2, 0.4, 0.7, 0.9]):
        store.decision_writer.append(decisions(1, N, [f"late-{place}"], time=np.array([int((2 - age) * WEEK)])))
    rows = due(store, now=2 * WEEK)
    assert rows.weight.tolist() == [0.25, 0.5, 0.75, 0.95]


def test_a_limit_cuts_a_scan_into_steps_without_losing_new_events(store):
    rows = due(store, now=2 * WEEK, limit=4)
    assert names(rows) == "abcd"
    store.events.append(events(["a"], revenue=3.0))
    store.ledger.record_step(1, 1, rows, state_hash(b"1"), b"1")
    store.decision_writer.append(decisions(1, N, ["z"], time=np.zeros(1, int)))
    assert learn(store, now=2 * WEEK, limit=4) == ["ef", "az"]


def test_rows_left_out_are_not_asked_again_until_an_event_comes(store):
    rows = due(store, now=2 * WEEK)
    kept = rows.take(np.array([0, 1, 2]))
    store.ledger.record_step(1, 1, kept, state_hash(b"1"), None)
    assert len(due(store, now=3 * WEEK)) == 0
    store.events.append(events(["f"], revenue=1.0))
    assert names(due(store, now=3 * WEEK)) == "f"


def test_a_clock_set_back_loses_nothing(store):
    learn(store, now=2 * WEEK)
    store.decision_writer.append(decisions(1, N, ["x"], time=np.array([6 * DAY])))
    assert len(due(store, now=DAY)) == 0
    store.events.append(events(["a"], revenue=1.0))
    assert learn(store, now=DAY) == ["a"]
    assert learn(store, now=2 * WEEK) == ["x"]


def test_asking_writes_nothing_and_an_idle_answer_is_kept_in_memory(store):
    before = store._connection.raw.total_changes
    for _ in range(3):
        assert len(due(store)) == 0
    assert store._connection.raw.total_changes == before
    store.events.append(events(["b"], revenue=5.0))
    assert names(due(store)) == "b"


def test_what_was_seen_in_a_transaction_that_failed_is_looked_at_again(store):
    boom = RuntimeError("boom")

    def fail():
        with store.transaction():
            store.events.append(events(["b"], event="opened"))
            assert len(due(store)) == 0
            raise boom

    with pytest.raises(RuntimeError):
        fail()
    store.events.append(events(["c"], revenue=5.0))  # takes the number that was given back
    assert names(due(store)) == "c"


def test_another_criterion_begins_from_the_beginning(store):
    learn(store, now=2 * WEEK)
    store.events.append(events(["a"], time=8 * DAY, revenue=9.0))
    assert len(due(store, now=4 * WEEK)) == 0
    rows = store.ledger.due(1, "purchase", 2 * WEEK, 4 * WEEK)
    assert names(rows) == "a"


_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), st.integers(0, 12)),
        st.tuples(st.just("event"), st.integers(0, 9), st.integers(0, 12), st.sampled_from([5.0, -5.0, 0.0])),
        st.tuples(st.just("close"), st.integers(0, 9)),
        st.tuples(st.just("learn"), st.integers(1, 4)),
        st.tuples(st.just("reopen")),
        st.tuples(st.just("wait"), st.integers(1, 5)),
    ),
    max_size=40,
)


@settings(max_examples=25)
@given(_ACTIONS)
def test_after_any_history_what_was_learned_is_what_looking_at_everything_would_have_learned(tmp_path_factory, actions):
    """The oracle reads the whole log; the last learned outcome of each decision must be its outcome, if settled."""
    path = tmp_path_factory.mktemp("s") / "s.db"
    store = Store.open(path, durability="process")
    number = store.catalogues.register(Catalogue.from_dict(SPRING))
    store.catalogues.register_policy(number, {})
    store.ledger.record_step(1, 0, None, state_hash(b""), b"")
    now, n = 0, 0
    for action, *arguments in [*actions, ("learn", 100)]:
        if action == "decide":
            store.decision_writer.append(decisions(number, N, [f"d{n}"], time=np.array([arguments[0] * DAY])))
            n += 1
        elif action == "event" and n:
            name = f"e{store.counts().events}"
            row = events([f"d{arguments[0] % n}"], "purchase", arguments[1] * DAY, arguments[2], event_ids=[name])
            store.events.append(row)
        elif action == "close" and n:
            store.events.append(events([f"d{arguments[0] % n}"], "closed"))
        elif action == "learn":
            same_if_few(store, now)
            learn(store, now, limit=arguments[0])
        elif action == "reopen":
            store.close()
            store = Store.open(path, durability="process")
        elif action == "wait":
            now += arguments[0] * DAY
    learned = ledger(store)
    log = store.decisions.page("purchase", WEEK)
    settled = log.converted | log.closed | (log.time + WEEK < now)
    ages = store.ledger._due.delays.level_ages("purchase", WEEK, now)
    known = LEVEL_WEIGHTS[(log.time[:, None] <= now - ages).sum(axis=1)]
    for row, seq in enumerate(log.seq.tolist()):
        if settled[row] or known[row] or seq in learned:
            assert learned[seq][1:] == (log.converted[row], log.revenue[row])
            # Once an outcome was whole, or more of it seemed known than does now, it stays so.
            assert learned[seq][0] >= (1.0 if settled[row] else known[row])
    learn(store, now + 4 * WEEK)
    assert [whole for whole, *_ in ledger(store).values()] == [1.0] * len(log)
    assert store.check() == []
    store.close()


def same_if_few(store, now):
    """What is found at once, if it is, must be all that the scan finds, column by column."""
    every = due(store, now)
    found = store.ledger.few_due(1, DueCriterion("purchase", WEEK, counts_at_once=False), now, 8)
    if found is None:
        return
    if isinstance(found, OneDue):
        found = found.columns()
    for name in ("weight", "is_update", "previous_weight", "previous_converted", "previous_revenue", "previous_value"):
        assert getattr(found, name).tolist() == getattr(every, name).tolist(), name
    for name in type(found.decisions).__slots__:
        one, other = getattr(found.decisions, name), getattr(every.decisions, name)
        assert (one.dtype, one.tolist()) == (other.dtype, other.tolist()), name
    assert found.scan.target == every.scan.target


def ledger(store):
    """The last (weight, converted, revenue) learned of each decision; each step must go on from the one before."""
    learned = {}
    for step in store.ledger.steps(1):
        rows = store.ledger.learned_rows(1, step.step, "purchase", WEEK)
        came, was = rows.decisions, (rows.previous_weight, rows.previous_converted, rows.previous_revenue)
        for row, seq in enumerate(came.seq.tolist()):
            assert bool(rows.is_update[row]) == (seq in learned)
            assert tuple(column[row] for column in was) == learned.get(seq, (0.0, False, 0.0))
            learned[seq] = (rows.weight[row], came.converted[row], came.revenue[row])
    return learned
