"""What exploring has cost: the decisions that did not get the offer the policy holds for best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.charts.bars import bars_chart
from bandit.report.html.numbers import RewardWords, percent
from bandit.report.html.section import ReportSection, missing, sentence, table
from bandit.report.learning import exploration_lines
from bandit.report.numbers import NumberFormat, count
from bandit.report.times import iso_minute

if TYPE_CHECKING:
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import TableCell

_KEY, _TITLE = "exploration", "What has exploring cost?"
_PLACES = NumberFormat(3)
_DAY = 10
"""Characters of a date."""


def exploration_section(contents: ReportContents) -> ReportSection:
    """Return the section on the cost of exploration."""
    found = contents.exploring.value
    if found is None:
        return missing(_KEY, _TITLE, contents.exploring.reason)
    unit, cost = RewardWords.of(contents.source.catalogue), found.cost
    periods = [each for each in cost.periods if each.n]
    days = [iso_minute(each.start)[:_DAY] for each in periods]
    share = percent(cost.total.cost / cost.total.best) if cost.total.best > 0.0 else ""
    of_best = f", {share} of what the best offers would have brought" if share else ""
    early, late = periods[0].per_decision, periods[-1].per_decision
    trend = "it falls as the policy learns" if late < 0.9 * early else "it has not fallen much yet"
    rows: list[list[str | TableCell]] = [
        [day, count(each.n), f"{each.cost:,.0f}", _PLACES.number(each.per_decision), f"{each.floor_cost:,.0f}",
         percent(each.chose_best / each.n)]
        for day, each in zip(days, periods, strict=True)
    ]  # fmt: skip
    columns = {
        "from": False, "decisions": True, "cost": True, "per decision": True, "due to the floor": True,
        "got the best offer": True,
    }  # fmt: skip
    name = f"policy {found.policy_id} ({found.name})"
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=sentence(
            f"trying other offers than the best known has cost an estimated {cost.total.cost:,.0f} {unit.amount} so "
            f"far{of_best}; {trend}"
        ),
        charts=(
            bars_chart(
                "exploration-chart",
                "Cost of exploration over time",
                days,
                [each.per_decision for each in periods],
                f"{unit.amount} per decision, by tenth of the log",
            ),
        ),
        tables=(table(f"Estimated cost of exploration of {name}, {unit.amount}", columns, rows),),
        notes=tuple(exploration_lines(cost)[1:]),
    )  # fmt: skip
