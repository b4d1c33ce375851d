"""An engine refuses names that are not declared, and says once which events do not count."""

import warnings

import numpy as np
import pytest

import bandit
from bandit.domain import MICROSECONDS
from bandit.errors import InputError
from tests.conftest import SPRING
from tests.engine.conftest import DAY, context


def decided(engine, n=1):
    return [engine.decide(f"c{row}", context(row)).decision_id for row in range(n)]


def test_a_purchase_under_another_name_is_warned_of_once_and_noted_each_time(open_engine):
    engine = open_engine()
    first, second = decided(engine, 2)
    with pytest.warns(UserWarning, match='"order" converts nothing, as the objective\'s event is "purchase"'):
        receipt = engine.record(first, "order", revenue=50.0)
    again = engine.record(second, "order", revenue=50.0)
    assert [note.fault for note in (*receipt.notes, *again.notes)] == ["undeclared"] * 2
    assert receipt.to_dict()["notes"][0]["event"] == "order"


def test_a_learned_log_of_such_purchases_says_so(open_engine, clock):
    """40 orders and no purchase: 40 outcomes are learned, each with an event that does not count."""
    engine = open_engine()
    ids = decided(engine, 40)
    with pytest.warns(UserWarning, match="order"):
        engine.record_batch(ids, "order", revenue=np.full(40, 50.0))
    clock.now += 8 * DAY
    assert (learned := engine.learn()).n == 40
    assert learned.n_uncounted == 40


def test_a_log_of_usual_purchases_and_returns_says_nothing(open_engine, clock):
    engine = open_engine()
    ids = decided(engine, 4)
    clock.now += DAY
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engine.record_batch(ids, "purchase", revenue=np.full(4, 50.0)).notes == ()
        assert engine.record(ids[0], "return", revenue=-20.0).notes == ()
        assert engine.record(ids[1], "closed").notes == ()
    clock.now += 8 * DAY
    assert engine.learn().n_uncounted == 0


def test_an_undeclared_event_is_refused_and_nothing_of_its_batch_is_written(path, clock):
    declared = bandit.Catalogue.from_dict(SPRING | {"events": {"purchase": "converts", "return": "returns"}})
    with bandit.Engine.open(
        path, declared, bandit.Uniform(declared), customer_key=b"a key for our tests", clock=clock
    ) as engine:
        ids = decided(engine, 2)
        with pytest.raises(InputError, match='did you mean "purchase"'):
            engine.record_batch(ids, ["purchase", "Purchase"], revenue=np.array([5.0, 5.0]))
        assert engine.store.counts().events == 0
        assert engine.record(ids[0], "purchase", revenue=5.0).n_new == 1


def test_an_event_before_its_decision_does_not_count_and_is_said(open_engine, clock):
    engine = open_engine()
    (first,) = decided(engine)
    with pytest.warns(UserWarning, match="came before its decision and does not count"):
        receipt = engine.record(first, "purchase", revenue=50.0, time=clock.now - 30 * DAY)
    assert [note.fault for note in receipt.notes] == ["early"]
    clock.now += 8 * DAY
    assert engine.learn().n_uncounted == 1
    assert engine.store.decisions.one(first, "purchase", 7 * DAY).converted.tolist() == [False]


def test_a_return_after_the_window_is_said_since_the_sale_stands(open_engine, clock):
    """The window is 7 days: the return of day 8 is not counted, and the sale of 50 is."""
    engine = open_engine()
    (first,) = decided(engine)
    engine.record(first, "purchase", revenue=50.0)
    clock.now += 8 * DAY
    with pytest.warns(UserWarning, match="after the window of 7 days, so the sale stands"):
        receipt = engine.record(first, "return", revenue=-50.0)
    assert [note.fault for note in receipt.notes] == ["late return"]
    assert engine.store.decisions.one(first, "purchase", 7 * DAY).revenue.tolist() == [50.0]


def test_a_late_event_is_noted_and_nobody_is_warned(open_engine, clock):
    engine = open_engine()
    (first,) = decided(engine)
    clock.now += 8 * DAY
    assert [note.fault for note in engine.record(first, "purchase", revenue=5.0).notes] == ["late"]


@pytest.mark.parametrize("unit", [1, 1_000, 10**9])
def test_times_of_another_unit_are_refused_at_every_door(open_engine, clock, unit):
    """Seconds, milliseconds and nanoseconds of the present, as one moment and as a column."""
    engine = open_engine()
    (first,) = decided(engine)
    wrong = clock.now // MICROSECONDS * unit
    column = np.array([wrong])
    for call in (
        lambda: engine.decide("c", context(1), time=wrong),
        lambda: engine.decide_batch(["c"], [context(1)], time=wrong),
        lambda: engine.decide_batch(["c"], [context(1)], time=column),
        lambda: engine.record(first, "purchase", revenue=1.0, time=wrong),
        lambda: engine.record_batch([first], "purchase", revenue=np.ones(1), time=column),
        lambda: engine.learn(now=wrong),
        lambda: engine.check_guardrails(now=wrong),
    ):
        with pytest.raises(InputError, match="onds it would be 2023-11-14"):
            call()
    with pytest.raises(InputError, match="clock returns"):
        open_engine(clock=lambda: wrong)
    assert (engine.store.counts().decisions, engine.store.counts().events) == (1, 0)
