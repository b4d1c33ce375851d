"""Guardrails in the engine: a broken one stops the policies in every process, until somebody resumes them."""

import numpy as np
import pytest

import bandit
from tests.engine.conftest import DAY, context

CUSTOMERS = 400


@pytest.fixture
def catalogue(spring):
    rails = [{"event": "unsubscribe", "at_most": 0.02}, {"event": "complaint", "at_most": 0.5, "action": "warn"}]
    return bandit.Catalogue.from_dict(spring | {"guardrails": rails})


def campaign(engine, clock, rate, rng, event="unsubscribe"):
    """A decision for each customer, and the event after a share of them."""
    batch = engine.decide_batch(
        [f"customer-{row}" for row in range(CUSTOMERS)], [context(row) for row in range(CUSTOMERS)]
    )
    hit = np.flatnonzero(rng.random(CUSTOMERS) < rate)
    engine.record_batch([batch.decision_ids[row] for row in hit], event)
    clock.now += DAY
    return batch


def test_harm_stops_the_policies_and_the_log_says_why(open_engine, clock):
    engine, other = open_engine(), open_engine()
    campaign(engine, clock, 0.1, np.random.default_rng(1))
    broken, holds = engine.check_guardrails()
    assert (broken.broken, holds.broken) == (True, False)
    change = engine.rollout.latest()
    assert (change.action, change.author) == ("stop", "guardrail")
    assert change.reason == broken.sentence
    assert "unsubscribe" in engine.status().halted
    assert other.rollout.latest() == change
    assert set(campaign(engine, clock, 0.0, np.random.default_rng(2)).arm) == {"fallback"}


def test_it_stops_once_and_a_restart_counts_anew(open_engine, clock):
    """Resumed by hand, the decisions from before do not count: only new harm stops again."""
    engine, rng = open_engine(), np.random.default_rng(3)
    campaign(engine, clock, 0.1, rng)
    engine.learn()
    engine.check_guardrails()
    assert [change.action for change in engine.rollout.history()] == ["stop"]
    engine.rollout.resume(author="Ann")
    clock.now += 1
    assert campaign(engine, clock, 0.0, rng).arm is None
    assert not engine.check_guardrails()[0].broken
    campaign(engine, clock, 0.2, rng)
    engine.learn()
    assert engine.rollout.latest().action == "stop"


def test_a_guardrail_that_warns_stops_nothing(open_engine, clock):
    engine = open_engine()
    campaign(engine, clock, 0.9, np.random.default_rng(4), event="complaint")
    assert engine.check_guardrails()[1].broken
    assert engine.rollout.latest() is None


def test_decisions_start_a_look_beside_them(open_engine, clock, monkeypatch):
    engine = open_engine()
    campaign(engine, clock, 0.1, np.random.default_rng(5))
    monkeypatch.setattr(engine._watch, "_next_look", 0.0)
    engine.decide("customer-1", context(1))
    engine._watch._thread.join()
    assert engine.rollout.latest().action == "stop"
