"""What each method of learning gives: paired comparisons of settings of Thompson sampling on the same customers.

An arm is a set of settings. All arms meet the same worlds with the same noise and the same generator, so that the
difference of two arms has far less noise than either; its standard error is that over worlds, each of which is the
mean of its runs.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bandit.domain import FloatArray
from bandit.errors import InputError
from bandit.policies import ThompsonSampling
from bandit.policies.thompson.methods import DEFAULT_METHODS, LearningMethods
from simulator.bench.earnings.world import TOURNAMENT_BATCH, TournamentWorld, WorldSpec, windows
from simulator.simulation.regret import ReferenceValues
from simulator.simulation.run import RunOptions, run

ABLATION_WINDOWS = ("all", "last", "first")

METHOD_NAMES = tuple(field.name for field in fields(LearningMethods))
"""The methods that can be left out."""


@dataclass(frozen=True, slots=True)
class AblationArm:
    """Settings of Thompson sampling under a name; `against` is the arm that it is compared with, none if empty."""

    name: str
    settings: Mapping[str, Any]
    against: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One run of an arm in one world.

    `all`, `last` and `first` are shares of the gain from uniform choice (0) to the facts-clairvoyant (1) over all
    decisions, the last quarter and the first 2,000; where nothing can be gained, money above uniform choice a decision.
    `source` is the checksum of the code that made it, `seconds` its processor time.
    """

    scenario: str
    seed: int
    draw: int
    customers: int
    visits: int
    stamp: int
    settings: str
    run: int
    source: int
    all: float
    last: float
    first: float
    seconds: float

    @property
    def key(self) -> tuple[WorldSpec, int, str, int, int]:
        """The key of the run: world, checksum of the scenario, settings, run, checksum of the code."""
        spec = WorldSpec(self.scenario, self.seed, self.draw, self.customers, self.visits)
        return spec, self.stamp, self.settings, self.run, self.source


@dataclass(frozen=True, slots=True)
class ArmRun:
    """One run that is to be made: settings as JSON in one world."""

    spec: WorldSpec
    settings: str
    number: int

    @property
    def key(self) -> tuple[WorldSpec, int, str, int, int]:
        """The key of its result."""
        return self.spec, self.spec.stamp, self.settings, self.number, code_checksum()


def ablation_arms() -> tuple[AblationArm, ...]:
    """Return no method, the default, all, each method alone (against none), and all without each (against all)."""
    arms = [
        AblationArm("none", {"methods": []}),
        AblationArm("default", {"methods": list(DEFAULT_METHODS.names)}, "none"),
    ]
    arms.append(AblationArm("all", {"methods": sorted(METHOD_NAMES)}, "none"))
    arms += [AblationArm(f"only {name}", {"methods": [name]}, "none") for name in METHOD_NAMES]
    arms += [
        AblationArm(f"all but {name}", {"methods": sorted(set(METHOD_NAMES) - {name})}, "all") for name in METHOD_NAMES
    ]
    return tuple(arms)


def parse_arms(texts: Sequence[str]) -> tuple[AblationArm, ...]:
    """Return the arms of texts NAME=JSON, such as 'low={"floor": 0.002}'; each but the first against the first."""
    arms: list[AblationArm] = []
    for text in texts:
        name, _, written = text.partition("=")
        try:
            settings = json.loads(written)
        except ValueError as fault:
            raise InputError(f"an arm is NAME=JSON; the JSON of {text!r} cannot be read ({fault})") from fault
        if not name or not isinstance(settings, dict):
            raise InputError(f"an arm is NAME=JSON with the settings as an object; seen {text!r}")
        arms.append(AblationArm(name, settings, arms[0].name if arms else ""))
    if len({arm.name for arm in arms}) < len(arms):
        raise InputError("each arm needs a name of its own; two have the same one")
    return tuple(arms)


@lru_cache(maxsize=1)
def code_checksum() -> int:
    """Return the checksum of the sources of engine and simulator: results of other code do not count."""
    root = Path(__file__).resolve().parents[3]
    found = 0
    for package in ("bandit", "simulator"):
        for path in sorted((root / package).rglob("*.py")):
            found = zlib.crc32(path.read_bytes(), found)
    return found


@lru_cache(maxsize=1)
def _measured(spec: WorldSpec) -> tuple[TournamentWorld, ReferenceValues]:
    world = TournamentWorld.draw(spec)
    return world, ReferenceValues.measure(world.population, world.visits.customers, world.visits.times)


def play_arm(asked: ArmRun) -> ArmResult:
    """Run an arm in a world; the generator depends on world and run only, not on the arm."""
    spec = asked.spec
    world, reference = _measured(spec)
    begun = time.process_time()
    policy = ThompsonSampling(world.population.market.catalogue, **json.loads(asked.settings))
    result = run(
        policy,
        world.population,
        world.visits,
        np.random.default_rng(spec.sequence(f"ablation {asked.number}")),
        RunOptions(batch=TOURNAMENT_BATCH, delayed=world.population.market.scenario.delayed),
        noise=world.noise,
    )
    seconds = time.process_time() - begun
    worth = {window: _share(result.expected, reference, rows) for window, rows in windows(len(result)).items()}
    return ArmResult(
        scenario=spec.scenario,
        seed=spec.seed,
        draw=spec.draw,
        customers=spec.customers,
        visits=spec.visits,
        stamp=spec.stamp,
        settings=asked.settings,
        run=asked.number,
        source=code_checksum(),
        all=worth["all"],
        last=worth["last"],
        first=worth["first"],
        seconds=seconds,
    )


def _share(expected: FloatArray, reference: ReferenceValues, rows: slice) -> float:
    part = reference.take(rows)
    share = part.share(expected[rows])
    return share if np.isfinite(share) else float(expected[rows].mean() - part.uniform.mean())


def arm_runs(specs: Sequence[WorldSpec], arms: Sequence[AblationArm], runs: int) -> Iterator[ArmRun]:
    """Yield the runs of all arms, world by world."""
    for spec in specs:
        for number in range(runs):
            for arm in arms:
                yield ArmRun(spec, settings_text(arm), number)


def settings_text(arm: AblationArm) -> str:
    """Return the settings of an arm as JSON, under which its results are kept."""
    return json.dumps(arm.settings, sort_keys=True)


def read_results(path: Path) -> dict[tuple[WorldSpec, int, str, int, int], ArmResult]:
    """Return the kept results by key; none where there is no file. InputError for a line that is not a result."""
    found = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            result = ArmResult(**json.loads(line))
        except (ValueError, TypeError) as fault:
            raise InputError(f"{path}, line {number}: not a result ({fault}); delete the line or the file") from fault
        found[result.key] = result
    return found


def append_result(path: Path, result: ArmResult) -> None:
    """Add a result at the end of a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")
