"""The results of a pilot: one row for each policy, and two sentences that claim no more than the intervals show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bandit.domain import FloatArray, IntArray
from bandit.evaluate import Evaluation, PolicyEvaluation
from bandit.ope import Estimate
from simulator.campaign.chance import WithoutChance
from simulator.campaign.evaluation import RULES_POLICY, THOMPSON_POLICY, VW_POLICY, TrueValue
from simulator.campaign.live import paired_difference
from simulator.campaign.plan import CampaignPlan, CampaignWorld
from simulator.market.ceilings import CLAIRVOYANT, FACTS_CLAIRVOYANT, UNIFORM, ValueScale


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One policy: its estimate from the log, its true value, and what it earned live a decision.

    `difference` and `live_difference` are to the rules, None for the rules themselves. `share` is where the true value
    lies between uniform choice, 0, and the best that observed facts allow, 1.
    """

    name: str
    estimate: Estimate
    difference: Estimate | None
    warning: str | None
    truth: TrueValue
    share: float
    live: float
    live_difference: Estimate | None

    @property
    def covered(self) -> bool:
        """Whether the interval of the value covers the truth."""
        return self.estimate.low <= self.truth.value <= self.estimate.high

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "estimate": self.estimate.to_dict(),
            "difference": None if self.difference is None else self.difference.to_dict(),
            "warning": self.warning,
            "truth": asdict(self.truth),
            "covered": self.covered,
            "share": self.share,
            "live": self.live,
            "live_difference": None if self.live_difference is None else self.live_difference.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Results:
    """All results of a pilot.

    `judged` decisions of `judged_customers` were evaluated on; `learned` is the number of outcomes that the engine
    learned, `uniform` the true value of uniform choice. `certain` is what a log without chance says.
    """

    plan: CampaignPlan
    offers: int
    currency: str
    judged: int
    judged_customers: int
    learned: int
    uniform: float
    rows: tuple[CampaignRow, ...]
    certain: WithoutChance | None = None

    def row(self, name: str) -> CampaignRow:
        """Return one policy's row."""
        return next(row for row in self.rows if row.name == name)

    def reading(self) -> tuple[str, ...]:
        """Return sentences: what the log showed before the live phase, what happened live, and what needs chance."""
        chance = None if self.certain is None else self.certain.sentence(self.plan.exploration)
        return (_offline_sentence(self), _live_sentence(self), *([] if chance is None else [chance]))

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; the same plan gives the same."""
        return {
            "plan": asdict(self.plan),
            "offers": self.offers,
            "currency": self.currency,
            "judged": self.judged,
            "judged_customers": self.judged_customers,
            "learned": self.learned,
            "uniform": self.uniform,
            "policies": [row.to_dict() for row in self.rows],
            "reading": list(self.reading()),
            "without_chance": None if self.certain is None else self.certain.to_dict(),
        }


def results(
    world: CampaignWorld,
    evaluation: Evaluation,
    truth: Mapping[str, TrueValue],
    live: Mapping[str, FloatArray],
    learned: int,
    certain: WithoutChance,
) -> Results:
    """Return the results from an evaluation, true values and (n,) expected objectives at the live visits."""
    scale = ValueScale(truth[UNIFORM].value, truth[FACTS_CLAIRVOYANT].value, truth[CLAIRVOYANT].value)
    return Results(
        plan=world.plan,
        offers=world.catalogue.n_offers,
        currency=world.catalogue.currency,
        judged=evaluation.n,
        judged_customers=evaluation.customers or 0,
        learned=learned,
        uniform=scale.uniform,
        rows=tuple(_row(row, truth[row.name], scale, live, world.live.customers) for row in evaluation.rows),
        certain=certain,
    )


def _row(
    row: PolicyEvaluation, truth: TrueValue, scale: ValueScale, live: Mapping[str, FloatArray], customers: IntArray
) -> CampaignRow:
    earned = live[row.name]
    return CampaignRow(
        name=row.name,
        estimate=row.estimate("dr"),
        difference=row.against_baseline("dr"),
        warning=row.warning,
        truth=truth,
        share=scale.share(truth.value),
        live=float(earned.mean()),
        live_difference=None if row.name == RULES_POLICY else paired_difference(earned, live[RULES_POLICY], customers),
    )


_DISPLAY_NAMES = {THOMPSON_POLICY: "Thompson sampling", VW_POLICY: "Vowpal Wabbit"}


def _offline_sentence(found: Results) -> str:
    clauses = [_offline_clause(found.row(name), found.currency) for name in (THOMPSON_POLICY, VW_POLICY)]
    return (
        f"Before going live, from {found.judged:,} logged decisions of customers that the policies did not learn "
        f"from: {clauses[0]}; {clauses[1]}."
    )


def _offline_clause(row: CampaignRow, currency: str) -> str:
    name, difference = _DISPLAY_NAMES[row.name], row.difference
    if row.warning is not None or difference is None:
        return f"the log cannot tell what {name} would earn"
    low, high = difference.low, difference.high
    if low > 0:
        return f"{name} would earn {low:,.2f} to {high:,.2f} {currency} a decision more than today's rules"
    if high < 0:
        return f"{name} would earn {-high:,.2f} to {-low:,.2f} {currency} a decision less than today's rules"
    return f"{name} may earn less or more than today's rules ({low:+,.2f} to {high:+,.2f} {currency} a decision)"


def _live_sentence(found: Results) -> str:
    rules = found.row(RULES_POLICY).live
    clauses = [_live_clause(found.row(name), rules, found.currency) for name in (THOMPSON_POLICY, VW_POLICY)]
    return (
        f"Live, at {found.plan.live:,} visits, the same for all policies, at which the rules earned {rules:,.2f} "
        f"{found.currency} a decision: {clauses[0]}; {clauses[1]}."
    )


def _live_clause(row: CampaignRow, rules: float, currency: str) -> str:
    name, difference = _DISPLAY_NAMES[row.name], row.live_difference
    earned = f"{name} earned {row.live:,.2f} {currency}"
    if difference is None or difference.low <= 0 <= difference.high:
        return f"{earned}, no clear difference"
    more = f" ({difference.value / rules:+.0%})" if rules > 0 else ""
    return f"{earned}, {abs(difference.value):,.2f} {'more' if difference.value > 0 else 'less'}{more}"
