"""The importance of facts and options as tables of 80 columns, the finding first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.printable import plain
from bandit.report.numbers import count
from bandit.report.reason_tables import REASON_WIDTH
from bandit.report.reason_words import decimals_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.explain import CredibleNumber, ImportanceReport

PER_DECISIONS = 1_000
"""Worths are shown per so many decisions."""

_LONGEST = 60


def importance_headline(found: ImportanceReport) -> str:
    """Return the finding in one sentence or two."""
    whole, unit = found.all_facts, _unit(found)
    if not found.facts:
        return "The catalogue declares no facts, so every customer has the same best offer."
    best = found.facts[0]
    if whole.low <= 0.0:
        first = (
            f"Whether knowing the customers' facts earns anything beyond the one best offer for everybody cannot be "
            f"told yet: {_per(whole.value)} {unit} per {count(PER_DECISIONS)} decisions {_interval(whole, found.level)}"
        )
    else:
        first = (
            f"Knowing the customers' facts earns {_per(whole.value)} {unit} per {count(PER_DECISIONS)} decisions "
            f"{_interval(whole, found.level)} beyond the one best offer for everybody "
            f"({_per(found.value.value)} in all)"
        )
    second = f'"{plain(best.fact, _LONGEST)}" is worth most, {_per(best.worth.value)} {_interval(best.worth)}'
    if best.worth.low <= 0.0:
        second = f'"{plain(best.fact, _LONGEST)}" seems worth most, {_per(best.worth.value)} {_interval(best.worth)}'
    return f"{first}; {second}."


def importance_tables(found: ImportanceReport) -> list[Table]:
    """Return the tables of facts and of options."""
    tables = [_fact_table(found)] if found.facts else []
    return [*tables, _option_table(found)] if found.options else tables


def importance_lines(found: ImportanceReport) -> list[str]:
    """Return the sentences below the tables: what the columns are, what the model is, and what was left out."""
    lines = [
        "",
        "lost without: what a policy that does not see the fact, or may not use the option, would earn less.",
        "of the choice: share of what differs between customers in how offers compare.",
        "of the level: share of what differs between customers whatever the offer.",
    ]
    lines.append(
        f"By the model of {plain(found.policy, _LONGEST)}, over the customers of {count(found.n)} of the log's "
        f"{count(found.n_log)} decisions; intervals of {found.level:.0%} by its posterior."
    )
    needed = [f"{each.dimension} {each.option}" for each in found.options if each.needed_share > 0.0]
    if needed:
        names = ", ".join(plain(each, _LONGEST) for each in needed[:5])
        lines.append(f"Some customers have no eligible offer without {names}; they are left out of its worth.")
    return [*lines, *found.notes]


def _fact_table(found: ImportanceReport) -> Table:
    table = _table(f"facts, in {_unit(found)} per {count(PER_DECISIONS)} decisions")
    for name in ("lost without", "interval", "of the choice", "of the level"):
        table.add_column(name, justify="right", no_wrap=True)
    decimals = _decimals([each.worth for each in found.facts])
    for each in found.facts:
        table.add_row(
            escape(plain(each.fact, _LONGEST)),
            _fixed(each.worth.value, decimals),
            f"{_fixed(each.worth.low, decimals)} to {_fixed(each.worth.high, decimals)}",
            f"{each.choice:.0%}",
            f"{each.variation:.0%}",
        )
    return table


def _option_table(found: ImportanceReport) -> Table:
    table = _table(f"\noptions, in {_unit(found)} per {count(PER_DECISIONS)} decisions")
    for name in ("lost without", "interval", "best for"):
        table.add_column(name, justify="right", no_wrap=True)
    decimals = _decimals([each.worth for each in found.options if each.worth is not None])
    dimension = None
    for each in found.options:
        if dimension not in {None, each.dimension}:
            table.add_row()
        dimension = each.dimension
        worth = each.worth
        table.add_row(
            escape(plain(f"{each.dimension} {each.option}", _LONGEST)),
            "?" if worth is None else _fixed(worth.value, decimals),
            "" if worth is None else f"{_fixed(worth.low, decimals)} to {_fixed(worth.high, decimals)}",
            f"{each.best_share:.0%}",
        )
    return table


def _table(title: str) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        width=REASON_WIDTH,
        padding=(0, 2, 0, 0),
        title=escape(title),
        title_justify="left",
        title_style="",
    )
    table.add_column("", overflow="fold", ratio=1)
    return table


def _unit(found: ImportanceReport) -> str:
    return "conversions" if found.objective == "conversion" else plain(found.unit, 12)


def _per(value: float) -> str:
    shown = value * PER_DECISIONS
    return f"{shown:,.{decimals_for(shown)}f}"


def _interval(number: CredibleNumber, level: float | None = None) -> str:
    what = "" if level is None else f"{level:.0%} interval "
    decimals = _decimals([number])
    return f"({what}{_fixed(number.low, decimals)} to {_fixed(number.high, decimals)})"


def _decimals(numbers: Sequence[CredibleNumber]) -> int:
    return decimals_for(max([abs(each.value) for each in numbers], default=0.0) * PER_DECISIONS)


def _fixed(value: float, decimals: int) -> str:
    return f"{value * PER_DECISIONS:,.{decimals}f}"
