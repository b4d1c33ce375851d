"""Targets of a run: adapters that ask an engine or a bare policy for offers and report the outcomes back.

Also the columns of a run while it goes on, and the outcomes that have not been observed yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bandit.decide import checked, draw
from bandit.domain import DecisionBatch, FloatArray, IntArray, ObjectArray, Outcomes, Policy
from simulator.market.population import Population
from simulator.market.responses import Responses
from simulator.market.visits import Visits

END_OF_TIME = int(np.iinfo(np.int64).max)
"""A time later than every event."""


class EngineLike(Protocol):
    """The methods of an engine that a run calls."""

    def decide_batch(
        self,
        customers: Sequence[str],
        contexts: Mapping[str, Any],
        *,
        time: IntArray | int | None = None,
        decision_ids: Sequence[str] | None = None,
    ) -> DecisionBatch:
        """Decide for a batch of customers."""
        ...

    def record_batch(
        self,
        decision_ids: Sequence[str],
        event: str | Sequence[str],
        *,
        revenue: FloatArray | None = None,
        time: IntArray | None = None,
    ) -> object:
        """Record one event for each decision."""
        ...

    def learn(self, *, now: int | None = None) -> object:
        """Update the policy with the outcomes that are new."""
        ...


class RunRecord:
    """The columns of a run of n visits, filled batch by batch.

    `offer`, `propensity` and `group` are (n,), `packed` the (n, N) eligible offers as bits; `responses` are the
    outcomes. A bare policy has no groups: its rows keep the group "policy".
    """

    def __init__(self, visits: Visits, n_offers: int, decision_ids: ObjectArray, n_stages: int = 0) -> None:
        n = len(visits)
        self.visits = visits
        self.decision_ids = decision_ids
        self.offer = np.zeros(n, dtype=np.int64)
        self.propensity = np.zeros(n)
        self.group: ObjectArray = np.full(n, "policy", dtype=object)
        self.packed = np.zeros((n, -(-n_offers // 8)), dtype=np.uint8)
        self.n_offers = n_offers
        no, zero = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.int64)
        none = np.zeros((n, n_stages), dtype=np.bool_)
        self.responses = Responses(no, np.zeros(n), zero, no.copy(), zero.copy(), np.zeros(n), none, zero.copy())

    @staticmethod
    def empty(visits: Visits, population: Population, prefix: str) -> RunRecord:
        """Return the record of these visits before any decision; decision ids are prefix + row."""
        ids = np.strings.add(prefix, np.arange(len(visits)).astype(np.str_)).astype(object)
        return RunRecord(visits, population.market.n_offers, ids, len(population.market.stages))

    def write(self, rows: IntArray, outcome: Responses) -> None:
        """Enter the outcomes of these visits."""
        mine = self.responses
        mine.converted[rows], mine.revenue[rows], mine.delay[rows] = (
            outcome.converted,
            outcome.revenue,
            outcome.delay,
        )
        mine.returned[rows], mine.return_delay[rows] = outcome.returned, outcome.return_delay
        mine.reward[rows] = outcome.reward
        mine.stages[rows], mine.stage_delay[rows] = outcome.stages, outcome.stage_delay


@dataclass(frozen=True, slots=True, eq=False)
class ObservedOutcomes:
    """Rows of a run whose outcome is observed now: passed stages, purchases, returns, and rows whose outcome is final.

    `instant` says that outcomes are known at the time of the visit instead of after their delay.
    """

    bought: IntArray
    returned: IntArray
    settled: IntArray
    instant: bool
    passed: IntArray

    @staticmethod
    def immediate(record: RunRecord, rows: IntArray) -> ObservedOutcomes:
        """Return the outcomes of these visits, all known at the time of the visit."""
        responses = record.responses
        bought, returned = rows[responses.converted[rows]], rows[responses.returned[rows]]
        return ObservedOutcomes(bought, returned, rows, instant=True, passed=rows[responses.stages[rows].any(axis=1)])


class PendingOutcomes:
    """Outcomes not observed yet: queues of (due time, row), for purchases, returns, final outcomes and stages."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.queues = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)) for _ in range(4)]

    def add(self, record: RunRecord, rows: IntArray) -> None:
        """Add the outcomes of these visits."""
        responses, times = record.responses, record.visits.times[rows]
        bought = times + responses.delay[rows]
        back = bought + responses.return_delay[rows]
        converted, returned = responses.converted[rows], responses.returned[rows]
        settled = np.where(returned, back, np.where(converted, bought, times + self.window))
        passed, early = responses.stages[rows].any(axis=1), times + responses.stage_delay[rows]
        added = (
            (bought[converted], rows[converted]),
            (back[returned], rows[returned]),
            (settled, rows),
            (early[passed], rows[passed]),
        )
        self.queues = [
            (np.concatenate([due, more]), np.concatenate([old, new]))
            for (due, old), (more, new) in zip(self.queues, added, strict=True)
        ]

    def due(self, now: int) -> ObservedOutcomes:
        """Remove and return the outcomes that are due by now, in order of time."""
        arrived = []
        for place, (due, rows) in enumerate(self.queues):
            here = due <= now
            order = np.argsort(due[here], kind="stable")
            arrived.append(rows[here][order])
            self.queues[place] = due[~here], rows[~here]
        return ObservedOutcomes(arrived[0], arrived[1], arrived[2], instant=False, passed=arrived[3])


class EngineTarget:
    """An engine as the target of a run: it decides batches, and observes outcomes as events."""

    def __init__(self, engine: EngineLike, population: Population) -> None:
        self.engine, self.population = engine, population

    def decide(self, record: RunRecord, rows: IntArray) -> None:
        """Ask for offers for these visits and enter them into the record."""
        customers, times = record.visits.customers[rows], record.visits.times[rows]
        decided = self.engine.decide_batch(
            self.population.names(customers).tolist(),
            self.population.columns(customers, times),
            time=times,
            decision_ids=record.decision_ids[rows].tolist(),
        )
        record.offer[rows], record.propensity[rows] = decided.offer_index, decided.propensity
        record.group[rows] = decided.group
        record.packed[rows] = np.packbits(decided.eligible, axis=1)

    def observe(self, record: RunRecord, observed: ObservedOutcomes) -> None:
        """Record outcomes as events; "closed" only where everything is known at the time of the visit."""
        responses, times = record.responses, record.visits.times
        objective = self.population.market.catalogue.objective
        after = np.int64(0 if observed.instant else 1)
        early = times[observed.passed] + after * responses.stage_delay[observed.passed]
        for place, stage in enumerate(objective.stages):
            here = responses.stages[observed.passed, place]
            self._record(record, observed.passed[here], stage, None, early[here])
        bought = times[observed.bought] + after * responses.delay[observed.bought]
        self._record(record, observed.bought, objective.event, responses.revenue[observed.bought], bought)
        back = times[observed.returned] + after * (responses.delay + responses.return_delay)[observed.returned]
        self._record(record, observed.returned, "return", -responses.revenue[observed.returned], back)
        if observed.instant:
            self._record(record, observed.settled, "closed", None, times[observed.settled])

    def _record(
        self, record: RunRecord, rows: IntArray, event: str, revenue: FloatArray | None, time: IntArray
    ) -> None:
        if len(rows):
            self.engine.record_batch(record.decision_ids[rows].tolist(), event, revenue=revenue, time=time)

    def learn(self, record: RunRecord, now: int) -> None:  # noqa: ARG002 - the engine has its own log
        """Let the engine learn what is known at this time."""
        self.engine.learn(now=now)


class PolicyTarget:
    """A bare policy as the target of a run: offers are drawn from its probabilities, final outcomes update it."""

    def __init__(self, policy: Policy, population: Population, rng: np.random.Generator) -> None:
        self.policy, self.population, self.rng = policy, population, rng
        self.settled: list[IntArray] = []

    def decide(self, record: RunRecord, rows: IntArray) -> None:
        """Draw an offer for these visits from the policy's probabilities and enter it into the record."""
        contexts = self.population.contexts(record.visits.customers[rows], record.visits.times[rows])
        eligible = self.population.eligible(contexts)
        shares = checked(self.policy.probabilities(contexts, eligible, self.rng), eligible)
        offer = draw(shares, self.rng)
        record.offer[rows], record.propensity[rows] = offer, shares[np.arange(len(rows)), offer]
        record.packed[rows] = np.packbits(eligible, axis=1)

    def observe(self, record: RunRecord, observed: ObservedOutcomes) -> None:  # noqa: ARG002 - the rows are enough
        """Keep the rows with a final outcome until the policy learns."""
        if self.policy.learns and len(observed.settled):
            self.settled.append(observed.settled)

    def learn(self, record: RunRecord, now: int) -> None:  # noqa: ARG002 - a bare policy has no clock
        """Update the policy with the outcomes observed since the last call."""
        if not self.settled:
            return
        rows = np.concatenate(self.settled)
        self.settled.clear()
        contexts = self.population.contexts(record.visits.customers[rows], record.visits.times[rows])
        kept = record.responses.kept[rows]
        self.policy.update(
            Outcomes.new(
                contexts,
                record.offer[rows],
                np.unpackbits(record.packed[rows], axis=1, count=record.n_offers).astype(np.bool_),
                record.propensity[rows],
                kept,
                np.where(kept, record.responses.revenue[rows], 0.0),
                record.responses.reward[rows],
                record.visits.times[rows],
                record.responses.stages[rows],
            )
        )
