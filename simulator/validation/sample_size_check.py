"""Are the widths that `bandit.analysis.sample_size` foretells those that come out? `python -m simulator.validation.sample_size_check` asks the simulator.

A small retail world is played under today's rules at several sizes and shares left to chance, and a candidate is judged
against the rules from each log. The formula is given what a planner knows or guesses: the response rate and the baskets
seen, how many offers are eligible, how often the candidate agrees with the rules, and what it is worth more. With 95 %
intervals, `ratio` is the width foretold over the normal width measured, each the root of its mean square over the
seeds. Beside it stands the mean width of the interval that is reported, which allows for skewness and is wider where
few `conversions` stand behind the estimate.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import ndtri

from bandit.analysis.sample_size import Response, live_variance, logged_conversions, logged_variance, response_of, width
from bandit.domain import FloatArray, Policy
from bandit.errors import OfferBanditError
from bandit.evaluate import evaluate
from bandit.policies import SegmentRules
from simulator.campaign.plan import pilot_scenario
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.segments import best_segment_rules, todays_rules
from simulator.market.visits import Visits
from simulator.scenarios import scenario
from simulator.simulation.log import RunLog
from simulator.simulation.run import Run, run
from simulator.single_thread import run_single_threaded

WidthSource = Literal["ips", "dr", "live"]

RULES_NAME, CANDIDATE_NAME = "rules", "candidate"

_SHOWN = ("conversions", "foretold", "measured", "reported")

_Z = float(ndtri(0.975))

PILOT_SCENARIO = "pilot"
"""The retail market with the offers of the pilot: fewer, so that logs of moderate size tell something."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One size of log: so many decisions, `visits` a customer on average, and the share left to chance."""

    decisions: int
    exploration: float
    visits: float = 2.0
    scenario: str = PILOT_SCENARIO


@dataclass(frozen=True, slots=True)
class MeasuredWidths:
    """Width foretold, normal width measured and width reported, in one world."""

    setting: Setting
    way: WidthSource
    conversions: float
    foretold: float
    measured: float
    reported: float


@dataclass(frozen=True, slots=True)
class WidthComparison:
    """Widths over `n` seeds: `foretold` and `measured` are roots of mean squares, `reported` is a mean."""

    setting: Setting
    way: WidthSource
    n: int
    conversions: float
    foretold: float
    measured: float
    reported: float

    @property
    def ratio(self) -> float:
        """The width foretold over that measured."""
        return self.foretold / self.measured

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        setting = {name: getattr(self.setting, name) for name in self.setting.__slots__}
        said = {name: getattr(self, name) for name in ("way", "n", *_SHOWN, "ratio")}
        return setting | said


@dataclass(frozen=True, slots=True, eq=False)
class _Campaign:
    """One world, and what its rules and its candidate are."""

    population: Population
    visits: Visits
    rules: SegmentRules
    logging: SegmentRules
    candidate: SegmentRules


def measure(setting: Setting, seed: int) -> tuple[MeasuredWidths, ...]:
    """Play one world and return the widths, by ips and dr from the log and live side by side."""
    rng = np.random.default_rng(seed)
    campaign = _draw_campaign(setting, rng)
    log = run(campaign.logging, campaign.population, campaign.visits, rng, batch=8_192)
    policies: dict[str, Policy] = {RULES_NAME: campaign.rules, CANDIDATE_NAME: campaign.candidate}
    judged = evaluate(RunLog(campaign.population, log), policies, RULES_NAME, rng=rng, estimators=("ips", "dr"))
    agreement, uplift, eligible = _truth(campaign)
    response = _response(campaign, log)
    found: list[MeasuredWidths] = []
    ways: tuple[Literal["ips", "dr"], ...] = ("ips", "dr")
    for way in ways:
        variance = logged_variance(
            response,
            eligible,
            setting.exploration,
            agreement=agreement,
            uplift=uplift,
            visits=setting.visits,
            estimator=way,
        )
        difference = judged.row(CANDIDATE_NAME).against_baseline(way)
        error = np.nan if difference is None else difference.standard_error
        reported = np.nan if difference is None else difference.high - difference.low
        behind = setting.decisions * logged_conversions(response, eligible, setting.exploration, agreement)
        foretold = width(variance, setting.decisions)
        found.append(MeasuredWidths(setting, way, behind, foretold, 2.0 * _Z * error, reported))
    treated = rng.random(campaign.population.n)[campaign.visits.customers] < 0.5
    arms = [
        run(policy, campaign.population, campaign.visits.take(rows), rng, batch=8_192)
        for policy, rows in ((campaign.candidate, treated), (campaign.rules, ~treated))
    ]
    response = _response(campaign, arms[1])
    variance = live_variance(
        response,
        0.5,
        uplift=uplift,
        visits=_mean_visits(campaign.visits),
        correlation=_correlation(arms[1].reward, arms[1].visits),
    )
    seen = 2.0 * _Z * float(np.sqrt(sum(_mean_variance(arm) for arm in arms)))
    behind = setting.decisions / 2 * response.rate
    found.append(MeasuredWidths(setting, "live", behind, width(variance, setting.decisions), seen, seen))
    return tuple(found)


def compare(settings: Sequence[Setting], seeds: Sequence[int]) -> tuple[WidthComparison, ...]:
    """Return the widths over the seeds, a row a setting and way."""
    rows: list[WidthComparison] = []
    for setting in settings:
        runs = [measure(setting, seed) for seed in seeds]
        rows += [_compared(setting, same) for same in zip(*runs, strict=True)]
    return tuple(rows)


def _compared(setting: Setting, same: Sequence[MeasuredWidths]) -> WidthComparison:
    return WidthComparison(
        setting=setting,
        way=same[0].way,
        n=len(same),
        conversions=float(np.mean([one.conversions for one in same])),
        foretold=_root_mean([one.foretold for one in same]),
        measured=_root_mean([one.measured for one in same]),
        reported=float(np.mean([one.reported for one in same])),
    )


def _root_mean(widths: Sequence[float]) -> float:
    """Return the width of the mean variance: a variance is estimated without bias, its root is not."""
    return float(np.sqrt(np.mean(np.square(widths))))


def _draw_campaign(setting: Setting, rng: np.random.Generator) -> _Campaign:
    drawn_from = pilot_scenario() if setting.scenario == PILOT_SCENARIO else scenario(setting.scenario)
    market = Market.draw(drawn_from, rng)
    population = Population.draw(market, max(round(setting.decisions / setting.visits), 2), rng)
    rules = todays_rules(population)
    catalogue = market.catalogue
    return _Campaign(
        population,
        population.visits(setting.decisions, rng),
        SegmentRules.from_dict(catalogue, {**rules, "name": RULES_NAME}),
        SegmentRules.from_dict(catalogue, {**rules, "exploration": setting.exploration}),
        SegmentRules.from_dict(catalogue, {**best_segment_rules(population), "name": CANDIDATE_NAME}),
    )


def _truth(campaign: _Campaign) -> tuple[float, float, float]:
    """Return how often candidate and rules agree, what the candidate is worth more, and how many offers there are."""
    population, visits = campaign.population, campaign.visits
    contexts = population.contexts(visits.customers, visits.times)
    eligible = population.eligible(contexts)
    rng = np.random.default_rng(0)  # neither draws
    rules, candidate = (
        policy.probabilities(contexts, eligible, rng).argmax(axis=1) for policy in (campaign.rules, campaign.candidate)
    )
    worth = [population.expected_chosen(visits.customers, offer, visits.times) for offer in (candidate, rules)]
    uplift = float(worth[0].mean() - worth[1].mean())
    return float((rules == candidate).mean()), uplift, float(eligible.sum(axis=1).mean())


def _response(campaign: _Campaign, seen: Run) -> Response:
    """Return what a planner would gather from a run: how many convert, and the mean and deviation of their baskets."""
    kept = seen.responses.kept
    baskets = seen.responses.revenue[kept]
    catalogue = campaign.population.market.catalogue
    return response_of(catalogue, float(kept.mean()), float(baskets.mean()), float(baskets.std()))


def _mean_variance(part: Run) -> float:
    """Return the variance of the mean reward, by customer."""
    off = part.reward - part.reward.mean()
    sums = np.bincount(part.visits.customers, weights=off)
    return float((sums**2).sum() / len(part) ** 2)


def _mean_visits(visits: Visits) -> float:
    """Return the size of a customer's cluster, as the design effect counts it: sum(m^2) / sum(m)."""
    counts = np.bincount(visits.customers)
    return float((counts**2).sum() / counts.sum())


def _correlation(reward: FloatArray, visits: Visits) -> float:
    """Return how the rewards of one customer correlate, at least 0 (Kish's design effect, solved for rho)."""
    off = reward - reward.mean()
    sums = np.bincount(visits.customers, weights=off)
    effect = float((sums**2).sum() / (off @ off))
    return float(np.clip((effect - 1.0) / max(_mean_visits(visits) - 1.0, 1e-9), 0.0, 1.0))


def table(rows: Sequence[WidthComparison]) -> Table:
    """Return the rows as a table."""
    shown = Table(title="width of the 95 % interval of the difference to the rules", title_justify="left")
    for heading in ("scenario", "decisions", "left to chance", "by", *_SHOWN, "ratio"):
        shown.add_column(heading, justify="left" if heading in {"scenario", "by"} else "right")
    for row in rows:
        shown.add_row(
            row.setting.scenario,
            f"{row.setting.decisions:,}",
            f"{row.setting.exploration:.0%}",
            row.way,
            f"{row.conversions:,.0f}",
            f"{row.foretold:.3f}",
            f"{row.measured:.3f}",
            f"{row.reported:.3f}",
            f"{row.ratio:.2f}",
        )
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; returns 0 where done, 2 for input that cannot be used."""
    given = _parser().parse_args(arguments)
    try:
        sizes = [int(text) for text in given.decisions.split(",")]
        shares = [float(text) for text in given.exploration.split(",")]
        settings = [Setting(size, share, given.visits, given.scenario) for size in sizes for share in shares]
        rows = compare(settings, range(1, given.seeds + 1))
    except (OfferBanditError, ValueError) as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 2
    if given.json:
        sys.stdout.write(json.dumps([row.to_dict() for row in rows], indent=2) + "\n")
    else:
        Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120).print(table(rows))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator.validation.sample_size_check",
        description="Compare the interval widths that a plan foretells with those that simulated logs give.",
    )
    add = parser.add_argument
    add("--scenario", default=PILOT_SCENARIO, help="the market (default: %(default)s)")
    add("--decisions", default="10000,40000", help="sizes of the log (default: %(default)s)")
    add("--exploration", default="0.05,0.1,0.3,1", help="shares left to chance (default: %(default)s)")
    add("--visits", type=float, default=2.0, help="decisions a customer, on average (default: %(default)s)")
    add("--seeds", type=int, default=5, help="worlds a setting (default: %(default)s)")
    add("--json", action="store_true", help="print JSON instead of the table")
    return parser


if __name__ == "__main__":
    sys.exit(run_single_threaded("simulator.validation.sample_size_check", main))
