"""One decision for all the questions of a request: found again by its id, or by customer and facts for a short time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from bandit.domain import Decision
    from bandit.engine import Engine


@dataclass(frozen=True, slots=True)
class SharedDecision:
    """A decision, and whether it had been made before it was asked for this time."""

    decision: Decision
    is_repeat: bool


class SharedDecisions:
    """The last decisions of an engine: the same question within `hold` seconds has the same decision.

    A question is a customer with its facts. It keeps at most `most` of them, and the last decision of each customer.
    Threads that ask the same at once get one decision.
    """

    def __init__(self, engine: Engine, hold: float, most: int, clock: Callable[[], float]) -> None:
        self._engine, self._hold, self._most, self._clock = engine, hold, most, clock
        self._lock = threading.Lock()
        self._held: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()
        self._last: OrderedDict[str, str] = OrderedDict()

    def decide(self, customer: str, facts: Mapping[str, object], decision_id: str | None) -> SharedDecision:
        """Return the decision of a question, made now if it has none; the errors are those of `Engine.decide`.

        With a decision's id it is the engine that knows whether there is one.
        """
        key = msgspec.json.encode([decision_id, customer, facts], order="sorted", enc_hook=repr)
        with self._lock:
            now = self._clock()
            found = self._held.get(key)
            if found is not None and now - found[0] <= self._hold:
                return SharedDecision(found[1], is_repeat=True)
            decision = self._engine.decide(customer, facts, decision_id=decision_id)
            self._put(key, now, decision)
            return SharedDecision(decision, is_repeat=False)

    def last_of(self, customer: str) -> str | None:
        """Return the id of a customer's last decision, in this process or else in the database; None without any."""
        with self._lock:
            known = self._last.get(customer)
        if known is not None:
            return known
        store, objective = self._engine.store, self._engine.catalogue.objective
        seqs = store.decisions.of_customer(store.customers.stored(customer))
        if not len(seqs):
            return None
        return str(store.decisions.by_seq(seqs[-1:], objective.event, objective.window).decision_id[0])

    def _put(self, key: bytes, now: float, decision: Decision) -> None:
        self._held[key] = (now, decision)
        self._held.move_to_end(key)
        self._last[decision.customer] = decision.decision_id
        self._last.move_to_end(decision.customer)
        while self._held and (len(self._held) > self._most or now - next(iter(self._held.values()))[0] > self._hold):
            self._held.popitem(last=False)
        while len(self._last) > self._most:
            self._last.popitem(last=False)
