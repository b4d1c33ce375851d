"""Sample size planning: how many decisions a comparison with the segment rules needs, by formula, before launch.

An estimate of D = V(candidate) - V(rules) is a mean of n terms of variance V (`bandit.analysis.design_variance`), so
its interval at `level` has the width 2 z sqrt(V / n), z the normal quantile of (1 + level) / 2, and a true difference
of (z + z_power) sqrt(V / n) is detected (the interval excludes 0) with probability `power` (Cohen 1988, "Statistical
Power Analysis for the Behavioral Sciences").

This is the normal interval. With few conversions the estimate is skewed, and the default interval of `evaluate`, which
corrects for that, is wider: on simulated retail logs (`python -m simulator.validation.sample_size_check`) by a tenth
with 20 conversions, a fifth with 10, a third with 5 and a half with 3. A plan therefore reports the conversions that
support the estimate: of the decisions of a log, those that show the candidate's offer where it differs from the rules'
are a share (1 - g) q, and of these a share c converts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite, sqrt
from typing import TYPE_CHECKING, Literal, TypeAlias

from scipy.special import ndtri

from bandit.analysis.design_variance import check_number
from bandit.ope.estimate import check_level, finite_cell
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.tabular import Cell

DesignKind: TypeAlias = Literal["log", "live", "pilot"]
"""A log of rules with exploration, an A/B test side by side, or a pilot log with measured variance."""

FEW_CONVERSIONS = 30.0
"""With fewer conversions than this, intervals are wider than planned."""


def width(variance: float, decisions: float, level: float = 0.95) -> float:
    """Return the width of the interval of the difference after this many decisions."""
    return 2.0 * _quantile(level) * sqrt(variance / decisions)


def decisions_for_width(variance: float, wanted: float, level: float = 0.95) -> int:
    """Return the number of decisions at which the interval is at most `wanted` wide."""
    check_number("width", wanted, isfinite(wanted) and wanted > 0, "a number above 0")
    return max(ceil(variance * (2.0 * _quantile(level) / wanted) ** 2), 1)


def smallest_difference(variance: float, decisions: float, level: float = 0.95, power: float = 0.8) -> float:
    """Return the minimum detectable difference of this many decisions, at this power."""
    return _detection_factor(level, power) * sqrt(variance / decisions)


def decisions_for_difference(variance: float, wanted: float, level: float = 0.95, power: float = 0.8) -> int:
    """Return the number of decisions at which a true difference of `wanted` is detected with probability `power`.

    Of a variance of 100 per decision, a difference of 0.5 needs ((1.96 + 0.84) / 0.5)^2 x 100 decisions:

    >>> decisions_for_difference(100.0, 0.5)
    3140
    """
    check_number("difference", wanted, isfinite(wanted) and wanted > 0, "a number above 0")
    return max(ceil(variance * (_detection_factor(level, power) / wanted) ** 2), 1)


@dataclass(frozen=True, slots=True)
class PrecisionTarget:
    """What the comparison must achieve: an interval of width `size`, or detecting a difference of `size` at `power`."""

    kind: Literal["width", "difference"]
    size: float
    level: float = 0.95
    power: float = 0.8

    def decisions(self, variance: float) -> int:
        """Return the number of decisions that reach the target."""
        if self.kind == "width":
            return decisions_for_width(variance, self.size, self.level)
        return decisions_for_difference(variance, self.size, self.level, self.power)


@dataclass(frozen=True, slots=True)
class Design:
    """An experimental design: `variance` is V per decision, `conversions` those per decision that support the estimate.

    `share` is the share of exploration ("log"), the share of customers on the policy ("live"), or None ("pilot");
    `conversions` is None where unknown.
    """

    kind: DesignKind
    share: float | None
    variance: float
    conversions: float | None = None


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One design: its precision after the planned weeks, and the decisions and weeks that reach the target.

    `share` is the share of exploration ("log"), the share of customers on the policy ("live"), or None ("pilot").
    `cost` is the cost of exploration per decision, None where unknown. `variance` is V per decision. `conversions` are
    those that support the estimate after the planned weeks. `smallest_difference` is the minimum detectable difference.
    """

    design: DesignKind
    share: float | None
    variance: float
    conversions: float | None
    width: float
    smallest_difference: float
    decisions: int
    weeks: float
    cost: float | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class SampleSizePlan(Tabular):
    """The designs at `per_week` decisions a week; widths and differences are those after `weeks`."""

    target: PrecisionTarget
    per_week: float
    weeks: float
    rows: tuple[PlanRow, ...]

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"precision after {self.weeks:g} weeks of {self.per_week:,.0f} decisions, and what reaches the target"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a design."""
        return [
            {
                "design": row.design,
                "share": row.share,
                "cost_per_decision": row.cost,
                "conversions": row.conversions,
                "interval_width": row.width,
                "smallest_difference": row.smallest_difference,
                "decisions_needed": row.decisions,
                "weeks_needed": finite_cell(row.weeks),
            }
            for row in self.rows
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "goal": {name: getattr(self.target, name) for name in self.target.__slots__},
            "decisions_per_week": self.per_week,
            "weeks": self.weeks,
            "rows": [row.to_dict() for row in self.rows],
        }


def plan(
    designs: Sequence[Design],
    target: PrecisionTarget,
    per_week: float,
    weeks: float = 4.0,
    given_up: float | None = None,
) -> SampleSizePlan:
    """Return the plan with a row for each design.

    `given_up` is value(rules) - value(uniform policy), where known: exploring a share e costs e x `given_up` per
    decision. InputError for numbers out of range.
    """
    check_number("number of decisions a week", per_week, isfinite(per_week) and per_week >= 1.0, "at least 1")
    check_number("number of weeks", weeks, isfinite(weeks) and weeks > 0.0, "a number above 0")
    return SampleSizePlan(
        target, per_week, weeks, tuple(_row(each, target, per_week, weeks, given_up) for each in designs)
    )


def _row(design: Design, target: PrecisionTarget, per_week: float, weeks: float, given_up: float | None) -> PlanRow:
    needed = target.decisions(design.variance)
    known = design.kind == "log" and given_up is not None
    return PlanRow(
        design=design.kind,
        share=design.share,
        variance=design.variance,
        conversions=None if design.conversions is None else design.conversions * per_week * weeks,
        width=width(design.variance, per_week * weeks, target.level),
        smallest_difference=smallest_difference(design.variance, per_week * weeks, target.level, target.power),
        decisions=needed,
        weeks=needed / per_week,
        cost=(design.share or 0.0) * (given_up or 0.0) if known else None,
    )


def _quantile(level: float) -> float:
    check_level(level)
    return float(ndtri(0.5 + level / 2.0))


def _detection_factor(level: float, power: float) -> float:
    """Return z + z_power, the minimum detectable difference in standard errors."""
    check_number("power", power, 0.5 <= power < 1.0, "a share from 0.5 to below 1, such as 0.8")
    return _quantile(level) + float(ndtri(power))
