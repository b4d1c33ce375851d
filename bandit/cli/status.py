"""The command that shows a live database at a glance: status."""

from __future__ import annotations

import sys
import time as clock_module
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import output_format, show, show_json_line, show_plain
from bandit.cli.options import AsJson, Database, Format
from bandit.errors import InputError
from bandit.tabular import RowTable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from bandit.evaluate.live_status import LiveStatus
    from bandit.governance.guardrails import GuardrailStatus
    from bandit.tabular import Tabular

    Look = tuple[LiveStatus, tuple[GuardrailStatus, ...]]

_NOT_WELL = 3


def status(
    db: Database,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", help="With --watch: how often, in seconds.")
    ] = 2.0,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with code 3 if a policy is halted or a guardrail broken, else 0.")
    ] = False,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Show a live database at a glance: groups, roll-out, guardrails, decisions today, learning.

    Days are those of UTC, and the last 7 days have today among them. A conversion counts on the day of its event. The
    sizes of the groups are those of the assignment in force. The command only reads.
    """
    style = output_format(as_json, format_name)
    if not every > 0.0:
        raise InputError(f"--every is a number of seconds above 0; seen {every:g}")
    if watch and gate:
        raise InputError("--gate and --watch exclude each other: a gate is one look")
    if watch:
        if style in {"csv", "md"}:
            raise InputError(f"--watch prints tables or JSON, not {style}; leave one of them out")
        _watch(db, every, as_json=style == "json")
        return
    look = next(_looks(db))
    if not show_plain(style, lambda: _json(look), lambda: _rows(look)):
        from bandit.report.status import STATUS_WIDTH, status_tables

        show(status_tables(*look), width=STATUS_WIDTH)
    if gate and not _well(look):
        raise typer.Exit(_NOT_WELL)


def _looks(db: Path) -> Iterator[Look]:
    """Yield the state of the database, anew each time; the file stays open in between."""
    from bandit.cli.databases import catalogue_for, reading_without_key
    from bandit.clock import now
    from bandit.evaluate.live_status import StatusReader
    from bandit.governance.guardrails import GuardrailMonitor, last_restart

    with reading_without_key(db) as store:
        version = reader = monitor = None
        while True:
            catalogue = catalogue_for(store, None)
            if reader is None or monitor is None or catalogue.version != version:
                version = catalogue.version
                reader, monitor = StatusReader(store, catalogue), GuardrailMonitor(store, catalogue)
            moment = now()
            broken = monitor.check(since=last_restart(store), now=moment) if monitor.guardrails else ()
            yield reader.read(moment), broken


def _watch(db: Path, seconds: float, *, as_json: bool) -> None:
    """Show one look after another until the user interrupts: in place on a terminal, else one below the other."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    try:
        if as_json:
            for look in _looks(db):
                show_json_line(_json(look))
                clock_module.sleep(seconds)
        elif console.is_terminal:
            _watch_terminal(console, db, seconds)
        else:
            from bandit.report.status import STATUS_WIDTH, status_tables

            for look in _looks(db):
                show(status_tables(*look), [""], STATUS_WIDTH)
                sys.stdout.flush()
                clock_module.sleep(seconds)
    except KeyboardInterrupt:
        return


def _watch_terminal(console: Console, db: Path, seconds: float) -> None:
    from rich.console import Group
    from rich.live import Live

    from bandit.report.layout import make_visible
    from bandit.report.status import STATUS_WIDTH, status_tables

    console.width = min(console.width, STATUS_WIDTH)
    with Live(console=console, auto_refresh=False) as live:
        for look in _looks(db):
            tables = status_tables(*look)
            for table in tables:
                make_visible(table)
            live.update(Group(*tables), refresh=True)
            clock_module.sleep(seconds)


def _rows(look: Look) -> list[tuple[str, Tabular]]:
    """Return one look as named tables: the groups, and the guardrails if any are declared."""
    state, guardrails = look
    tables: list[tuple[str, Tabular]] = [("groups", state)]
    if not guardrails:
        return tables
    return [*tables, ("guardrails", RowTable(tuple(row for each in guardrails for row in each.to_rows())))]


def _json(look: Look) -> dict[str, object]:
    state, guardrails = look
    return {"well": _well(look)} | state.to_dict() | {"guardrails": [each.to_dict() for each in guardrails]}


def _well(look: Look) -> bool:
    """Whether no policy is halted and no guardrail broken."""
    return look[0].well and not any(each.broken for each in look[1])
