"""Audience surprises: whom the rules assume for each option, and who truly responds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.evaluate import LOGGED
from bandit.report.html.charts.shares import ShareRow, shares_chart
from bandit.report.html.numbers import RewardWords, bounds, middle, percent
from bandit.report.html.section import ReportSection, TableCell, missing, sentence, table
from bandit.report.numbers import UNKNOWN_NUMBER, count

if TYPE_CHECKING:
    from bandit.evaluate.audience import Audience, AudienceFinding
    from bandit.report.html.charts.canvas import ReportChart
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import ReportTable, Tone

_KEY, _TITLE = "audience", "Who truly responds to each option?"

MOST_SHARE_ROWS = 8
"""Most rows of the chart; the table has all."""

_TONES: dict[str, Tone] = {"surprise": "good", "as assumed": "open", "cannot tell": "unknown"}


def audience_section(contents: ReportContents) -> ReportSection:
    """Return the section on audience surprises."""
    found = contents.audience.value
    if found is None:
        return missing(_KEY, _TITLE, contents.audience.reason)
    unit = RewardWords.of(contents.source.catalogue)
    told = [row for row in found.rows if row.confirmed and row.verdict != "cannot tell"]
    rows = list(found.surprises) or told
    charts = (_chart(found, rows[:MOST_SHARE_ROWS]),) if rows else ()
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=surprise_words(found, unit),
        charts=charts,
        tables=(_table(found, unit),) if found.rows else (),
        notes=_notes(found, unit),
    )


def _who(found: Audience) -> str:
    return "the log's policy" if found.baseline == LOGGED else "the rules"


def surprise_words(found: Audience, unit: RewardWords) -> str:
    """Return the largest surprise in words, or that there is none."""
    if not found.surprises:
        return (
            f"No surprise was found: for no option is it sure that other customers respond than {_who(found)} assumed, "
            "and that moving it would earn more."
        )
    best = found.surprises[0]
    more = len(found.surprises) - 1
    others = f" There {'is' if more == 1 else 'are'} {more} more like it." if more else ""
    option = f"{best.dimension} {best.option}"
    assumed = f"{_who(found)} gave {option} to nobody"
    if best.assumed is not None:
        assumed = f"of those to whom {_who(found)} gave {option}, {percent(best.assumed)} are {best.segment}"
    truth = f"{percent(best.share.value)} are{f' {best.segment}' if best.assumed is None else ''}"
    gain = f"{middle(best.gain, signed=True)} {unit.amount} per decision of theirs ({bounds(best.gain, signed=True)})"
    return (
        f"{sentence(f'{assumed}; of its {found.responders} in truth {truth}')} Giving it to all of them would earn "
        f"{gain}.{others}"
    )


def _chart(found: Audience, rows: list[AudienceFinding]) -> ReportChart:
    shown = [
        ShareRow(
            f"{row.dimension} {row.option}", row.segment, row.assumed, row.share.value, row.share.low, row.share.high,
            row.verdict == "surprise", row.verdict != "cannot tell",
        )
        for row in rows
    ]  # fmt: skip
    title = f"Whom {_who(found)} assumed, and who responds"
    return shares_chart("audience-chart", title, shown, _who(found), found.responders)


def _table(found: Audience, unit: RewardWords) -> ReportTable:
    columns = {
        "option": False, "segment": False, "of all": True, f"{_who(found)} assumed": True,
        f"of its {found.responders}": True,
        "interval": True, f"gain, {unit.amount} per decision": True, "interval of the gain": True,
        "in total": True, "verdict": False,
    }  # fmt: skip
    rows: list[list[str | TableCell]] = [
        [
            f"{row.dimension} {row.option}", row.segment, percent(row.population),
            UNKNOWN_NUMBER if row.assumed is None else percent(row.assumed), percent(row.share.value),
            f"{percent(row.share.low)} to {percent(row.share.high)}", middle(row.gain, signed=True),
            bounds(row.gain, signed=True), middle(row.total, signed=True),
            TableCell(row.verdict, _TONES[row.verdict]),
        ]
        for row in found.rows
    ]  # fmt: skip
    return table("Every option and segment that was looked at", columns, rows)


def _notes(found: Audience, unit: RewardWords) -> tuple[str, ...]:
    search = found.search
    notes = [
        (
            f"The search is honest: {count(search.candidates)} pairs of an option and a segment were compared on "
            f"{count(search.searched_on)} decisions, and the {search.confirmed} most promising looked at again on the "
            f"{count(search.confirmed_on)} decisions of other customers. Their intervals hold together, with "
            f"{percent(found.level)} confidence."
        ),
        (
            f"A share is that of all {found.responders} when everybody is offered the option, also of those who buy "
            "anyway; money follows the gain, which is against what {_who(found)} gave the same customers."
        ),
    ]
    if search.detectable is not None:
        notes.append(
            f"In half of the customers a gain of {search.detectable:,.3g} {unit.amount} per decision would be found in "
            "four of five such logs; smaller ones mostly not."
        )
    if search.skipped:
        notes.append(f"Not looked at, since they have too many values: {', '.join(search.skipped)}.")
    if search.constant:
        notes.append(f"Not looked at, since every customer has the same value: {', '.join(search.constant)}.")
    reasons = dict.fromkeys(row.reason for row in found.rows if row.verdict == "cannot tell" and row.confirmed)
    notes += [sentence(f"cannot tell: {reason.removeprefix('cannot tell: ')}") for reason in list(reasons)[:6]]
    return (*notes, *(sentence(f"{each.severity}: {each.sentence}") for each in found.findings))
