"""The roll-out in words and tables: its state, its changes, and what it has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.printable import plain
from bandit.report.left_out import STILL_OPEN, left_out_lines
from bandit.report.lift import lift_table, lift_verdicts
from bandit.report.numbers import NumberFormat, count, counted
from bandit.report.times import iso_minute, iso_second
from bandit.report.verdicts import VerdictOn, signed_cell, verdict_sentences
from bandit.tabular import RowTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.evaluate.rollout_report import ArmComparison, RolloutReport
    from bandit.evaluate.shadow import ShadowReport
    from bandit.ope import Estimate
    from bandit.rollout import RolloutChange, RolloutState
    from bandit.tabular import Cell

_SERVED = {"rules": "the segment rules", "fallback": "the fallback"}


def state_words(state: RolloutState) -> str:
    """Return a state in one sentence, without its full stop: what serves whom.

    >>> from bandit.rollout import RolloutState
    >>> state_words(RolloutState("ramp", 0.1, substitute="rules"))
    'ramp: the policy serves 10% of the customers, the segment rules the others'
    """
    substitute, several = _SERVED[state.substitute], len(state.policies) > 1
    if state.halted == "kill":
        return f"killed: the fallback serves everybody (the mode {state.mode} waits)"
    if state.halted == "guardrail":
        return f"stopped by a guardrail: {substitute} {_verb(state)} everybody (the mode {state.mode} waits)"
    if state.mode == "shadow":
        return f"shadow: {substitute} {_verb(state)} everybody, and the policy's choice is logged beside"
    if state.mode == "apprentice":
        return f"apprentice: {substitute} {_verb(state)} everybody, and the policy learns from it"
    who = "the champion and its challengers serve" if several else "the policy serves"
    if state.mode == "full" or state.share == 1.0:
        return f"{state.mode}: {who} everybody"
    return f"{state.mode}: {who} {percent(state.share)} of the customers, {substitute} the others"


def state_table(state: RolloutState, policies: Mapping[int, tuple[str, int | None]]) -> Table:
    """Return a table of one row an arm: the customers it serves, and its policy with kind and newest step.

    `policies` has (kind, newest step) by number.
    """
    table = Table(title="what serves whom", title_justify="left")
    table.add_column("arm", overflow="fold")
    table.add_column("customers", justify="right")
    table.add_column("policy", overflow="fold")
    table.add_column("step", justify="right")
    for arm in state.arms:
        if arm.name in _SERVED:
            table.add_row(arm.name, percent(arm.share), _SERVED[arm.name], "")
            continue
        if arm.policy_id is None:
            table.add_row(arm.name, percent(arm.share), "the one that the program opens", "")
            continue
        kind, step = policies.get(arm.policy_id, ("?", None))
        words = f"policy {arm.policy_id} ({plain(kind, 200)})"
        table.add_row(arm.name, percent(arm.share), escape(words), "" if step is None else count(step))
    return table


def state_rows(state: RolloutState, policies: Mapping[int, tuple[str, int | None]]) -> RowTable:
    """Return one row an arm: its share of the customers, and its policy with kind and newest step."""
    rows: list[dict[str, Cell]] = []
    for arm in state.arms:
        kind, step = (None, None) if arm.policy_id is None else policies.get(arm.policy_id, (None, None))
        rows.append({"arm": arm.name, "customers": arm.share, "policy_id": arm.policy_id, "kind": kind, "step": step})
    return RowTable(tuple(rows))


def history_rows(history: Sequence[RolloutChange]) -> RowTable:
    """Return one row a change, oldest first."""
    rows: list[dict[str, Cell]] = [
        {
            "change": each.id,
            "time": iso_second(each.time),
            "who": each.author,
            "what": each.action,
            "state_after": state_words(each.state) + _live(each.state),
            "why": each.reason,
        }
        for each in history
    ]
    return RowTable(tuple(rows))


def change_words(change: RolloutChange) -> str:
    """Return who made a change, when and why, as one sentence."""
    why = f": {change.reason}" if change.reason else ""
    return plain(f"{change.action} by {change.author}, {iso_minute(change.time)}{why}")


def history_table(history: Sequence[RolloutChange]) -> Table:
    """Return a table of one row a change, oldest first."""
    table = Table(title="changes of the roll-out", title_justify="left")
    table.add_column("change", justify="right")
    table.add_column("time (UTC)", no_wrap=True)
    for heading in ("who", "what", "state after it", "why"):
        table.add_column(heading, overflow="fold")
    for change in history:
        cells = (change.author, change.action, state_words(change.state) + _live(change.state), change.reason)
        table.add_row(str(change.id), iso_minute(change.time), *(escape(plain(cell)) for cell in cells))
    return table


def _live(state: RolloutState) -> str:
    """Return the live policies in words, where the state names them."""
    if not state.policies:
        return ""
    return " (" + ", ".join(f"policy {each.policy_id}: {percent(each.share)}" for each in state.policies) + ")"


# -- what it has shown -------------------------------------------------------------------------------------------------


def rollout_report_tables(report: RolloutReport, unit: str) -> list[Table]:
    """Return the tables of a report: the policy in shadow, the arms, and their differences."""
    tables = [] if report.shadow is None else [_shadow_table(report.shadow, unit)]
    if report.arms is not None:
        tables += [_arm_table(report.arms, unit), lift_table(report.arms.lift)]
    return tables


def rollout_report_verdicts(report: RolloutReport) -> list[str]:
    """Return one sentence a comparison: the policy in shadow with what served, and each pair of arms."""
    lines = []
    shadow = report.shadow
    if shadow is not None:
        name = f"The policy in shadow against the {shadow.served}"
        lines += verdict_sentences([VerdictOn(name, shadow.verdict, shadow.reason, shadow.cure)])
    return lines if report.arms is None else [*lines, *lift_verdicts(report.arms.lift)]


def rollout_report_lines(report: RolloutReport) -> list[str]:
    """Return the sentences below the tables."""
    lines = [] if report.shadow is None else _shadow_lines(report.shadow)
    if report.arms is not None:
        return [*lines, *_arm_lines(report.arms)]
    if report.waiting:
        are = "is" if report.waiting == 1 else "are"
        lines.append(
            f"The arms cannot be compared yet: {counted(report.waiting, 'decision')} {are} still open (the window has "
            "not ended)."
        )
    return lines or ["No decision was made in shadow or by one of several arms yet; there is nothing to report."]


def _shadow_table(shadow: ShadowReport, unit: str) -> Table:
    table = Table(title=f"in shadow, since change {shadow.changes[0].id}: {escape(unit)}", title_justify="left")
    for heading in ("decisions", "customers"):
        table.add_column(heading, justify="right")
    for heading in ("same offer", "expected", "served", "policy", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    known = [each for each in (shadow.value, shadow.served_value, shadow.difference) if each is not None]
    numbers, supported = NumberFormat.of(known), not shadow.unsupported
    table.add_row(
        count(shadow.decisions),
        count(shadow.customers),
        percent(shadow.agreement),
        percent(shadow.expected),
        _with_interval(shadow.served_value, numbers),
        _with_interval(shadow.value if supported else None, numbers),
        _with_interval(shadow.difference if supported else None, numbers, signed=True),
        signed_cell(shadow.verdict),
    )
    return table


def _shadow_lines(shadow: ShadowReport) -> list[str]:
    n = counted(shadow.decisions, "decision")
    same = (
        f"In shadow the policy chose what the {shadow.served} served in {count(shadow.agreed)} of {n} "
        f"({percent(shadow.agreement)}); by the logged probabilities {percent(shadow.expected)} were to be expected "
        f"(give or take {percent(2 * shadow.expected_error)})."
    )
    lines = [same]
    if shadow.without_choice:
        lines.append(f"In {counted(shadow.without_choice, 'further decision')} the policy could not answer.")
    return lines + left_out_lines((shadow.decisions - shadow.settled, "decision", STILL_OPEN))


def _arm_table(arms: ArmComparison, unit: str) -> Table:
    lift = arms.lift
    title = (
        f"arms, since change {arms.changes[0].id}: {escape(unit)}; intervals of {lift.options.level:.0%} for one look"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("arm", overflow="fold")
    for heading in ("customers", "share", "meant", "decisions", "conversions", "per decision"):
        table.add_column(heading, justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    every, whole = sum(each.customers for each in lift.groups), sum(each.share for each in lift.groups)
    values = {each.name: each.values["means"]["decision"] for each in lift.groups}
    numbers = NumberFormat.of(values.values())
    for arm in lift.groups:
        table.add_row(
            escape(arm.name),
            count(arm.customers),
            f"{arm.customers / max(every, 1):.1%}",
            f"{arm.share / whole:.1%}",
            count(arm.decisions),
            count(arm.earning),
            numbers.number(values[arm.name].value),
            numbers.interval(values[arm.name]),
        )
    return table


def _arm_lines(arms: ArmComparison) -> list[str]:
    lift = arms.lift
    decisions, customers = (sum(getattr(each, name) for each in lift.groups) for name in ("decisions", "customers"))
    compared = (
        f"The arms are compared on {counted(decisions, 'settled decision')} of {counted(customers, 'customer')} since "
        f"change {arms.changes[0].id} ({change_words(arms.changes[0])})."
    )
    lines = [compared, *(f"{each.severity}: {each.sentence}." for each in arms.findings)]
    return lines + left_out_lines(
        (arms.still_open, "decision", STILL_OPEN),
        (arms.not_activated, "decision", "the event that activates it was never recorded"),
        (arms.left_out, "decision", "no arm served it, or its offer is not in the catalogue"),
        (arms.several, "customer", "served by several arms"),
    )


def _with_interval(estimate: Estimate | None, numbers: NumberFormat, *, signed: bool = False) -> str:
    if estimate is None:
        return "?"
    return f"{numbers.number(estimate.value, signed=signed)} ({numbers.interval(estimate, signed=signed)})"


def _verb(state: RolloutState) -> str:
    return "serve" if state.substitute == "rules" else "serves"


def percent(share: float) -> str:
    """Return a share as a percentage of at most three significant figures, "?" where it is not finite.

    >>> percent(0.1), percent(0.015), percent(1.0)
    ('10%', '1.5%', '100%')
    """
    return f"{100.0 * share:.3g}%" if share == share else "?"  # noqa: PLR0124 - NaN differs from itself
