"""The data that are stored about one customer."""

import msgspec
import pytest

import bandit
from bandit.errors import InputError
from bandit.governance.customer_data import customer_data
from bandit.store import Store
from tests.governance.conftest import KEY, RECENCY, WHO, explored_log


def test_all_decisions_of_a_customer_are_there_in_order_of_time_and_none_of_others(tmp_path, catalogue):
    """Two rounds of 80 with one visit in 40: four decisions, one purchase in each round at least."""
    explored_log(tmp_path / "a.db", catalogue, bandit.Uniform(catalogue), rounds=2, n=80)
    with Store.open(tmp_path / "a.db", customer_key=KEY, read_only=True) as store:
        data = customer_data(store, WHO)
        key = store.customers.stored(WHO)
    assert (data["customer"], data["stored_as"], data["policies"]) == (WHO, key, [])
    assert len(data["decisions"]) == 4
    assert [entry["time"] for entry in data["decisions"]] == sorted(entry["time"] for entry in data["decisions"])
    assert {entry["context"]["recency"] for entry in data["decisions"]} == {RECENCY}
    bought = [entry for entry in data["decisions"] if entry["converted"]]
    assert {event["event"] for entry in bought for event in entry["events"]} == {"purchase"}
    assert sum(entry["revenue"] > 0 for entry in data["decisions"]) == len(bought) >= 2
    assert msgspec.json.decode(msgspec.json.encode(data)) == data


def test_a_correction_names_the_event_that_it_replaces(tmp_path, catalogue):
    with bandit.Engine.open(tmp_path / "a.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        decision = engine.decide("c", {"gender": "f"})
        engine.record(decision.decision_id, "purchase", revenue=52.0)
        engine.record(decision.decision_id, "purchase", revenue=25.0, correct=True)
        (entry,) = customer_data(engine.store, "c")["decisions"]
    first, second = entry["events"]
    assert (first["revenue"], first["current"], first["corrects"]) == (52.0, False, None)
    assert (second["revenue"], second["current"], second["corrects"]) == (25.0, True, 0)
    assert second["reward"] is None
    assert entry["revenue"] == 25.0


def test_what_a_policy_learned_of_the_customer_is_shown_with_its_step(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    with Store.open(tmp_path / "a.db", customer_key=KEY, read_only=True) as store:
        (policy,) = customer_data(store, WHO)["policies"]
    assert (policy["policy"], policy["step"]) == (1, 3)
    assert all(entry["standard_deviation"] > 0 for entry in policy["deviations"].values())


def test_an_unknown_customer_is_refused(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.Uniform(catalogue), rounds=1, n=40)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store, pytest.raises(InputError, match="check the key"):
        customer_data(store, "a stranger")
