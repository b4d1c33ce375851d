"""Appending events: repeats, corrections, and the outcomes that they make."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.catalogue import Catalogue
from bandit.errors import DuplicateError, NumberError, UnknownDecisionError
from bandit.store import EventReceipt, EventRows, Store
from tests.conftest import SPRING
from tests.store.rows import DAY, NAN, WEEK, decisions, events, outcome

N = 10


@pytest.fixture
def store(tmp_path, catalogue):
    with Store.open(tmp_path / "offers.db", durability="process") as opened:
        number = opened.catalogues.register(catalogue)
        opened.decision_writer.append(decisions(number, N, ["a", "b", "c"], time=np.zeros(3, int)))
        yield opened


def test_a_purchase_converts_and_silence_does_not(store):
    assert store.events.append(events(["a"], revenue=52.0)) == EventReceipt(1, 0, 0)
    assert outcome(store, "a") == (True, 52.0, 0.0, False)
    assert outcome(store, "b") == (False, 0.0, 0.0, False)


def test_an_event_without_an_id_has_its_name_for_one(store):
    """With one name for all events and with a name each; an event sent again under that name is a repeat."""
    assert store.events.append(events(["a", "a"], event="upsell", event_ids=[None, "own"])) == EventReceipt(2, 0, 0)
    assert store.events.append(events(["a"], event="upsell", event_ids=["upsell"])) == EventReceipt(0, 1, 0)
    named = EventRows(["upsell", "view"], np.zeros(2, int), *np.full((2, 2), NAN), ["a", "b"], event_ids=["own", None])
    assert store.events.append(named) == EventReceipt(1, 1, 0)
    again = EventRows(["view"], np.zeros(1, int), *np.full((2, 1), NAN), ["b"], event_ids=["view"])
    assert store.events.append(again) == EventReceipt(0, 1, 0)


def test_a_decision_that_another_process_erased_after_it_was_made_here_is_unknown(store):
    """Its number is still in memory here; of the two decisions made alike, the one that is left takes its event."""
    number = store.catalogues.register(store.catalogues.get(1))
    for name in ("d", "e"):
        store.decision_writer.append(decisions(number, N, [name], time=np.zeros(1, int)))
    with store.another() as other, other._connection.transaction():
        for statement in (
            "INSERT INTO meta (name, value) VALUES ('erasing', '1')",
            "DELETE FROM decisions WHERE decision_id = 'd'",
            "DELETE FROM meta WHERE name = 'erasing'",
        ):
            other._connection.raw.execute(statement)
    with pytest.raises(UnknownDecisionError, match='"d"'):
        store.events.append(events(["d"], revenue=1.0))
    assert store.events.append(events(["e"], revenue=1.0)) == EventReceipt(1, 0, 0)
    assert outcome(store, "e") == (True, 1.0, 0.0, False)


def test_another_event_does_not_convert_but_its_money_counts(store):
    store.events.append(events(["a"], event="upsell", revenue=5.0))
    assert outcome(store, "a") == (False, 5.0, 0.0, False)


def test_closed_closes(store):
    store.events.append(events(["a"], event="closed", time=99 * DAY))
    assert outcome(store, "a") == (False, 0.0, 0.0, True)


def test_the_window_has_its_end_inside(store):
    """Decisions at 0 with a window of a week: exactly a week later counts, a microsecond more does not."""
    store.events.append(events(["a", "b"], time=[WEEK, WEEK + 1], revenue=10.0))
    assert outcome(store, "a")[0]
    assert outcome(store, "b") == (False, 0.0, 0.0, False)
    assert outcome(store, "b", window=2 * WEEK)[:2] == (True, 10.0)


def test_an_event_before_its_decision_does_not_count(store):
    """One microsecond before is no consequence of the decision; at its very moment it is."""
    store.events.append(events(["a"], time=-1, revenue=10.0))
    assert outcome(store, "a")[:2] == (False, 0.0)
    store.events.append(events(["a"], time=0, revenue=10.0, event_ids=["2"]))
    assert outcome(store, "a")[:2] == (True, 10.0)


def test_a_full_return_undoes_the_conversion_and_a_partial_one_does_not(store):
    """0.1 + 0.2 - 0.3 is 5.6e-17 in floating point and must still be a full return."""
    store.events.append(events(["a", "a"], revenue=[0.1, 0.2], event_ids=["1", "2"]))
    store.events.append(events(["a"], event="return", revenue=-0.3))
    assert outcome(store, "a")[0] is False
    store.events.append(events(["b"], revenue=50.0))
    store.events.append(events(["b"], event="return", revenue=-20.0))
    assert outcome(store, "b")[:2] == (True, 30.0)


def test_a_conversion_without_revenue_is_one(store):
    store.events.append(events(["a"]))
    assert outcome(store, "a")[:2] == (True, 0.0)


def test_raw_rewards_add_up(store):
    store.events.append(events(["a", "a"], event="points", reward=[1.5, -4.0], event_ids=["x", "y"]))
    assert outcome(store, "a") == (False, 0.0, -2.5, False)


def test_a_repeat_writes_nothing(store):
    store.events.append(events(["a"], revenue=52.0))
    assert store.events.append(events(["a"], revenue=52.0, time=DAY)) == EventReceipt(0, 1, 0)
    assert store.events.append(events(["a", "b"], revenue=52.0)) == EventReceipt(1, 1, 0)
    assert store.counts().events == 2


def test_an_event_id_with_other_content_is_refused_with_both_contents(store):
    store.events.append(events(["a"], revenue=52.0))
    with pytest.raises(DuplicateError, match=r"purchase, revenue 52 and .* purchase, revenue 48; .*--correct"):
        store.events.append(events(["b", "a"], revenue=[1.0, 48.0]))
    assert store.counts().events == 1
    assert outcome(store, "b")[0] is False


def test_a_correction_is_a_new_row_and_the_newest_counts(store):
    store.events.append(events(["a"], revenue=52.0))
    assert store.events.append(events(["a"], revenue=48.0), correct=True) == EventReceipt(0, 0, 1)
    assert store.events.append(events(["a"], revenue=47.0), correct=True) == EventReceipt(0, 0, 1)
    assert store.events.append(events(["a"], revenue=47.0), correct=True) == EventReceipt(0, 1, 0)
    assert outcome(store, "a")[:2] == (True, 47.0)
    rows = store.decisions.events_of("a")
    assert rows.revenue.tolist() == [52.0, 48.0, 47.0]
    assert rows.current.tolist() == [False, False, True]
    assert rows.corrects.tolist() == [-1, int(rows.id[0]), int(rows.id[1])]
    assert store.check() == []


def test_corrections_within_one_batch_go_in_order(store):
    receipt = store.events.append(events(["a", "a", "a"], revenue=[52.0, 48.0, 52.0]), correct=True)
    assert receipt == EventReceipt(1, 0, 2)
    assert outcome(store, "a")[1] == 52.0


def test_a_correction_that_comes_late_keeps_the_time_of_the_event(store):
    """Bought on day 2, corrected on day 9: still inside the week, unless the correction brings a time of its own."""
    store.events.append(events(["a"], time=2 * DAY, revenue=52.0))
    store.events.append(events(["a"], time=9 * DAY, revenue=48.0, time_given=False), correct=True)
    assert outcome(store, "a")[:2] == (True, 48.0)
    store.events.append(events(["a"], time=9 * DAY, revenue=48.0), correct=True)
    assert outcome(store, "a")[:2] == (False, 0.0)


def test_an_unknown_decision_is_named_and_nothing_is_written(store):
    with pytest.raises(UnknownDecisionError, match=r'"nobody".* \(nor 1 more\)'):
        store.events.append(events(["a", "nobody", "noone"], revenue=1.0))
    with pytest.raises(UnknownDecisionError, match='"nobody"'):
        store.events.append(events(["nobody"], revenue=1.0))
    one = np.zeros(1)
    with pytest.raises(UnknownDecisionError, match="decision number"):
        store.events.append(EventRows("purchase", np.zeros(1, int), one, one, seq=np.array([99])))
    assert store.counts().events == 0


def test_infinite_money_is_refused(store):
    with pytest.raises(NumberError, match="revenue of event 1 is infinite"):
        store.events.append(events(["a", "b"], revenue=[1.0, np.inf]))


def test_events_by_number_are_those_by_id(store):
    seq = store.decisions.one("b", "purchase", WEEK).seq
    rows = EventRows("purchase", np.ones(1, int), np.array([5.0]), np.array([NAN]), seq=seq, event_ids=[None])
    assert store.events.append(rows) == EventReceipt(1, 0, 0)
    assert store.events.append(events(["b"], revenue=5.0)) == EventReceipt(0, 1, 0)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["purchase", "return", "closed", "upsell"]),
            st.integers(-2, 3),
            st.sampled_from([NAN, -50.0, -20.0, 20.0, 50.0]),
            st.sampled_from([NAN, 1.0, -2.0]),
            st.sampled_from(["1", "2", "3", None]),
        ),
        max_size=12,
    )
)
def test_outcomes_are_the_fold_that_a_plain_loop_makes(tmp_path_factory, rows):
    """The oracle keeps the newest event a name and adds up, one event at a time."""
    with Store.open(tmp_path_factory.mktemp("s") / "s.db", durability="process") as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        store.decision_writer.append(decisions(number, N, ["a"]))
        newest = {}
        for event, day, revenue, reward, event_id in rows:
            row = events(["a"], event, day * DAY, revenue, reward, event_ids=[event_id])
            store.events.append(row, correct=True)
            newest[event_id or event] = (event, day, revenue, reward)
        window = DAY
        counted = [row for row in newest.values() if 0 <= row[1] * DAY <= window]
        revenue = sum(row[2] for row in counted if row[2] == row[2])
        value = sum(row[3] for row in counted if row[3] == row[3])
        returned = any(row[2] < 0 for row in counted) and revenue <= 0
        converted = any(row[0] == "purchase" for row in counted) and not returned
        closed = any(row[0] == "closed" for row in newest.values())
        assert outcome(store, "a", window) == (converted, revenue, value, closed)
