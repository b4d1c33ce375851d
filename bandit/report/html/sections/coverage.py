"""How the catalogue is used: options and offers that are never or hardly ever served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.charts.use import UseRow, use_chart
from bandit.report.html.numbers import percent
from bandit.report.html.section import ReportSection, TableCell, missing, sentence, table
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.evaluate.breakdown import CatalogueUse
    from bandit.report.html.contents import ReportContents

_KEY, _TITLE = "coverage", "Which offers are hardly ever served?"

MOST_USE_ROWS = 40
"""Most options of the chart; the table has all."""


def coverage_section(contents: ReportContents) -> ReportSection:
    """Return the section on the use of the catalogue."""
    found = contents.use.value
    if found is None:
        return missing(_KEY, _TITLE, contents.use.reason)
    rows, dimension = [], None
    for each in found.options[:MOST_USE_ROWS]:
        words = percent(each.share) if each.finding == "served" else each.finding
        rows.append(UseRow(f"{each.dimension} {each.option}", each.share, words, each.dimension != dimension))
        dimension = each.dimension
    cells: list[list[str | TableCell]] = [
        [
            f"{each.dimension} {each.option}", count(each.n), percent(each.share), percent(each.eligible),
            TableCell(each.finding, "plain" if each.finding == "served" else "doubt"), each.reason,
        ]
        for each in found.options
    ]  # fmt: skip
    columns = {
        "option": False, "decisions": True, "share": True, "eligible in": True, "finding": False, "why": False,
    }  # fmt: skip
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=_finding(found),
        charts=(use_chart("coverage-chart", "Share of the decisions that an option was served in", rows),),
        tables=(table("Use of every option", columns, cells),),
        notes=(
            "Hardly ever served: below a tenth of an even share of the decisions that allow it.",
            "What is never served cannot be judged, by no method.",
        ),
    )


def _finding(found: CatalogueUse) -> str:
    rare = [each for each in found.options if each.finding != "served"]
    named = ", ".join(f"{each.dimension} {each.option} ({each.finding})" for each in rare[:3])
    first = (
        f"of {len(found.options)} options {len(rare)} are never or hardly ever served: {named}"
        if rare
        else f"all {len(found.options)} options are served"
    )
    if not found.offers_never and not found.offers_rarely:
        return f"{sentence(first)} So are all {count(found.n_offers)} offers."
    parts = [(found.offers_never, "never"), (found.offers_rarely, "hardly ever")]
    said = " and ".join(f"{count(n)} {how}" for n, how in parts if n).replace(" ", " were ", 1)
    offers = f"of {count(found.n_offers)} offers {said} served"
    return f"{sentence(first)} {sentence(offers)}"
