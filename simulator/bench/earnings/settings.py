"""What exploration costs: the regret of Thompson sampling by its draws, floor and width, on the same customers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from rich.console import Console
from rich.progress import Progress

from bandit.domain import FloatArray
from bandit.policies import ThompsonSampling
from simulator.bench.earnings.world import BATCH, Place, World
from simulator.simulation.regret import Yardstick
from simulator.simulation.run import run

SCENARIOS = ("retail", "busy", "loyalty", "sparse", "rugged", "null")

DEFAULT: Mapping[str, float] = {"draws": 64, "floor": 0.01, "width": 0.5}

TRIED: tuple[Mapping[str, float], ...] = (
    DEFAULT,
    {**DEFAULT, "draws": 8},
    {**DEFAULT, "draws": 256},
    {**DEFAULT, "floor": 0.0},
    {**DEFAULT, "floor": 0.05},
    {**DEFAULT, "width": 0.25},
    {**DEFAULT, "width": 1.0},
)
"""The default, and one setting moved at a time."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One setting in one scenario, means over draws of the scenario.

    `regret` is the money a decision that the best policy on observed facts would have earned more, `regret_last` that
    of the last quarter; `against` is the paired difference of `regret` to the default's, `error` its standard error.
    """

    scenario: str
    settings: Mapping[str, float] = field(hash=False)
    seeds: int
    regret: float
    regret_last: float
    against: float
    error: float


def measure(places: Sequence[Sequence[Place]], console: Console) -> tuple[Tried, ...]:
    """Run every setting at every place, the same visits and chance for all; `places` are those of each scenario."""
    found: list[Tried] = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("settings", total=sum(map(len, places)) * len(TRIED))
        for draws in places:
            regrets = np.empty((len(draws), len(TRIED), 2))
            for row, place in enumerate(draws):
                world = World.draw(place)
                stick = Yardstick.measure(world.population, world.visits.customers, world.visits.times)
                for column, settings in enumerate(TRIED):
                    expected = _play(world, settings, column)
                    lost = stick.facts_clairvoyant - expected
                    regrets[row, column] = lost.mean(), lost[-len(lost) // 4 :].mean()
                    progress.advance(task)
            found += [_tried(draws[0].scenario, regrets, column) for column in range(len(TRIED))]
    return tuple(found)


def _play(world: World, settings: Mapping[str, float], number: int) -> FloatArray:
    policy = ThompsonSampling(
        world.population.market.catalogue,
        draws=int(settings["draws"]),
        floor=settings["floor"],
        width=settings["width"],
    )
    rng = np.random.default_rng(world.place.sequence(f"settings {number}"))
    delayed = world.population.market.scenario.delayed
    told = run(policy, world.population, world.visits, rng, batch=BATCH, noise=world.noise, delayed=delayed)
    return told.expected


def _tried(scenario: str, regrets: FloatArray, column: int) -> Tried:
    against = regrets[:, column, 0] - regrets[:, 0, 0]
    n = len(against)
    return Tried(
        scenario,
        TRIED[column],
        n,
        float(regrets[:, column, 0].mean()),
        float(regrets[:, column, 1].mean()),
        float(against.mean()),
        float(against.std(ddof=1) / np.sqrt(n)) if n > 1 and column else 0.0,
    )


def markdown(found: Sequence[Tried]) -> str:
    """Return the table: regret in money a decision."""
    lines = [
        "# What exploration costs",
        "",
        "Regret to the best policy on observed facts, money a decision; paired difference to the default with its",
        "standard error over draws of the scenario.",
        "",
        "| scenario | draws | floor | width | regret | last quarter | against the default |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found:
        settings = each.settings
        against = "" if settings == DEFAULT else f"{each.against:+.3f} ± {each.error:.3f}"
        lines.append(
            f"| {each.scenario} | {settings['draws']:.0f} | {settings['floor']:g} | {settings['width']:g} "
            f"| {each.regret:.3f} | {each.regret_last:.3f} | {against} |"
        )
    return "\n".join(lines) + "\n"


def as_json(found: Sequence[Tried]) -> str:
    """Return the same for machines."""
    plain = [{**asdict(each), "settings": dict(each.settings)} for each in found]
    return json.dumps(plain, indent=2) + "\n"
