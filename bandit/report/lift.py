"""Lift between groups as tables and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.report.left_out import (
    OFFER_UNKNOWN,
    OTHER_ASSIGNMENT,
    SEVERAL_GROUPS,
    STILL_OPEN,
    group_unknown,
    left_out_lines,
    never_activated,
)
from bandit.report.numbers import NumberFormat, count, counted
from bandit.report.verdicts import VerdictOn, signed_cell, verdict_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bandit.evaluate.lift import Lift, LiftPart, LiftRow
    from bandit.evaluate.lift_log import LiftReport
    from bandit.ope import Estimate
    from bandit.ope.lift import LiftMethod


_WAYS: Mapping[LiftMethod, str] = {"means": "of means", "balanced": "by trajectory weights"}


def group_table(report: LiftReport, unit: str) -> Table:
    """Return a table of one row a group: its customers against those meant, its decisions, its mean rewards."""
    lift = report.lift
    table = Table(title=f"groups: {escape(unit)}; intervals of {_level(lift)} for one look", title_justify="left")
    table.add_column("group", overflow="fold")
    meant = () if report.sample_ratio is None else ("meant",)
    for heading in ("customers", "share", *meant, "decisions", "per decision", "interval", "per customer"):
        table.add_column(heading, justify="right", no_wrap=heading == "interval")
    every, whole = sum(each.customers for each in lift.groups), sum(each.share for each in lift.groups)
    numbers = {
        each: NumberFormat.of(group.values[lift.method][each] for group in lift.groups)
        for each in ("decision", "customer")
    }
    for group in lift.groups:
        decision, customer = (group.values[lift.method][each] for each in ("decision", "customer"))
        table.add_row(
            escape(group.name),
            count(group.customers),
            f"{group.customers / max(every, 1):.1%}",
            *([f"{group.share / whole:.1%}"] if meant else []),
            count(group.decisions),
            numbers["decision"].number(decision.value),
            numbers["decision"].interval(decision),
            numbers["customer"].number(customer.value),
        )
    return table


def lift_table(lift: Lift) -> Table:
    """Return a table of one row a pair of groups and unit; the verdict stands with the unit that it is about."""
    title = f"differences {_WAYS[lift.method]}; intervals of {_level(lift)} {_look(lift)}"
    table = Table(title=title, title_justify="left")
    table.add_column("groups", overflow="fold")
    table.add_column("per")
    table.add_column("difference", justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("verdict")
    rows = _rows(lift)
    numbers = {unit: _format(lift, (row for row in rows if row.unit == unit)) for unit in ("decision", "customer")}
    pairs = [(row.group, row.baseline) for row in rows if row.unit == lift.options.unit]
    for place, pair in enumerate(pairs):
        if place == len(lift.verdicts):
            table.add_section()
        units = sorted(numbers, key=lambda unit: unit != lift.options.unit)
        for number, unit in enumerate(units):
            row = next(each for each in rows if (each.group, each.baseline) == pair and each.unit == unit)
            name, verdict = ("", "") if number else (f"{row.group} minus {row.baseline}", row.verdict)
            table.add_row(escape(name), unit, *_cells(lift.shown(row), numbers[unit]), signed_cell(verdict))
    return table


def lift_parts_table(lift: Lift, parts: Sequence[LiftPart], what: str) -> Table:
    """Return a table of one row a week or segment and group compared with the baseline."""
    minus = f"minus {escape(str(lift.options.baseline))}"
    table = Table(
        title=f"by {what}: per {lift.options.unit} {minus}; intervals hold for all {what}s together",
        title_justify="left",
    )
    table.add_column(what, overflow="fold")
    table.add_column("customers", justify="right")
    table.add_column("group", overflow="fold")
    table.add_column(minus, justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("verdict")
    numbers = _format(lift, (row for part in parts for row in part.rows))
    for part in parts:
        table.add_section()
        for place, row in enumerate(part.rows):
            head = ("", "") if place else (escape(part.name), count(part.customers))
            table.add_row(*head, escape(row.group), *_cells(lift.shown(row), numbers), signed_cell(row.verdict))
    return table


def lift_verdicts(lift: Lift) -> list[str]:
    """Return one sentence a pair of groups, those with the baseline first: the verdict and what it rests on."""
    rows = [row for row in _rows(lift) if row.unit == lift.options.unit]
    return verdict_sentences(
        VerdictOn(f"{row.group} against {row.baseline}", row.verdict, row.reason, row.cure) for row in rows
    )


def part_lines(parts: Sequence[LiftPart], what: str) -> list[str]:
    """Return how many comparisons of weeks or segments can be told, and the reason of each that can."""
    rows = [(part, row) for part in parts for row in part.rows]
    if not rows:
        return []
    told = [(part, row) for part, row in rows if row.verdict in {"better", "worse"}]
    summary = f"{count(len(told))} of {counted(len(rows), 'comparison')} by {what} can be told"
    sentences = verdict_sentences(
        VerdictOn(f"{part.name}, {row.group} against {row.baseline}", row.verdict, row.reason) for part, row in told
    )
    return [f"{summary}{':' if told else '.'}", *sentences]


def lift_lines(report: LiftReport) -> list[str]:
    """Return the sentences below the tables: what was compared, what was checked, what was left out."""
    lift = report.lift
    decisions = sum(each.decisions for each in lift.groups)
    customers = sum(each.customers for each in lift.groups)
    lines = [
        f"Compared on {counted(decisions, 'settled decision')} of {counted(customers, 'customer')}.",
        _way(report),
        _together(lift),
    ]
    ratio = report.sample_ratio
    if ratio is None:
        lines.append(
            "Whether the groups have the sizes that were meant was not checked: no shares are known (--shares)."
        )
    elif ratio.severity != "fatal":
        lines.append(f"The groups have the sizes that were meant (p = {ratio.p_value:.2g}).")
    # The sentence on the way gives this reason already.
    shown = [each for each in report.findings if each.sentence != report.weighting.reason]
    lines += [f"{each.severity}: {each.sentence}." for each in shown]
    return [*lines, *_left_out(report)]


def _way(report: LiftReport) -> str:
    """Return in words by which way groups were compared and why, and what the weights bring."""
    lift, weighting = report.lift, report.weighting
    if weighting.way == "means":
        return (
            "Compared by differences of means."
            if weighting.asked == "means"
            else (f"Compared by differences of means, not by weights: {weighting.reason}.")
        )
    ratios = [ratio for row in lift.verdicts if (ratio := lift.variance_to_means(row)) is not None]
    if not ratios:
        return f"Compared by trajectory weights: {weighting.reason}."
    low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    times = low if low == high else f"{low} to {high}"
    return f"Compared by trajectory weights, with {times} times the variance of means: {weighting.reason}."


def _left_out(report: LiftReport) -> list[str]:
    return left_out_lines(
        (report.several, "customer", SEVERAL_GROUPS),
        (report.still_open, "decision", STILL_OPEN),
        (report.left_out, "decision", OFFER_UNKNOWN),
        (report.not_activated, "decision", never_activated(report.activation)),
        (report.other_assignment, "decision", OTHER_ASSIGNMENT),
        *((n, "decision", group_unknown(name)) for name, n in report.other_groups.items()),
    )


def _rows(lift: Lift) -> list[LiftRow]:
    """Return the rows by the way of the verdicts."""
    return [row for row in lift.rows if row.method == lift.method]


def _format(lift: Lift, rows: Iterable[LiftRow]) -> NumberFormat:
    return NumberFormat.of(lift.shown(row) for row in rows)


def _cells(difference: Estimate, numbers: NumberFormat) -> list[str]:
    return [numbers.number(difference.value, signed=True), numbers.interval(difference, signed=True)]


def _level(lift: Lift) -> str:
    return f"{lift.options.level:.4g}" if lift.options.level > 0.995 else f"{lift.options.level:.0%}"


def _look(lift: Lift) -> str:
    return "at every look" if lift.options.look == "daily" else "for one look"


def _together(lift: Lift) -> str:
    """Return in words for what the intervals hold together."""
    several, every = len(lift.verdicts), sum(row.unit == lift.options.unit for row in _rows(lift))
    look = "at every look" if lift.options.look == "daily" else "for one look, on a day that was fixed beforehand"
    if every == 1:
        return f"The interval holds {look}."
    return (
        f"The intervals hold {look}: the {several} with {lift.options.baseline} all together, the others together "
        f"with all {every}."
        if every > several
        else f"The intervals hold {look}, all {several} together."
    )
