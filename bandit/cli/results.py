"""The command that breaks a campaign's results down: results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.choices import RESULT_PARTS
from bandit.cli.console import progress, show, show_json
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Database,
    Event,
    Level,
    LogOptions,
    MappingFile,
    Objective,
    Window,
    WrittenBy,
)

if TYPE_CHECKING:
    from rich.table import Table

    from bandit.evaluate.breakdown import LogBreakdown

_OVERVIEW = ("week", "group", "option")


def results(
    db: Database,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help=f"Break down by {', '.join(RESULT_PARTS)}; can be repeated; default: {', '.join(_OVERVIEW)}.",
        ),
    ] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(metavar="FACT", help="Options also in each segment of this fact; can be repeated."),
    ] = None,
    catalogue: CatalogueFile = None,
    mapping: MappingFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    written_by: WrittenBy = None,
    level: Level = 0.95,
    as_json: AsJson = False,
) -> None:
    """Show what a campaign brought: by week, group, option, depth of discount and segment.

    Weeks, days, groups and policies are shown as it happened: the mean of their decisions. Options are shown twice:
    as it happened, which depends on whom the policy gave them to, and as what all customers would earn with them, from
    the decisions left to chance. An option is called better or worse than what the log did; the intervals of all
    options and segments hold together. "cannot tell" has its reason below the tables.

    --fact gender shows the options for each gender; numeric facts are cut at their quartiles. --by calibration learns
    a model to show how well P(convert) is predicted. DB can also be a log file (Parquet, CSV, dsjson), with
    --catalogue and, unless it is an export, --mapping. Only settled decisions count: closed, or with their window over.
    """
    from bandit.cli.evaluation_options import one_of
    from bandit.cli.logs import left_out_json, opened, unused
    from bandit.evaluate.breakdown import BREAKDOWN_PARTS, break_down
    from bandit.report.breakdown import breakdown_lines, option_headline, whole_line
    from bandit.report.evaluations import unit_of

    facts = tuple(fact or ())
    asked = [*(by or _OVERVIEW), *(["segment"] if facts else [])]
    wanted = {one_of(each, RESULT_PARTS, "part") for each in asked}
    parts = [part for part in BREAKDOWN_PARTS if part in wanted]
    options = LogOptions(db, catalogue, mapping, objective, event, window, written_by)
    with opened(options, "break down") as found:
        with progress("reading") as report:
            result = break_down(found.log, parts, facts, catalogue=found.catalogue, level=level, progress=report)
        if as_json:
            show_json(result.to_dict() | left_out_json(found.log))
            return
        goal = found.catalogue.objective
        unit = unit_of(goal, found.catalogue.currency)
        first = [whole_line(result, unit, binary=goal.kind == "conversion")]
        show([], [*first, *([] if result.options is None else [option_headline(result.options)])])
        show(_tables(result, unit, all_asked=bool(by)), [*breakdown_lines(result), *unused(found.log, counted_in=True)])


def _tables(result: LogBreakdown, unit: str, *, all_asked: bool) -> list[Table]:
    from bandit.report.breakdown import calibration_table, curve_table, depth_table, option_tables, shown_curves

    tables = [curve_table(curve, part, unit) for part, curve in shown_curves(result, all_asked=all_asked).items()]
    if result.options is not None:
        tables += option_tables(result.options, unit)
    if result.depth is not None and result.depth.points:
        tables.append(depth_table(result.depth, unit))
    if result.calibration is not None and result.calibration.bins:
        tables.append(calibration_table(result.calibration))
    return tables
