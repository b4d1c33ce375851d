"""Widths of 95 % intervals in simulated worlds: those that the sample size formulas predict, and those measured.

A small retail world runs under today's rules at several sizes and shares of exploration, and a candidate is evaluated
against the rules from each log. The formulas get what a planner knows or guesses: the response rate and the baskets
seen, the number of eligible offers, how often the candidate agrees with the rules, and its difference to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import ndtri

from bandit.analysis.design_variance import live_variance, logged_conversions, logged_variance
from bandit.analysis.response_model import ResponseModel, response_model_of
from bandit.analysis.sample_size import width
from bandit.domain import FloatArray, Policy
from bandit.evaluate import evaluate
from bandit.policies import SegmentRules
from simulator.campaign.plan import pilot_scenario
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.segments import best_segment_rules, todays_rules
from simulator.market.visits import Visits
from simulator.scenarios import scenario
from simulator.simulation.log import RunLog
from simulator.simulation.run import Run, RunOptions, run

WidthSource: TypeAlias = Literal["ips", "dr", "live"]
"""What gives the interval: an estimator from the log, or two groups live."""

RULES_NAME, CANDIDATE_NAME = "rules", "candidate"

_Z = float(ndtri(0.975))

PILOT_SCENARIO = "pilot"
"""The retail market with the offers of the pilot: fewer, so that logs of moderate size are informative."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One size of log: the decisions, the mean `visits` of a customer, and the share of exploration."""

    decisions: int
    exploration: float
    visits: float = 2.0
    scenario: str = PILOT_SCENARIO


@dataclass(frozen=True, slots=True)
class MeasuredWidths:
    """Predicted width, measured normal width and reported width of an interval in one world."""

    setting: Setting
    way: WidthSource
    conversions: float
    predicted: float
    measured: float
    reported: float


@dataclass(frozen=True, slots=True)
class WidthComparison:
    """Widths over `n` seeds: `predicted` and `measured` are roots of mean squares, `reported` is a mean."""

    setting: Setting
    way: WidthSource
    n: int
    conversions: float
    predicted: float
    measured: float
    reported: float

    @property
    def ratio(self) -> float:
        """The predicted width over the measured one."""
        return self.predicted / self.measured

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        setting = {name: getattr(self.setting, name) for name in self.setting.__slots__}
        return setting | {
            "way": self.way,
            "n": self.n,
            "conversions": self.conversions,
            "foretold": self.predicted,
            "measured": self.measured,
            "reported": self.reported,
            "ratio": self.ratio,
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Campaign:
    """One simulated world with its rules, the rules that write the log, and the candidate policy."""

    population: Population
    visits: Visits
    rules: SegmentRules
    logging: SegmentRules
    candidate: SegmentRules


@dataclass(frozen=True, slots=True)
class _Truth:
    """How often candidate and rules agree, the candidate's true difference, and the mean number of eligible offers."""

    agreement: float
    uplift: float
    eligible: float


def measure(setting: Setting, seed: int) -> tuple[MeasuredWidths, ...]:
    """Simulate one world and return the widths: by ips and dr from the log, and of two groups side by side live."""
    rng = np.random.default_rng(seed)
    campaign = _draw_campaign(setting, rng)
    truth = _truth(campaign)
    return *_logged_widths(campaign, setting, truth, rng), _live_width(campaign, setting, truth, rng)


def _logged_widths(
    campaign: _Campaign, setting: Setting, truth: _Truth, rng: np.random.Generator
) -> list[MeasuredWidths]:
    """Return the widths of the difference by ips and by dr from the log of the rules with exploration."""
    log = run(campaign.logging, campaign.population, campaign.visits, rng, RunOptions(batch=8_192))
    policies: dict[str, Policy] = {RULES_NAME: campaign.rules, CANDIDATE_NAME: campaign.candidate}
    evaluation = evaluate(RunLog(campaign.population, log), policies, RULES_NAME, rng=rng, estimators=("ips", "dr"))
    response = _response(campaign, log)
    conversions = setting.decisions * logged_conversions(response, truth.eligible, setting.exploration, truth.agreement)
    found: list[MeasuredWidths] = []
    estimators: tuple[Literal["ips", "dr"], ...] = ("ips", "dr")
    for estimator in estimators:
        variance = logged_variance(
            response,
            truth.eligible,
            setting.exploration,
            agreement=truth.agreement,
            uplift=truth.uplift,
            visits=setting.visits,
            estimator=estimator,
        )
        difference = evaluation.row(CANDIDATE_NAME).against_baseline(estimator)
        error = np.nan if difference is None else difference.standard_error
        reported = np.nan if difference is None else difference.high - difference.low
        predicted = width(variance, setting.decisions)
        found.append(MeasuredWidths(setting, estimator, conversions, predicted, 2.0 * _Z * error, reported))
    return found


def _live_width(campaign: _Campaign, setting: Setting, truth: _Truth, rng: np.random.Generator) -> MeasuredWidths:
    """Return the width of the difference of two halves of the customers, under the candidate and under the rules."""
    treated = rng.random(campaign.population.n)[campaign.visits.customers] < 0.5
    arms = [
        run(policy, campaign.population, campaign.visits.take(rows), rng, RunOptions(batch=8_192))
        for policy, rows in ((campaign.candidate, treated), (campaign.rules, ~treated))
    ]
    response = _response(campaign, arms[1])
    variance = live_variance(
        response,
        0.5,
        uplift=truth.uplift,
        visits=_mean_visits(campaign.visits),
        correlation=_correlation(arms[1].reward, arms[1].visits),
    )
    measured = 2.0 * _Z * float(np.sqrt(sum(_mean_variance(arm) for arm in arms)))
    conversions = setting.decisions / 2 * response.rate
    return MeasuredWidths(setting, "live", conversions, width(variance, setting.decisions), measured, measured)


def compare(settings: Sequence[Setting], seeds: Sequence[int]) -> tuple[WidthComparison, ...]:
    """Return the widths over the seeds, a row for each setting and source of the difference."""
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
        predicted=_root_mean([one.predicted for one in same]),
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


def _truth(campaign: _Campaign) -> _Truth:
    """Return the truth about the candidate over the visits of a campaign."""
    population, visits = campaign.population, campaign.visits
    contexts = population.contexts(visits.customers, visits.times)
    eligible = population.eligible(contexts)
    rng = np.random.default_rng(0)  # neither policy draws
    rules, candidate = (
        policy.probabilities(contexts, eligible, rng).argmax(axis=1) for policy in (campaign.rules, campaign.candidate)
    )
    worth = [population.expected_chosen(visits.customers, offer, visits.times) for offer in (candidate, rules)]
    uplift = float(worth[0].mean() - worth[1].mean())
    return _Truth(float((rules == candidate).mean()), uplift, float(eligible.sum(axis=1).mean()))


def _response(campaign: _Campaign, seen: Run) -> ResponseModel:
    """Return the response that a planner observes in a run: its rate, and the mean and deviation of baskets."""
    kept = seen.responses.kept
    baskets = seen.responses.revenue[kept]
    catalogue = campaign.population.market.catalogue
    return response_model_of(catalogue, float(kept.mean()), float(baskets.mean()), float(baskets.std()))


def _mean_variance(part: Run) -> float:
    """Return the variance of the mean reward, by customer."""
    off = part.reward - part.reward.mean()
    sums = np.bincount(part.visits.customers, weights=off)
    return float((sums**2).sum() / len(part) ** 2)


def _mean_visits(visits: Visits) -> float:
    """Return the mean cluster size of the design effect: sum(m^2) / sum(m) over customers with m visits."""
    counts = np.bincount(visits.customers)
    return float((counts**2).sum() / counts.sum())


def _correlation(reward: FloatArray, visits: Visits) -> float:
    """Return the correlation of one customer's rewards, at least 0 (Kish's design effect, solved for rho)."""
    off = reward - reward.mean()
    sums = np.bincount(visits.customers, weights=off)
    effect = float((sums**2).sum() / (off @ off))
    return float(np.clip((effect - 1.0) / max(_mean_visits(visits) - 1.0, 1e-9), 0.0, 1.0))
