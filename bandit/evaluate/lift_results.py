"""The result of comparing live groups of customers: one row a comparison, ready for a table or for JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bandit.errors import InputError
from bandit.evaluate.diagnostics.cures import cure_json
from bandit.evaluate.diagnostics.findings import to_json
from bandit.evaluate.verdict import GATE
from bandit.ope.estimate import interval_cells
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.evaluate.diagnostics import Finding, SampleRatioTest
    from bandit.evaluate.diagnostics.cures import Cure
    from bandit.evaluate.verdict import Verdict
    from bandit.ope import Estimate
    from bandit.ope.lift import LiftMethod, LiftUnit
    from bandit.tabular import Cell

Look: TypeAlias = Literal["once", "daily"]
"""Whether the result is looked at once, on a day that was fixed beforehand, or as often as one likes."""


@dataclass(frozen=True, slots=True)
class LiftOptions:
    """How groups are compared.

    Verdicts use differences per `unit` by `method`: by default balanced weights where there are any and they are
    right, else means. `look` chooses the interval that verdicts are based on. `binary` says that outcomes are of two
    kinds (conversions), of which the rarer one counts. Without a `baseline`, each group is compared with each.
    """

    baseline: str | None = None
    level: float = 0.95
    look: Look = "daily"
    unit: LiftUnit = "decision"
    method: LiftMethod | None = None
    binary: bool = False


@dataclass(frozen=True, slots=True)
class GroupValue:
    """One group: its share of the assignment, its customers, its decisions, those that earned, its summed reward.

    `values` are its mean rewards by method and unit, each with its own interval for one look. Customers who were seen
    in several groups are not among its `customers`.
    """

    name: str
    share: float
    customers: int
    decisions: int
    earning: int
    reward: float
    values: Mapping[LiftMethod, Mapping[LiftUnit, Estimate]]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        names = ("name", "share", "customers", "decisions", "earning", "reward")
        return {name: getattr(self, name) for name in names} | {
            "values": {
                method: {f"per {unit}": each.to_dict() for unit, each in by_unit.items()}
                for method, by_unit in self.values.items()
            }
        }


@dataclass(frozen=True, slots=True)
class LiftRow:
    """One group's value minus another's, by one method and per decision or customer.

    `once` is for one look, `anytime` for any number of looks; each is wide enough for all comparisons that are judged
    together: those with the baseline, or all pairs. `p_value` belongs to `once` and is adjusted likewise. `events` is
    how many outcomes of the rarer kind are to be expected where the two groups differ. `verdict` and `reason` follow
    from the interval that `LiftOptions.look` names; `cure` says what would help where nothing can be told.
    """

    group: str
    baseline: str
    method: LiftMethod
    unit: LiftUnit
    once: Estimate
    anytime: Estimate
    p_value: float | None
    events: float
    verdict: Verdict
    reason: str
    cure: Cure | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        plain: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        estimates = {"once": self.once.to_dict(), "anytime": self.anytime.to_dict()}
        return plain | estimates | {"events": to_json(self.events), "cure": cure_json(self.cure)}


@dataclass(frozen=True, slots=True)
class LiftPart:
    """The comparisons within one week or segment; intervals hold together for all weeks so far, or for all segments."""

    name: str
    customers: int
    decisions: int
    rows: tuple[LiftRow, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "customers": self.customers,
            "decisions": self.decisions,
            "rows": [row.to_dict() for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Lift(Tabular):
    """The comparison of live groups: each group, each pair, the same by week and by segment, and the checks.

    `method` is the one that verdicts use. `rows` have every method and unit, those of the verdicts first;
    `calibration` are the tests of the balanced weights by group, empty where there are no weights.
    """

    options: LiftOptions
    method: LiftMethod
    groups: tuple[GroupValue, ...]
    rows: tuple[LiftRow, ...]
    weeks: tuple[LiftPart, ...]
    segments: tuple[LiftPart, ...]
    sample_ratio: SampleRatioTest
    calibration: tuple[Estimate, ...]
    findings: tuple[Finding, ...]

    @property
    def verdicts(self) -> tuple[LiftRow, ...]:
        """The rows that carry the verdicts: those with the baseline, or of all pairs without one."""
        baseline = self.options.baseline
        return tuple(
            row
            for row in self.rows
            if (row.method, row.unit) == (self.method, self.options.unit) and baseline in {None, row.baseline}
        )

    def row(self, group: str, baseline: str, method: LiftMethod | None = None, unit: LiftUnit | None = None) -> LiftRow:
        """Return one comparison, by default by the method and unit of the verdicts; InputError where there is none."""
        wanted = (group, baseline, method or self.method, unit or self.options.unit)
        for each in self.rows:
            if (each.group, each.baseline, each.method, each.unit) == wanted:
                return each
        raise InputError(f'"{group}" was not compared with "{baseline}" by {wanted[2]} per {wanted[3]}')

    def variance_to_means(self, row: LiftRow) -> float | None:
        """Return the variance of a row's difference divided by that of means; None where there is none to divide by."""
        means = self.row(row.group, row.baseline, "means", row.unit).once.standard_error
        ratio = (row.once.standard_error / means) ** 2 if means > 0.0 else math.nan
        return ratio if math.isfinite(ratio) else None

    def gate(self) -> int:
        """Return the exit code for a pipeline: that of the verdict furthest from "better"."""
        return max(GATE[row.verdict] for row in self.verdicts)

    def shown(self, row: LiftRow) -> Estimate:
        """Return a row's difference with the interval that its verdict rests on."""
        return row.anytime if self.options.look == "daily" else row.once

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        look = "at every look" if self.options.look == "daily" else "for one look"
        return f"differences between groups; intervals of {self.options.level:.4g} {look}, all of them together"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a pair of groups and unit, then one a week or segment; intervals are those of the verdicts."""
        whole = sum(each.customers for each in self.groups)
        parts = [("all", "", whole, row) for row in self.rows if row.method == self.method]
        for name, found in (("week", self.weeks), ("segment", self.segments)):
            parts += [(name, part.name, part.customers, row) for part in found for row in part.rows]
        return [
            {
                "part": kind,
                "name": name,
                "customers": customers,
                "group": row.group,
                "baseline": row.baseline,
                "per": row.unit,
                "verdict": row.verdict,
                "reason": row.reason,
                **interval_cells(self.shown(row), "difference"),
                "p_value": row.p_value,
            }
            for kind, name, customers, row in parts
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "baseline": self.options.baseline,
            "level": self.options.level,
            "look": self.options.look,
            "unit": self.options.unit,
            "method": self.method,
            "groups": [each.to_dict() for each in self.groups],
            "rows": [each.to_dict() | {"variance_to_means": self.variance_to_means(each)} for each in self.rows],
            "weeks": [each.to_dict() for each in self.weeks],
            "segments": [each.to_dict() for each in self.segments],
            "sample_ratio": self.sample_ratio.to_dict(),
            "calibration": [each.to_dict() for each in self.calibration],
            "findings": [each.to_dict() for each in self.findings],
        }
