"""The command that compares the live groups of customers: lift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from bandit.cli.console import output_format, progress, show, show_plain
from bandit.cli.evaluation_options import Gate, one_of, parse_shares
from bandit.cli.grouped_logs import GroupedFile
from bandit.cli.help import ESTIMATION, GROUPS, LOG
from bandit.cli.options import AsJson, CatalogueFile, Cluster, Database, Event, Format, Level, Objective, Window

if TYPE_CHECKING:
    from bandit.evaluate.lift_log import LiftLogOptions, LiftReport
    from bandit.evaluate.lift_weights import LiftWeights
    from bandit.ope.lift import LiftUnit

_UNITS = ("decision", "customer")


def lift(
    db: Database,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP",
            help="The group to compare with; default: rules, else holdout, else the largest.",
            rich_help_panel=GROUPS,
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUP", help="Compare only this group with the baseline; can be repeated.", rich_help_panel=GROUPS
        ),
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help='The shares that the groups were meant to have, if the catalogue declares none: "new=0.9,old=0.1".',
            rich_help_panel=GROUPS,
        ),
    ] = None,
    catalogue: CatalogueFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    cluster: Cluster = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="ISO", help="Use only the decisions from this time on; default: all.", rich_help_panel=LOG
        ),
    ] = None,
    per: Annotated[
        str,
        typer.Option(metavar="UNIT", help="What verdicts are about: decision or customer.", rich_help_panel=ESTIMATION),
    ] = "decision",
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACT", help="Compare also in each segment of a fact; can be repeated.", rich_help_panel=ESTIMATION
        ),
    ] = None,
    weeks: Annotated[
        bool, typer.Option("--weeks", help="Compare also week by week (from Monday, UTC).", rich_help_panel=ESTIMATION)
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Narrower intervals, for one look on a day that was fixed beforehand.",
            rich_help_panel=ESTIMATION,
        ),
    ] = False,
    weights: Annotated[
        str,
        typer.Option(
            metavar="WAY",
            help="How to compare: trajectory (weights), means, or auto: weights where the log has what they need.",
            rich_help_panel=ESTIMATION,
        ),
    ] = "auto",
    gate: Gate = False,
    level: Level = 0.95,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Compare what the groups of customers earned: policy, rules, random, holdout, or labels of your own.

    Each group is compared with the baseline and with each other group, per decision and per customer. Where the
    log has what they need, trajectory weights make intervals narrower than the difference of means; the output says
    which way it took, and why. Only settled decisions count: closed, or with their window over. The intervals hold at
    every look together, so that the command can be run every day; with --once they hold for one look. A customer
    counts once, however many decisions it has, and customers seen in several groups are left out.

    Each group is called better or worse than the baseline, "no difference found" or, with the reason, "cannot tell".
    With --gate the exit code carries the verdict to a pipeline: 0 better, 3 worse, 4 no difference found, 5 cannot
    tell; of several groups, the highest code, so --group policy makes it the verdict on that group alone.
    """
    from bandit.cli.live import parse_moment
    from bandit.evaluate.lift_log import LiftLogOptions
    from bandit.evaluate.lift_weights import LIFT_WEIGHTS

    options = LiftLogOptions(
        baseline=baseline,
        groups=group or (),
        shares=None if shares is None else parse_shares(shares),
        since=parse_moment(since),
        by=by or (),
        weeks=weeks,
        level=level,
        look="once" if once else "daily",
        unit=cast("LiftUnit", one_of(per, _UNITS, "unit")),
        weights=cast("LiftWeights", one_of(weights, LIFT_WEIGHTS, "way")),
    )
    found = GroupedFile(db, catalogue, (objective, event, window), cluster)
    report = _compare(found, options, output_format(as_json, format_name))
    if gate and (code := report.gate()):
        raise typer.Exit(code)


def _compare(found: GroupedFile, options: LiftLogOptions, style: str) -> LiftReport:
    """Compare and print; return the report."""
    from bandit.cli.grouped_logs import opened_groups
    from bandit.clock import now
    from bandit.evaluate.lift_log import lift_of, lift_of_parts
    from bandit.report.evaluations import unit_of

    with opened_groups(found, "lift") as log:
        target = log.catalogue
        with progress("comparing") as shown:
            if log.store is not None:
                report = lift_of(log.store, target, options, now=now(), progress=shown)
            else:
                report = lift_of_parts(log.parts(), options, runner=log.runner, progress=shown)
    if not show_plain(style, report.to_dict, lambda: [("comparisons", report), ("groups", report.by_group)]):
        _show_tables(report, unit_of(target.objective, target.currency))
    return report


def _show_tables(report: LiftReport, unit: str) -> None:
    from bandit.report.lift import (
        group_table,
        lift_lines,
        lift_parts_table,
        lift_table,
        lift_verdicts,
        part_lines,
    )

    lift = report.lift
    tables = [group_table(report, unit), lift_table(lift)]
    if lift.segments:
        tables.append(lift_parts_table(lift, lift.segments, "segment"))
    if lift.weeks:
        tables.append(lift_parts_table(lift, lift.weeks, "week"))
    parts = [*part_lines(lift.segments, "segment"), *part_lines(lift.weeks, "week")]
    show(tables, [*parts, *lift_lines(report)], verdicts=lift_verdicts(lift))
