"""Bodies that make no sense: each is refused by one sentence, none is an internal error."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit.service.openapi import body_examples, complete
from bandit.service.options import ServiceOptions
from tests.service.conftest import Service, recipe_of

ADDRESSES = ("/decide", "/decide/batch", "/events")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
facts = st.dictionaries(st.sampled_from(["gender", "recency", "loyal", "colour", ""]), values, max_size=4)
asked = st.fixed_dictionaries(
    {}, optional={"customer": values, "context": facts | values, "decision_id": values, "group": values, "time": values}
)
event = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("decision_id", "event", "event_id", "revenue", "reward", "time"), values),
)
bodies = (
    values
    | asked
    | st.fixed_dictionaries({"decisions": st.lists(asked, max_size=3)})
    | st.fixed_dictionaries({"events": st.lists(event, max_size=3)}, optional={"each": values, "correct": values})
)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    running = Service(recipe_of(tmp_path_factory.mktemp("service") / "offers.db"), ServiceOptions(learn_every=None))
    yield running
    running.close()


def check(service, path, content):
    found = service.post(path, None, content=content, headers={"Content-Type": "application/json"})
    assert found.status_code in {200, 400, 404, 409, 413, 422}, found.text
    body = found.json()
    if found.status_code != 200:
        sentence = body["detail"]
        assert 10 < len(sentence) <= 1_200
        assert sentence.isprintable()


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.sampled_from(ADDRESSES), bodies)
def test_whatever_the_body_the_answer_is_a_decision_or_one_sentence(service, path, body):
    check(service, path, json.dumps(body).encode())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}" * 2, b"[" * 5_000, b'{"customer": NaN}',
        b'{"customer": "\\ud800"}',
        b'{"customer": "a", "context": {"recency": 1e999}}', b'{"customer": "a", "customer": "b", "x": 1}',
        b'{"customer": "a", "time": 1e3}', b'{"customer": "a", "time": 99999999999999999999}',
        b'{"customer": "a", "time": "0001-01-01T00:00:00+14:00"}', b'{"customer": ' + b"9" * 400 + b"}",
        b'{"decisions": [{"customer": "a", "time": "0001-01-01T00:00:00+14:00"}, {"customer": "b"}]}',
        b'{"events": [{"decision_id": "a", "event": "b", "revenue": 1e999}]}',
        b'{"customer": "a", "context": {"gender": "' + b"x" * 20_000 + b'"}}', b'{"customer": "' + b"x" * 2_000 + b'"}',
        b'{"customer": "a", "decision_id": "' + b"x" * 2_000 + b'"}', b'{"customer": "a\\u0000b", "group": "\\u202e"}',
    ],
)  # fmt: skip
def test_known_traps(service, path, content):
    check(service, path, content)


def test_the_examples_of_the_document_are_accepted_as_they_are(service, catalogue):
    document = service.get("/openapi.json").json()
    for path in ("/decide", "/events", "/decide/batch"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        if path == "/decide/batch":
            body["decisions"][0]["decision_id"] = "order-1002"
        assert service.post(path, body).status_code == 200, path
    assert body_examples(catalogue)["/decide"]["context"] == {"gender": "f", "recency": 1.0, "loyal": True}


def test_the_document_has_the_facts_of_the_catalogue(service, catalogue):
    document = service.get("/openapi.json").json()
    context = document["components"]["schemas"]["DecideBody"]["properties"]["context"]
    assert context["properties"]["loyal"] == {"type": ["boolean", "null"]}
    assert context["properties"]["gender"]["examples"] == ["f", "m"]
    assert context["additionalProperties"] is False
    offer = document["components"]["schemas"]["Decision"]["properties"]["offer"]["properties"]
    assert offer["gift"] == {"type": "string", "enum": ["none", "tote"]}
    references = json.dumps(document).count("#/components/schemas/")
    assert references > 10
    assert complete({"paths": {}}, catalogue)["components"]["schemas"]["Error"]["required"] == ["detail"]
