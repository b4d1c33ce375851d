"""The engine's speed beside Vowpal Wabbit's: `python -m simulator.bench`, side by side in one run on one catalogue.

144 offers, 12 facts. All contestants take turns, a few calls each, so that a busy machine slows all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import vowpalwabbit
from rich.console import Console
from rich.table import Table

from bandit.catalogue import Catalogue
from bandit.decide import choose
from bandit.domain import Contexts, FloatArray, Outcomes
from bandit.engine import Engine
from bandit.policies import ThompsonSampling, Uniform
from simulator.market import Market
from simulator.pilot.threads import run_with_one_thread
from simulator.population import Population
from simulator.scenarios import scenario

ARGS = "--cb_explore_adf -q ca --quiet --random_seed 1"
"""The plainest contextual bandit of VW with context times option, as the engine has it."""

MORE_FACTS = ("visits_90d", "last_basket", "tenure", "distance", "returns")
"""Numeric facts that make the seven of the retail world twelve."""

KNOWN = 2_000
"""Outcomes that both have learned before they are timed."""

BATCH = 512
ROUNDS = 10
KEY = b"bench"

VW_PREDICT, VW_LEARN = "VW predict, text at hand", "VW learn, text at hand"

Call = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something timed call by call; a call does `per` pieces of work and is compared with VW's `beside`."""

    name: str
    call: Call
    beside: str
    target: float | None = None
    per: int = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds a piece of work; `ratio` is the median in units of VW's median, `target` the most it should be."""

    name: str
    calls: int
    median: float
    p99: float
    beside: str
    ratio: float
    target: float | None

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


class Stage:
    """A catalogue, contexts in every form a contestant wants them, and both learners taught the same outcomes."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        market = Market.draw(scenario("retail"), rng)
        population = Population.draw(market, KNOWN, rng)
        self.catalogue = _catalogue(market)
        more = {name: np.round(rng.standard_normal(KNOWN), 3) for name in MORE_FACTS}
        self.columns: dict[str, Any] = population.columns() | more
        self.customers: list[str] = population.names().tolist()
        plain = {name: np.asarray(column).tolist() for name, column in self.columns.items()}
        self.rows = [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]
        contexts = self.catalogue.contexts(self.columns, self.customers)
        choice = choose(Uniform(self.catalogue), self.catalogue, contexts, rng)
        came = population.respond(np.arange(KNOWN), choice.offer, rng=rng)
        self.outcomes = Outcomes.first(
            contexts, choice.offer, choice.eligible, choice.propensity, came.kept, came.revenue, came.reward
        )
        self.contexts: Contexts = contexts
        self.offer_lines = [_offer_line(self.catalogue.offer(offer)) for offer in range(self.catalogue.n_offers)]
        self.texts = [self.text(row) for row in range(KNOWN)]
        self.labelled = [self.labelled_text(row) for row in range(KNOWN)]

    def policy(self) -> ThompsonSampling:
        """Return Thompson sampling that knows the outcomes."""
        policy = ThompsonSampling(self.catalogue)
        policy.update(self.outcomes)
        return policy

    def workspace(self) -> vowpalwabbit.Workspace:
        """Return a workspace that knows the outcomes."""
        workspace = vowpalwabbit.Workspace(ARGS)
        for lines in self.labelled:
            workspace.learn(lines)
        return workspace

    def text(self, row: int) -> list[str]:
        """Return VW's text of one decision."""
        return ["shared |c " + " ".join(map(_feature, self.rows[row].items())), *self.offer_lines]

    def labelled_text(self, row: int) -> list[str]:
        """Return VW's text of one outcome."""
        lines = self.text(row)
        offer = 1 + int(self.outcomes.offer[row])
        lines[offer] = f"0:{-self.outcomes.reward[row]:.6g}:{self.outcomes.propensity[row]:.6g} {lines[offer]}"
        return lines


def bench(calls: int, seed: int = 1) -> tuple[Timing, ...]:
    """Time every contestant for about this many calls; what is long at a time gets fewer."""
    stage = Stage(seed)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        return _timings(_contestants(stage, Path(folder), stack), calls)


def _contestants(stage: Stage, folder: Path, stack: ExitStack) -> tuple[Contestant, ...]:
    policy, workspace = stage.policy(), stage.workspace()
    learner, pupil = stage.policy(), stage.workspace()
    rng = np.random.default_rng(2)
    one = [stage.contexts.take(slice(row, row + 1)) for row in range(KNOWN)]
    eligible = [stage.outcomes.eligible[row : row + 1] for row in range(KNOWN)]
    single = [stage.outcomes.take(slice(row, row + 1)) for row in range(KNOWN)]
    several = [stage.outcomes.take(slice(start, start + BATCH)) for start in range(0, KNOWN - BATCH + 1, BATCH)]
    return (
        Contestant(VW_PREDICT, lambda row: workspace.predict(stage.texts[row]), VW_PREDICT),
        Contestant("VW predict, with building the text", lambda row: workspace.predict(stage.text(row)), VW_PREDICT),
        Contestant(
            "Thompson sampling, probabilities alone",
            lambda row: policy.probabilities(one[row], eligible[row], rng),
            VW_PREDICT,
        ),
        _decide(stage, stack.enter_context(_engine(stage, folder / "full.db", "full")), "on the disk"),
        _decide(stage, stack.enter_context(_engine(stage, folder / "process.db", "process")), "handed to the system"),
        _decide_batch(stage, stack.enter_context(_engine(stage, folder / "batch.db", "full"))),
        Contestant(VW_LEARN, lambda row: pupil.learn(stage.labelled[row]), VW_LEARN),
        Contestant("learning one outcome", lambda row: learner.update(single[row]), VW_LEARN, 1 / 4),
        Contestant(
            f"learning {BATCH}, an outcome",
            lambda row: learner.update(several[row % len(several)]),
            VW_LEARN,
            per=BATCH,
        ),
    )


def _engine(stage: Stage, path: Path, durability: Literal["full", "process"]) -> Engine:
    return Engine.open(path, stage.catalogue, stage.policy(), seed=1, customer_key=KEY, durability=durability)


def _decide(stage: Stage, engine: Engine, safe: str) -> Contestant:
    def call(row: int) -> object:
        return engine.decide(stage.customers[row], stage.rows[row])

    return Contestant(f"engine.decide, log {safe}", call, VW_PREDICT, 1 / 3)


def _decide_batch(stage: Stage, engine: Engine) -> Contestant:
    customers = stage.customers[:BATCH]
    columns = {name: column[:BATCH] for name, column in stage.columns.items()}

    def call(row: int) -> object:  # noqa: ARG001 - the same customers every time
        return engine.decide_batch(customers, columns)

    return Contestant(f"engine.decide_batch of {BATCH}, a customer", call, VW_PREDICT, 1 / 20, per=BATCH)


def _timings(contestants: Sequence[Contestant], calls: int) -> tuple[Timing, ...]:
    """Let all take turns in rounds; a call of many pieces of work is made a twentieth as often."""
    taken: dict[str, list[float]] = {each.name: [] for each in contestants}
    rows = {each.name: count() for each in contestants}
    for each in contestants:  # what a first call sets up is not timed
        each.call(next(rows[each.name]))
    for _ in range(ROUNDS):
        for each in contestants:
            turns = max(1, calls // ROUNDS // (1 if each.per == 1 else 20))
            for _turn in range(turns):
                row = next(rows[each.name]) % KNOWN
                begun = time.perf_counter_ns()
                each.call(row)
                taken[each.name].append((time.perf_counter_ns() - begun) / 1_000 / each.per)
    found = {name: np.array(microseconds) for name, microseconds in taken.items()}
    return tuple(_timing(each, found) for each in contestants)


def _timing(each: Contestant, found: Mapping[str, FloatArray]) -> Timing:
    mine = found[each.name]
    median, p99 = (float(value) for value in np.percentile(mine, [50, 99]))
    ratio = median / float(np.median(found[each.beside]))
    return Timing(each.name, len(mine), median, p99, each.beside, ratio, each.target)


def _catalogue(market: Market) -> Catalogue:
    plain = market.scenario.catalogue()
    context = plain["context"]
    if not isinstance(context, dict):
        raise TypeError("a catalogue's context is a mapping")
    more = {name: {"type": "numeric", "center": 0.0, "scale": 1.0} for name in MORE_FACTS}
    return Catalogue.from_dict(plain | {"context": context | more})


def _offer_line(offer: Mapping[str, str]) -> str:
    return "|a " + " ".join(f"{dimension}={option}" for dimension, option in offer.items())


def _feature(fact: tuple[str, object]) -> str:
    name, value = fact
    if isinstance(value, str):
        return f"{name}={value}"
    return f"{name}:{float(value):.6g}"  # type: ignore[arg-type]  # what is no text is a number


def table(timings: Sequence[Timing], n_offers: int, n_facts: int) -> Table:
    """Return the timings as a table."""
    shown = Table(title=f"{n_offers} offers, {n_facts} facts; VW: {ARGS}", title_justify="left")
    shown.add_column("what", no_wrap=True)
    for heading in ("calls", "median, µs", "99th percentile, µs", "VW's = 1", "target"):
        shown.add_column(heading, justify="right")
    for each in timings:
        if each.name == VW_LEARN:
            shown.add_section()
        target = "" if each.target is None else f"at most {each.target:.2f}"
        ratio = "1" if each.name == each.beside else f"{each.ratio:.3f}"
        shown.add_row(each.name, f"{each.calls:,}", f"{each.median:,.1f}", f"{each.p99:,.1f}", ratio, target)
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Time everything and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.bench",
        description="Time the engine and Vowpal Wabbit side by side: 144 offers, 12 facts.",
    )
    parser.add_argument("--calls", type=int, default=2_000, help="calls of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the customers (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    given = parser.parse_args(arguments)
    timings = bench(given.calls, given.seed)
    if given.json:
        sys.stdout.write(json.dumps([each.to_dict() for each in timings], indent=2) + "\n")
    else:
        facts = len(scenario("retail").facts) + len(MORE_FACTS)
        console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120)
        console.print(table(timings, 144, facts))
    return 0


if __name__ == "__main__":
    sys.exit(run_with_one_thread("simulator.bench", main))
