"""Guardrails as a table and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.report.numbers import UNKNOWN_NUMBER, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bandit.governance.guardrail_status import GuardrailStatus


_SIGNS = {"holds": "+", "broken": "-", "too early": "?"}


def guardrail_table(statuses: Iterable[GuardrailStatus]) -> Table:
    """Return a table of one row a guardrail, which fits 80 columns."""
    table = Table(title="guardrails: the bounds hold at every look", title_justify="left")
    table.add_column("guardrail", overflow="fold")
    for heading in ("decisions", "value", "bounds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for each in statuses:
        signed = each.against is not None
        bounds = f"{_number(each.low, signed=signed)} to {_number(each.high, signed=signed)}"
        table.add_row(
            escape(each.words),
            count(each.decisions),
            _number(each.value, signed=signed),
            UNKNOWN_NUMBER if each.verdict == "too early" else bounds,
            each.verdict,
        )
    return table


def guardrail_lines(statuses: Sequence[GuardrailStatus]) -> list[str]:
    """Return one sentence a guardrail, with the sign of its state, and what a broken one does."""
    lines = [f"{_SIGNS[each.verdict]} {each.sentence}." for each in statuses]
    if any(each.stops for each in statuses):
        lines.append("A broken guardrail stops the policy where an engine runs; it starts again only by hand.")
    return lines


def _number(value: float | None, *, signed: bool = False) -> str:
    return UNKNOWN_NUMBER if value is None else f"{value:{'+' if signed else ''}.2g}"
