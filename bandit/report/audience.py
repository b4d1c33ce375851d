"""Audience surprises as sentences and as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.report.numbers import UNKNOWN_NUMBER, NumberFormat, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.evaluate.audience import Audience, AudienceFinding, AudienceVerdict
    from bandit.ope import Estimate

_SIGNS: dict[AudienceVerdict, str] = {"surprise": "!", "as assumed": "=", "cannot tell": "?"}


def audience_lines(found: Audience) -> list[str]:
    """Return the sentences above the table: the announced surprises, the largest first, or that there is none."""
    if found.surprises:
        plural = "surprise" if len(found.surprises) == 1 else "surprises"
        head = f"{len(found.surprises)} {plural} against {found.baseline}:"
        return [head, *(f"! {row.reason}; {_in_all(row)}." for row in found.surprises)]
    fatal = next((each.sentence for each in found.findings if each.severity == "fatal"), None)
    if fatal is not None:
        return [f"cannot tell: {fatal}."]
    return [f"No surprise found against {found.baseline}."]


def audience_shown(found: Audience, *, details: bool = False) -> tuple[AudienceFinding, ...]:
    """Return the rows for the table: those that were looked at again on held-out customers, or all with `details`.

    All rows of an option stand together, options in the order of their first row.
    """
    rows = [row for row in found.rows if details or row.confirmed]
    first = {(row.dimension, row.option): place for place, row in reversed(list(enumerate(rows)))}
    return tuple(sorted(rows, key=lambda row: first[row.dimension, row.option]))


def audience_table(found: Audience, unit: str, *, details: bool = False) -> Table:
    """Return a table of one row an option and segment, 80 characters wide, with the verdict as a sign."""
    table = Table(
        title=f"audiences; gain per decision of the segment: {escape(unit)}; intervals of {found.level:.0%}",
        title_justify="left",
    )
    table.add_column("", no_wrap=True)
    table.add_column("segment", overflow="fold", min_width=16)
    for heading in ("rules", "respond", "best"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("gain", justify="right", no_wrap=True)
    shown = audience_shown(found, details=details)
    numbers = _coarse([row.gain for row in shown])
    option = None
    for row in shown:
        if (row.dimension, row.option) != option:
            option = (row.dimension, row.option)
            table.add_section()
            table.add_row("", f"[bold]{escape(row.dimension)} {escape(row.option)}[/bold]")
        table.add_row(
            _SIGNS[row.verdict],
            escape(row.segment),
            _percent(row.assumed),
            _share(row.share),
            _percent(row.should_get),
            _gain(row, numbers),
        )
    return table


def audience_notes(found: Audience, *, details: bool = False) -> list[str]:
    """Return the sentences below the table: what was looked at again in vain, what was searched, and what limits it."""
    shown = audience_shown(found, details=details)
    lines = [_legend(found)] if shown else []
    lines += [
        f"{_SIGNS[row.verdict]} {row.reason}." for row in found.rows if row.confirmed and row.verdict != "surprise"
    ]
    more = len(found.rows) - len(shown)
    if more > 0:
        rows = "1 other pair" if more == 1 else f"{count(more)} other pairs"
        lines.append(f"--details shows the {rows} of option and segment, which were not looked at again.")
    return [*lines, *_searched(found), *(f"{each.severity}: {each.sentence}." for each in found.findings)]


def _legend(found: Audience) -> str:
    """Return what the columns and signs mean."""
    return (
        "rules: the segment's share of those to whom today's rules give the option; respond: its share of the "
        f"{found.responders} when everybody is offered it; best: its share of those for whom a model prefers it; gain: "
        'what giving it to the segment as well would earn, "given" where the rules do so already; ! surprise, = as '
        "assumed, ? cannot tell."
    )


def _searched(found: Audience) -> list[str]:
    """Return what was searched and what could have been found."""
    search = found.search
    pairs = f" and {search.pairs} {'pair' if search.pairs == 1 else 'pairs'} of them" if search.pairs else ""
    customers = "" if found.customers is None else f" of {count(found.customers)} customers"
    again = f"on the {count(search.confirmed_on)} decisions of the other customers"
    if not search.confirmed:
        outcome = f"none looked promising enough to be looked at again {again}"
    else:
        was = "was" if search.confirmed == 1 else "were"
        outcome = f"{search.confirmed} looked promising and {was} looked at again {again}"
    searched = (
        f"Searched: {count(search.candidates)} pairs of one of {search.options} options and a segment, of "
        f"{_facts(len(search.facts))}{pairs}, on {count(search.searched_on)} of {count(found.n)} decisions{customers}; "
        f"{outcome}."
    )
    lines = [searched]
    fatal = any(each.severity == "fatal" for each in found.findings)
    if search.detectable and not found.surprises and not fatal:
        lines.append(
            f"A gain from about {search.detectable:,.2g} per decision, in a segment of half of the decisions, would "
            "have been found in four of five such logs; more decisions with a random offer would show smaller ones."
        )
    if search.constant:
        lines.append(f"Nearly all decisions have the same value of: {', '.join(search.constant)}.")
    if search.skipped:
        lines.append(f"Not searched, since they have too many values: {', '.join(search.skipped)}.")
    if search.pairs_left_out:
        lines.append(
            f"{count(search.pairs_left_out)} pairs of facts were not searched, since there are too many; choose facts "
            "with --by."
        )
    return lines


def _facts(number: int) -> str:
    return "1 fact" if number == 1 else f"{number} facts"


def _in_all(row: AudienceFinding) -> str:
    numbers = _coarse([row.total])
    return f"in all {numbers.number(row.total.value, signed=True)} ({numbers.interval(row.total, signed=True)})"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _share(share: Estimate) -> str:
    if not math.isfinite(share.value):
        return UNKNOWN_NUMBER
    return f"{share.value:.0%} ({share.low * 100:.0f}-{share.high * 100:.0f})"


def _gain(row: AudienceFinding, numbers: NumberFormat) -> str:
    """Return the interval of a gain, "given" where there is nothing to move."""
    gain = row.gain
    if gain.value == gain.low == gain.high == 0.0:
        return "given"
    return numbers.interval(gain, signed=True)


def _coarse(estimates: Sequence[Estimate]) -> NumberFormat:
    """Return a format with one significant figure of the smallest error."""
    return NumberFormat(max(NumberFormat.of(estimates).decimals - 1, 0))
