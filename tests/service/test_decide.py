"""POST /decide and /decide/batch: decisions, repeated requests, and what is refused in the product's own sentences."""

import pytest

import bandit
from bandit.errors import ContextError
from tests.conftest import SPRING
from tests.service.conftest import CUSTOMER, LOYAL, recipe_of


def n_decisions(service):
    return service.engine.status().decisions


def test_a_decision_is_in_the_log_with_the_propensity_that_is_answered(service):
    """Uniform over the 10 offers, all eligible for a loyal customer: 1 / 10."""
    found = service.decide()
    assert found.status_code == 200
    body = found.json()
    assert body["propensity"] == 0.1
    assert set(body["offer"]) == {"discount", "channel", "gift"}
    assert (body["fault"], body["logged"], body["group"]) == (None, True, "policy")
    assert service.engine.store.decisions.has(body["decision_id"])


def test_the_same_id_is_the_same_decision(service):
    first, second = (service.decide(decision_id="order-1") for _ in range(2))
    assert first.json() == second.json()
    assert n_decisions(service) == 1


def test_the_same_id_for_another_customer_is_a_conflict_that_names_no_customer(service):
    service.decide(decision_id="order-1")
    found = service.decide(customer="berta@example.com", decision_id="order-1")
    assert found.status_code == 409
    assert '"order-1" is already in the log' in found.json()["detail"]
    assert "berta" not in found.text


@pytest.mark.parametrize("context", [{"colour": "red"}, {"loyal": "perhaps"}, {"recency": "soon"}, {"gender": [1]}])
def test_a_context_that_does_not_fit_is_refused_in_the_catalogues_own_sentence(service, catalogue, context):
    with pytest.raises(ContextError) as expected:
        catalogue.contexts([context])
    found = service.decide(context=context)
    assert (found.status_code, found.json()) == (422, {"detail": str(expected.value)})
    assert n_decisions(service) == 0


def test_an_empty_eligible_set_is_refused(start, path, spring):
    del spring["fallback"]
    spring["rules"] = [{"when": "loyal", "forbid": {"gift": ["none"]}, "reason": "a gift"},
                       {"when": "loyal", "forbid": {"gift": ["tote"]}, "reason": "no gift"}]  # fmt: skip
    found = start(recipe_of(path, spring)).decide()
    assert found.status_code == 422
    assert "no offer is eligible for this context (a gift; no gift)" in found.json()["detail"]


def test_a_whole_number_is_a_customer_and_a_time_may_be_given(service):
    found = service.decide(customer=42, time="2026-01-31T18:00:00+01:00")
    assert found.json()["time"] == 1_769_878_800_000_000
    naive = service.decide(time="2026-01-31T18:00:00")
    assert naive.status_code == 422
    assert "has no time zone" in naive.json()["detail"]


def test_a_group_is_named_by_the_caller(service):
    assert service.decide(group="random").json()["group"] == "random"


def test_a_batch_is_answered_in_its_order(service):
    asked = [{"customer": f"c{row}", "context": LOYAL, "decision_id": f"d{row}"} for row in range(5)]
    found = service.post("/decide/batch", {"decisions": asked}).json()["decisions"]
    assert [row["decision_id"] for row in found] == ["d0", "d1", "d2", "d3", "d4"]
    assert {row["propensity"] for row in found} == {0.1}
    assert n_decisions(service) == 5


def test_a_batch_that_is_sent_again_gets_the_same_decisions_and_makes_those_that_are_missing(service):
    asked = [{"customer": f"c{row}", "context": LOYAL, "decision_id": f"d{row}"} for row in range(3)]
    first = service.post("/decide/batch", {"decisions": asked[:2]}).json()["decisions"]
    again = service.post("/decide/batch", {"decisions": asked}).json()["decisions"]
    assert again[:2] == first
    assert n_decisions(service) == 3


def test_a_batch_with_one_wrong_context_is_refused_as_a_whole(service):
    asked = [{"customer": "a", "context": LOYAL}, {"customer": "b", "context": {"colour": "red"}}]
    found = service.post("/decide/batch", {"decisions": asked})
    assert found.status_code == 422
    assert n_decisions(service) == 0


def test_an_id_twice_in_a_batch_is_a_conflict(service):
    asked = [{"customer": name, "decision_id": "d"} for name in "ab"]
    assert service.post("/decide/batch", {"decisions": asked}).status_code == 409
    assert n_decisions(service) == 0


def test_a_batch_may_have_groups_and_times_of_its_own(service):
    asked = [
        {"customer": "a", "group": "random", "time": "2026-01-31T18:00:00+01:00"},
        {"customer": "b", "group": "policy"},
    ]
    found = service.post("/decide/batch", {"decisions": asked}).json()["decisions"]
    assert [row["group"] for row in found] == ["random", "policy"]
    assert found[0]["time"] == 1_769_878_800_000_000 < found[1]["time"]
    mixed = service.post("/decide/batch", {"decisions": [asked[0], {"customer": "c"}]}).json()["decisions"]
    assert [row["group"] for row in mixed] == ["random", "policy"]
    assert service.post("/decide/batch", {"decisions": []}).json() == {"decisions": []}


def test_why_explains_a_decision_and_an_unknown_one_is_not_found(service):
    decision_id = service.decide().json()["decision_id"]
    found = service.get(f"/why/{decision_id}")
    assert found.status_code == 200
    assert found.json()["decision_id"] == decision_id
    assert service.get("/why/nothing").status_code == 404


def test_a_policy_that_fails_is_answered_by_the_fallback(start, path):
    def fails(*_):
        raise RuntimeError("no answer")

    service = start()
    service.engine.policy.probabilities = fails
    body = service.decide().json()
    assert body["fault"].startswith("RuntimeError")
    assert body["offer"] == SPRING["fallback"]
    assert body["propensity"] == 1.0


def test_the_engine_writes_everything_when_the_service_ends(start, path):
    service = start()
    service.decide(decision_id="order-1")
    service.close()
    with bandit.Engine.resume(path, customer_key=b"a key for our tests") as engine:
        assert engine.store.decisions.has("order-1")
    assert CUSTOMER.encode() not in path.read_bytes()
