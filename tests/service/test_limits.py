"""What the service refuses before an address is reached, deadlines, and a database that is locked."""

import asyncio
import sqlite3
import threading
import time

import pytest

from bandit.service.gate import LimitedBody
from bandit.service.replies import RequestError
from tests.conftest import SPRING
from tests.service.conftest import CUSTOMER, LOYAL, recipe_of

TOKEN, NEW_TOKEN = "a-token-of-our-tests", "the-next-token-of-our-tests"


@pytest.fixture
def guarded(start, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    return start(token_file=file), file


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_without_the_token_only_the_health_is_told(guarded):
    service, _ = guarded
    for path in ("/status", "/metrics", "/why/x", "/openapi.json", "/docs", "/nothing"):
        found = service.get(path)
        assert (found.status_code, found.headers["www-authenticate"]) == (401, "Bearer")
    assert service.decide().status_code == 401
    for wrong in ("Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"):
        assert service.get("/status", headers={"Authorization": wrong}).status_code == 401
    assert [service.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
    assert service.get("/status", headers=bearer(TOKEN)).status_code == 200


def test_a_token_is_changed_while_the_service_runs(guarded, monkeypatch):
    service, file = guarded
    monkeypatch.setattr("bandit.service.token_file.TOKEN_LOOK_INTERVAL", 0.0)
    assert service.get("/status", headers=bearer(TOKEN)).status_code == 200
    file.write_text(f"{TOKEN}\n{NEW_TOKEN}\n")
    assert [service.get("/status", headers=bearer(each)).status_code for each in (TOKEN, NEW_TOKEN)] == [200, 200]
    file.write_text(f"{NEW_TOKEN}\n")
    assert [service.get("/status", headers=bearer(each)).status_code for each in (TOKEN, NEW_TOKEN)] == [401, 200]
    file.unlink()
    assert service.get("/status", headers=bearer(NEW_TOKEN)).status_code == 200


def test_behind_a_proxys_path_the_addresses_are_the_same_with_and_without_it(start, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    service = start(root_path="/offers", token_file=file)
    for before in ("", "/offers"):
        assert service.get(f"{before}/healthz").status_code == 200
        assert service.get(f"{before}/status").status_code == 401
        assert service.get(f"{before}/status", headers=bearer(TOKEN)).status_code == 200


def test_load_balancers_may_ask_by_head(service):
    assert [service.request("HEAD", path).status_code for path in ("/healthz", "/readyz")] == [200, 200]


def test_the_docs_are_there_without_a_token(service):
    assert service.get("/docs").status_code == 200
    assert service.get("/openapi.json").status_code == 200


def test_the_docs_can_be_turned_off(start):
    assert start(docs=False).get("/docs").status_code == 404


def test_a_large_body_is_refused_by_its_length_and_while_it_comes(start):
    service = start(max_body=1_000)
    large = b'{"customer": "' + b"a" * 1_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    found = service.post("/decide", None, content=large, headers=headers)
    assert (found.status_code, found.headers["connection"]) == (413, "close")
    assert found.json()["detail"] == "the body has more than 1,000 bytes; send it in parts"

    async def pieces():
        for _ in range(3):
            yield large[:500]

    assert service.post("/decide", None, content=pieces(), headers=headers).status_code == 413


def test_a_large_batch_is_refused(start):
    service = start(max_batch=2)
    found = service.post("/decide/batch", {"decisions": [{"customer": "a"}] * 3})
    assert (found.status_code, found.json()["detail"]) == (
        413,
        "there are 3 decisions in one request, and at most 2 are taken; send parts",
    )
    assert service.post("/events", {"events": [{"decision_id": "a", "event": "b"}] * 3}).status_code == 413


def test_a_body_is_json_and_says_so(service):
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        assert service.post("/decide", None, content=b'{"customer": "a"}', headers=headers).status_code == 415
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert service.post("/decide", None, content=b"x", headers=headers).status_code == 415


def test_other_addresses_and_methods_are_told_what_there_is(service):
    assert service.get("/offers").status_code == 404
    found = service.get("/decide")
    assert (found.status_code, found.headers["allow"]) == (405, "POST")
    assert "POST /decide" in found.json()["detail"]


def lock(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_locked_database_is_answered_by_the_fallback_within_the_deadline(start, path):
    service = start(recipe_of(path, busy_timeout=0.2), deadline=2.0)
    service.decide()
    other = lock(path)
    pending = service.begin_post("/decide", {"customer": CUSTOMER, "context": LOYAL, "decision_id": "order-1"})
    begun = time.perf_counter()
    assert service.get("/healthz").status_code == 200
    assert time.perf_counter() - begun < 0.15, "the event loop waited for the database"
    body = pending.result(10).json()
    assert body["offer"] == SPRING["fallback"]
    assert body["fault"].startswith("StoreError: the database: is locked")
    assert body["logged"]
    ready = service.get("/readyz")
    assert (ready.status_code, ready.json()["degraded"]) == (200, True)
    other.execute("ROLLBACK")
    other.close()
    time.sleep(1.1)
    service.decide()
    assert service.decide(decision_id="order-1").json()["offer"] == SPRING["fallback"]
    assert service.engine.status().spooled == 0


def test_a_request_that_was_not_begun_by_its_deadline_is_never_made(start):
    service = start(deadline=0.1)
    release = threading.Event()
    blocked = service.engine.calls.submit(release.wait)
    found = service.decide(decision_id="order-1")
    assert (found.status_code, found.headers["retry-after"]) == (503, "1")
    assert "was not begun within 0.1 s" in found.json()["detail"]
    release.set()
    assert blocked.result(5)
    time.sleep(0.05)
    assert service.engine.status().decisions == 0


def test_a_request_that_was_begun_says_how_to_ask_again(start, monkeypatch):
    service = start(deadline=0.1)
    decide = service.engine.decide

    def slowly(*arguments, **options):
        time.sleep(0.4)
        return decide(*arguments, **options)

    monkeypatch.setattr(service.engine, "decide", slowly)
    found = service.decide()
    assert found.status_code == 504
    decision_id = found.json()["decision_id"]
    monkeypatch.undo()
    time.sleep(0.5)
    assert service.decide(decision_id=decision_id).status_code == 200
    assert service.engine.status().decisions == 1


def test_a_slow_body_is_not_waited_for_beyond_the_deadline():
    """A gate with a body that never comes: 408 after a tenth of a second."""

    async def never():
        await asyncio.sleep(60)

    with pytest.raises(RequestError) as refused:
        asyncio.run(LimitedBody(never, most=1_000, seconds=0.1).receive())
    assert refused.value.status == 408
