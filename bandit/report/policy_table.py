"""A policy table for people: its rows as a table, and what it keeps of the policy's value in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.printable import counted
from bandit.report.numbers import NumberFormat

if TYPE_CHECKING:
    from bandit.analysis.policy_table import DistilledTable
    from bandit.evaluate.stand_in import StandInValue

MOST_SHOWN_OFFERS = 5
"""Offers of a row that are shown; the file has them all."""


def policy_table_table(made: DistilledTable) -> Table:
    """Return the rows of a policy table: who, how many, and the most probable offers."""
    table = Table(title=f"table {made.table.document.id}")
    for name, side in (("row", "right"), ("who", "left"), ("share", "right"), ("offers", "left")):
        table.add_column(name, justify="right" if side == "right" else "left")
    for number, segment in enumerate(made.table.rows, start=1):
        shown = [f"{' · '.join(each.offer.values())} {each.probability:.1%}" for each in segment.offers]
        more = len(shown) - MOST_SHOWN_OFFERS
        listed = shown[:MOST_SHOWN_OFFERS] + ([f"and {counted(more, 'more offer')}"] if more > 0 else [])
        share = f"{segment.share:.1%}" if segment.customers else ""
        table.add_row(str(number), escape(segment.when), share, escape("\n".join(listed)))
    return table


def kept_sentence(value: StandInValue, policy: str, unit: str) -> str:
    """Return how much of the policy's gain over the baseline the table keeps, in one sentence or two."""
    numbers = NumberFormat.of([value.gain, value.loss])
    above = "what the log earned" if value.baseline == "logged" else value.baseline
    loss = (
        f"a decision earns {numbers.number(value.loss.value, signed=True)} by the table beside {policy} "
        f"({numbers.interval(value.loss, signed=True)}, {unit})"
    )
    judged = f"judged on {counted(value.n, 'decision')} of customers that neither had learned from"
    kept = value.kept
    if kept.value is None or kept.low is None or kept.high is None:
        return (
            f"How much of {policy}'s gain over {above} the table keeps cannot be told, since that gain is not told "
            f"apart from 0 ({numbers.interval(value.gain, signed=True)}); {loss}, {judged}."
        )
    return (
        f"The table keeps {100 * kept.value:.0f} % ({100 * kept.low:.0f} to {100 * kept.high:.0f}) of what {policy} "
        f"earns above {above}: {loss}, {judged}."
    )


def told_apart_sentence(made: DistilledTable) -> str | None:
    """Return the share of the value of telling customers apart that the rows keep; None where it is not known."""
    if made.told_apart is None or made.by_rows is None:
        return None
    half = next((place + 1 for place, share in enumerate(made.by_rows) if share >= 0.5 * made.told_apart), 1)
    rows = len(made.by_rows)
    return (
        f"By the policy's own expectations {counted(rows, 'row')} keep {100 * made.told_apart:.0f} % of what it earns "
        f"by telling customers apart" + (f" ({half} would keep half of that)." if 1 < half < rows else ".")
    )


def left_out_sentence_of(made: DistilledTable) -> str | None:
    """Return what is lost where the catalogue has more offers than a table; None where nothing is."""
    if made.left_out < 5e-4:
        return None
    return (
        f"The catalogue has more offers than a table is made of: {100 * made.left_out:.1f} % of the policy's "
        "probability was on the others, and goes to those in the table."
    )
