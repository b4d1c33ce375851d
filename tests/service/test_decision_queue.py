"""Requests that wait at the same moment are decided together, each with its own answer or its own error."""

import threading

import pytest

from bandit.errors import ContextError, DuplicateError
from bandit.service.bodies import DecideBody
from bandit.service.decision_queue import DecisionQueue
from tests.service.conftest import LOYAL, recipe_of


@pytest.fixture
def held(path):
    """An engine whose thread is held, and its queue: what is submitted meanwhile waits."""
    engine = recipe_of(path).open()
    release = threading.Event()
    engine.calls.submit(release.wait)
    yield engine, DecisionQueue(engine, path), release
    release.set()
    engine.close()


def asked(customer="a", context=LOYAL, **more):
    return DecideBody(customer=customer, context=context, **more)


def batches(engine):
    """The decision ids of each batch in the log."""
    found = {}
    for batch, name in engine.store._connection.raw.execute("SELECT batch, decision_id FROM decisions ORDER BY seq"):
        found.setdefault(batch, []).append(name)
    return list(found.values())


def test_what_waits_is_one_batch_and_each_gets_its_own_row(held):
    engine, queue, release = held
    futures = [queue.submit(asked(f"c{row}"), f"d{row}", 10.0) for row in range(5)]
    release.set()
    found = [each.result(10) for each in futures]
    assert batches(engine) == [["d0", "d1", "d2", "d3", "d4"]]
    assert [row["decision_id"] for row in found] == ["d0", "d1", "d2", "d3", "d4"]
    assert {row["propensity"] for row in found} == {0.1}
    assert engine.verify().problems == ()


def test_a_request_that_is_refused_does_not_keep_the_others_out(held):
    engine, queue, release = held
    futures = [
        queue.submit(asked("a"), "d0", 10.0),
        queue.submit(asked("b", {"colour": "red"}), "d1", 10.0),
        queue.submit(asked("c"), "d2", 10.0),
    ]
    release.set()
    assert [futures[row].result(10)["decision_id"] for row in (0, 2)] == ["d0", "d2"]
    with pytest.raises(ContextError, match="colour"):
        futures[1].result(10)
    assert sorted(name for batch in batches(engine) for name in batch) == ["d0", "d2"]


def test_a_repeated_request_gets_the_decision_that_it_has(held):
    engine, queue, release = held
    before = engine.decide("a", LOYAL, decision_id="d0")
    futures = [queue.submit(asked(name), f"d{row}", 10.0) for row, name in enumerate("abc")]
    again = queue.submit(asked("b"), "d1", 10.0)
    other = queue.submit(asked("x"), "d1", 10.0)
    release.set()
    assert futures[0].result(10)["offer"] == before.offer
    assert again.result(10) == futures[1].result(10)
    with pytest.raises(DuplicateError):
        other.result(10)
    assert len([name for batch in batches(engine) for name in batch]) == 3


def test_two_requests_of_one_customer_are_in_two_batches(held):
    engine, queue, release = held
    futures = [queue.submit(asked(name), f"d{row}", 10.0) for row, name in enumerate("abac")]
    release.set()
    assert all(each.result(10)["logged"] for each in futures)
    assert batches(engine) == [["d0", "d1"], ["d2", "d3"]]


def test_a_request_with_a_group_of_its_own_is_decided_by_itself(held):
    engine, queue, release = held
    futures = [queue.submit(asked("a"), "d0", 10.0), queue.submit(asked("b", group="random"), "d1", 10.0)]
    release.set()
    assert [each.result(10)["group"] for each in futures] == ["policy", "random"]
    assert batches(engine) == [["d0"], ["d1"]]


def test_cancelled_and_late_requests_are_not_made(held):
    engine, queue, release = held
    cancelled, late = queue.submit(asked("a"), "d0", 10.0), queue.submit(asked("b"), "d1", -1.0)
    made = queue.submit(asked("c"), "d2", 10.0)
    assert cancelled.cancel()
    release.set()
    assert made.result(10)["logged"]
    with pytest.raises(TimeoutError):
        late.result(10)
    assert batches(engine) == [["d2"]]


def test_what_waits_when_the_engine_closes_is_made(held):
    engine, queue, release = held
    futures = [queue.submit(asked(f"c{row}"), f"d{row}", 10.0) for row in range(200)]
    threading.Timer(0.05, release.set).start()
    engine.close()
    assert all(each.result(10)["logged"] for each in futures)
