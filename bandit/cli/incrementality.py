"""The command that says what would have been bought anyway: incrementality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import output_format, progress, show, show_plain
from bandit.cli.evaluation_options import parse_shares
from bandit.cli.grouped_logs import GroupedFile
from bandit.cli.help import ESTIMATION, GROUPS, LOG
from bandit.cli.options import AsJson, CatalogueFile, Cluster, Database, Event, Format, Level, Window

if TYPE_CHECKING:
    from bandit.evaluate.incrementality_log import IncrementalityReport


def incrementality(
    db: Database,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP",
            help="The group that shows what is bought anyway: it got one cheap offer; default: holdout.",
            rich_help_panel=GROUPS,
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="Measure only this group; can be repeated.", rich_help_panel=GROUPS),
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help='The shares that the groups were meant to have, if the catalogue declares none: "new=.9,holdout=.1".',
            rich_help_panel=GROUPS,
        ),
    ] = None,
    catalogue: CatalogueFile = None,
    event: Event = None,
    window: Window = None,
    cluster: Cluster = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="ISO", help="Use only the decisions from this time on; default: all.", rich_help_panel=LOG
        ),
    ] = None,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Narrower intervals, for one look on a day that was fixed beforehand.",
            rich_help_panel=ESTIMATION,
        ),
    ] = False,
    level: Level = 0.95,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Say what would have been bought anyway, and how much of the money for incentives was spent on that.

    Each group is measured against the holdout, per 1,000 decisions: its purchases, revenue and profit, those that would
    have come anyway, and the difference, which its offers added; what its incentives cost, and how much of that went to
    purchases that would have come anyway. The same by option: customers who got an option are compared with customers
    of the holdout who would have got it as often, by the probabilities that the group's policy had at that moment.

    Only settled decisions count: closed, or with their window over. The intervals hold at every look together; with
    --once they hold for one look. A customer counts once, however many decisions it has, and customers seen in several
    groups are left out.
    """
    from bandit.cli.grouped_logs import opened_groups
    from bandit.cli.live import parse_moment
    from bandit.clock import now
    from bandit.evaluate.incrementality_log import IncrementLogOptions, incrementality_of, incrementality_of_parts

    style = output_format(as_json, format_name)
    options = IncrementLogOptions(
        baseline=baseline,
        groups=group or (),
        shares=None if shares is None else parse_shares(shares),
        since=parse_moment(since),
        level=level,
        look="once" if once else "daily",
    )
    with opened_groups(GroupedFile(db, catalogue, (None, event, window), cluster), "incrementality") as log:
        target = log.catalogue
        with progress("measuring") as shown:
            if log.store is not None:
                report = incrementality_of(log.store, target, options, now=now(), progress=shown)
            else:
                report = incrementality_of_parts(log.parts(), options, runner=log.runner, progress=shown)
    if not show_plain(style, report.to_dict, lambda: [("incrementality", report)]):
        _show_tables(report, target.currency)


def _show_tables(report: IncrementalityReport, currency: str) -> None:
    from bandit.report.incrementality import (
        has_costs,
        increment_table,
        incrementality_lines,
        incrementality_verdicts,
        option_table,
        spending_table,
    )

    found = report.found
    tables = [increment_table(found, currency)]
    if has_costs(found.groups):
        tables.append(spending_table(found, currency))
    tables += [option_table(group, currency) for group in found.groups if group.options and not group.reason]
    show(tables, incrementality_lines(report, currency), verdicts=incrementality_verdicts(found, currency))
