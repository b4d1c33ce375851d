"""The command `offer-bandit simulate`: a simulated campaign under segment rules, in files that `import` reads."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tomli_w

from bandit.errors import InputError
from bandit.policies import SegmentRules
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.segments import RULES_EXPLORATION, todays_rules
from simulator.scenarios import scenario as scenario_named
from simulator.simulation.run import run
from simulator.simulation.table import write_table

CAMPAIGN_FILES = ("catalogue.toml", "rules.toml", "mapping.toml", "log.csv")

IMPORT_COMMAND = "offer-bandit import offers.db log.csv --catalogue catalogue.toml --mapping mapping.toml"
"""The command that imports the files, in their directory."""


def simulate_campaign(
    scenario: str,
    customers: int,
    decisions: int,
    seed: int,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, object]:
    """Write catalogue, segment rules, mapping and log of a campaign to the directory `out`; return a summary.

    The log is that of today's segment rules with 10 % exploration. Raises InputError for an unknown scenario, for a
    directory that cannot be written and for one that has such files already.
    """
    existing = [name for name in CAMPAIGN_FILES if (out / name).exists()]
    if existing:
        raise InputError(f"{out}: has {', '.join(existing)} already; choose another directory")
    drawn = scenario_named(scenario)
    world, log = (np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2))
    market = Market.draw(drawn, world)
    population = Population.draw(market, customers, world)
    rules = todays_rules(population, exploration=RULES_EXPLORATION)
    policy = SegmentRules.from_dict(market.catalogue, rules)
    campaign = run(policy, population, population.visits(decisions, log), log, progress=progress)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "catalogue.toml").write_text(tomli_w.dumps(market.catalogue.to_dict()), encoding="utf-8")
        (out / "rules.toml").write_text(tomli_w.dumps(rules), encoding="utf-8")
        (out / "mapping.toml").write_text(tomli_w.dumps(mapping_of(population)), encoding="utf-8")
        write_table(out / "log.csv", population, campaign)
    except OSError as fault:
        raise InputError(f"{out}: cannot be written: {fault.strerror}; choose another directory") from fault
    return {
        "directory": str(out),
        "scenario": drawn.name,
        "describes": drawn.describes,
        "customers": customers,
        "decisions": len(campaign),
        "offers": market.n_offers,
        "seed": seed,
        "true_value": campaign.value,
        "files": list(CAMPAIGN_FILES),
        "next": f"cd {shlex.quote(str(out))} && {IMPORT_COMMAND}",
    }


def mapping_of(population: Population) -> dict[str, object]:
    """Return the mapping with which `import` reads the log of a population."""
    catalogue = population.market.catalogue
    return {
        "columns": {
            "customer": "customer",
            "decision_id": "decision_id",
            "time": "time",
            "propensity": "propensity",
        },
        "context": {name: name for name in catalogue.facts},
        "offer": {name: {"column": name} for name in catalogue.dimension_names},
        "outcomes": [{"event": catalogue.objective.event, "when": "converted", "revenue": "revenue"}],
    }
