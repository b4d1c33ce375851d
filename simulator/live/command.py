"""The command `offer-bandit simulate-live`: a live campaign with groups on a simulated market, in a new database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bandit.catalogue import Catalogue
from bandit.cli.live_simulation import LiveSimulation
from bandit.cli.policies import parse_policy
from bandit.domain import Policy, Progress
from bandit.errors import InputError
from bandit.report.evaluations import unit_of
from bandit.store.customer_key import customer_key
from simulator.live.plan import LIVE_SHARES, LivePlan, LiveWorld, draw_population, with_groups
from simulator.live.report import LookPart, live_parts
from simulator.live.results import LiveResults
from simulator.live.run import must_be_new, serve_live, write_pilot
from simulator.live.side_events import SideEvent


def simulate_live(
    path: Path, wanted: LiveSimulation, progress: Progress | None = None
) -> tuple[Mapping[str, object], Sequence[LookPart]]:
    """Serve a live campaign from a new database; return the results as plain JSON values, and as tables and sentences.

    Raises InputError for an unknown scenario, for a catalogue that is not of the scenario's offers and facts, for a
    database that exists, and for sizes from which nothing can be compared.
    """
    must_be_new(path)
    plan = LivePlan(
        scenario=wanted.scenario,
        customers=wanted.customers,
        visits=wanted.visits,
        weeks=wanted.weeks,
        looks=tuple(wanted.looks),
        pilot=wanted.pilot,
        side_events=tuple(map(SideEvent.parse, wanted.side_events)),
        seed=wanted.seed,
    )
    population = draw_population(plan)
    if wanted.catalogue is None:
        catalogue = with_groups(population, wanted.shares or LIVE_SHARES, wanted.salt, plan.side_events)
    elif wanted.shares is None and not wanted.salt:
        catalogue = Catalogue.from_toml(wanted.catalogue)
    else:
        raise InputError(f"{wanted.catalogue} declares the groups; leave out the shares and the salt given")
    world = LiveWorld.of(plan, population, catalogue)
    plan.check(catalogue.objective.window)
    policy = parse_policy(catalogue, wanted.policy)
    key = customer_key()
    if plan.pilot:
        write_pilot(path, plan, population, key, _part(progress, 0, len(world.visits)))
    found = live_results(path, world, policy, key, _part(progress, plan.pilot, 0))
    return found.to_dict(), tuple(live_parts(found))


def _part(progress: Progress | None, before: int, after: int) -> Progress | None:
    """Return the progress of one part of a work, of which so much is done before it and after it."""
    if progress is None:
        return None
    return lambda done, total: progress(before + done, before + total + after)


def live_results(
    path: Path, world: LiveWorld, policy: Policy, key: bytes | None, progress: Progress | None = None
) -> LiveResults:
    """Serve a world's visits from a database and return the looks with the units of their rewards."""
    objective, currency = world.catalogue.objective, world.catalogue.currency
    looks = serve_live(path, world, policy, key, progress)
    amount = "conversions" if objective.kind == "conversion" else currency
    return LiveResults(world.plan, unit_of(objective, currency), amount, str(path), looks)
