"""Coverage of the demo's intervals over many simulated worlds: `python -m simulator.validation.coverage`.

Each seed is another market with other customers and another log, evaluated as in the demo and by default at its size.

For a policy unlike the rules only a few hundred decisions agree, and of these one in six buys: the estimate is skewed,
and a low one has an interval that is too narrow. A 95 % interval then covers 92 to 94 %, and the truths that it misses
lie above it; with fewer decisions coverage is lower.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from bandit.domain import Policy
from bandit.errors import OfferBanditError
from bandit.ope import Estimate
from bandit.policies import ThompsonSampling, VowpalWabbit
from simulator.campaign.evaluation import THOMPSON_POLICY, VW_POLICY, evaluate_offline, train, true_values
from simulator.campaign.history import split_halves
from simulator.campaign.plan import CampaignPlan, CampaignWorld
from simulator.programs.single_thread import run_single_threaded
from simulator.simulation.log import RunLog
from simulator.simulation.run import RunOptions, run


@dataclass(frozen=True, slots=True)
class CoverageCase:
    """One policy in one world: estimates of its value and of its difference to the rules, and their true values."""

    policy: str
    seed: int
    estimate: Estimate
    truth: float
    difference: Estimate | None
    true_difference: float
    answered: bool


@dataclass(frozen=True, slots=True)
class DemoCoverage:
    """The coverage of one policy's intervals over n worlds, in the unit of the objective.

    `covered` is the number of intervals of the value that cover the truth, `difference_covered` that of the paired
    difference to the rules (None for the rules). `bias` is the mean of estimate - truth, and `bias_error` its standard
    error; `width` is the mean width of the interval. `cannot_tell` is the number of worlds whose log had too little
    support for an answer; they are counted like the others.
    """

    policy: str
    n: int
    covered: int
    difference_covered: int | None
    bias: float
    bias_error: float
    width: float
    cannot_tell: int

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


def evaluate_world(plan: CampaignPlan, *, vw: bool = True) -> tuple[CoverageCase, ...]:
    """Evaluate the policies of the demo in the world of a plan, from a log in memory."""
    world = CampaignWorld.draw(plan)
    log = run(
        world.segment_rules(world.plan.exploration),
        world.population,
        world.visits,
        plan.rng("draws"),
        RunOptions(batch=8_192),
    )
    learning, evaluation = split_halves(RunLog(world.population, log))
    learned: dict[str, Policy] = {THOMPSON_POLICY: ThompsonSampling(world.catalogue)}
    if vw:
        learned[VW_POLICY] = VowpalWabbit(world.catalogue)
    for policy in learned.values():
        train(policy, learning)
    truth = true_values(world, learned)
    return tuple(
        CoverageCase(
            policy=row.name,
            seed=plan.seed,
            estimate=row.estimate("dr"),
            truth=truth[row.name].value,
            difference=row.against_baseline("dr"),
            true_difference=truth[row.name].difference,
            answered=row.support_ok,
        )
        for row in evaluate_offline(world, evaluation, learned).rows
    )


def summarise(cases: Iterable[CoverageCase]) -> tuple[DemoCoverage, ...]:
    """Return one row a policy, in the order in which policies first appear."""
    by_policy: dict[str, list[CoverageCase]] = {}
    for case in cases:
        by_policy.setdefault(case.policy, []).append(case)
    return tuple(_coverage_of(name, of) for name, of in by_policy.items())


def _coverage_of(policy: str, cases: Sequence[CoverageCase]) -> DemoCoverage:
    n = len(cases)
    off = np.array([case.estimate.value - case.truth for case in cases])
    differences = [(case.difference, case.true_difference) for case in cases if case.difference is not None]
    return DemoCoverage(
        policy=policy,
        n=n,
        covered=sum(_covers(case.estimate, case.truth) for case in cases),
        difference_covered=sum(_covers(each, true) for each, true in differences) if differences else None,
        bias=float(off.mean()),
        bias_error=float(off.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan"),
        width=float(np.mean([case.estimate.high - case.estimate.low for case in cases])),
        cannot_tell=sum(not case.answered for case in cases),
    )


def _covers(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def table(rows: Sequence[DemoCoverage], title: str) -> Table:
    """Return the rows as a table."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("policy", no_wrap=True)
    for heading in ("covers the truth", "covers the difference", "bias", "mean width", "cannot tell"):
        shown.add_column(heading, justify="right")
    for row in rows:
        shown.add_row(
            row.policy,
            f"{row.covered} of {row.n}",
            "" if row.difference_covered is None else f"{row.difference_covered} of {row.n}",
            f"{row.bias:+.3f} ± {row.bias_error:.3f}",
            f"{row.width:.2f}",
            str(row.cannot_tell),
        )
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate many worlds and print how often intervals cover; return 0 on success, 2 for invalid input."""
    given = _parser().parse_args(arguments)
    cases: list[CoverageCase] = []
    begun = time.perf_counter()
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        plan = CampaignPlan(seed=seed, customers=given.customers, decisions=given.decisions, truth=given.truth, live=1)
        try:
            cases += evaluate_world(plan, vw=given.vw)
        except OfferBanditError as fault:
            sys.stderr.write(f"error: {fault}\n")
            return 2
        sys.stderr.write(f"seed {seed}: {time.perf_counter() - begun:,.0f} s\n")
    rows = summarise(cases)
    if given.json:
        plain = {name: getattr(given, name) for name in ("first_seed", "seeds", "customers", "decisions", "truth")}
        sys.stdout.write(json.dumps(plain | {"policies": [row.to_dict() for row in rows]}, indent=2) + "\n")
        return 0
    size = f"{given.decisions:,} decisions of {given.customers:,} customers"
    title = f"95 % intervals of dr in {given.seeds} worlds, {size}, half of them for evaluation"
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120).print(table(rows, title))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.coverage",
        description="Repeat the demo's evaluation in many simulated worlds, and count how often the 95 %% interval "
        "covers the truth.",
    )
    add = parser.add_argument
    plan = CampaignPlan()
    add("--seeds", type=int, default=20, help="number of worlds (default: %(default)s)")
    add("--first-seed", type=int, default=1, help="seed of the first world; the others follow (default: %(default)s)")
    add("--decisions", type=int, default=plan.decisions, help="decisions in each log (default: %(default)s)")
    add("--customers", type=int, default=plan.customers, help="customers of each world (default: %(default)s)")
    add(
        "--truth",
        type=int,
        default=plan.truth // 2,
        help="visits on which true values are computed (default: %(default)s)",
    )
    add("--no-vw", dest="vw", action="store_false", help="leave out Vowpal Wabbit, which takes most of the time")
    add("--json", action="store_true", help="print JSON instead of the table")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.coverage", main))
