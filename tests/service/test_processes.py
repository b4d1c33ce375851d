"""The service as it is run: its processes, signals, kills, and what the database has afterwards."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import bandit
from tests.conftest import SPRING
from tests.service.conftest import KEY, httpx

pytestmark = pytest.mark.slow

COMMAND = "import sys; from bandit.cli import main; sys.exit(main(sys.argv[1:]))"
WAIT = 90.0


class Running:
    """The command `serve` in a process of its own, with what it prints."""

    def __init__(self, path, *options, workers=1):
        with bandit.Engine.open(
            path, bandit.Catalogue.from_dict(SPRING), bandit.ThompsonSampling(bandit.Catalogue.from_dict(SPRING)),
            customer_key=KEY,
        ):  # fmt: skip
            pass
        self.log = path.with_name("log.jsonl")
        self._log = self.log.open("wb")
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [
                sys.executable,
                "-c",
                COMMAND,
                "serve",
                path,
                "--port",
                "0",
                "--workers",
                str(workers),
                "--json",
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"OFFER_BANDIT_KEY": KEY.decode(), "OPENBLAS_NUM_THREADS": "1"},
        )
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.started = json.loads(line)
        self.address = self.started["address"]
        self.client = httpx.Client(base_url=self.address, timeout=20)
        self.until(lambda: self.status("/readyz") == 200)

    def until(self, holds):
        end = time.monotonic() + WAIT
        while not holds():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def status(self, path):
        try:
            return self.client.get(path).status_code
        except httpx.HTTPError:
            return None

    def post(self, path, body):
        """Send a request again until it is answered, as a client does."""
        end = time.monotonic() + WAIT
        while True:
            with contextlib.suppress(httpx.HTTPError):
                found = self.client.post(path, json=body)
                if found.status_code == 200:
                    return found.json()
                assert found.status_code in {503, 504}, found.text
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def worker(self):
        """One of the workers, and whether it learns."""
        with contextlib.suppress(httpx.HTTPError):
            body = self.client.get("/status").json()
            return body.get("worker"), body.get("learner")
        return None, None

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(WAIT)
        self.client.close()
        self.process.stdout.close()
        self._log.close()
        return code

    def events(self):
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture
def run(path):
    running = []

    def started(*options, **settings):
        running.append(Running(path, *options, **settings))
        return running[-1]

    yield started
    for each in running:
        each.end()


def decisions(path):
    with bandit.Engine.resume(path, customer_key=KEY) as engine:
        assert engine.verify().problems == ()
        rows = engine.store._connection.raw.execute("SELECT decision_id FROM decisions").fetchall()
        events = engine.store._connection.raw.execute("SELECT COUNT(*) FROM events").fetchone()[0]
    return [name for (name,) in rows], events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_it_ends_with_zero_and_what_was_answered_is_there(run, path, workers, number):
    service = run(workers=workers)
    acknowledged, stop = [], threading.Event()

    def ask(client):
        n = 0
        with httpx.Client(base_url=service.address, timeout=20) as own:
            while not stop.is_set():
                name = f"{client}-{n}"
                with contextlib.suppress(httpx.HTTPError):
                    body = {"customer": name, "context": {}, "decision_id": name}
                    if own.post("/decide", json=body).status_code == 200:
                        acknowledged.append(name)
                n += 1

    clients = [threading.Thread(target=ask, args=(row,)) for row in range(4)]
    for each in clients:
        each.start()
    service.until(lambda: len(acknowledged) > 40)
    assert service.end(number) == 0
    stop.set()
    for each in clients:
        each.join()
    names, _ = decisions(path)
    assert set(acknowledged) <= set(names)
    assert len(set(names)) == len(names)
    assert not list(path.parent.glob("*spool*"))


def test_a_worker_that_is_killed_is_replaced_and_another_one_learns(run, path):
    service = run("--learn-every", "0.2s", workers=2)
    service.until(lambda: service.worker()[1] is True)
    learner = None
    while learner is None:
        number, learns = service.worker()
        learner = number if learns else None
    stop, sent = threading.Event(), []

    def ask(client):
        n = 0
        while not stop.is_set():
            name = f"{client}-{n}"
            service.post("/decide", {"customer": name, "context": {}, "decision_id": name})
            event = {"decision_id": name, "event": "purchase", "revenue": 5.0, "event_id": f"p-{name}"}
            service.post("/events", {"events": [event]})
            sent.append(name)
            n += 1

    clients = [threading.Thread(target=ask, args=(row,)) for row in range(3)]
    for each in clients:
        each.start()
    service.until(lambda: len(sent) > 20)
    os.kill(learner, signal.SIGKILL)
    seen = set()

    def another():
        number, learns = service.worker()
        seen.add(number)
        return learns is True and number != learner

    service.until(another)
    service.until(lambda: service.events().count("engine opened") == 3)
    stop.set()
    for each in clients:
        each.join()
    assert service.end() == 0
    names, events = decisions(path)
    assert sorted(names) == sorted(sent)
    assert events == len(sent)
    assert "worker ended, and is replaced" in service.events()


def test_workers_end_with_their_supervisor_though_it_is_killed(run):
    service = run(workers=2)
    number, _ = service.worker()
    service.process.kill()
    service.process.wait(WAIT)
    service.until(lambda: service.status("/healthz") is None)

    def gone():
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        return False

    service.until(gone)


def test_hangup_replaces_the_workers_and_answers_all_the_while(run):
    service = run(workers=2)
    service.process.send_signal(signal.SIGHUP)
    n = 0
    while service.events().count("engine opened") < 4:
        service.post("/decide", {"customer": "a", "context": {}})
        n += 1
    assert n > 0
    assert service.status("/readyz") == 200


def test_a_unix_socket_and_a_token(path, tmp_path):
    token, uds = tmp_path / "token", tmp_path / "service.sock"
    token.write_text("a-token-of-our-tests")
    token.chmod(0o600)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(uds))
    stale.close()  # a socket that nobody listens on is taken over
    catalogue = bandit.Catalogue.from_dict(SPRING)
    bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY).close()
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", COMMAND, "serve", path, "--uds", uds, "--token-file", token],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OFFER_BANDIT_KEY": KEY.decode()},
    )
    assert b"unix:" in process.stdout.readline()
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(uds), retries=20), base_url="http://service") as client:
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                if client.get("/readyz").status_code == 200:
                    break
            time.sleep(0.05)
        assert client.get("/status").status_code == 401
        headers = {"Authorization": "Bearer a-token-of-our-tests"}
        assert client.post("/decide", json={"customer": "a"}, headers=headers).status_code == 200
    process.terminate()
    assert process.wait(WAIT) == 0
    process.stdout.close()
    assert not uds.exists()
