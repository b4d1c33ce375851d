"""No customer, no fact and no place in the file system in logs, headers, errors or metrics."""

import io
import json
import logging
import warnings

import pytest

from bandit.service.service_log import LOGGER, set_up_log
from tests.service.conftest import CUSTOMER

FACT = "a fact that nobody must read"


@pytest.fixture
def lines(path):
    """The lines of the log, as objects; warnings and loggers are then as before."""
    shown = warnings.showwarning
    stream = io.StringIO()
    set_up_log("info", path, stream=stream)

    def read():
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    read.stream = stream
    yield read
    warnings.showwarning = shown
    for name in ("offer_bandit", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate, logger.disabled = [], True, False
    LOGGER.setLevel(logging.NOTSET)


def test_a_line_has_the_decisions_id_and_nothing_of_the_customer(lines, start, path):
    service = start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        set_up_log("info", path, stream=lines.stream)
        first = service.decide(decision_id="order-1", context={"gender": FACT})
    assert first.status_code == 200
    service.decide(context={"colour": FACT})
    service.decide(context={"loyal": FACT})
    service.decide(customer="berta", decision_id="order-1")
    service.post("/events", {"events": [{"decision_id": "order-1", "event": "purchase", "revenue": 52.0}]})
    service.post("/decide/batch", {"decisions": [{"customer": CUSTOMER, "decision_id": "order-2"}]})
    found = lines()
    (decided,) = [line for line in found if line["event"] == "decide" and line["status"] == 200]
    assert decided["decision_id"] == "order-1"
    assert [line["decision_ids"] for line in found if line["event"] == "record"] == [["order-1"]]
    assert [line["decision_ids"] for line in found if line["event"] == "decide batch"] == [["order-2"]]
    text = json.dumps(found)
    assert [word in text for word in (CUSTOMER, "berta", FACT, str(path.parent))] == [False] * 4


def test_an_internal_error_is_logged_by_its_lines_and_answered_by_a_sentence(lines, start, path, monkeypatch):
    service = start()

    def fails(*_, **__):
        raise KeyError(f"{CUSTOMER} in {path}")

    monkeypatch.setattr(service.engine, "decide", fails)
    found = service.decide()
    assert (found.status_code, found.json()) == (
        500,
        {"detail": "an internal error; the log of the service says where it came from"},
    )
    (error,) = [line for line in lines() if line["event"] == "internal error"]
    assert error["error"] == "KeyError"
    assert any(place.startswith("bandit.service.api:") for place in error["trace"])
    assert CUSTOMER not in json.dumps(error)


def test_an_error_has_no_customer_and_no_path(service, path):
    service.decide(decision_id="order-1")
    found = service.decide(customer="berta", decision_id="order-1")
    for text in (found.text, str(found.headers)):
        assert "berta" not in text
        assert str(path.parent) not in text
