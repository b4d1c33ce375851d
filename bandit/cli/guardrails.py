"""The command that shows what the guardrails of a live policy have seen: guardrails."""

from __future__ import annotations

from typing import Annotated

import typer

from bandit.cli.console import output_format, show, show_plain
from bandit.cli.options import AsJson, CatalogueFile, Database, Format
from bandit.errors import InputError

_BROKEN = 3


def guardrails(
    db: Database,
    catalogue: CatalogueFile = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="ISO",
            help="Count only the decisions from this time on; default: from the last restart by hand, else all.",
        ),
    ] = None,
    gate: Annotated[bool, typer.Option("--gate", help="Exit with code 3 if a guardrail is broken, else 0.")] = False,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Show the guardrails of the catalogue: how often each event happened, its bounds, and what is broken.

    A guardrail bounds the rate of an event, such as unsubscribe, among the decisions that the policy serves: by a rate
    (at_most = 0.004), or by how much it may be above that of another group (against = "rules", worse_by = 0.001). It
    is broken once the lower bound is above what is allowed. The bounds hold at every look together, so the command can
    be run every minute: a guardrail whose rate is at what is allowed, or below, is called broken with probability
    1 - level at most, however often one looks. Each guardrail has its own level.

    A decision counts once, however often it has the event. Imported decisions and those that the fallback, the rules
    or another group served do not count. The command only reads: an engine whose guardrail has the action "stop" stops
    the policy by itself.
    """
    from bandit.cli.databases import catalogue_for, reading
    from bandit.cli.live import parse_moment
    from bandit.governance.guardrails import GuardrailMonitor, last_restart
    from bandit.report.guardrails import guardrail_lines, guardrail_table
    from bandit.tabular import RowTable

    style = output_format(as_json, format_name)
    with reading(db) as store:
        target = catalogue_for(store, catalogue)
        if not target.guardrails:
            raise InputError(
                'the catalogue declares no guardrails; add [[guardrails]] with event = "unsubscribe" and '
                "at_most = 0.004, or name another catalogue with --catalogue"
            )
        start = last_restart(store) if since is None else parse_moment(since)
        statuses = GuardrailMonitor(store, target).check(since=start)
    broken = any(each.broken for each in statuses)
    document = {"guardrails": [each.to_dict() for each in statuses], "broken": broken}
    rows = RowTable(tuple(row for each in statuses for row in each.to_rows()))
    if not show_plain(style, lambda: document, lambda: [("guardrails", rows)]):
        show([guardrail_table(statuses)], verdicts=guardrail_lines(statuses))
    if gate and broken:
        raise typer.Exit(_BROKEN)
