"""The OpenFeature provider, asked through the SDK's own client."""

import asyncio
import importlib
import sys
import threading

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    ErrorCode,
    GeneralError,
    InvalidContextError,
    ProviderFatalError,
    TargetingKeyMissingError,
)
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails
from opentelemetry import trace

import bandit
from bandit.errors import InputError, MissingExtraError
from bandit.service.openfeature_provider import OfferProvider
from tests.conftest import SPRING

KEY = b"a key for our tests"
FACTS = {"gender": "f", "recency": 2.5, "loyal": True}


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def engine(tmp_path, catalogue):
    policy = bandit.ThompsonSampling(catalogue, pairs=False, draws=16)
    with bandit.Engine.open(tmp_path / "offers.db", catalogue, policy, seed=3, customer_key=KEY) as opened:
        yield opened


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(engine, clock):
    api.set_provider_and_wait(OfferProvider(engine, clock=clock, ignored=("app_version",)))
    yield api.get_client()
    api.shutdown()


def context(customer="customer-42", **changes):
    return EvaluationContext(customer, {**FACTS, **changes})


def n_decisions(engine):
    return engine.store.counts().decisions


def test_what_is_resolved_is_decided_and_what_is_tracked_is_learned(engine, client):
    """Resolve, track, learn, verify: 40 customers with one purchase each, of 20 to 59 EUR, by three flags each."""
    for number in range(40):
        who = context(f"customer-{number}")
        for flag in engine.catalogue.dimension_names:
            assert client.get_string_value(flag, "none at all", who) in {
                option.name for dimension in engine.catalogue.dimensions for option in dimension.options
            }
        client.track("purchase", who, TrackingEventDetails(value=20.0 + number))
    counts = engine.store.counts()
    assert (counts.decisions, counts.events) == (40, 40)
    assert engine.learn().n == 40
    verified = engine.verify()
    assert (verified.problems, verified.n_recomputed) == ((), 40)
    columns = engine.store.decisions.page("purchase", engine.catalogue.objective.window)
    assert columns.revenue.tolist() == [20.0 + number for number in range(40)]
    assert columns.converted.all()
    assert set(columns.customer.tolist()).isdisjoint(f"customer-{number}" for number in range(40))


def test_details_have_the_decision_as_it_is_logged(engine, client):
    details = client.get_string_details("channel", "post", context())
    known = engine.store.decisions.one(details.flag_metadata["decision_id"], "purchase", 1)
    assert details.value == details.variant == engine.catalogue.offer(int(known.offer[0]))["channel"]
    assert details.flag_metadata["propensity"] == known.propensity[0]
    assert details.flag_metadata["policy"] == "thompson sampling"
    assert details.flag_metadata["policy_id"] == known.policy_id[0]
    assert details.flag_metadata["group"] == known.group[0] == "policy"
    assert details.flag_metadata["version"] == engine.catalogue.version
    assert details.flag_metadata["flagSetId"] == "spring"
    assert (details.reason, details.error_code) == (Reason.SPLIT, None)


def test_all_flags_of_a_request_are_of_one_decision(engine, client, clock):
    """Within a minute the same customer with the same facts; then, and with other facts, another decision."""
    whole = client.get_object_details("offer", {}, context())
    each = {name: client.get_string_details(name, "", context()) for name in engine.catalogue.dimension_names}
    assert {name: details.value for name, details in each.items()} == whole.value
    assert {details.reason for details in each.values()} == {Reason.CACHED}
    assert {details.flag_metadata["decision_id"] for details in each.values()} == {whole.flag_metadata["decision_id"]}
    assert whole.variant == " · ".join(whole.value.values())
    assert n_decisions(engine) == 1
    client.get_string_value("gift", "", context(recency=3.5))
    client.get_string_value("gift", "", context("customer-43"))
    assert n_decisions(engine) == 3
    clock.now = 60.0
    client.get_string_value("gift", "", context())
    assert n_decisions(engine) == 3
    clock.now = 60.1
    client.get_string_value("gift", "", context())
    assert n_decisions(engine) == 4


def test_a_decision_id_in_the_context_is_the_request(engine, client, clock):
    one = client.get_object_details("offer", {}, context(decision_id="visit-1"))
    clock.now = 3_600.0
    other = client.get_object_details("offer", {}, context(decision_id="visit-1"))
    assert one.flag_metadata["decision_id"] == other.flag_metadata["decision_id"] == "visit-1"
    assert one.value == other.value
    assert n_decisions(engine) == 1
    changed = client.get_string_details("gift", "none", context(decision_id="visit-1", recency=9.0))
    assert changed.error_code == ErrorCode.INVALID_CONTEXT
    assert "already in the log for another" in changed.error_message


def test_threads_of_one_request_get_one_decision(engine, client):
    found = []
    start = threading.Barrier(8)

    def resolve():
        start.wait()
        found.append(client.get_string_details("gift", "", context()).flag_metadata["decision_id"])

    threads = [threading.Thread(target=resolve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == n_decisions(engine) == 1


def test_async_calls_resolve_beside_the_event_loop(engine, client):
    async def both():
        return await asyncio.gather(
            client.get_string_details_async("gift", "", context()),
            client.get_object_details_async("offer", {}, context()),
        )

    one, other = asyncio.run(both())
    assert one.value == other.value["gift"]
    assert one.flag_metadata["decision_id"] == other.flag_metadata["decision_id"]
    assert asyncio.run(client.get_integer_details_async("gift", 3, context())).error_code == ErrorCode.TYPE_MISMATCH


@pytest.mark.parametrize(
    ("ask", "code", "said"),
    [
        (lambda client: client.get_string_details("gifts", "none", context()), "FLAG_NOT_FOUND", 'did you mean "gift"'),
        (lambda client: client.get_integer_details("discount", 0, context()), "TYPE_MISMATCH", "is a text"),
        (lambda client: client.get_boolean_details("gift", True, context()), "TYPE_MISMATCH", "is a text"),
        (lambda client: client.get_float_details("none", 1.0, context()), "FLAG_NOT_FOUND", "there is no flag"),
        (lambda client: client.get_object_details("gift", {}, context()), "TYPE_MISMATCH", "whose option is a text"),
        (lambda client: client.get_string_details("offer", "x", context()), "TYPE_MISMATCH", "is an object"),
        (lambda client: client.get_string_details("gift", "none"), "TARGETING_KEY_MISSING", "customer's key"),
        (lambda client: client.get_string_details("gift", "none", context("")), "TARGETING_KEY_MISSING", "customer"),
        (
            lambda client: client.get_string_details("gift", "none", context(recency="soon")),
            "INVALID_CONTEXT",
            'fact "recency" is numeric',
        ),
        (
            lambda client: client.get_string_details("gift", "none", context(age=41)),
            "INVALID_CONTEXT",
            'the context has "age", which the catalogue does not declare',
        ),
    ],
)
def test_errors_have_their_codes_and_our_sentences_and_nothing_is_decided(engine, client, ask, code, said):
    details = ask(client)
    assert details.error_code == ErrorCode(code)
    assert said in details.error_message
    assert details.reason == Reason.ERROR
    assert details.value in ("none", 0, True, 1.0, {}, "x")
    assert n_decisions(engine) == 0


def test_attributes_that_are_no_facts_are_left_out_by_name(engine, client):
    assert client.get_string_details("gift", "", context(app_version="3.1")).error_code is None
    assert n_decisions(engine) == 1


def test_a_policy_that_fails_serves_the_fallback_as_the_default(tmp_path, catalogue):
    class Broken(bandit.Uniform):
        def probabilities(self, contexts, eligible, rng):
            raise RuntimeError("out of order")

    with bandit.Engine.open(tmp_path / "offers.db", catalogue, Broken(catalogue), customer_key=KEY) as engine:
        api.set_provider_and_wait(OfferProvider(engine))
        details = api.get_client().get_object_details("offer", {}, context())
        api.shutdown()
    assert details.value == SPRING["fallback"]
    assert details.reason == Reason.DEFAULT
    assert "out of order" in details.flag_metadata["fault"]


def events_of(engine, decision_id):
    found = engine.store.decisions.events_of(decision_id)
    return list(zip(found.event.tolist(), found.revenue.tolist(), strict=True))


def test_an_event_is_of_the_decision_named_or_of_the_customers_last_one(engine, client, clock):
    first = client.get_string_details("gift", "", context()).flag_metadata["decision_id"]
    clock.now = 100.0
    last = client.get_string_details("gift", "", context()).flag_metadata["decision_id"]
    client.track("purchase", context(), TrackingEventDetails(30.0))
    client.track("purchase", context(), TrackingEventDetails(31.0, {"decision_id": first, "event_id": "order-1"}))
    client.track("purchase", context(), TrackingEventDetails(31.0, {"decision_id": first, "event_id": "order-1"}))
    client.track("return", context(decision_id=first), TrackingEventDetails(-5.0))
    assert events_of(engine, last) == [("purchase", 30.0)]
    assert events_of(engine, first) == [("purchase", 31.0), ("return", -5.0)]


def test_another_process_finds_the_customers_last_decision_in_the_database(engine, client):
    made = engine.decide("customer-7", FACTS)
    client.track("purchase", EvaluationContext("customer-7"), TrackingEventDetails(12.0))
    assert events_of(engine, made.decision_id) == [("purchase", 12.0)]


def test_the_value_is_the_reward_where_the_objective_is(tmp_path, spring):
    spring["objective"] = {"kind": "reward", "event": "purchase", "window": "7d"}
    catalogue = bandit.Catalogue.from_dict(spring)
    with bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        api.set_provider_and_wait(OfferProvider(engine))
        made = api.get_client().get_string_details("gift", "", context()).flag_metadata["decision_id"]
        api.get_client().track("purchase", context(), TrackingEventDetails(0.7))
        api.shutdown()
        assert engine.store.decisions.events_of(made).reward.tolist() == [0.7]


def test_an_event_that_cannot_be_recorded_raises(engine, client):
    with pytest.raises(InvalidContextError) as unknown:
        client.track("purchase", context(), TrackingEventDetails(1.0))
    assert "no decision is known of this customer" in unknown.value.error_message
    with pytest.raises(InvalidContextError) as missing:
        client.track("purchase", context(decision_id="none"), TrackingEventDetails(1.0))
    assert 'no decision "none"' in missing.value.error_message
    with pytest.raises(TargetingKeyMissingError):
        client.track("purchase", EvaluationContext(), TrackingEventDetails(1.0))
    client.get_string_value("gift", "", context())
    with pytest.raises(GeneralError) as number:
        client.track("purchase", context(), TrackingEventDetails(float("nan")))
    assert "must be a finite number" in number.value.error_message


def test_the_evaluation_is_an_event_of_the_current_span_without_the_customer(engine, client, monkeypatch):
    events = []

    class Span:
        def add_event(self, name, attributes):
            events.append((name, dict(attributes)))

    monkeypatch.setattr(trace, "get_current_span", Span)
    details = client.get_string_details("gift", "", context("anna@example.org"))
    client.get_string_details("gifts", "", context("anna@example.org"))
    (name, resolved), (_, failed) = events
    assert name == "feature_flag.evaluation"
    assert resolved == {
        "feature_flag.key": "gift",
        "feature_flag.provider.name": "offer-bandit",
        "feature_flag.result.variant": details.value,
        "feature_flag.result.reason": "split",
        "feature_flag.context.id": details.flag_metadata["decision_id"],
        "feature_flag.set.id": "spring",
        "feature_flag.version": engine.catalogue.version,
    }
    assert failed["error.type"] == "flag_not_found"
    assert "anna" not in str(events)


def test_a_closed_engine_is_no_provider(tmp_path, catalogue):
    engine = bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY)
    provider = OfferProvider(engine)
    engine.close()
    with pytest.raises(ProviderFatalError):
        api.set_provider_and_wait(provider)
    assert api.get_client().get_provider_status() == ProviderStatus.FATAL
    api.shutdown()


def test_memory_is_bounded(engine, clock):
    provider = OfferProvider(engine, most_held=3, clock=clock)
    for number in range(10):
        provider.resolve_string_details("gift", "", context(f"customer-{number}"))
    assert len(provider._decisions._held) == len(provider._decisions._last) == 3
    with pytest.raises(InputError, match="hold is at least 0"):
        OfferProvider(engine, hold=-1.0)


def test_without_the_sdk_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openfeature.exception", None)
    monkeypatch.delitem(sys.modules, "bandit.service.openfeature_provider")
    with pytest.raises(MissingExtraError, match=r"offer-bandit\[openfeature\]"):
        importlib.import_module("bandit.service.openfeature_provider")
