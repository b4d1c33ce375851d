"""Runs: a policy or an engine meets arriving customers, through the public surface only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray, Policy, Progress
from simulator.market.population import Population
from simulator.market.responses import Noise, Responses
from simulator.market.visits import Visits
from simulator.simulation.targets import (
    END_OF_TIME,
    EngineLike,
    EngineTarget,
    ObservedOutcomes,
    PendingOutcomes,
    PolicyTarget,
    RunRecord,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run goes on.

    Decisions are made `batch` at a time, and the target learns after every `learn_every` batches. With `delayed`,
    outcomes are observed when their time has come: a purchase after its delay, no purchase when the objective's window
    has passed; without it, at the time of the visit. Decision ids are `prefix` + row.
    """

    batch: int = 1_000
    learn_every: int = 1
    delayed: bool = False
    prefix: str = "d"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The result of a run of n visits: the offers made, their outcomes, and the expected objective of each.

    `expected` is the exact expected objective of the chosen offer with every taste known, so that regret has no
    noise of outcomes in it. `packed` are the (n, N) eligible offers as bits, eight to a byte.
    """

    visits: Visits
    decision_ids: ObjectArray
    offer: IntArray
    propensity: FloatArray
    packed: NDArray[np.uint8]
    responses: Responses
    expected: FloatArray
    n_offers: int

    def __len__(self) -> int:
        return len(self.offer)

    @property
    def reward(self) -> FloatArray:
        """The realised objective, (n,)."""
        return self.responses.reward

    @property
    def value(self) -> float:
        """The expected objective a decision."""
        return float(self.expected.mean())

    def eligible(self, rows: slice) -> BoolArray:
        """Return the (rows, N) eligible offers."""
        return np.unpackbits(self.packed[rows], axis=1, count=self.n_offers).astype(np.bool_)


def run(
    target: EngineLike | Policy,
    population: Population,
    visits: Visits,
    rng: np.random.Generator,
    options: RunOptions | None = None,
    *,
    noise: Noise | None = None,
    progress: Progress | None = None,
) -> Run:
    """Decide for the visits in batches, draw the outcomes, and report them to the target.

    An engine is called by `decide_batch`, `record_batch` and `learn`; a bare policy by `probabilities`, from which
    `rng` draws, and `update`. `noise` is the random part of the outcomes, drawn from `rng` by default; give two runs
    the same noise to compare them.
    """
    chosen = RunOptions() if options is None else options
    n, window = len(visits), population.market.catalogue.objective.window
    random_part = Noise.draw(n, rng) if noise is None else noise
    asked = PolicyTarget(target, population, rng) if isinstance(target, Policy) else EngineTarget(target, population)
    record = RunRecord.empty(visits, population, chosen.prefix)
    pending = PendingOutcomes(window)
    for number, start in enumerate(range(0, n, chosen.batch), start=1):
        rows = np.arange(start, min(start + chosen.batch, n))
        if chosen.delayed:
            asked.observe(record, pending.due(int(visits.times[start])))
        asked.decide(record, rows)
        customers, times = visits.customers[rows], visits.times[rows]
        record.write(rows, population.respond(customers, record.offer[rows], times, noise=random_part.take(rows)))
        if chosen.delayed:
            pending.add(record, rows)
        else:
            asked.observe(record, ObservedOutcomes.immediate(record, rows))
        if number % chosen.learn_every == 0:
            asked.learn(record, int(times[-1]))
        if progress is not None:
            progress(int(rows[-1]) + 1, n)
    if n:
        asked.observe(record, pending.due(END_OF_TIME))
        asked.learn(record, int(visits.times[-1]) + (window if chosen.delayed else 0))
    return Run(
        visits=visits,
        decision_ids=record.decision_ids,
        offer=record.offer,
        propensity=record.propensity,
        packed=record.packed,
        responses=record.responses,
        expected=population.expected_chosen(visits.customers, record.offer, visits.times),
        n_offers=record.n_offers,
    )
