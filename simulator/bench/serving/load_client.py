"""A client of the service in a process of its own: its requests are sent again until they are answered."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import BinaryIO

import numpy as np

from bandit.domain import FloatArray

GIVE_UP = 60.0
"""Seconds after which a client stops sending one request again."""

_AGAIN = 0.02
_TWICE = 0.05
"""Share of the decisions that are asked for twice, which have to be answered alike."""


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What one client does: where, for how long, the share of decisions that an event follows, and its number."""

    port: int
    seconds: float
    event_share: float
    number: int
    seed: int
    path: str = "/decide"


@dataclass(slots=True)
class ClientReport:
    """What one client saw: seconds of each decision, the decisions and events that were acknowledged, and faults.

    `decided` has the offer of each decision id, `recorded` the event ids; `differ` counts repeated requests whose
    answers differ, `resent` the requests that had to be sent again, `requests` those that were answered.
    """

    latencies: FloatArray = field(default_factory=lambda: np.empty(0))
    decided: dict[str, str] = field(default_factory=dict)
    recorded: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    differ: int = 0
    resent: int = 0
    unanswered: int = 0
    fallbacks: int = 0
    requests: int = 0


def run_client(settings: LoadSettings, reports: Connection) -> None:
    """Send requests until the time is over, and send the report through the pipe."""
    rng = np.random.default_rng([settings.seed, settings.number])
    report, sender, latencies = ClientReport(), _Sender(settings.port), []
    end = time.perf_counter() + settings.seconds
    number = 0
    while time.perf_counter() < end:
        name = f"{settings.number}-{number}"
        number += 1
        asked = {"customer": f"c{rng.integers(100_000)}", "context": random_context(rng), "decision_id": name}
        body = json.dumps(asked).encode()
        report.asked.append(name)
        begun = time.perf_counter()
        answer = sender.send(settings.path, body)
        latencies.append(time.perf_counter() - begun)
        if answer is None:
            report.unanswered += 1
            continue
        if settings.path != "/decide" or "offer" not in answer:
            continue
        report.decided[name] = json.dumps(answer["offer"], sort_keys=True)
        report.fallbacks += answer["fault"] is not None
        if rng.random() < _TWICE:
            again = sender.send(settings.path, body)
            report.differ += again is not None and (again["offer"], again["propensity"]) != (
                answer["offer"],
                answer["propensity"],
            )
        if rng.random() < settings.event_share:
            _record(sender, name, report, twice=rng.random() < _TWICE)
    report.latencies, report.resent, report.requests = np.array(latencies), sender.resent, sender.answered
    reports.send(report)
    reports.close()


def _record(sender: _Sender, name: str, report: ClientReport, *, twice: bool) -> None:
    event = {"decision_id": name, "event": "purchase", "revenue": 52.0, "event_id": f"e-{name}"}
    body = json.dumps({"events": [event]}).encode()
    if sender.send("/events", body) is not None:
        report.recorded.append(f"e-{name}")
        if twice:
            sender.send("/events", body)


def random_context(rng: np.random.Generator) -> dict[str, object]:
    """Return the facts of one customer of the example's catalogue."""
    return {
        "gender": "fm"[rng.integers(2)],
        "recency": round(float(rng.exponential(30.0)), 2),
        "loyal": bool(rng.random() < 0.4),
    }


class _Sender:
    """One connection, opened again where it breaks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._file: BinaryIO | None = None
        self.resent = self.answered = 0

    def send(self, path: str, body: bytes) -> dict[str, object] | None:
        """Return the answer of a request, sent again until it is answered; None after `GIVE_UP` seconds.

        RuntimeError for an answer that says that the request is wrong.
        """
        until = time.perf_counter() + GIVE_UP
        while True:
            for status, content in self._once(path, body):
                if status == 200:
                    self.answered += 1
                    found: dict[str, object] = json.loads(content)
                    return found
                if status not in {503, 504}:
                    raise RuntimeError(f"{path}: {status} {content.decode()}")
            if time.perf_counter() > until:
                return None
            self.resent += 1
            time.sleep(_AGAIN)

    def _once(self, path: str, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the status and the content of one answer; nothing where the connection breaks."""
        try:
            if self._socket is None or self._file is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._file = self._socket.makefile("rb")
            lines = (
                f"POST {path} HTTP/1.1",
                "Host: a",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
            )
            self._socket.sendall("\r\n".join((*lines, "", "")).encode() + body)
            answer = _read(self._file)
        except (OSError, EOFError, ValueError):
            if self._socket is not None:
                self._socket.close()
            self._socket = self._file = None
            return
        yield answer


def _read(file: BinaryIO) -> tuple[int, bytes]:
    line = file.readline()
    if not line:
        raise EOFError
    status, length = int(line.split()[1]), 0
    while (header := file.readline()) != b"\r\n":
        if not header:
            raise EOFError
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    content = file.read(length)
    if len(content) < length:
        raise EOFError
    return status, content
