"""The summaries of campaigns as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.validation.lift_campaigns.results import WaySummary, WilsonShare


def verdict_table(rows: Sequence[WaySummary]) -> Table:
    """Return coverage and false verdicts, each share in percent with the 95 % interval of Wilson."""
    shown = _table("95 % intervals and verdicts at one look, and at all daily looks together")
    for heading in ("covers", "covers own", "false better", "false worse", "false, daily", "covers daily"):
        shown.add_column(heading, justify="right")
    for row in rows:
        shares = (row.covered, row.own_covered, row.false_better, row.false_worse, row.daily_false, row.always_covered)
        shown.add_row(row.setting, row.way, str(row.n), *map(percent, shares))
    return shown


def error_table(rows: Sequence[WaySummary]) -> Table:
    """Return errors in the unit of the reward, variance relative to means, and how soon the lift is found."""
    shown = _table("errors, and customers until a right verdict (median over all campaigns)")
    for heading in ("true lift", "bias", "deviation", "stated", "variance", "found once", "found daily", "customers"):
        shown.add_column(heading, justify="right")
    for row in rows:
        real = bool(row.truth)
        shown.add_row(
            row.setting,
            row.way,
            str(row.n),
            f"{row.truth:.3f}",
            f"{row.bias:+.3f} ± {row.bias_error:.3f}",
            f"{row.spread:.3f}",
            f"{row.stated:.3f}",
            f"{row.variance:.2f}",
            percent(row.found_once) if real else "",
            percent(row.found_daily) if real else "",
            "" if not real else "more than seen" if row.customers is None else f"{row.customers:,.0f}",
        )
    return shown


def percent(share: WilsonShare) -> str:
    """Return a share in percent with its interval.

    >>> from simulator.validation.lift_campaigns.results import WilsonShare
    >>> percent(WilsonShare(190, 200))
    '95.0 (91.0-97.3)'
    """
    low, high = share.bounds
    return f"{share.value:.1%} ({low:.1%}-{high:.1%})".replace("%", "")


def _table(title: str) -> Table:
    shown = Table(title=title, title_justify="left")
    shown.add_column("campaigns")
    shown.add_column("way")
    shown.add_column("n", justify="right")
    return shown
