"""The looks at a live campaign as tables and sentences: what `lift` says, and the truth beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from rich.markup import escape
from rich.table import Table

from bandit.report.lift import group_table, lift_lines, lift_table, lift_verdicts
from bandit.report.numbers import NumberFormat
from simulator.live.results import LiveLook, LiveResults

LookPart: TypeAlias = tuple[Sequence[Table], Sequence[str]]
"""Tables, and the sentences below them."""


ESTIMAND_SERVED = (
    "served: the mean, over a group's settled decisions, of the expected reward of the offer that was served to that "
    "customer at that time, less the same mean of the other group."
)
ESTIMAND_SAME_VISITS = (
    "same visits: what the two groups' offers are worth at the same decisions (the policy's, where it is one of the "
    "two), without the luck of who is in which group: what lift estimates."
)


def live_parts(found: LiveResults) -> Iterator[LookPart]:
    """Yield each look: a heading, the tables and sentences of `lift`, the truth; then the closing sentence."""
    for look in found.looks:
        says = f"{look.after}, offer-bandit lift {found.database} says:"
        yield [], ["", says, *lift_verdicts(look.report.lift)]
        yield [group_table(look.report, found.unit), lift_table(look.report.lift)], lift_lines(look.report)
        yield [truth_table(look)], [ESTIMAND_SERVED, ESTIMAND_SAME_VISITS, _inside(look)]
    yield [], ["", found.closing()]


def truth_table(look: LiveLook) -> Table:
    """Return a table of one row a pair: what lift says per decision, and the truth, which the simulator knows."""
    table = Table(title=f"{look.after.lower()}, lift per decision beside the truth", title_justify="left")
    table.add_column("groups", overflow="fold")
    for heading in ("lift", "interval", "served", "same visits"):
        table.add_column(heading, justify="right", no_wrap=heading == "interval")
    numbers = NumberFormat.of(used for _, used, _ in look.pairs())
    for row, used, truth in look.pairs():
        table.add_row(
            escape(f"{row.group} minus {row.baseline}"),
            numbers.number(used.value, signed=True),
            numbers.interval(used, signed=True),
            numbers.number(truth.served, signed=True),
            numbers.number(truth.same_visits, signed=True),
        )
    return table


def _inside(look: LiveLook) -> str:
    """Return a sentence on which intervals have the truth in them."""
    outside = [
        f"{row.group} minus {row.baseline}"
        for row, used, truth in look.pairs()
        if not truth.within(used.low, used.high)
    ]
    if not outside:
        return "Each interval has the true values in it."
    return f"A true value is outside of its interval: {', '.join(outside)}."
