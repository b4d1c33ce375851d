"""GET /metrics, and the spans of OpenTelemetry."""

import os

from opentelemetry import trace

from bandit.service import answers
from bandit.service.service_metrics import ServiceMetrics
from bandit.service.telemetry import DecisionTracer


def values(service):
    lines = service.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_decisions_fallbacks_and_events_are_counted(service):
    service.decide(decision_id="order-1")
    service.decide(group="random")
    service.post("/decide/batch", {"decisions": [{"customer": "a"}, {"customer": "b"}]})
    service.decide(context={"colour": "red"})
    event = {"decision_id": "order-1", "event": "purchase", "revenue": 52.0}
    for _ in range(2):
        service.post("/events", {"events": [event]})

    def fails(*_):
        raise RuntimeError("no answer")

    service.engine.policy.probabilities = fails
    service.decide()
    found = values(service)
    assert found['offer_bandit_decisions_total{arm="",group="policy"}'] == 4
    assert found['offer_bandit_decisions_total{arm="",group="random"}'] == 1
    assert found['offer_bandit_fallbacks_total{reason="RuntimeError"}'] == 1
    assert found['offer_bandit_events_total{status="new"}'] == 1
    assert found['offer_bandit_events_total{status="repeated"}'] == 1
    assert found['offer_bandit_requests_total{route="/decide",status="422"}'] == 1
    assert found['offer_bandit_request_seconds_count{route="/decide"}'] == 4


def test_groups_that_callers_name_are_bounded(service):
    asked = [{"customer": f"c{row}", "group": f"g{row}"} for row in range(60)]
    service.post("/decide/batch", {"decisions": asked})
    named = [name for name in values(service) if name.startswith("offer_bandit_decisions_total")]
    assert len(named) == 51
    assert values(service)['offer_bandit_decisions_total{arm="",group="other"}'] == 10


def test_gauges_of_ended_workers_are_left_out(tmp_path):
    """A file of a process that cannot be, and one of this process."""
    ended, running = tmp_path / "gauge_livesum_4194305.db", tmp_path / f"gauge_livesum_{os.getpid()}.db"
    for file in (ended, running):
        file.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00")
    assert ServiceMetrics(tmp_path).render().status == 200
    assert (ended.exists(), running.exists()) == (False, True)


class Span:
    def __init__(self):
        self.attributes, self.events = {}, []

    def is_recording(self):
        return True

    def set_attributes(self, attributes):
        self.attributes |= attributes

    def add_event(self, name, attributes):
        self.events.append((name, attributes))


def test_a_decision_is_an_evaluation_of_a_feature_flag(service):
    span = Span()
    decision = service.engine.decide("anna@example.com", {"loyal": True}, decision_id="order-1")
    DecisionTracer("1").describe(span, service.engine.catalogue, answers.decision(decision, service.host.recipe.path))
    ((name, attributes),) = span.events
    assert name == "feature_flag.evaluation"
    assert attributes == span.attributes
    assert attributes["feature_flag.key"] == "spring"
    assert attributes["feature_flag.result.variant"] == " · ".join(decision.offer.values())
    assert attributes["feature_flag.result.reason"] == "split"
    assert attributes["feature_flag.provider.name"] == "offer-bandit"
    assert "anna" not in str(attributes)


def test_without_an_sdk_nothing_is_recorded(service):
    assert not trace.get_current_span().is_recording()
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert service.decide().status_code == 200
    assert service.post("/decide", {"customer": "a"}, headers=headers).status_code == 200
