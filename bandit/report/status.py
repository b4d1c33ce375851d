"""The state of a live database as tables that fit 80 columns."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.printable import from_here, plain
from bandit.report.guardrails import guardrail_table
from bandit.report.numbers import count, counted
from bandit.report.rollout import change_words, percent, state_words
from bandit.report.times import iso_minute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.evaluate.live_status import LearningState, LiveStatus
    from bandit.governance.guardrail_status import GuardrailStatus

STATUS_WIDTH = 80
"""Columns that the tables of a status fit into."""

_LONGEST = 300
"""Most characters of a path or a reason."""

_AGES = ((172_800, "days", 86_400), (7_200, "h", 3_600), (120, "min", 60))
"""From how many seconds on an age is given in which unit, and the seconds of that unit."""


def status_tables(status: LiveStatus, guardrails: Sequence[GuardrailStatus]) -> list[Table]:
    """Return the tables of a status: the numbers, the groups, and the guardrails if any are declared."""
    tables = [_overview(status, guardrails)]
    if status.groups:
        tables.append(_group_table(status))
    if guardrails:
        tables.append(guardrail_table(guardrails))
    return tables


def _overview(status: LiveStatus, guardrails: Sequence[GuardrailStatus]) -> Table:
    title = f"{escape(plain(from_here(status.path), _LONGEST))}, {iso_minute(status.time)} UTC"
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False, width=STATUS_WIDTH)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for name, words in _lines(status, guardrails):
        table.add_row(name, escape(words))
    return table


def _lines(status: LiveStatus, guardrails: Sequence[GuardrailStatus]) -> list[tuple[str, str]]:
    """Return the rows of the overview: a name and what is to be said."""
    last = "never" if status.last_decision is None else _age((status.time - status.last_decision) / 1e6)
    where = plain(from_here(status.path), _LONGEST)
    lines = [("roll-out", state_words(status.rollout))]
    if status.change is not None:
        lines.append(("last change", plain(change_words(status.change), _LONGEST)))
    if status.rollout.halted is not None:
        lines.append(("to end it", f"offer-bandit rollout resume {shlex.quote(where)}"))
    if guardrails:
        broken = [f"{each.words} is broken ({each.action})" for each in guardrails if each.broken]
        lines.append(("guardrails", "; ".join(broken) or f"{len(guardrails)} watched, none broken"))
    made = f"today {count(status.decisions_today)}, in 7 days {count(status.decisions_week)}"
    lines += [
        ("decisions", f"{made}, in all {count(status.decisions)}; the last {last}"),
        ("conversions", f"today {count(status.conversions_today)}, in 7 days {count(status.conversions_week)}"),
    ]
    if status.events.uses:
        lines.append(("events", status.events.words()))
    if status.events.problem is not None:
        lines.append(("no conversion", status.events.problem))
    elif status.events.notes:
        lines.append(("look at", f"see `offer-bandit doctor {shlex.quote(where)}`"))
    lines += [("learning", _learning(each)) for each in status.learning]
    if status.took_over is not None:
        lines.append(("took over", plain(status.took_over, _LONGEST)))
    if status.key_rotated is not None:
        lines.append(("customer key", f"last rotated {iso_minute(status.key_rotated)} UTC"))
    spool = f"{status.spools} beside the database, {count(status.spool_bytes)} bytes" if status.spools else "empty"
    lines.append(("spool", spool))
    if status.refused_lines:
        refused = f"{counted(status.refused_lines, 'spooled line')} not accepted by the database"
        lines.append(("refused", f"{refused}; see `offer-bandit doctor {shlex.quote(where)}`"))
    if status.sample_ratio is not None:
        finding = status.sample_ratio.finding()
        fits = f"the groups have the sizes that were meant (p = {status.sample_ratio.p_value:.2g})"
        lines.append(("group sizes", fits if finding is None else finding.sentence))
    return lines


def _learning(state: LearningState) -> str:
    name = f"policy {state.policy_id} ({plain(state.kind, 40)})"
    if not state.learns:
        return f"{name} learns nothing"
    return (
        f"{name}: step {count(state.step)}, {_age(state.seconds)}; since then {counted(state.decisions, 'decision')} "
        f"and {counted(state.events, 'event')}"
        + (f"; {counted(state.set_aside, 'outcome')} set aside, see `doctor`" if state.set_aside else "")
    )


def _group_table(status: LiveStatus) -> Table:
    meant = any(each.share is not None for each in status.groups)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="\ngroups", title_justify="left")
    table.add_column("group", overflow="fold", max_width=16)
    for heading in ("customers", "today", "share", *(("meant",) if meant else ()), "decisions", "today"):
        table.add_column(heading, justify="right")
    every = max(sum(each.customers for each in status.groups), 1)
    for group in status.groups:
        shares = [percent(group.customers / every)]
        if meant:
            shares.append("-" if group.share is None else percent(group.share))
        table.add_row(
            escape(plain(group.name, _LONGEST)),
            count(group.customers),
            count(group.customers_today),
            *shares,
            count(group.decisions),
            count(group.decisions_today),
        )
    if status.several:
        table.caption = f"and {counted(status.several, 'customer')} seen in several groups"
    return table


def _age(seconds: float) -> str:
    """Return an age in words.

    >>> _age(5), _age(300), _age(90_000)
    ('5 s ago', '5 min ago', '25 h ago')
    """
    for least, unit, size in _AGES:
        if seconds >= least:
            return f"{seconds / size:,.0f} {unit} ago"
    return f"{max(seconds, 0.0):,.0f} s ago"
