"""What was learned from a log, which half-life it asks for, and what exploration has cost: tables and sentences."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.analysis.half_life import NEVER
from bandit.domain import MICROSECONDS
from bandit.report.numbers import UNKNOWN_NUMBER, NumberFormat, count

if TYPE_CHECKING:
    from bandit.analysis.exploration_cost import Exploration, Period
    from bandit.analysis.half_life import HalfLives
    from bandit.analysis.warm_start import WarmStart
    from bandit.catalogue import Catalogue

CAUTION = (
    "This is an estimate under what the policy believes now, not a measurement. The best of offers that are nearly "
    "equal looks better than it is, which makes the cost look larger; a better offer that is not recognised as such "
    "yet makes it look smaller. What was not learned yet does not count: run offer-bandit learn first."
)
"""What must stand beside the cost of exploration."""

_DAY = 86_400 * MICROSECONDS
_FIGURES = 3


def warm_start_json(start: WarmStart, catalogue: Catalogue, top: int) -> dict[str, object]:
    """Return plain JSON values, with the `top` offers that win most often."""
    return {
        "n": start.n,
        "conversions": start.conversions,
        "n_favourites": len(start.favourites),
        "favourites": [
            {
                "offer": catalogue.offer(each.offer),
                "decisions": each.n,
                "share": each.n / start.n,
                "predicted_value": each.predicted,
            }
            for each in start.favourites[:top]
        ],
    }


def warm_start_tables(start: WarmStart, catalogue: Catalogue, unit: str, top: int) -> list[Table]:
    """Return what was learned, and the `top` offers that are believed to be the best most often."""
    learned = Table(title="learned from the log", title_justify="left", show_header=False)
    learned.add_column()
    learned.add_column(justify="right")
    learned.add_row("decisions", count(start.n))
    learned.add_row("of these converted", f"{count(start.conversions)} ({start.conversions / start.n:.2%})")
    best = Table(
        title=f"believed to be the best: {count(len(start.favourites))} of {count(catalogue.n_offers)} offers",
        title_justify="left",
    )
    best.add_column("offer", overflow="fold")
    best.add_column("best for", justify="right")
    best.add_column(f"predicted there: {escape(unit)}", justify="right")
    for each in start.favourites[:top]:
        best.add_row(escape(catalogue.label(each.offer)), f"{each.n / start.n:.1%}", f"{each.predicted:,.4g}")
    return [learned, best] if top else [learned]


def half_life_table(found: HalfLives) -> Table:
    """Return one row a candidate: its loss, and that beside the loss of forgetting nothing."""
    table = Table(
        title=f"{found.score} a decision, each predicted before it was learned; less is better", title_justify="left"
    )
    table.add_column("half-life")
    for heading in ("mean loss", f"minus {NEVER}", f"paired interval, {found.level:.0%} for all together"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("so it is")
    scale = NumberFormat.of([row.difference for row in found.rows if row.difference is not None])
    for row in found.rows:
        cells = ["", ""]
        if row.difference is not None:
            cells = [
                scale.number(row.difference.value, signed=True),
                scale.interval(row.difference, signed=True),
            ]
        chosen = " (chosen)" if row.half_life == found.choice else ""
        standing = row.standing if found.warning is None else "cannot tell"
        table.add_row(escape(row.half_life), scale.number(row.loss.value), *cells, f"{standing}{chosen}")
    return table


def half_life_lines(found: HalfLives) -> list[str]:
    """Return what was compared on what, and what to do with it."""
    of = "" if found.customers is None else f" of {count(found.customers)} customers"
    days = (found.last_time - found.first_time) / _DAY
    lines = [f"Compared on {count(found.n)} decisions{of} over {days:,.1f} days, {count(found.block)} at a time."]
    if found.even:
        effective = found.rows[0].loss.effective_sample_size
        lines.append(
            f"Weighted as if every offer had been made equally often: they count as {effective:,.0f} decisions."
        )
    else:
        lines.append("Counted as they were logged: offers that were made often count most.")
    if found.warning is not None:
        lines.append(f"{found.warning[0].upper()}{found.warning[1:]}; forget nothing for now.")
    elif found.half_life is None:
        lines.append("No half-life is better than never beyond doubt: forget nothing, which is the default.")
    else:
        lines.append(
            f'Forget with a half-life of {found.choice}: ThompsonSampling(catalogue, half_life="{found.choice}"), or '
            f"offer-bandit fit --half-life {found.choice}."
        )
    return lines


def exploration_table(found: Exploration, unit: str) -> Table:
    """Return one row a stretch of the log, and the sum."""
    table = Table(title=f"what exploration has cost, as is believed now: {escape(unit)}", title_justify="left")
    table.add_column(found.by, justify="right")
    table.add_column("from")
    for heading in ("decisions", "cost", "a decision", "of it the floor", "got the best offer"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, period in enumerate(found.periods, start=1):
        table.add_row(str(number), _day(period.start), *_cells(period))
    table.add_section()
    table.add_row("all", _day(found.total.start), *_cells(found.total))
    return table


def exploration_lines(found: Exploration) -> list[str]:
    """Return the sum in a sentence, and how far it is to be trusted."""
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
    """Return a number with at least three figures, and no fraction where it is large."""
    if not math.isfinite(value):
        return UNKNOWN_NUMBER
    size = abs(value)
    if 0.0 < size < 1.0:
        return f"{value:,.{min(_FIGURES - 1 - math.floor(math.log10(size)), 6)}f}"
    decimals = 0 if size >= 1_000 else 2
    return f"{value:,.{decimals}f}"


def _day(time: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).date().isoformat()
