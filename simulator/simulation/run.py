"""A policy or an engine meets arriving customers, through the public surface only."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What happened at n visits: the offers made, what came of them, and what was to be expected of them.

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
    *,
    batch: int = 1_000,
    learn_every: int = 1,
    delayed: bool = False,
    noise: Noise | None = None,
    prefix: str = "d",
    progress: Progress | None = None,
) -> Run:
    """Let customers arrive in batches, make each an offer, draw what comes of it, and tell the target.

    An engine is asked by `decide_batch` under the decision ids `prefix` + row and told by `record_batch`; a bare
    policy is asked for probabilities, from which `rng` draws, and is told by `update`. Every `learn_every` batches
    the target learns. Outcomes are known at once (in the time of the visit), or, with `delayed`, when their time has
    come: a purchase after its delay, silence when the objective's window has passed. `noise` is the visits' chance,
    drawn from `rng` by default; give two runs the same to compare them.
    """
    n = len(visits)
    chance = Noise.draw(n, rng) if noise is None else noise
    desk = PolicyTarget(target, population, rng) if isinstance(target, Policy) else EngineTarget(target, population)
    record = RunRecord.empty(visits, population, prefix)
    waiting = PendingOutcomes(population.market.catalogue.objective.window)
    for number, start in enumerate(range(0, n, batch), start=1):
        rows = np.arange(start, min(start + batch, n))
        if delayed:
            desk.observe(record, waiting.due(int(visits.times[start])))
        desk.decide(record, rows)
        outcome = population.respond(
            visits.customers[rows], record.offer[rows], visits.times[rows], noise=chance.take(rows)
        )
        record.write(rows, outcome)
        if delayed:
            waiting.add(record, rows)
        else:
            desk.observe(record, ObservedOutcomes.immediate(record, rows))
        if number % learn_every == 0:
            desk.learn(record, int(visits.times[rows[-1]]))
        if progress is not None:
            progress(int(rows[-1]) + 1, n)
    if n:
        desk.observe(record, waiting.due(END_OF_TIME))
        desk.learn(record, int(visits.times[-1]) + (population.market.catalogue.objective.window if delayed else 0))
    return Run(
        visits,
        record.decision_ids,
        record.offer,
        record.propensity,
        record.packed,
        record.responses,
        population.expected_chosen(visits.customers, record.offer, visits.times),
        record.n_offers,
    )
