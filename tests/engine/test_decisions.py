"""Decisions: what they say, what is logged of them, and requests that are refused."""

import sqlite3
from datetime import datetime

import pytest

import bandit
from bandit.errors import ContextError, InputError, NoEligibleOfferError
from tests.conftest import SPRING
from tests.engine.conftest import KEY, context


def test_a_decision_is_on_disk_before_it_is_returned(open_engine, tmp_path):
    """Another connection sees it at once, with its exact propensity."""
    engine = open_engine()
    decision = engine.decide("customer-42", {"gender": "f", "recency": 1.4})
    other = sqlite3.connect(tmp_path / "offers.db")
    row = other.execute("SELECT decision_id, propensity, offer FROM decisions").fetchone()
    other.close()
    assert row == (decision.decision_id, decision.propensity, decision.offer_index)


def test_a_decision_says_what_was_chosen_from_what_and_why_not_the_rest(open_engine, catalogue):
    decision = open_engine().decide("customer-42", {"gender": "f", "loyal": False})
    assert set(decision.offer) == {"discount", "channel", "gift"}
    assert 0 < decision.propensity <= 1
    assert decision.propensity == decision.probabilities[decision.offer_index]
    assert decision.eligible.sum() == 6
    assert [(reason.reason, len(reason.offers), reason.combinations) for reason in decision.reasons] == [
        ("margin floor", 0, 2),
        ("for the loyal", 4, 0),
    ]
    assert catalogue.offer_index(decision.offer) == decision.offer_index
    assert decision.fault is None


def test_one_decision_is_a_batch_of_one(tmp_path, catalogue):
    made = []
    for name in ("one.db", "batch.db"):
        engine = bandit.Engine.open(
            tmp_path / name, catalogue, bandit.ThompsonSampling(catalogue), seed=7, customer_key=KEY
        )
        with engine:
            if name == "one.db":
                decision = engine.decide("c", context(1), decision_id="d1")
                made.append((decision.offer_index, decision.propensity))
            else:
                batch = engine.decide_batch(["c"], [context(1)], decision_ids=["d1"])
                made.append((int(batch.offer_index[0]), float(batch.propensity[0])))
    assert made[0] == made[1]


def test_columns_and_rows_are_decided_alike(tmp_path, catalogue):
    rows = [context(row) for row in range(20)]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    offers = []
    for name, contexts in (("rows.db", rows), ("columns.db", columns)):
        with bandit.Engine.open(
            tmp_path / name, catalogue, bandit.ThompsonSampling(catalogue), seed=7, customer_key=KEY
        ) as engine:
            batch = engine.decide_batch(["c"] * 20, contexts, decision_ids=[f"d{row}" for row in range(20)])
            offers.append(batch.offer_index.tolist())
            assert list(batch.offers) == ["discount", "channel", "gift"]
    assert offers[0] == offers[1]


def test_two_engines_with_one_seed_do_not_repeat_each_others_exploration(tmp_path, catalogue):
    offers = []
    for name in ("a.db", "b.db"):
        with bandit.Engine.open(
            tmp_path / name, catalogue, bandit.Uniform(catalogue), seed=7, customer_key=KEY
        ) as engine:
            offers.append([engine.decide("c", context(0)).offer_index for _ in range(30)])
    assert offers[0] != offers[1]


def test_a_reloaded_engine_repeats_nothing(open_engine):
    """The same seed, other ids: 30 offers drawn evenly from 6 come out alike once in 6^30."""
    drawn = []
    for _ in range(2):
        engine = open_engine(bandit.Uniform(bandit.Catalogue.from_dict(SPRING)))
        drawn.append([engine.decide("c", context(1)).offer_index for _ in range(30)])
        engine.close()
    assert drawn[0] != drawn[1]


def test_a_decision_logged_while_a_faulty_policy_is_served_keeps_the_reason(open_engine, catalogue, tmp_path):
    class Broken(bandit.Uniform):
        def probabilities(self, contexts, eligible, rng):
            raise RuntimeError("the model is gone")

    engine = open_engine(Broken(catalogue))
    decision = engine.decide("c", context(1))
    assert decision.offer_index == catalogue.fallback
    assert "the model is gone" in decision.fault
    raw = sqlite3.connect(tmp_path / "offers.db")
    assert raw.execute("SELECT fault, propensity FROM decisions").fetchone() == (decision.fault, 1.0)
    raw.close()
    assert engine.verify().problems == ()


@pytest.mark.filterwarnings("ignore::bandit.errors.UndeclaredValueWarning")
def test_bad_requests_are_refused_and_nothing_is_written(open_engine):
    engine = open_engine()
    with pytest.raises(ContextError):
        engine.decide("c", {"gender": ["f"]})
    with pytest.raises(ContextError):
        engine.decide("c", {"age": 3})
    for customer in ("", None, 4.2, "half \ud83d of an emoji"):
        with pytest.raises(InputError, match="customer"):
            engine.decide(customer, context(0))
        with pytest.raises(InputError, match="customer"):
            engine.decide_batch(["a", customer], [context(0)] * 2)
    for name in ("", 3.5, "\udc00"):
        with pytest.raises(InputError, match="decision id"):
            engine.decide_batch(["a", "b"], [context(0)] * 2, decision_ids=["one", name])
        with pytest.raises(InputError, match="decision id"):
            engine.decide("c", context(0), decision_id=name)
        with pytest.raises(InputError, match="event"):
            engine.record("d", name)
    with pytest.raises(ContextError, match="Unicode"):
        engine.decide("c", {"gender": "\ud83d"})
    with pytest.raises(ContextError, match="infinite"):
        engine.decide("c", {"recency": 10**400})
    with pytest.raises(InputError, match="decision ids"):
        engine.decide_batch(["a", "b"], [context(0)] * 2, decision_ids=["one"])
    with pytest.raises(ContextError, match="customers"):
        engine.decide_batch(["a"], [context(0)] * 2)
    with pytest.raises(InputError, match="time zone"):
        engine.decide("c", context(0), time=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault
    with pytest.raises(InputError, match="microseconds"):
        engine.decide("c", context(0), time="today")
    assert engine.store.counts().decisions == 0


def test_a_batch_in_which_nobody_can_be_served_writes_nothing(tmp_path, spring):
    del spring["fallback"]
    spring["rules"].append({"when": 'gender == "m"', "forbid": {"channel": ["email", "sms"]}, "reason": "opted out"})
    catalogue = bandit.Catalogue.from_dict(spring)
    with bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        with pytest.raises(NoEligibleOfferError, match="opted out"):
            engine.decide_batch(["a", "b"], [{"gender": "f"}, {"gender": "m"}])
        assert engine.store.counts().decisions == 0


def test_an_empty_batch_is_an_empty_answer(open_engine):
    assert len(open_engine().decide_batch([], [])) == 0
