"""How far evaluations of the same log agree: read whole, as one part and as seven, by every estimator and interval.

`python -m simulator.validation.agreement` prints the largest relative differences on a simulated log, or on the log of
a file. A difference is relative to the number itself or, where that is smaller, to the standard error of its estimate.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bandit.catalogue import Catalogue
from bandit.domain import IntArray, Log, LogDefaults, LoggedBatch, LogPart, Policy
from bandit.errors import OfferBanditError
from bandit.evaluate import Evaluation, evaluate
from bandit.logfiles import open_log
from bandit.ope import ESTIMATORS, Estimate, IntervalKind
from bandit.ope.estimator import Selection
from bandit.policies import SegmentRules, ThompsonSampling, Uniform
from bandit.tabular import Cell
from simulator.campaign.plan import pilot_scenario
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.segments import best_segment_rules, todays_rules
from simulator.programs.single_thread import run_single_threaded
from simulator.simulation.log import RunLog
from simulator.simulation.run import RunOptions, run

PART_NUMBERS = (1, 7)
"""Into how many parts a log is dealt."""

AGREEMENT_INTERVALS: tuple[IntervalKind, ...] = (
    "skew",
    "normal",
    "bernstein",
    "anytime",
    "anytime-skew",
    "bootstrap",
)
"""The kinds of intervals that are compared."""

AMPLIFIED = {"mrdr": 1e4}
"""Estimators whose differences may be this many times as large: mrdr's regression weighs rows by up to the square of
their inverse propensity, and its penalty lets that amplify the rounding of sums."""

_FEW = ("dr", "snips")
_NUMBERS = ("value", "low", "high", "standard_error", "effective_sample_size", "mean_weight")


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """The largest difference of one estimator under one kind of interval from the log read whole, in `parts` parts."""

    interval: str
    estimator: str
    parts: int
    largest: float

    def to_dict(self) -> dict[str, Cell]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class DealtPart(LogDefaults):
    """Some customers' decisions in memory, as a part of a log."""

    rows: LoggedBatch
    of_catalogue: Catalogue
    known: bool

    @property
    def n(self) -> int:
        """The number of decisions."""
        return len(self.rows)

    def open(self) -> Log:
        """Return the part, which is a log itself."""
        return self

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of the whole log."""
        return self.of_catalogue

    @property
    def propensities_known(self) -> bool:
        """Whether the whole log knows its propensities."""
        return self.known

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        for start in range(0, self.n, size):
            yield self.rows.take(slice(start, start + size))


@dataclass(frozen=True, slots=True, eq=False)
class DealtLog(DealtPart):
    """A log whose customers are dealt to parts; read straight through it has its own order."""

    dealt: tuple[DealtPart, ...]

    @property
    def parts(self) -> tuple[LogPart, ...]:
        """The parts."""
        return self.dealt


def with_customers(log: Log, catalogue: Catalogue) -> DealtPart:
    """Return a log in memory; of one that names no customers, each decision is that of a customer of its own."""
    rows = LoggedBatch.concat(list(log.batches()))
    if not len(rows.contexts.customers):
        keys = np.array([f"row {number}" for number in range(len(rows))], dtype=object)
        rows = replace(rows, contexts=replace(rows.contexts, customers=keys))
    return DealtPart(rows, catalogue, log.propensities_known)


def dealt_log(log: DealtPart, parts: int, rng: np.random.Generator) -> DealtLog:
    """Return a log whose customers are dealt to parts at random."""
    rows, catalogue, known = log.rows, log.of_catalogue, log.known
    place: IntArray = np.unique(rows.contexts.customers.astype(np.str_), return_inverse=True)[1]
    part_of = rng.integers(0, parts, len(rows))[place]
    dealt = tuple(DealtPart(rows.take(part_of == each), catalogue, known) for each in range(parts))
    return DealtLog(rows, catalogue, known, dealt)


def agreement(log: Log, catalogue: Catalogue, policies: Mapping[str, Policy], seed: int) -> list[AgreementRow]:
    """Return the differences of each estimator under each interval; the bootstrap is of dr and snips alone."""
    rng, found = np.random.default_rng(seed), []
    memory = with_customers(log, catalogue)
    dealt = [(parts, dealt_log(memory, parts, rng)) for parts in PART_NUMBERS]
    # All that need nothing but a reward model: mips and pi need the logging policy's probabilities of all offers.
    every = tuple(name for name, each in ESTIMATORS.items() if each.needs in {None, "predictions", "robust"})
    baseline = next(iter(policies))
    for interval in AGREEMENT_INTERVALS:
        estimators = _FEW if interval == "bootstrap" else every

        def judged(one: Log, kind: IntervalKind = interval, asked: Sequence[str] = estimators) -> Evaluation:
            return evaluate(one, policies, baseline, catalogue=catalogue, estimators=asked, interval=kind)

        whole = judged(memory)
        for parts, split in dealt:
            other = judged(split)
            found += [AgreementRow(interval, name, parts, _largest(whole, other, name)) for name in estimators]
    return found


def _largest(one: Evaluation, other: Evaluation, name: str) -> float:
    pairs = [
        pair
        for row, again in zip(one.rows, other.rows, strict=True)
        for pair in (
            (row.estimate(name), again.estimate(name)),
            (row.against_baseline(name), again.against_baseline(name)),
        )
    ]
    return max(_difference(a, b) for a, b in pairs if a is not None and b is not None)


def _difference(one: Estimate, other: Estimate) -> float:
    worst = 0.0
    for field in _NUMBERS:
        a, b = float(getattr(one, field)), float(getattr(other, field))
        if a == b or (np.isnan(a) and np.isnan(b)):
            continue
        error = one.standard_error if np.isfinite(one.standard_error) else 0.0
        size = max(abs(a), abs(b), error if field in {"value", "low", "high"} else 0.0)
        worst = max(worst, abs(a - b) / size if np.isfinite(size) else np.inf)
    return worst


def simulated_log(decisions: int, seed: int) -> tuple[Log, Catalogue, dict[str, Policy]]:
    """Return the log of today's rules with a tenth of exploration, and policies to judge on it."""
    rng = np.random.default_rng(seed)
    market = Market.draw(pilot_scenario(), rng)
    population = Population.draw(market, max(decisions // 3, 2), rng)
    catalogue, rules = market.catalogue, todays_rules(population)
    writer = SegmentRules.from_dict(catalogue, {**rules, "exploration": 0.1})
    log = RunLog(population, run(writer, population, population.visits(decisions, rng), rng, RunOptions(batch=8_192)))
    learned = ThompsonSampling(catalogue)
    learned.update(next(log.batches(2_000)).outcomes())
    best = SegmentRules.from_dict(catalogue, {**best_segment_rules(population), "name": "best rules"})
    return log, catalogue, {"uniform": Uniform(catalogue), "best rules": best, "thompson": learned}


def agreement_table(rows: Sequence[AgreementRow]) -> Table:
    """Return the table: a row an estimator, a column an interval and number of parts."""
    shown = Table(title="largest relative difference from the log read whole")
    shown.add_column("estimator")
    columns = list(dict.fromkeys((row.interval, row.parts) for row in rows))
    for interval, parts in columns:
        shown.add_column(f"{interval}, {parts}", justify="right")
    cells = {(row.estimator, row.interval, row.parts): row.largest for row in rows}
    for name in dict.fromkeys(row.estimator for row in rows):
        found = [cells.get((name, *column)) for column in columns]
        chosen = " *" if isinstance(ESTIMATORS[name], Selection) else ""
        shown.add_row(f"{name}{chosen}", *("" if each is None else f"{each:.0e}" for each in found))
    shown.caption = f"largest of all: {max(row.largest for row in rows):.1e}; * chooses among others"
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; return 0 where all agree to `--tolerance`, 1 where not, 2 for invalid input."""
    given = _parser().parse_args(arguments)
    try:
        if given.log is None:
            log, catalogue, policies = simulated_log(given.decisions, given.seed)
        else:
            catalogue = Catalogue.from_toml(given.catalogue)
            log = open_log(given.log, catalogue, given.mapping)
            thompson = ThompsonSampling(catalogue)
            thompson.update(next(log.batches(2_000)).outcomes())
            policies = {"uniform": Uniform(catalogue), "thompson": thompson}
        rows = agreement(log, catalogue, policies, given.seed)
    except OfferBanditError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    if given.json:
        sys.stdout.write(json.dumps([row.to_dict() for row in rows], indent=2) + "\n")
    else:
        Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200).print(
            agreement_table(rows)
        )
    return int(any(row.largest > given.tolerance * AMPLIFIED.get(row.estimator, 1.0) for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.agreement",
        description="Evaluate one log read whole, as one part and as seven parts, and print how far the results agree.",
    )
    add = parser.add_argument
    add("log", nargs="?", type=Path, default=None, help="a log file, with --catalogue (default: a simulated log)")
    add("--catalogue", type=Path, default=Path("catalogue.toml"), help="of the log file (default: %(default)s)")
    add("--mapping", type=Path, default=None, help="of the log file, unless it is an export")
    add("--decisions", type=int, default=12_000, help="of the simulated log (default: %(default)s)")
    add("--seed", type=int, default=1, help="of the simulated log and of the parts (default: %(default)s)")
    add(
        "--tolerance",
        type=float,
        default=1e-12,
        help="a larger difference is a failure, of mrdr one 10,000 times as large (default: %(default)s)",
    )
    add("--json", action="store_true", help="print JSON instead of the table")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.agreement", main))
