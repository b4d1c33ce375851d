"""Do guardrails stop harmful campaigns and leave others alone? `python -m simulator.validation.guardrail_campaigns`.

Each campaign has decisions of customers who return at random and whose rates of the event differ (a gamma factor with
variance 1, whose mean over the customers is 1). The guardrail is looked at after every batch, and the campaign ends
where it is broken. Harmless campaigns are of two kinds: with a rate exactly as high as is allowed, where false alarms
are most frequent, and half of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from bandit.domain import BoolArray, IntArray
from bandit.ope.guardrail_difference import difference_bounds
from bandit.ope.guardrail_rate import log_evidence
from simulator.programs.single_thread import run_single_threaded


@dataclass(frozen=True, slots=True)
class GuardrailCase:
    """One kind of campaign: the rates of the event of the policy and the rules, and the guardrail.

    `limit` is the rate or, where the rules serve a share of the customers, the difference of rates that is allowed.
    """

    name: str
    harmful: bool
    limit: float
    rate: float
    rules_rate: float = 0.0
    rules_share: float = 0.0


@dataclass(frozen=True, slots=True)
class CampaignSize:
    """How long a campaign is: its decisions, the customers who may come, and the decisions between two looks."""

    decisions: int = 20_000
    customers: int = 4_000
    batch: int = 200


@dataclass(frozen=True, slots=True)
class GuardrailStops:
    """How many of the campaigns of a case were stopped, and after how many customers and decisions.

    The customers are those seen, in both groups where there are two; the numbers are of the stopped campaigns only,
    None where none was: the median and the value that nine in ten do not exceed.
    """

    case: GuardrailCase
    campaigns: int
    stopped: int
    customers: float | None
    customers_90: float | None
    decisions: float | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


GUARDRAIL_CASES = (
    GuardrailCase("twice the rate allowed", True, 0.004, 0.008),
    GuardrailCase("one and a half times", True, 0.004, 0.006),
    GuardrailCase("exactly the rate allowed", False, 0.004, 0.004),
    GuardrailCase("half the rate allowed", False, 0.004, 0.002),
    GuardrailCase("0.012 above the rules", True, 0.001, 0.016, 0.004, 0.2),
    GuardrailCase("exactly 0.001 above the rules", False, 0.001, 0.005, 0.004, 0.2),
    GuardrailCase("0.0005 above the rules", False, 0.001, 0.0045, 0.004, 0.2),
    GuardrailCase("0.004 above the rules", True, 0.001, 0.008, 0.004, 0.2),
    GuardrailCase("0.004 above, rules serve half", True, 0.001, 0.008, 0.004, 0.5),
)
"""The first four bound the rate, the others compare with segment rules; these serve a fifth of the customers."""


def first_stop(
    case: GuardrailCase, size: CampaignSize, level: float, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Play one campaign; return the customers and decisions at which its guardrail stopped it, None if it did not."""
    customer = rng.integers(size.customers, size=size.decisions)
    group = (rng.random(size.customers) < case.rules_share).astype(np.int64)[customer]
    factor = rng.gamma(1.0, 1.0, size.customers)
    rate = np.where(group == 0, case.rate, case.rules_rate) * (factor / factor.mean())[customer]
    event = rng.random(size.decisions) < rate
    looks = np.arange(size.batch, size.decisions + 1, size.batch)
    if case.rules_share:
        at = _first_difference(case, (customer, group, event), looks, level, size.customers)
    else:
        evidence = log_evidence(np.cumsum(event)[looks - 1], looks, case.limit)
        broken = np.flatnonzero(evidence > -np.log(1.0 - level))
        at = int(looks[broken[0]]) if len(broken) else None
    return None if at is None else (len(np.unique(customer[:at])), at)


def _first_difference(
    case: GuardrailCase,
    log: tuple[IntArray, IntArray, BoolArray],
    looks: IntArray,
    level: float,
    n_customers: int,
) -> int | None:
    """Return the first look at which the difference to the rules is too large."""
    customer, group, event = log
    events, decisions = np.zeros((n_customers, 2)), np.zeros((n_customers, 2))
    start = 0
    for at in looks.tolist():
        part = (customer[start:at], group[start:at])
        np.add.at(decisions, part, 1.0)
        np.add.at(events, part, event[start:at])
        seen = decisions.any(axis=1)
        if difference_bounds(events[seen], decisions[seen], level).low > case.limit:
            return int(at)
        start = at
    return None


def stops(case: GuardrailCase, campaigns: int, size: CampaignSize, level: float, seed: int) -> GuardrailStops:
    """Play the campaigns of a case, each with its own generator."""
    number = GUARDRAIL_CASES.index(case)
    found = [
        each
        for campaign in range(campaigns)
        if (each := first_stop(case, size, level, np.random.default_rng([seed, number, campaign]))) is not None
    ]
    if not found:
        return GuardrailStops(case, campaigns, 0, None, None, None)
    customers, decisions = np.array(found, dtype=np.float64).T
    return GuardrailStops(
        case,
        campaigns,
        len(found),
        float(np.median(customers)),
        float(np.quantile(customers, 0.9)),
        float(np.median(decisions)),
    )


def stops_table(rows: Sequence[GuardrailStops], size: CampaignSize, level: float) -> Table:
    """Return the rows as a table."""
    title = f"guardrails at level {level:g}, looked at every {size.batch} of {size.decisions:,} decisions"
    shown = Table(title=title, title_justify="left")
    for heading in ("campaign", "harmful", "stopped", "customers", "90 %", "decisions"):
        shown.add_column(heading, justify="left" if heading in {"campaign", "harmful"} else "right")
    for row in rows:
        numbers = (row.customers, row.customers_90, row.decisions)
        shown.add_row(
            row.case.name,
            "yes" if row.case.harmful else "no",
            f"{row.stopped} of {row.campaigns}",
            *("-" if number is None else f"{number:,.0f}" for number in numbers),
        )
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Play and print all cases; return 0."""
    given = _parser().parse_args(arguments)
    size = CampaignSize(given.decisions, given.customers, given.batch)
    rows = [stops(case, given.campaigns, size, given.level, given.seed) for case in GUARDRAIL_CASES]
    if given.json:
        sys.stdout.write(json.dumps([row.to_dict() for row in rows], indent=2) + "\n")
    else:
        console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120)
        console.print(stops_table(rows, size, given.level))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.guardrail_campaigns",
        description="Count how many harmful and harmless campaigns a guardrail stops, and when.",
    )
    add = parser.add_argument
    add("--campaigns", type=int, default=50, help="campaigns of each kind (default: %(default)s)")
    add("--decisions", type=int, default=20_000, help="decisions of a campaign (default: %(default)s)")
    add("--customers", type=int, default=4_000, help="customers who may come (default: %(default)s)")
    add("--batch", type=int, default=200, help="decisions between two looks (default: %(default)s)")
    add("--level", type=float, default=0.95, help="level of the guardrails (default: %(default)s)")
    add("--seed", type=int, default=1, help="seed of the random numbers (default: %(default)s)")
    add("--json", action="store_true", help="print JSON instead of the table")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.guardrail_campaigns", main))
