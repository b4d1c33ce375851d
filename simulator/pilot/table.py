"""The table of a pilot, for the terminal and as Markdown."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from simulator.pilot.results import Results, Row

HEADINGS = (
    "policy",
    "from the log",
    "95 % interval",
    "more than the rules",
    "95 % interval",
    "the truth",
    "covered",
    "share",
    "live",
)


def table(found: Results) -> Table:
    """Return one row a policy."""
    shown = Table(title=escape(title(found)), title_justify="left", caption_justify="left", pad_edge=False)
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading == "policy" else "right", overflow="fold")
    for row in found.rows:
        shown.add_row(*map(escape, cells(row)))
    return shown


def markdown(found: Results, lines: tuple[str, ...] = ()) -> str:
    """Return the table, its legend, the reading and more lines as Markdown."""
    bars = [
        f"| {' | '.join(HEADINGS)} |",
        "|" + "|".join([" --- ", *[" ---: "] * (len(HEADINGS) - 1)]) + "|",
        *(f"| {' | '.join(cells(row))} |" for row in found.rows),
    ]
    parts = [f"# {title(found)}", "\n".join(bars), *legend(found), *found.reading(), *lines]
    return "\n\n".join(parts) + "\n"


def title(found: Results) -> str:
    """Return what the table is about."""
    return f"Profit a decision in {found.currency}, {found.offers} offers"


def legend(found: Results) -> tuple[str, ...]:
    """Return a sentence for each thing that the headings do not say."""
    plan = found.plan
    return (
        f"from the log: estimated (dr) from {found.judged:,} decisions of {found.judged_customers:,} customers under "
        f"today's rules with 10 % exploration; the policies learned from the other customers, and are frozen.",
        f"the truth: what the same frozen policies are worth, exactly known to the simulator, over fresh customers of "
        f"the same market and season ({plan.truth:,} visits); this is what the interval should cover.",
        f"share: the truth on the way from offers picked evenly at random ({found.uniform:,.2f} {found.currency}) = "
        "0 % to the best that the observed facts allow = 100 %; the clairvoyant also sees hidden tastes.",
        f"live: the expected profit of the offers made at the next {plan.live:,} visits, after learning from the whole "
        "log and while learning on.",
    )


def cells(row: Row) -> tuple[str, ...]:
    """Return the texts of a row."""
    told = row.warning is None
    estimate, difference = row.estimate, row.difference
    if difference is None:
        more = ("", "the baseline")
    else:
        more = (f"{difference.value:+,.2f}", f"{difference.low:+,.2f} to {difference.high:+,.2f}")
    return (
        row.name,
        f"{estimate.value:,.2f}" if told else "cannot tell",
        f"{estimate.low:,.2f} to {estimate.high:,.2f}" if told else "",
        *(more if told else ("cannot tell", "")),
        f"{row.truth.value:,.2f}",
        ("yes" if row.covered else "no") if told else "",
        f"{row.share:.0%}",
        f"{row.live:,.2f}",
    )
