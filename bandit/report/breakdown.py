"""The breakdown of a log as tables and sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from bandit.evaluate.diagnostics.findings import share
from bandit.evaluate.diagnostics.target import MIN_EVENTS
from bandit.printable import counted
from bandit.report.numbers import UNKNOWN_NUMBER, NumberFormat, count
from bandit.report.times import iso_minute

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bandit.evaluate.breakdown import (
        CatalogueUse,
        DepthResponse,
        LearningCurve,
        LogBreakdown,
        OptionSegment,
        OptionSegments,
        OutcomeCalibration,
    )
    from bandit.ope import Estimate

_CANNOT_TELL = "cannot tell"

MOST_UNUSED = 8
"""Options that are not served are listed up to this number; the others are counted."""

MOST_CELL_REASONS = 6
"""Reasons of cells of which nothing can be told, the most frequent first."""


def whole_line(found: LogBreakdown, unit: str, *, binary: bool) -> str:
    """Return the log in one sentence: how many decisions, how many responded, what they earned."""
    whole = found.whole
    rate = f"{share(whole.response.value)} responded ({_percent_bounds(whole.response)})"
    if whole.events < MIN_EVENTS:
        rate = f"{count(whole.events)} responded"
    earned = "" if binary else f", and a decision earned {_bounds(whole.value)} in {unit}"
    decisions, customers = counted(whole.n, "settled decision"), counted(whole.customers, "customer")
    decisions += "" if whole.stands_for == whole.n else f" that stand for {whole.stands_for:,.0f}"
    return f"Of {decisions} of {customers} {rate}{earned}, as it happened."


def option_headline(found: OptionSegments) -> str:
    """Return in one sentence which options would earn more or less if all customers got them."""
    told = [cell for cell in found.cells if not cell.fact and cell.told and cell.difference is not None]
    if not told:
        return "Nothing can be told of what single options would earn; the reasons are below."
    better = sorted((cell for cell in told if cell.finding == "better"), key=lambda cell: -_value(cell))
    worse = sorted((cell for cell in told if cell.finding == "worse"), key=_value)
    if not better and not worse:
        return f"No option can be told apart from {found.baseline}: none of {len(told)} is clearly better or worse."
    parts = [
        f"{names} would have earned {word} than {found.baseline}"
        for names, word in ((_named(better), "more"), (_named(worse), "less"))
        if names
    ]
    return f"Given to everyone, {'; '.join(parts)}."


def shown_curves(found: LogBreakdown, *, all_asked: bool) -> dict[str, LearningCurve]:
    """Return the curves worth a table: unless `all_asked`, those that have more than the whole log in one row."""
    dated = {part: curve for part, curve in found.curves.items() if curve.period == "all" or curve.times_known}
    return {part: curve for part, curve in dated.items() if all_asked or len(curve.points) > 1}


def curve_table(curve: LearningCurve, part: str, unit: str) -> Table:
    """Return a table of one row a point: the period or the label, decisions, response, and what a decision earned."""
    table = _table(f"by {part}, as it happened: {unit}; intervals of {_level(curve.level)}")
    dated = curve.period != "all" and curve.times_known
    several = len({point.group for point in curve.points}) > 1 or not dated
    if dated:
        table.add_column("from")
    if several:
        table.add_column("policy" if part == "policy" else "group", overflow="fold")
    counted = ("decisions",) if dated and several else ("decisions", "customers")
    for heading in (*counted, "response", "per decision", "interval"):
        table.add_column(heading, justify="right", no_wrap=heading == "interval")
    numbers = _format(point.value for point in curve.points)
    before = None
    for point in curve.points:
        cells = [_date(point.start) if point.start != before else ""] if dated else []
        before = point.start
        if several:
            cells.append(escape(point.policy if part == "policy" else point.group))
        trusted = point.events >= MIN_EVENTS
        table.add_row(
            *cells,
            count(point.n),
            *([count(point.customers)] if "customers" in counted else []),
            share(point.response.value),
            numbers.number(point.value.value),
            numbers.interval(point.value) if trusted else _CANNOT_TELL,
        )
    return table


def option_tables(found: OptionSegments, unit: str) -> list[Table]:
    """Return a table of the options over everyone, and one for each fact, with a section for each segment."""
    facts = dict.fromkeys(cell.fact for cell in found.cells)
    return [_option_table([cell for cell in found.cells if cell.fact == fact], found, fact, unit) for fact in facts]


def depth_table(found: DepthResponse, unit: str) -> Table:
    """Return a table of one row a depth: the response and what a decision would earn if everyone got it."""
    table = _table(f"by depth, if all got it: {unit}; each interval of {_level(found.level)}")
    table.add_column("option", overflow="fold")
    for heading in ("depth", "given", "response", "interval", "value", "interval"):
        table.add_column(heading, justify="right", no_wrap=heading == "interval")
    numbers = _format(point.value for point in found.points if point.reason is None)
    for point in found.points:
        trusted = point.reason is None
        table.add_row(
            escape(f"{point.dimension} {point.option}"),
            f"{point.rate:.0%}",
            count(point.given),
            _percent(point.response.value) if trusted else "",
            _percent_bounds(point.response) if trusted else _CANNOT_TELL,
            numbers.number(point.value.value) if trusted else "",
            numbers.interval(point.value) if trusted else _CANNOT_TELL,
        )
    return table


def calibration_table(found: OutcomeCalibration) -> Table:
    """Return a table of one row a bin: the predicted share of conversions, and the observed one."""
    table = _table("P(convert), predicted for customers not learned from, and what happened")
    for heading in ("predicted", "observed", "interval", "decisions", "events"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found.bins:
        table.add_row(
            _percent(each.predicted),
            _percent(each.observed.value),
            _percent_bounds(each.observed) if each.events >= MIN_EVENTS else _CANNOT_TELL,
            count(each.n),
            count(each.events),
        )
    return table


def breakdown_lines(found: LogBreakdown) -> list[str]:
    """Return the sentences below the tables: how to read them, why something is not told, and what is not served."""
    lines = []
    if any(len({point.group for point in curve.points}) > 1 for curve in found.curves.values()):
        lines.append(
            "Groups compare where customers were assigned to them at random: `offer-bandit lift` compares them, with "
            "verdicts. Weeks and policies differ in more than what was served."
        )
    if any(not curve.times_known and curve.period != "all" for curve in found.curves.values()):
        lines.append("The log has no times of its decisions, so there is one period.")
    if found.options is not None:
        lines += _option_lines(found.options)
    if found.depth is not None:
        lines += _depth_lines(found.depth)
    if found.calibration is not None:
        lines += _calibration_lines(found.calibration)
    return [*lines, *_use_lines(found.use)]


def _option_table(cells: Sequence[OptionSegment], found: OptionSegments, fact: str, unit: str) -> Table:
    title = f"options by {fact}" if fact else "options"
    table = _table(f"{title}: {unit}; difference to {found.baseline}; {_level(found.level)} together")
    table.add_column("option", overflow="fold")
    for heading in ("given", "happened", "if all", "difference", ""):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=heading == "difference")
    numbers = _format(cell.difference for cell in cells if cell.difference is not None)
    segment = dimension = None
    for cell in cells:
        if fact and cell.segment != segment:
            table.add_section()
            table.add_row(f"[bold]{escape(f'{fact} = {cell.segment}')}[/bold]")
        elif cell.dimension != dimension:
            table.add_section()
        segment, dimension = cell.segment, cell.dimension
        told = cell.difference is not None and cell.told
        table.add_row(
            escape(f"{cell.dimension} {cell.option}"),
            count(cell.given),
            numbers.number(cell.happened.value) if cell.given else "",
            numbers.number(cell.value.value) if told else "",
            numbers.interval(cell.difference, signed=True) if told and cell.difference is not None else "",
            cell.finding,
        )
    return table


def _option_lines(found: OptionSegments) -> list[str]:
    lines = [
        "happened: what those who got the option earned, which depends on whom it was given to. If all: what all would "
        "earn with it" + _others(found) + "."
    ]
    if found.chance < found.n:
        lines.append(
            f"{count(found.n - found.chance)} of {count(found.n)} decisions were not left to chance, or their "
            "propensity is not known: they say nothing about other options."
        )
    reasons: dict[str, list[str]] = {}
    for cell in found.cells:
        if not cell.told:
            reasons.setdefault(cell.reason, []).append(_name(cell))
    ordered = sorted(reasons.items(), key=lambda pair: -len(pair[1]))
    for reason, names in ordered[:MOST_CELL_REASONS]:
        rest = f" and {len(names) - 2} more" if len(names) > 2 else ""
        lines.append(f"{', '.join(names[:2])}{rest}: cannot tell: {reason}.")
    if len(ordered) > MOST_CELL_REASONS:
        left = sum(len(names) for _, names in ordered[MOST_CELL_REASONS:])
        lines.append(f"Of {count(left)} more options nothing can be told; --json says why.")
    return lines


def _others(found: OptionSegments) -> str:
    dimensions = {cell.dimension for cell in found.cells}
    return ", the other dimensions dealt evenly" if len(dimensions) > 1 else ""


def _depth_lines(found: DepthResponse) -> list[str]:
    if not found.points:
        return ["No dimension has options that differ in rate, so there is no depth to show."]
    lines = [
        f"{point.dimension} {point.option}: cannot tell: {point.reason}." for point in found.points if point.reason
    ]
    if len({round(point.allowed, 3) for point in found.points}) > 1:
        allowed = ", ".join(f"{point.option} in {share(point.allowed)}" for point in found.points)
        lines.append(f"Rules allow the depths to different customers ({allowed} of the decisions): compare with care.")
    return lines


def _calibration_lines(found: OutcomeCalibration) -> list[str]:
    lines = [found.note + "."] if found.note else []
    if found.slope is None:
        return lines
    slope = found.slope
    words = "calibrated as far as can be told"
    if slope.high < 1.0:
        words = "too extreme: high ones come true less often, low ones more often"
    elif slope.low > 1.0:
        words = "too close together"
    return [*lines, f"The slope of the calibration is {_bounds(slope)} (1 is right): predictions are {words}."]


def _use_lines(use: CatalogueUse) -> list[str]:
    lines = []
    if use.offers_never or use.offers_rarely:
        eligible = f" ({count(use.offers_never_eligible)} of them never eligible)" if use.offers_never_eligible else ""
        lines.append(
            f"Of {count(use.n_offers)} offers {count(use.offers_never)} were never served{eligible} and "
            f"{count(use.offers_rarely)} hardly ever (below a tenth of an even share)."
        )
    unused = [option for option in use.options if option.finding != "served"]
    lines += [f"{each.dimension} {each.option}: {each.finding}: {each.reason}." for each in unused[:MOST_UNUSED]]
    if len(unused) > MOST_UNUSED:
        lines.append(f"and {len(unused) - MOST_UNUSED} more options that are hardly ever or never served.")
    return lines


def _value(cell: OptionSegment) -> float:
    return 0.0 if cell.difference is None else cell.difference.value


def _named(cells: Sequence[OptionSegment]) -> str:
    """Return the first three cells by name, and how many more there are."""
    rest = f" and {len(cells) - 3} more" if len(cells) > 3 else ""
    names = [_name(cell) for cell in cells[:3]]
    if not rest and len(names) > 1:
        names[-2:] = [f"{names[-2]} and {names[-1]}"]
    return ", ".join(names) + rest


def _name(cell: OptionSegment) -> str:
    where = f" ({cell.fact} = {cell.segment})" if cell.fact else ""
    return f"{cell.dimension} {cell.option}{where}"


def _table(title: str) -> Table:
    return Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _format(estimates: Iterable[Estimate]) -> NumberFormat:
    """Return a format with one significant figure of the smallest error, so that tables fit."""
    return NumberFormat(max(NumberFormat.of(estimates).decimals - 1, 0))


def _bounds(estimate: Estimate) -> str:
    numbers = _format([estimate])
    return f"{numbers.number(estimate.value)} ({numbers.interval(estimate)})"


def _percent(value: float) -> str:
    return f"{value:.{1 if value > 0.05 else 2}%}" if math.isfinite(value) else UNKNOWN_NUMBER


def _percent_bounds(estimate: Estimate) -> str:
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return UNKNOWN_NUMBER
    digits = 1 if estimate.value > 0.05 else 2
    return f"{estimate.low:.{digits}%} to {estimate.high:.{digits}%}"


def _date(time: int | None) -> str:
    return iso_minute(time).split(" ", maxsplit=1)[0]


def _level(level: float) -> str:
    return f"{level:.4g}" if level > 0.995 else f"{level:.0%}"
