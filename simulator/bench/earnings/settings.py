"""The cost of exploration: regret of Thompson sampling by its draws, floor and width, on the same customers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from rich.console import Console
from rich.progress import Progress

from bandit.domain import FloatArray
from bandit.policies import ThompsonSampling
from simulator.bench.earnings.world import TOURNAMENT_BATCH, TournamentWorld, WorldSpec
from simulator.simulation.regret import ReferenceValues
from simulator.simulation.run import RunOptions, run

SETTINGS_SCENARIOS = ("retail", "busy", "loyalty", "sparse", "rugged", "null")

DEFAULT_SETTING: Mapping[str, float] = {"draws": 64, "floor": 0.01, "width": 0.5}

SETTINGS: tuple[Mapping[str, float], ...] = (
    DEFAULT_SETTING,
    {**DEFAULT_SETTING, "draws": 8},
    {**DEFAULT_SETTING, "draws": 256},
    {**DEFAULT_SETTING, "floor": 0.0},
    {**DEFAULT_SETTING, "floor": 0.05},
    {**DEFAULT_SETTING, "width": 0.25},
    {**DEFAULT_SETTING, "width": 1.0},
)
"""The default settings, and variants that change one of them."""


@dataclass(frozen=True, slots=True)
class SettingResult:
    """The regret of one setting in one scenario, as means over draws of the scenario.

    `regret` is the money a decision that the best policy on observed facts earns more, `regret_last` that of the last
    quarter; `against` is the paired difference of `regret` to the default's, `error` its standard error.
    """

    scenario: str
    settings: Mapping[str, float] = field(hash=False)
    seeds: int
    regret: float
    regret_last: float
    against: float
    error: float


def measure(specs: Sequence[Sequence[WorldSpec]], console: Console) -> tuple[SettingResult, ...]:
    """Run every setting in every world with the same visits and noise; `specs` are the worlds of each scenario."""
    found: list[SettingResult] = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("settings", total=sum(map(len, specs)) * len(SETTINGS))
        for draws in specs:
            regrets = np.empty((len(draws), len(SETTINGS), 2))
            for row, spec in enumerate(draws):
                world = TournamentWorld.draw(spec)
                reference = ReferenceValues.measure(world.population, world.visits.customers, world.visits.times)
                for column, settings in enumerate(SETTINGS):
                    expected = _run(world, settings, column)
                    lost = reference.facts_clairvoyant - expected
                    regrets[row, column] = lost.mean(), lost[-len(lost) // 4 :].mean()
                    progress.advance(task)
            found += [_tried(draws[0].scenario, regrets, column) for column in range(len(SETTINGS))]
    return tuple(found)


def _run(world: TournamentWorld, settings: Mapping[str, float], number: int) -> FloatArray:
    policy = ThompsonSampling(
        world.population.market.catalogue,
        draws=int(settings["draws"]),
        floor=settings["floor"],
        width=settings["width"],
    )
    rng = np.random.default_rng(world.spec.sequence(f"settings {number}"))
    delayed = world.population.market.scenario.delayed
    result = run(
        policy,
        world.population,
        world.visits,
        rng,
        RunOptions(batch=TOURNAMENT_BATCH, delayed=delayed),
        noise=world.noise,
    )
    return result.expected


def _tried(scenario: str, regrets: FloatArray, column: int) -> SettingResult:
    against = regrets[:, column, 0] - regrets[:, 0, 0]
    n = len(against)
    return SettingResult(
        scenario,
        SETTINGS[column],
        n,
        float(regrets[:, column, 0].mean()),
        float(regrets[:, column, 1].mean()),
        float(against.mean()),
        float(against.std(ddof=1) / np.sqrt(n)) if n > 1 and column else 0.0,
    )


def markdown(found: Sequence[SettingResult]) -> str:
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
        against = "" if settings == DEFAULT_SETTING else f"{each.against:+.3f} ± {each.error:.3f}"
        lines.append(
            f"| {each.scenario} | {settings['draws']:.0f} | {settings['floor']:g} | {settings['width']:g} "
            f"| {each.regret:.3f} | {each.regret_last:.3f} | {against} |"
        )
    return "\n".join(lines) + "\n"


def as_json(found: Sequence[SettingResult]) -> str:
    """Return the results as JSON."""
    plain = [{**asdict(each), "settings": dict(each.settings)} for each in found]
    return json.dumps(plain, indent=2) + "\n"
