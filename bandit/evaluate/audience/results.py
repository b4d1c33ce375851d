"""The result of the search for audience surprises: a row for each option and segment, and what was searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bandit.evaluate.diagnostics.findings import to_json
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.evaluate.diagnostics import Finding
    from bandit.ope import Estimate
    from bandit.tabular import Cell

AudienceVerdict: TypeAlias = Literal["surprise", "as assumed", "cannot tell"]
"""What is said of an option and a segment; only a "surprise" is announced."""
"""What is said of an option and a segment."""

OtherDimensions: TypeAlias = Literal["baseline", "even"]
"""What an offer has in the other dimensions where one option is given to everybody: what the baseline gives there, or
every eligible combination equally often."""


@dataclass(frozen=True, slots=True)
class AudienceFinding(Tabular):
    """One option and one segment of the customers: whom the baseline assumes, who responds, what moving it would earn.

    `facts` has one fact or two, and `segment` is their cell in words. `population` is the segment's share of all
    decisions. `assumed` is its share among the decisions to which the baseline gives the option, None where it gives
    it to nobody. `share` is its share among those who respond when everybody is offered the option; its interval, and
    that of `gain`, hold together for all rows that have the same `confirmed`. `should_get` is its share among the
    decisions for which a model that was learned on other customers prefers the option, None where it prefers it for
    nobody. `gain` is what giving the option to the segment would earn more than what the baseline gives it, per
    decision of the segment, and `total` the same for all decisions of the segment in the log, both in the objective's
    unit. `confirmed` says that the row was chosen on the first half of the customers to be confirmed on the other
    half; only such rows can be a surprise.
    """

    dimension: str
    option: str
    facts: tuple[str, ...]
    segment: str
    population: float
    assumed: float | None
    share: Estimate
    should_get: float | None
    gain: Estimate
    total: Estimate
    confirmed: bool
    verdict: AudienceVerdict
    reason: str

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return the row of a table."""
        return [
            {
                "dimension": self.dimension,
                "option": self.option,
                "facts": ", ".join(self.facts),
                "segment": self.segment,
                "population": self.population,
                "assumed": self.assumed,
                "share": self.share.value,
                "share_low": self.share.low,
                "share_high": self.share.high,
                "should_get": self.should_get,
                "gain": self.gain.value,
                "gain_low": self.gain.low,
                "gain_high": self.gain.high,
                "total": self.total.value,
                "confirmed": self.confirmed,
                "verdict": self.verdict,
                "reason": self.reason,
            }
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "dimension": self.dimension,
            "option": self.option,
            "facts": list(self.facts),
            "segment": self.segment,
            "population": to_json(self.population),
            "assumed": None if self.assumed is None else to_json(self.assumed),
            "share": self.share.to_dict(),
            "should_get": None if self.should_get is None else to_json(self.should_get),
            "gain": self.gain.to_dict(),
            "total": self.total.to_dict(),
            "confirmed": self.confirmed,
            "verdict": self.verdict,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class AudienceSearch:
    """What was searched, and what could have been found.

    `candidates` pairs of an option and a segment were compared on `searched_on` decisions, and `confirmed` of them
    were looked at again on the `confirmed_on` decisions of the other customers. Segments are values of `facts`, and
    pairs of values of two facts. `skipped` facts have too many values, nearly all decisions have the same value of the
    `constant` ones, and `pairs_left_out` pairs of facts had no place. `detectable` is the gain per decision of a
    segment of half of the decisions that would be found in four of five such logs, None where it is not known.
    """

    facts: tuple[str, ...]
    skipped: tuple[str, ...]
    constant: tuple[str, ...]
    options: int
    pairs: int
    pairs_left_out: int
    candidates: int
    confirmed: int
    searched_on: int
    confirmed_on: int
    detectable: float | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "facts": list(self.facts),
            "skipped": list(self.skipped),
            "constant": list(self.constant),
            "options": self.options,
            "pairs": self.pairs,
            "pairs_left_out": self.pairs_left_out,
            "candidates": self.candidates,
            "confirmed": self.confirmed,
            "searched_on": self.searched_on,
            "confirmed_on": self.confirmed_on,
            "detectable": None if self.detectable is None else to_json(self.detectable),
        }


@dataclass(frozen=True, slots=True)
class Audience(Tabular):
    """Whom the baseline assumes for each option, who truly responds, and where that is a surprise worth money.

    `rows` has the announced surprises first, those of the largest total gain first, then the other rows that were
    looked at, by option. `baseline` is its name, `customers` the number of customers, None where the log does not know
    them. `responders` says who counts as one: "buyers" where the event is "purchase", else "responders".
    `findings` says what limits all of the rows.
    """

    baseline: str
    level: float
    others: OtherDimensions
    propensities: str
    responders: str
    n: int
    customers: int | None
    rows: tuple[AudienceFinding, ...]
    search: AudienceSearch
    findings: tuple[Finding, ...]

    @property
    def surprises(self) -> tuple[AudienceFinding, ...]:
        """The announced surprises, the largest total gain first."""
        return tuple(row for row in self.rows if row.verdict == "surprise")

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row for each option and segment that was looked at."""
        return [line for row in self.rows for line in row.to_rows()]

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"{len(self.surprises)} audience surprises, compared with {self.baseline}"

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "baseline": self.baseline,
            "level": self.level,
            "others": self.others,
            "propensities": self.propensities,
            "responders": self.responders,
            "n": self.n,
            "customers": self.customers,
            "surprises": len(self.surprises),
            "search": self.search.to_dict(),
            "findings": [each.to_dict() for each in self.findings],
            "rows": [row.to_dict() for row in self.rows],
        }
