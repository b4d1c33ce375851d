"""Incrementality: what each group bought and cost beyond a control, by measure and by option, from a tally."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from bandit.errors import InputError
from bandit.evaluate.diagnostics.target import MIN_EVENTS
from bandit.evaluate.incrementality_results import (
    GroupIncrements,
    Increment,
    Incrementality,
    IncrementOptions,
    OptionIncrement,
    Spending,
)
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE
from bandit.ope.incremental import Quotient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.evaluate.diagnostics import Finding
    from bandit.ope import Estimate
    from bandit.ope.incremental import Cell, IncrementTally
    from bandit.ope.intervals import IntervalKind

CONVERSIONS, REVENUE, VALUE, SPENT, UNANSWERED = range(5)
"""The measures of the tally: conversions, revenue, profit (or reward), own costs, contact cost without a purchase."""

INCREMENT_MEASURES = 5

PER = 1_000.0
"""Numbers are per so many decisions."""


@dataclass(frozen=True, slots=True)
class IncrementNames:
    """The names of what a tally has summed: the groups, the control, the measure `value`, each dimension's options.

    `unknown` has the groups of which it is not known what they would have given the control, with the reason.
    """

    groups: tuple[str, ...]
    control: str
    value: str
    dimensions: Mapping[str, tuple[str, ...]]
    unknown: Mapping[str, str]


def incrementality(
    tally: IncrementTally,
    names: IncrementNames,
    options: IncrementOptions | None = None,
    findings: Sequence[Finding] = (),
) -> Incrementality:
    """Return what each group bought beyond the control, what it cost and wasted, and the same by option.

    The tally has the measures CONVERSIONS to UNANSWERED, of which conversions and value are summed by option. The
    intervals of what was added and of what was wasted hold together for all groups, and by option for all options of
    their dimension; the other intervals are each for itself. Fatal `findings`, such as groups of the wrong sizes, are
    the reason that nothing can be told. Raises InputError for names that do not fit the tally, and where the control
    or all groups have no decisions.
    """
    options = options or IncrementOptions()
    listed = sum(map(len, names.dimensions.values()))
    if (len(names.groups), listed) != (tally.groups, tally.options) or tally.measures != INCREMENT_MEASURES:
        raise InputError(
            f"{len(names.groups)} groups and {listed} options are named, the tally has {tally.groups} and "
            f"{tally.options} with {tally.measures} measures; name each once, and add {INCREMENT_MEASURES} measures"
        )
    if not tally.decisions(None):
        raise InputError(f'the control "{names.control}" has no decisions to compare with')
    computed = _Computer(tally, names, options, findings)
    seen = [group for group in range(tally.groups) if tally.decisions(group)]
    if not seen:
        raise InputError(f'no group has decisions to compare with "{names.control}"')
    measures = {measure: computed.increments(seen, measure) for measure in (CONVERSIONS, REVENUE, VALUE)}
    spending = computed.spending(seen, [rows.added for rows in measures[CONVERSIONS]])
    return Incrementality(
        control=names.control,
        customers=tally.customers(None),
        decisions=tally.decisions(None),
        purchases=round(tally.total(tally.outcome(None, CONVERSIONS))),
        control_spent=computed.joint([[_per(tally.outcome(None, SPENT), tally.count(None))]])[0],
        groups=tuple(
            GroupIncrements(
                name=names.groups[group],
                customers=tally.customers(group),
                decisions=tally.decisions(group),
                purchases=round(tally.total(tally.outcome(group, CONVERSIONS))),
                measures=tuple(rows[place] for rows in measures.values()),
                spending=spending[place],
                options=computed.options_of(group),
                reason=computed.reason(group),
                no_options=computed.no_options(group),
            )
            for place, group in enumerate(seen)
        ),
        options=options,
        findings=tuple(findings),
    )


@dataclass(frozen=True, slots=True)
class _Computer:
    """Computes estimates that hold together, by the same level and look."""

    tally: IncrementTally
    names: IncrementNames
    options: IncrementOptions
    findings: Sequence[Finding]

    def joint(self, statistics: Sequence[Sequence[Quotient]]) -> tuple[Estimate, ...]:
        """Return the estimates of some statistics, whose intervals hold together."""
        interval: IntervalKind = "anytime-skew" if self.options.look == "daily" else "skew"
        return self.tally.estimates(statistics, self.options.level, interval) if statistics else ()

    def each(self, statistics: Sequence[Sequence[Quotient]]) -> tuple[Estimate, ...]:
        """Return the estimates of some statistics, each with its own interval."""
        return tuple(self.joint([one])[0] for one in statistics)

    def increments(self, groups: Sequence[int], measure: int) -> list[Increment]:
        """Return one measure of each group; what was added holds together for all of them."""
        tally = self.tally
        rows = [
            (tally.outcome(group, measure), tally.count(group), tally.outcome(None, measure), tally.count(None))
            for group in groups
        ]
        return self._rows(self._name(measure), rows)

    def spending(self, groups: Sequence[int], added: Sequence[Estimate]) -> list[Spending]:
        """Return each group's money; what was wasted holds together for all groups of which it is known."""
        tally = self.tally
        own, control = [tally.count(group) for group in groups], tally.count(None)
        spent = [_per(tally.outcome(group, SPENT), n) for group, n in zip(groups, own, strict=True)]
        idle = [_per(tally.outcome(group, UNANSWERED), n) for group, n in zip(groups, own, strict=True)]
        known = [place for place, group in enumerate(groups) if self.no_options(group) is None]
        wasted = {place: _per(tally.total_cost(groups[place], control=True), control) for place in known}
        shares = {place: _plain(wasted[place], _plain(spent[place])) for place in known}
        every = range(len(groups))
        columns: list[dict[int, Estimate]] = [
            dict(zip(places, estimates, strict=True))
            for places, estimates in (
                (every, self.each([[one] for one in spent])),
                (every, self.each([[one] for one in idle])),
                (known, self.joint([[wasted[place]] for place in known])),
                (known, self.each([[shares[place]] for place in known])),
                (known, self.joint([[spent[p], _minus(wasted[p]), _minus(idle[p])] for p in known])),
            )
        ]
        return [
            Spending(
                spent=columns[0][place],
                unanswered=columns[1][place],
                wasted=columns[2].get(place),
                wasted_share=columns[3].get(place),
                on_added=columns[4].get(place),
                per_added=columns[0][place].value / each.value if each.low > 0.0 else None,
            )
            for place, each in enumerate(added)
        ]

    def options_of(self, group: int) -> tuple[OptionIncrement, ...]:
        """Return the rows of one group's options, dimension by dimension."""
        if self.no_options(group) is not None:
            return ()
        sizes = [len(options) for options in self.names.dimensions.values()]
        starts = [0, *accumulate(sizes)]
        return tuple(
            row
            for start, (dimension, options) in zip(starts, self.names.dimensions.items(), strict=False)
            for row in self._dimension(group, dimension, options, start)
        )

    def reason(self, group: int) -> str | None:
        """Return why nothing can be told of a group, None where something can."""
        for each in self.findings:
            if each.severity == "fatal":
                return each.sentence
        for side, name in ((group, self.names.groups[group]), (None, self.names.control)):
            if self.tally.customers(side) < MIN_EFFECTIVE_SAMPLE_SIZE:
                return f'there are only {self.tally.customers(side)} customers in "{name}"'
            purchases = self.tally.total(self.tally.outcome(side, CONVERSIONS))
            if purchases < MIN_EVENTS:
                return f'"{name}" has only {purchases:.0f} purchases'
        return None

    def no_options(self, group: int) -> str | None:
        """Return why nothing is said of a group's options, None where something is."""
        known = self.names.unknown.get(self.names.groups[group])
        if known is None and not self.tally.knows_options(group):
            return "what the group would have given the control's customers is not known"
        return known

    def _dimension(self, group: int, dimension: str, options: Sequence[str], start: int) -> list[OptionIncrement]:
        tally = self.tally
        every = range(start, start + len(options))
        given = [option for option in every if tally.option_counts(group, option)[0]]
        compared = [
            option
            for option in given
            if all(tally.total(tally.weight(group, option, control=control)) > 0.0 for control in (False, True))
        ]
        by_measure = {
            measure: dict(zip(compared, self._option_rows(group, compared, measure), strict=True))
            for measure in tally.by_option
        }
        spent = [[_per(tally.cost(group, option), tally.count(group))] for option in given]
        wasted = [[_per(tally.cost(group, option, control=True), tally.count(None))] for option in given]
        money = [dict(zip(given, found, strict=True)) for found in (self.each(spent), self.joint(wasted))]
        return [
            OptionIncrement(
                dimension=dimension,
                option=name,
                decisions=tally.option_counts(group, option)[0],
                purchases=tally.option_counts(group, option)[1],
                anyway_purchases=tally.effective_conversions(group, option, control=True),
                share=tally.option_counts(group, option)[0] / tally.decisions(group),
                conversions=by_measure[CONVERSIONS].get(option),
                value=by_measure[VALUE].get(option),
                spent=money[0].get(option),
                wasted=money[1].get(option),
                reason=self._option_reason(group, option),
            )
            for option, name in zip(every, options, strict=True)
        ]

    def _option_rows(self, group: int, options: Sequence[int], measure: int) -> list[Increment]:
        tally = self.tally
        rows = [
            (
                tally.weighted(group, option, measure),
                tally.weight(group, option),
                tally.weighted(group, option, measure, control=True),
                tally.weight(group, option, control=True),
            )
            for option in options
        ]
        return self._rows(self._name(measure), rows)

    def _option_reason(self, group: int, option: int) -> str | None:
        """Return why nothing can be told of an option, None where something can."""
        whole = self.reason(group)
        if whole is not None:
            return whole
        tally = self.tally
        if not tally.option_counts(group, option)[0]:
            return "it was never given"
        purchases = tally.effective_conversions(group, option)
        if purchases < MIN_EVENTS:
            return f"there are only {purchases:.0f} purchases (effective number) of customers who got it"
        anyway = tally.effective_conversions(group, option, control=True)
        if anyway < MIN_EVENTS:
            return (
                f'"{self.names.control}" has only {anyway:.0f} purchases (effective number) of customers who would '
                "have got it"
            )
        return None

    def _rows(self, name: str, rows: Sequence[tuple[Cell, Cell, Cell, Cell]]) -> list[Increment]:
        """Return the increments of rows of cells: the group's sum and count, the control's sum and count."""
        served = [_per(total, n) for total, n, _, _ in rows]
        anyway = [_per(total, n) for _, _, total, n in rows]
        pairs = list(zip(served, anyway, strict=True))
        columns = (
            self.each([[one] for one in served]),
            self.each([[one] for one in anyway]),
            self.joint([[own, _minus(other)] for own, other in pairs]),
            self.each([[_plain(other, _plain(own))] for own, other in pairs]),
        )
        return [Increment(name, *each) for each in zip(*columns, strict=True)]

    def _name(self, measure: int) -> str:
        return ("conversions", "revenue", self.names.value)[measure]


def _per(total: Cell, n: Cell) -> Quotient:
    """Return a sum per `PER` decisions."""
    return Quotient(total, n, PER)


def _minus(part: Quotient) -> Quotient:
    return Quotient(part.above, part.below, -part.scale)


def _plain(part: Quotient, base: Quotient | None = None) -> Quotient:
    """Return the quotient without its scale, or as a share of another one."""
    return Quotient(part.above, part.below, 1.0, base)
