"""The result of incrementality: what each group bought beyond the control, what it cost, and the same by option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.errors import InputError
from bandit.evaluate.diagnostics.findings import to_json
from bandit.ope.estimate import interval_cells
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.evaluate.diagnostics import Finding
    from bandit.evaluate.lift_results import Look
    from bandit.ope import Estimate
    from bandit.tabular import Cell


@dataclass(frozen=True, slots=True)
class Increment:
    """One measure of one group, per 1,000 decisions, beside the control's.

    `served` is the group's, `anyway` the control's, which is what would have come anyway, and `added` the difference.
    `anyway_share` is `anyway` / `served`, which is above 1 where the group has less than the control, and is not
    defined (NaN) where the group has nothing.
    """

    measure: str
    served: Estimate
    anyway: Estimate
    added: Estimate
    anyway_share: Estimate

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "measure": self.measure,
            "served": self.served.to_dict(),
            "anyway": self.anyway.to_dict(),
            "added": self.added.to_dict(),
            "anyway_share": self.anyway_share.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Spending:
    """What one group's incentives cost per 1,000 decisions, and what the money went to.

    `spent` = `wasted` + `unanswered` + `on_added`: spent on purchases that would have come anyway (discount, redemption
    cost and contact cost of those decisions), contact cost of decisions without a purchase, and the rest, which is what
    the additional purchases and larger baskets cost. `wasted_share` is `wasted` / `spent`. `per_added` is `spent` per
    additional purchase, None unless there surely are additional purchases. `wasted`, `wasted_share` and `on_added` are
    None where it is not known what the group would have given the control's customers.
    """

    spent: Estimate
    unanswered: Estimate
    wasted: Estimate | None
    wasted_share: Estimate | None
    on_added: Estimate | None
    per_added: float | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        parts = {name: getattr(self, name) for name in ("spent", "unanswered", "wasted", "wasted_share", "on_added")}
        return {name: None if each is None else each.to_dict() for name, each in parts.items()} | {
            "per_added": None if self.per_added is None else to_json(self.per_added)
        }


@dataclass(frozen=True, slots=True)
class OptionIncrement:
    """What one option did to those who got it, against the control's decisions of the same kind.

    `conversions` and `value` (profit, or the reward where that is the objective) are per 1,000 decisions that got the
    option. `spent` and `wasted` are what this option alone cost, in all and on purchases that would have come anyway,
    per 1,000 decisions of the group, so that they add up over options and dimensions. `share` is the share of the
    group's decisions that got the option. `reason` says why nothing can be told, and is None where something can.
    """

    dimension: str
    option: str
    decisions: int
    purchases: int
    anyway_purchases: float
    share: float
    conversions: Increment | None
    value: Increment | None
    spent: Estimate | None
    wasted: Estimate | None
    reason: str | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        plain: dict[str, object] = {
            name: getattr(self, name) for name in ("dimension", "option", "decisions", "purchases", "reason")
        }
        parts = {name: getattr(self, name) for name in ("conversions", "value", "spent", "wasted")}
        return (
            plain
            | {"anyway_purchases": to_json(self.anyway_purchases), "share": to_json(self.share)}
            | {name: None if each is None else each.to_dict() for name, each in parts.items()}
        )


@dataclass(frozen=True, slots=True)
class GroupIncrements:
    """One group against the control: each measure, the money, and each option.

    `reason` says why nothing can be told of the group, and `no_options` why nothing is said of its options; both are
    None where all is well.
    """

    name: str
    customers: int
    decisions: int
    purchases: int
    measures: tuple[Increment, ...]
    spending: Spending
    options: tuple[OptionIncrement, ...]
    reason: str | None
    no_options: str | None

    def measure(self, name: str) -> Increment:
        """Return one measure; InputError for an unknown one."""
        for each in self.measures:
            if each.measure == name:
                return each
        raise InputError(f'there is no measure "{name}"; choose from {", ".join(m.measure for m in self.measures)}')

    def option(self, dimension: str, option: str) -> OptionIncrement:
        """Return one option's increment; InputError where there is none."""
        for each in self.options:
            if (each.dimension, each.option) == (dimension, option):
                return each
        raise InputError(f'there is no increment of {dimension} = "{option}" in the group "{self.name}"')

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        names = ("name", "customers", "decisions", "purchases", "reason", "no_options")
        return {name: getattr(self, name) for name in names} | {
            "measures": [each.to_dict() for each in self.measures],
            "spending": self.spending.to_dict(),
            "options": [each.to_dict() for each in self.options],
        }


@dataclass(frozen=True, slots=True)
class IncrementOptions:
    """How increments are computed: the level of the intervals, and whether they hold for one look or for every look."""

    level: float = 0.95
    look: Look = "daily"


@dataclass(frozen=True, slots=True)
class Incrementality(Tabular):
    """What each group bought beyond the control, and the control's own numbers.

    `control_spent` is what the control's offer cost per 1,000 decisions: 0 where it gives nothing.
    """

    control: str
    customers: int
    decisions: int
    purchases: int
    control_spent: Estimate
    groups: tuple[GroupIncrements, ...]
    options: IncrementOptions
    findings: tuple[Finding, ...]

    def group(self, name: str) -> GroupIncrements:
        """Return one group; InputError for an unknown one."""
        for each in self.groups:
            if each.name == name:
                return each
        raise InputError(f'there is no group "{name}"; choose from {", ".join(each.name for each in self.groups)}')

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        look = "at every look" if self.options.look == "daily" else "for one look"
        return f"per 1,000 decisions, against {self.control}; intervals of {self.options.level:.4g} {look}"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a group and measure, with its offers, anyway and added; then one an option of each group."""
        rows = [
            _increment_row(group.name, None, None, group.decisions, measure, group.reason)
            for group in self.groups
            for measure in group.measures
        ]
        return rows + [
            _increment_row(group.name, each.dimension, each.option, each.decisions, each.conversions, each.reason)
            | {"measure": "conversions"}
            for group in self.groups
            for each in group.options
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "control": {
                "name": self.control,
                "customers": self.customers,
                "decisions": self.decisions,
                "purchases": self.purchases,
                "spent": self.control_spent.to_dict(),
            },
            "per_decisions": 1000,
            "level": self.options.level,
            "look": self.options.look,
            "groups": [each.to_dict() for each in self.groups],
            "findings": [each.to_dict() for each in self.findings],
        }


def _increment_row(
    group: str, dimension: str | None, option: str | None, decisions: int, found: Increment | None, reason: str | None
) -> dict[str, Cell]:
    """Return one row of the table; numbers are None where nothing can be told."""
    told = None if reason is not None else found
    head: dict[str, Cell] = {
        "group": group,
        "dimension": dimension,
        "option": option,
        "decisions": decisions,
        "measure": None if found is None else found.measure,
    }
    return (
        head
        | interval_cells(None if told is None else told.served, "served")
        | interval_cells(None if told is None else told.anyway, "anyway")
        | interval_cells(None if told is None else told.added, "added")
        | {"reason": reason}
    )
