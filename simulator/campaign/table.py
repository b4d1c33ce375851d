"""The results of a pilot as a table, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from simulator.campaign.results import CampaignRow, Results

TABLE_HEADINGS = (
    "policy",
    "from the log",
    "95 % interval",
    "to the rules",
    "95 % interval",
    "truth",
    "covered",
    "share",
    "live",
)


def table(found: Results) -> Table:
    """Return a table with one row for each policy and each interval below its estimate: fits 80 columns."""
    shown = Table(title=escape(title(found)), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in (*TABLE_HEADINGS[:2], TABLE_HEADINGS[3], *TABLE_HEADINGS[5:]):
        shown.add_column(heading, justify="left" if heading == "policy" else "right", overflow="fold")
    for row in found.rows:
        name, value, interval, more, more_interval, *rest = map(escape, cells(row))
        shown.add_row(name, f"{value}\n[dim]{interval}[/]", f"{more}\n[dim]{more_interval}[/]".lstrip("\n"), *rest)
    return shown


def markdown(found: Results, commands: Sequence[str] = ()) -> str:
    """Return the table, its legend, the two sentences and commands to try as Markdown."""
    bars = [
        f"| {' | '.join(TABLE_HEADINGS)} |",
        "|" + "|".join([" --- ", *[" ---: "] * (len(TABLE_HEADINGS) - 1)]) + "|",
        *(f"| {' | '.join(cells(row))} |" for row in found.rows),
    ]
    listed = "\n".join(f"- {line}" for line in legend(found))
    parts = [f"# {title(found)}", "\n".join(bars), listed, " ".join(found.reading())]
    if commands:
        parts.append("\n".join(["Try next:", "", *(f"    {command}" for command in commands)]))
    return "\n\n".join(parts) + "\n"


def title(found: Results) -> str:
    """Return the title of the table."""
    return f"Profit a decision in {found.currency}, {found.offers} offers; intervals of 95 %"


def legend(found: Results) -> tuple[str, ...]:
    """Return a sentence for each heading that needs an explanation."""
    plan = found.plan
    log = (
        f"from the log: estimated (dr) from {found.judged:,} decisions of {found.judged_customers:,} customers under "
        f"today's rules with {plan.exploration:.0%} exploration; the policies learned from the other customers and "
        "learn nothing here. to the rules: the paired difference."
    )
    truth = (
        "truth: the true value of the same policies over new customers of the same market who come as often and in "
        f"the same season ({plan.truth:,} visits); the interval should cover it."
    )
    share = (
        f"share: where the truth lies between offers picked evenly at random ({found.uniform:,.2f} {found.currency}), "
        "0 %, and the best that observed facts allow, 100 %; the clairvoyant also sees hidden tastes."
    )
    live = (
        f"live: the expected profit of the offers made at the next {plan.live:,} visits, by policies that have learned "
        "the whole log and go on learning."
    )
    return log, truth, share, live


def cells(row: CampaignRow) -> tuple[str, ...]:
    """Return the cells of a row as text."""
    answered = row.warning is None
    estimate, difference = row.estimate, row.difference
    if difference is None:
        more = ("", "the baseline")
    else:
        more = (f"{difference.value:+,.2f}", f"{difference.low:+,.2f} to {difference.high:+,.2f}")
    return (
        row.name,
        f"{estimate.value:,.2f}" if answered else "cannot tell",
        f"{estimate.low:,.2f} to {estimate.high:,.2f}" if answered else "",
        *(more if answered else ("cannot tell", "")),
        f"{row.truth.value:,.2f}",
        ("yes" if row.covered else "no") if answered else "",
        f"{row.share:.0%}",
        f"{row.live:,.2f}",
    )
