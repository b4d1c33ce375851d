"""Reports of a warm start, a half-life comparison and the cost of exploration, as tables and sentences."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.analysis.half_life import NO_FORGETTING
from bandit.domain import MICROSECONDS
from bandit.report.numbers import UNKNOWN_NUMBER, NumberFormat, count, counted
from bandit.tabular import RowTable

if TYPE_CHECKING:
    from bandit.analysis.exploration_cost import ExplorationCost, Period
    from bandit.analysis.half_life import HalfLifeComparison
    from bandit.analysis.warm_start import WarmStart
    from bandit.catalogue import Catalogue
    from bandit.tabular import Cell

CAUTION = (
    "This is an estimate under the policy's current model, not a measurement. Where offers are nearly equal the best "
    "one is overestimated, which makes the cost too large; a better offer that the model does not recognise yet makes "
    "it too small. Outcomes that were not learned yet are not included: run offer-bandit learn first."
)
"""The caveat that is printed with the cost of exploration."""

_DAY = 86_400 * MICROSECONDS
_FIGURES = 3


def warm_start_json(start: WarmStart, catalogue: Catalogue, top: int) -> dict[str, object]:
    """Return plain JSON values, with the `top` offers that are predicted best most often."""
    return {
        "n": start.n,
        "conversions": start.conversions,
        "n_favourites": len(start.best_offers),
        "favourites": [
            {
                "offer": catalogue.offer(each.offer),
                "decisions": each.n,
                "share": each.n / start.n,
                "predicted_value": each.predicted,
            }
            for each in start.best_offers[:top]
        ],
    }


def warm_start_rows(start: WarmStart, catalogue: Catalogue, top: int) -> RowTable:
    """Return one row for each of the `top` offers that are predicted best most often."""
    rows: list[dict[str, Cell]] = [
        {
            **catalogue.offer(each.offer),
            "decisions": each.n,
            "share": each.n / start.n,
            "predicted_value": each.predicted,
        }
        for each in start.best_offers[:top]
    ]
    return RowTable(tuple(rows))


def warm_start_tables(start: WarmStart, catalogue: Catalogue, unit: str, top: int) -> list[Table]:
    """Return the table of the fit, and that of the `top` offers that are predicted best most often."""
    learned = Table(title="learned from the log", title_justify="left", show_header=False)
    learned.add_column()
    learned.add_column(justify="right")
    learned.add_row("decisions", count(start.n))
    learned.add_row("of these converted", f"{count(start.conversions)} ({start.conversions / start.n:.2%})")
    best = Table(
        title=f"predicted best: {count(len(start.best_offers))} of {counted(catalogue.n_offers, 'offer')}",
        title_justify="left",
    )
    best.add_column("offer", overflow="fold")
    best.add_column("share of decisions", justify="right")
    best.add_column(f"mean prediction: {escape(unit)}", justify="right")
    for each in start.best_offers[:top]:
        best.add_row(escape(catalogue.label(each.offer)), f"{each.n / start.n:.1%}", f"{each.predicted:,.4g}")
    return [learned, best] if top else [learned]


def half_life_table(found: HalfLifeComparison) -> Table:
    """Return one row per candidate: its loss, and the difference to the loss without forgetting."""
    table = Table(
        title=f"{found.score} per decision, predicted before it was learned; lower is better", title_justify="left"
    )
    table.add_column("half-life")
    for heading in ("mean loss", f"minus {NO_FORGETTING}", f"paired interval, {found.level:.0%} jointly"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    scale = NumberFormat.of([row.difference for row in found.candidates if row.difference is not None])
    for row in found.candidates:
        cells = ["", ""]
        if row.difference is not None:
            cells = [
                scale.number(row.difference.value, signed=True),
                scale.interval(row.difference, signed=True),
            ]
        chosen = " (chosen)" if row.half_life == found.choice else ""
        verdict = row.verdict if found.warning is None else "cannot tell"
        table.add_row(escape(row.half_life), scale.number(row.loss.value), *cells, f"{verdict}{chosen}")
    return table


def half_life_lines(found: HalfLifeComparison) -> list[str]:
    """Return the data of the comparison, in sentences."""
    of = "" if found.customers is None else f" of {counted(found.customers, 'customer')}"
    days = (found.last_time - found.first_time) / _DAY
    lines = [f"Compared on {counted(found.n, 'decision')}{of} over {days:,.1f} days, {count(found.block)} at a time."]
    if found.even:
        effective = found.candidates[0].loss.effective_sample_size
        number = counted(round(effective), "decision")
        lines.append(f"Weighted as if every offer had been made equally often: they count as {number}.")
    else:
        lines.append("Averaged as logged: offers that were made often count most.")
    return lines


def half_life_verdict(found: HalfLifeComparison) -> str:
    """Return the recommendation in a sentence that begins with its sign."""
    if found.warning is not None:
        reason = found.warning.removeprefix("cannot tell: ")
        return f"? half-life: cannot tell - {reason}; do not forget for now."
    if found.half_life is None:
        return (
            "= half-life: never - no half-life is significantly better than never: do not forget, which is the default."
        )
    return (
        f"+ half-life: {found.choice} - forget with it: `offer-bandit fit --half-life {found.choice}`, or "
        f'ThompsonSampling(catalogue, half_life="{found.choice}").'
    )


def exploration_table(found: ExplorationCost, unit: str) -> Table:
    """Return one row per period of the log, and the total."""
    table = Table(title=f"estimated cost of exploration: {escape(unit)}", title_justify="left")
    table.add_column(found.by, justify="right")
    table.add_column("from")
    for heading in ("decisions", "cost", "per decision", "due to the floor", "got the best offer"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, period in enumerate(found.periods, start=1):
        table.add_row(str(number), _day(period.start), *_cells(period))
    table.add_section()
    table.add_row("all", _day(found.total.start), *_cells(found.total))
    return table


def exploration_lines(found: ExplorationCost) -> list[str]:
    """Return the total in a sentence, and the caveat."""
    total = found.total
    share = f", {total.cost / total.best:.1%} of what the best offers would have brought" if total.best > 0 else ""
    return [
        f"So far {_number(total.cost)}{share}; the floor alone accounts for {_number(total.floor_cost)}.",
        CAUTION,
    ]


def _cells(period: Period) -> list[str]:
    return [
        count(period.n),
        _number(period.cost),
        _number(period.per_decision),
        _number(period.floor_cost),
        f"{period.chose_best / period.n:.1%}",
    ]


def _number(value: float) -> str:
    """Return a number with at least three significant figures, and no decimals from 1,000."""
    if not math.isfinite(value):
        return UNKNOWN_NUMBER
    size = abs(value)
    if 0.0 < size < 1.0:
        return f"{value:,.{min(_FIGURES - 1 - math.floor(math.log10(size)), 6)}f}"
    decimals = 0 if size >= 1_000 else 2
    return f"{value:,.{decimals}f}"


def _day(time: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).date().isoformat()
