"""/readyz, /healthz and /status: opening, opened, degraded, and no place in the file system in any of them."""

import threading
import time
from dataclasses import replace

import pytest

from bandit.errors import StoreError
from bandit.service.engine_host import EngineHost
from bandit.service.options import ServiceOptions
from bandit.service.recipe import EngineRecipe
from tests.service.conftest import recipe_of


def until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    assert holds()


def test_it_is_not_ready_while_the_engine_opens(start, monkeypatch):
    monkeypatch.setattr("bandit.service.app.OPEN_WAIT", 0.0)
    release, opened = threading.Event(), EngineRecipe.open

    def slowly(recipe):
        release.wait(10)
        return opened(recipe)

    monkeypatch.setattr(EngineRecipe, "open", slowly)
    service = start()
    found = service.get("/readyz")
    assert (found.status_code, found.headers["retry-after"]) == (503, "1")
    assert found.json() == {"detail": "the engine is opening; send the request again", "ready": False}
    assert service.decide().status_code == 503
    assert service.get("/openapi.json").status_code == 503
    assert service.get("/healthz").status_code == 200
    release.set()
    until(lambda: service.get("/readyz").status_code == 200)
    assert service.decide().status_code == 200


def test_an_engine_that_cannot_be_opened_is_tried_again(start, path, monkeypatch):
    monkeypatch.setattr("bandit.service.app.OPEN_WAIT", 0.0)
    monkeypatch.setattr("bandit.service.engine_host.REOPEN_AFTER", (0.1,))
    opened, tries = EngineRecipe.open, []

    def fails_twice(recipe):
        tries.append(1)
        if len(tries) <= 2:
            raise StoreError(f"{recipe.path}: is locked by another process")
        return opened(recipe)

    monkeypatch.setattr(EngineRecipe, "open", fails_twice)
    service = start()
    until(lambda: len(tries) == 3 or service.get("/readyz").json()["detail"].startswith("the engine cannot"))
    until(lambda: service.get("/readyz").status_code == 200)


def test_a_database_that_was_moved_is_ready_and_degraded(start, path):
    """Every worker has the same file: were none ready, nobody would be left to serve the fallback."""
    service = start()
    service.decide()
    path.rename(path.with_name("elsewhere.db"))
    bodies = [service.decide().json() for _ in range(2)]  # the first was decided before the move was seen
    body = bodies[1]
    assert [each["logged"] for each in bodies] == [True, True]
    assert body["fault"].startswith("StoreError: the database: ")
    found = service.get("/readyz")
    assert (found.status_code, found.json()["ready"], found.json()["degraded"]) == (200, True, True)
    assert "the database: " in found.json()["detail"]
    texts = (found.text, service.get("/status").text, service.get("/metrics").text)
    assert [str(path.parent) in text for text in texts] == [False] * 3
    path.with_name("elsewhere.db").rename(path)


def test_a_halted_policy_is_ready_and_degraded(service):
    service.engine.rollout.kill(author="anna", reason="the coupons do not work")
    assert "the coupons do not work" in service.get("/readyz").json()["detail"]


def test_the_status_is_the_engines_without_paths(service, path):
    service.decide()
    body = service.get("/status").json()
    assert (body["engine"]["decisions"], body["engine"]["path"], body["policy"]) == (1, "offers.db", "uniform")
    assert str(path.parent) not in str(body)


def test_it_learns_every_so_often(start, path):
    service = start(replace(recipe_of(path, policy={"kind": "thompson"})), learn_every=0.1)
    service.decide(decision_id="order-1")
    service.post("/events", {"events": [{"decision_id": "order-1", "event": "purchase", "revenue": 52.0}]})
    until(lambda: service.engine.step == 1)
    until(lambda: service.get("/status").json()["learned_at"] is not None)
    assert service.get("/status").json()["learner"]


def test_a_service_whose_learning_fails_goes_on_deciding(start, path, monkeypatch):
    service = start(recipe_of(path, policy={"kind": "thompson"}), learn_every=0.1)
    until(lambda: service.host.wait_until_open(1))

    def fails(**_):
        raise StoreError(f"{path}: cannot be read")

    monkeypatch.setattr(service.engine, "learn", fails)
    until(lambda: "learn_failures_total 0.0" not in service.get("/metrics").text)
    assert service.decide().status_code == 200


@pytest.mark.parametrize("n", [1, 2])
def test_one_of_the_workers_learns_and_another_takes_over(start, path, tmp_path, n):
    """Two hosts that share a folder: the first to take the lock learns, and the second one once it has ended."""
    options = ServiceOptions(learn_every=0.1, run_folder=tmp_path, workers=2)
    hosts = [EngineHost(recipe_of(path, policy={"kind": "thompson"}), options) for _ in range(n)]
    for host in hosts:
        host.start()
    until(lambda: sum(host.learner for host in hosts) == 1)
    hosts.sort(key=lambda host: not host.learner)
    hosts[0].close()
    if n == 2:
        until(lambda: hosts[1].learner)
        hosts[1].close()
