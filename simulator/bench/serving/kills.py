"""Killing workers of the service while it is asked, and the check of what the database has afterwards."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

import bandit
from simulator.bench.serving.load_client import ClientReport
from simulator.bench.serving.servers import RunningServer

KILL_EVERY = 4.0
"""Mean seconds between two kills."""


class Kills:
    """Kills a worker of a service with SIGKILL every so often, in a thread, until it is left.

    A worker is killed once the one killed before has been replaced: after one and a half times the seconds of a start.
    """

    def __init__(self, server: RunningServer, seed: int) -> None:
        self.n = 0
        self._server, self._rng = server, np.random.default_rng([seed, 7])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(float(self._rng.uniform(0.5, 1.5)) * KILL_EVERY):
            if self._server.youngest_seconds() < 1.5 * self._server.start_seconds:
                continue
            worker = self._server.worker()
            if worker is not None and worker != self._server.process.pid:
                os.kill(worker, signal.SIGKILL)
                self.n += 1


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """What the database had: acknowledged decisions and events that are missing, twice, or differ from the answer.

    `unasked` decisions are in the log and were never asked for; `differ` are repeated requests with another answer.
    """

    kills: int
    decisions: int
    events: int
    lost: int
    twice: int
    other_offer: int
    lost_events: int
    events_twice: int
    unasked: int
    differ: int
    unanswered: int
    resent: int
    fallbacks: int
    verify_problems: int

    @property
    def sound(self) -> bool:
        """Whether everything acknowledged is there, once and as it was answered."""
        wrong = (self.lost, self.twice, self.other_offer, self.lost_events, self.events_twice, self.unasked)
        return not (any(wrong) or self.differ or self.unanswered or self.verify_problems)

    @property
    def sentence(self) -> str:
        """What was found, as a sentence."""
        counted = f"{self.kills} kills; {self.decisions:,} decisions and {self.events:,} events were acknowledged"
        if self.sound:
            return (
                f"{counted}, each is in the database once and as it was answered; {self.resent:,} requests were sent "
                f"again, {self.fallbacks:,} decisions were the fallback, verify found no problem."
            )
        return f"{counted}; WRONG: {asdict(self)}"

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self) | {"sound": self.sound}


def check(database: Path, key: bytes, reports: Sequence[ClientReport], kills: int) -> ServiceCheck:
    """Compare what the clients were told with what the database has."""
    decided = {name: offer for each in reports for name, offer in each.decided.items()}
    asked = {name for each in reports for name in each.asked}
    recorded = [name for each in reports for name in each.recorded]
    with bandit.Engine.resume(database, customer_key=key) as engine:
        problems = len(engine.verify().problems)
        raw = engine.store._connection.raw  # noqa: SLF001 - the check reads the tables as they are
        stored = raw.execute(_DECISIONS).fetchall()
        events = Counter(name for (name,) in raw.execute(_EVENTS))
        offers = engine.catalogue.offers(np.array([row[1] for row in stored], dtype=np.int64))
    names = Counter(row[0] for row in stored)
    dimensions = sorted(offers)
    answered = {
        name: "{" + ", ".join(f'"{dimension}": "{offers[dimension][row]}"' for dimension in dimensions) + "}"
        for row, (name, _) in enumerate(stored)
    }
    return ServiceCheck(
        kills=kills,
        decisions=len(decided),
        events=len(recorded),
        lost=sum(name not in names for name in decided),
        twice=sum(n > 1 for n in names.values()),
        other_offer=sum(answered.get(name, offer) != offer for name, offer in decided.items()),
        lost_events=sum(name not in events for name in recorded),
        events_twice=sum(n > 1 for n in events.values()),
        unasked=sum(name not in asked for name in names),
        differ=sum(each.differ for each in reports),
        unanswered=sum(each.unanswered for each in reports),
        resent=sum(each.resent for each in reports),
        fallbacks=sum(each.fallbacks for each in reports),
        verify_problems=problems,
    )


_DECISIONS = "SELECT decision_id, offer FROM decisions"
_EVENTS = "SELECT event_id FROM events"
