"""Serving a live campaign: an engine with groups meets the visits of some weeks, its clock simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bandit.domain import Policy, Progress
from bandit.engine import Engine
from bandit.errors import InputError
from bandit.policies import SegmentRules
from simulator.live.plan import PILOT_DAYS, LivePlan, LiveWorld
from simulator.live.results import LiveLook, LookTaker
from simulator.live.side_events import PendingSideEvents
from simulator.market.population import Population
from simulator.market.season import DAY, HOUR
from simulator.market.segments import RULES_EXPLORATION, todays_rules
from simulator.simulation.run import RunOptions, run
from simulator.simulation.targets import END_OF_TIME, EngineTarget, PendingOutcomes, RunRecord

DECIDE_EVERY = 6 * HOUR
"""Visits of so long a time are decided together; what has happened before is recorded first."""

LEARN_EVERY = DAY
"""How often the engine learns."""

_PILOT_BATCH = 4_096


class SimulatedClock:
    """A clock that stands still until it is set; called, it returns microseconds since 1970."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return the time."""
        return self.now


def write_pilot(
    path: Path,
    plan: LivePlan,
    population: Population,
    customer_key: bytes | None = None,
    progress: Progress | None = None,
) -> None:
    """Log the decisions of a plan's pilot, made before the campaign under today's rules with exploration."""
    catalogue = population.market.catalogue
    rules = SegmentRules.from_dict(catalogue, todays_rules(population, exploration=RULES_EXPLORATION))
    begins = plan.start - catalogue.objective.window - PILOT_DAYS * DAY
    visits = population.visits(plan.pilot, plan.rng("pilot visits"), begins, PILOT_DAYS)
    with Engine.open(
        path, catalogue, rules, seed=plan.seed, group="pilot", customer_key=customer_key, durability="process"
    ) as engine:
        options = RunOptions(batch=_PILOT_BATCH, delayed=True, prefix="pilot-")
        run(engine, population, visits, plan.rng("pilot"), options, progress=progress)


def serve_live(
    path: Path, world: LiveWorld, policy: Policy, customer_key: bytes | None = None, progress: Progress | None = None
) -> tuple[LiveLook, ...]:
    """Serve a world's visits from a database and return the comparison of the groups at each look.

    The engine decides the visits of six hours together, observes purchases, returns and side events when they have
    happened, and learns once a day. Nothing is closed: a decision is settled when its window is over. After the last
    look the outcomes that were still to come are recorded and learned, so that the database has them all.
    """
    plan, clock = world.plan, SimulatedClock(world.plan.start)
    looks = plan.settled_looks(world.catalogue.objective.window)
    with Engine.open(
        path,
        world.catalogue,
        policy,
        seed=plan.seed,
        customer_key=customer_key,
        durability="process",
        clock=clock,
    ) as engine:
        serving = _Serving(engine, world)
        taker = LookTaker(engine.store, world, serving.record)
        engine.learn(now=plan.start)
        found = []
        for now in range(plan.start, plan.end, DECIDE_EVERY):
            clock.now = now + DECIDE_EVERY
            serving.decide(now, clock.now, progress)
            serving.observe(clock.now)
            if (clock.now - plan.start) % LEARN_EVERY == 0:
                engine.learn(now=clock.now)
            weeks, rest = divmod(clock.now - plan.start, 7 * DAY)
            if rest == 0 and weeks in looks:
                found.append(taker.look(weeks, clock.now))
        clock.now = plan.end + world.catalogue.objective.window + DAY
        serving.observe(END_OF_TIME)
        engine.learn(now=clock.now)
    return tuple(found)


class _Serving:
    """The engine of a world, the record of its decisions, and what has not happened yet."""

    def __init__(self, engine: Engine, world: LiveWorld) -> None:
        self.engine, self.world = engine, world
        self.target = EngineTarget(engine, world.population)
        self.record = RunRecord.empty(world.visits, world.population, "live-")
        self.pending = PendingOutcomes(world.catalogue.objective.window)
        self.side = PendingSideEvents(world.side)

    def decide(self, after: int, before: int, progress: Progress | None) -> None:
        """Decide for the visits from one time to before another, and draw what follows."""
        record, population = self.record, self.world.population
        first, last = np.searchsorted(record.visits.times, [after, before]).tolist()
        rows = np.arange(first, last)
        if not len(rows):
            return
        self.target.decide(record, rows)
        customers, times = record.visits.customers[rows], record.visits.times[rows]
        record.write(rows, population.respond(customers, record.offer[rows], times, noise=self.world.noise.take(rows)))
        self.pending.add(record, rows)
        self.side.add(rows, times, record.group[rows])
        if progress is not None:
            progress(last, len(record.visits))

    def observe(self, now: int) -> None:
        """Record what has happened by now."""
        self.target.observe(self.record, self.pending.due(now))
        for event, rows, times in self.side.due(now):
            self.engine.record_batch(self.record.decision_ids[rows].tolist(), event, time=times)


def must_be_new(path: Path) -> None:
    """Raise InputError if there is a file already: a campaign begins with a database of its own."""
    if path.exists():
        raise InputError(f"{path}: exists already; a simulation begins with a new database, name another file")
