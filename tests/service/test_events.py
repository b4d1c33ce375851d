"""POST /events: events once each, all or none, or each for itself."""

import pytest


@pytest.fixture
def decided(service):
    service.decide(decision_id="order-1")
    return service


def purchase(**more):
    return {"decision_id": "order-1", "event": "purchase", "revenue": 52.0, "event_id": "payment-77"} | more


def counts(found):
    assert found.status_code == 200, found.text
    return {name: n for name, n in found.json().items() if name.startswith("n_") and n}


def test_an_event_that_is_sent_again_counts_once(decided):
    assert counts(decided.post("/events", {"events": [purchase()]})) == {"n_new": 1}
    assert counts(decided.post("/events", {"events": [purchase()]})) == {"n_repeated": 1}
    assert decided.engine.verify().problems == ()


def test_the_same_event_with_other_content_is_a_conflict_unless_it_corrects(decided):
    decided.post("/events", {"events": [purchase()]})
    other = {"events": [purchase(revenue=40.0)]}
    assert decided.post("/events", other).status_code == 409
    assert counts(decided.post("/events", other | {"correct": True})) == {"n_corrected": 1}


def test_events_are_recorded_all_or_none(decided):
    found = decided.post("/events", {"events": [purchase(), purchase(decision_id="unknown", event_id="b")]})
    assert found.status_code == 404
    assert '"unknown"' in found.json()["detail"]
    assert counts(decided.post("/events", {"events": [purchase()]})) == {"n_new": 1}


def test_each_for_itself_lets_the_others_in(decided):
    events = [purchase(), purchase(decision_id="unknown", event_id="b"), purchase(), purchase(revenue=1.0)]
    found = decided.post("/events", {"events": events, "each": True})
    assert counts(found) == {"n_new": 1, "n_repeated": 1, "n_refused": 2}
    assert [row["status"] for row in found.json()["results"]] == ["new", "refused", "repeated", "refused"]
    assert [row.get("code") for row in found.json()["results"]] == [None, 404, None, 409]


def test_times_and_returns(decided):
    later = purchase(event="return", revenue=-10.0, event_id="r", time="2030-01-01T00:00:00Z")
    found = decided.post("/events", {"events": [later]})
    assert found.status_code == 422
    assert "2030" in found.json()["detail"]
    assert counts(
        decided.post("/events", {"events": [purchase(), purchase(event="return", event_id="r", revenue=-10.0)]})
    ) == {"n_new": 2}


def test_an_amount_that_is_no_number_is_refused(decided):
    found = decided.post("/events", {"events": [purchase(revenue="a lot")]})
    assert (found.status_code, found.json()["detail"][:20]) == (422, "events[0].revenue: e")


def test_no_events_are_nothing(decided):
    assert counts(decided.post("/events", {"events": []})) == {}
