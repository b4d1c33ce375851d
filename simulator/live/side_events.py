"""Side events of a live campaign: what customers do beside buying, such as unsubscribing, at a known rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
from bandit.errors import InputError
from simulator.market.season import DAY


@dataclass(frozen=True, slots=True)
class SideEvent:
    """An event that follows a decision with the probability `rate`, within a day; in one group only if it is named.

    Of several entries for one event the last one that applies to a group holds there.
    """

    event: str
    rate: float
    group: str | None = None

    @staticmethod
    def parse(text: str) -> SideEvent:
        """Return the event of text such as "unsubscribe=0.002" or "unsubscribe@policy=0.01"; InputError otherwise."""
        name, _, number = text.partition("=")
        event, _, group = name.strip().partition("@")
        try:
            rate = float(number)
        except ValueError:
            rate = -1.0
        if not event or not 0.0 <= rate <= 1.0:
            raise InputError(
                f'"{text}" is no side event; write EVENT=RATE or EVENT@GROUP=RATE with a rate from 0 to 1, such as '
                "unsubscribe=0.002"
            )
        return SideEvent(event, rate, group or None)


@dataclass(frozen=True, slots=True, eq=False)
class SideNoise:
    """The random part of the side events at n visits: by event, uniforms of whether and of when, (n,) each."""

    events: tuple[SideEvent, ...]
    happens: dict[str, FloatArray]
    delay: dict[str, FloatArray]

    @staticmethod
    def draw(events: tuple[SideEvent, ...], n: int, rng: np.random.Generator) -> SideNoise:
        """Draw the noise of n visits."""
        names = tuple(dict.fromkeys(each.event for each in events))
        return SideNoise(events, {name: rng.random(n) for name in names}, {name: rng.random(n) for name in names})

    def after(self, rows: IntArray, groups: ObjectArray, event: str) -> tuple[IntArray, IntArray]:
        """Return the rows, of those at visits of these (n,) groups, that the event follows, and after how long."""
        happening = self.happens[event][rows] < self._rates(groups, event)
        return rows[happening], (self.delay[event][rows[happening]] * DAY).astype(np.int64)

    def _rates(self, groups: ObjectArray, event: str) -> FloatArray:
        rates = np.zeros(len(groups))
        for each in self.events:
            if each.event == event:
                within: BoolArray = np.ones(len(groups), dtype=np.bool_) if each.group is None else groups == each.group
                rates[within] = each.rate
        return rates


class PendingSideEvents:
    """Side events that have not happened yet: by event, a queue of (time, row)."""

    def __init__(self, noise: SideNoise) -> None:
        self.noise = noise
        self.queues = {name: (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)) for name in noise.happens}

    def add(self, rows: IntArray, times: IntArray, groups: ObjectArray) -> None:
        """Add what follows the decisions of these rows, made at these (n,) times in these groups."""
        start = int(rows[0]) if len(rows) else 0
        for event, (due, waiting) in self.queues.items():
            found, delay = self.noise.after(rows, groups, event)
            self.queues[event] = (
                np.concatenate([due, times[found - start] + delay]),
                np.concatenate([waiting, found]),
            )

    def due(self, now: int) -> list[tuple[str, IntArray, IntArray]]:
        """Remove and return what has happened by now: event, rows and times, in order of time."""
        arrived = []
        for event, (due, rows) in self.queues.items():
            here = due <= now
            order = np.argsort(due[here], kind="stable")
            if len(order):
                arrived.append((event, rows[here][order], due[here][order]))
            self.queues[event] = due[~here], rows[~here]
        return arrived
