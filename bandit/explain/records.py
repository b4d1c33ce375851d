"""What an explanation of a decision consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from bandit.tabular import Cell, Tabular

ServerKind = Literal["policy", "challenger", "rules", "random", "holdout", "fallback", "imported"]
"""What served a decision."""

OfferRole = Literal["chosen", "runner-up", "best", "likely"]
"""Why an offer is compared: it was chosen, it would earn most of the others or of all, or it is often drawn."""


@dataclass(frozen=True, slots=True)
class CredibleNumber:
    """A number at the belief's mean, with the central credible interval of its posterior."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RuleRemoval:
    """A rule of the catalogue that held for the customer: its number, its reason, its condition, the offers it bars.

    A rule without a condition has an empty one; the `n_combinations` of options that it forbids are no offers.
    """

    rule: int
    reason: str
    condition: str
    n_offers: int
    n_combinations: int = 0


@dataclass(frozen=True, slots=True)
class ArmShare:
    """An arm of a roll-out: the probability that it serves this customer, and its own probability of the offer.

    `weight` is the probability given the customer's earlier decisions, `probability` None where it is not known.
    """

    arm: str
    weight: float
    probability: float | None


@dataclass(frozen=True, slots=True)
class ServedBy:
    """What served a decision: its kind and one sentence on it, the group, the arm of a roll-out, and the policy.

    `policy` is the policy's name, `policy_kind` its kind and `step` the number of steps it had learned, None where no
    policy chose (`step` also where it learns nothing). `fault` says why the fallback was served in place of the policy.
    `held_from` is the decision that answers a repeat. `arms` are those of a roll-out.
    """

    kind: ServerKind
    sentence: str
    group: str
    arm: str | None = None
    policy_id: int | None = None
    policy: str | None = None
    policy_kind: str | None = None
    step: int | None = None
    fault: str | None = None
    held_from: str | None = None
    arms: tuple[ArmShare, ...] = ()


@dataclass(frozen=True, slots=True)
class FiredSegment:
    """The segment rule that named the offer: its number, name and condition, and the offer that it names.

    `number` is None where no segment matched, and `sentence` then says what named the offer. `skipped` are segments
    before it whose condition held but whose offer was not eligible. `exploration` is the share of random offers.
    """

    sentence: str
    number: int | None
    name: str
    condition: str
    offer: str | None
    exploration: float
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparedOffer:
    """An offer with what was expected of it at the decision, as far as it is known.

    `probability` is that with which it would be drawn, `reward` the expected reward in the objective's unit.
    """

    role: OfferRole
    index: int
    label: str
    offer: Mapping[str, str]
    probability: float | None = None
    reward: CredibleNumber | None = None
    p_convert: CredibleNumber | None = None
    revenue: CredibleNumber | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one fact adds, through one part of the offer, to the lead of the chosen offer over the other one.

    `part` is a dimension, or "any offer". `response` is a difference in log-odds (for raw rewards: in rewards),
    `revenue` one in the log of revenue; `by_response` and `by_revenue` are what these are worth in expected reward.
    `transform` is "log" or "rank" for a numeric fact that counts by its logarithm or rank, "" for others.
    """

    fact: str
    value: str
    part: str
    response: float
    revenue: float
    by_response: float
    by_revenue: float
    transform: str = ""

    @property
    def worth(self) -> float:
        """What the contribution is worth in expected reward."""
        return self.by_response + self.by_revenue


@dataclass(frozen=True, slots=True)
class FactReason:
    """What one fact adds to the lead of the chosen offer, over all parts of the offer; fields as `Contribution`."""

    fact: str
    value: str
    worth: float
    by_response: float
    by_revenue: float
    strongest_part: str
    transform: str = ""


@dataclass(frozen=True, slots=True)
class LeadReasons:
    """Why the chosen offer leads the other one, or trails it, in expected reward; the parts sum to the lead.

    `base` is the lead for a customer of average facts, costs included, and `base_response` and `base_revenue` that of
    the scores. `averaged_over` is the number of decisions that the averages are of. `reward` is the lead with its
    credible interval, `p_better` the posterior probability that it is above 0. Lead = base + the contributions' worths;
    difference of scores = base_response (base_revenue) + the contributions' response (revenue).
    """

    reward: CredibleNumber
    p_better: float
    base: float
    base_response: float
    base_revenue: float
    averaged_over: int
    contributions: tuple[Contribution, ...]

    @property
    def facts(self) -> tuple[FactReason, ...]:
        """The facts by what they add, the strongest first; those that add nothing are left out."""
        by_fact: dict[str, list[Contribution]] = {}
        for each in self.contributions:
            by_fact.setdefault(each.fact, []).append(each)
        found = [
            FactReason(
                name,
                parts[0].value,
                sum(part.worth for part in parts),
                sum(part.by_response for part in parts),
                sum(part.by_revenue for part in parts),
                max(parts, key=lambda part: abs(part.worth)).part,
                parts[0].transform,
            )
            for name, parts in by_fact.items()
        ]
        return tuple(sorted((each for each in found if each.worth), key=lambda each: -abs(each.worth)))


@dataclass(frozen=True, slots=True)
class ChanceOfChoice:
    """How likely the choice was: its propensity, that of the best offer, and what is left to exploration.

    `is_best` says whether the chosen offer had the highest expected reward, None where that is not known.
    `propensity` is None where it is unknown; `recomputed` is the same number computed again from the policy's state.
    `floor` is the part of the propensity that every eligible offer has, `best_probability` that of the best offer.
    """

    propensity: float | None
    is_best: bool | None
    best_probability: float | None
    floor: float | None
    recomputed: float | None
    n_possible: int | None


@dataclass(frozen=True, slots=True)
class DecisionExplanation(Tabular):
    """Why a customer was given an offer: what was eligible, what served, what was expected, and how likely it was.

    `time` is in microseconds since 1970 UTC, `customer` in stored form, `facts` the context as logged. `objective` is
    conversion, revenue, profit or reward, `event` what counts as a conversion, `unit` that of rewards. `segment` is
    there for decisions by segment rules, `offers` and `lead` where a belief about rewards is known. `notes` are
    sentences on what cannot be known.
    """

    decision_id: str
    time: int
    customer: str
    catalogue: str
    catalogue_version: str
    objective: str
    event: str
    unit: str
    facts: Mapping[str, object]
    offer: Mapping[str, str]
    label: str
    served: ServedBy
    n_offers: int
    n_eligible: int
    removals: tuple[RuleRemoval, ...]
    chance: ChanceOfChoice
    level: float
    segment: FiredSegment | None = None
    offers: tuple[ComparedOffer, ...] = ()
    lead: LeadReasons | None = None
    notes: tuple[str, ...] = ()

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row an offer that is compared."""
        rows: list[dict[str, Cell]] = []
        for each in self.offers:
            row: dict[str, Cell] = {"decision_id": self.decision_id, "role": each.role, "offer": each.label}
            row["probability"] = each.probability
            for name in ("reward", "p_convert", "revenue"):
                number: CredibleNumber | None = getattr(each, name)
                row[name] = None if number is None else number.value
                row[f"{name}_low"] = None if number is None else number.low
                row[f"{name}_high"] = None if number is None else number.high
            rows.append(row)
        return rows

    def html_title(self) -> str:
        """Return what was decided, for a notebook."""
        return f"decision {self.decision_id}: {self.label}; {self.served.sentence}"

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values, the facts' sums among them."""
        plain = asdict(self)
        if self.lead is not None:
            plain["lead"]["facts"] = [asdict(each) for each in self.lead.facts]
        return plain


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """One decision in a list of a customer's: its id, time, offer, group, what served it and its propensity."""

    decision_id: str
    time: int
    offer: str
    group: str
    served: str
    propensity: float | None
    repeats: int


@dataclass(frozen=True, slots=True)
class CustomerDecisions(Tabular):
    """The last decisions of a customer, the newest first, out of `n`."""

    n: int
    lines: tuple[DecisionLine, ...]

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a decision."""
        return [asdict(each) for each in self.lines]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"n": self.n, "decisions": self.to_rows()}
