"""A retried request gets its decision again, from the database and from the spool."""

import pytest

from bandit.errors import DuplicateError
from tests.engine.conftest import context


def test_a_retried_request_gets_the_same_decision_and_another_request_is_refused(open_engine):
    engine = open_engine()
    first = engine.decide("c", context(1), decision_id="request-1")
    again = engine.decide("c", context(1), decision_id="request-1")
    assert (again.offer, again.propensity, again.time) == (first.offer, first.propensity, first.time)
    assert engine.store.counts().decisions == 1
    for customer, facts in (("d", context(1)), ("c", context(2))):
        with pytest.raises(DuplicateError, match="request-1"):
            engine.decide(customer, facts, decision_id="request-1")
    with pytest.raises(DuplicateError, match="request-1"):
        engine.decide_batch(["c", "c"], [context(1)] * 2, decision_ids=["request-0", "request-1"])
    with pytest.raises(DuplicateError, match="twin"):
        engine.decide_batch(["c", "c"], [context(1)] * 2, decision_ids=["twin", "twin"])
    assert engine.store.counts().decisions == 1


def test_a_retried_request_gets_its_spooled_decision_again(open_engine, locked, monkeypatch):
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    engine = open_engine(busy_timeout=0.02)
    free = locked()
    first = engine.decide("c", context(1), decision_id="r")
    again = engine.decide("c", context(1), decision_id="r")
    assert (again.offer, again.propensity, again.time, again.fault) == (
        first.offer,
        first.propensity,
        first.time,
        first.fault,
    )
    with pytest.raises(DuplicateError, match="another customer"):
        engine.decide("d", context(1), decision_id="r")
    with pytest.raises(DuplicateError, match='"r"'):
        engine.decide_batch(["d"], [context(1)], decision_ids=["r"])
    free()
    assert engine.decide("c", context(1), decision_id="r").time == first.time
    engine.decide("c", context(1))
    assert engine.decide("c", context(1), decision_id="r").time == first.time
    assert engine.store.counts().decisions == 2
