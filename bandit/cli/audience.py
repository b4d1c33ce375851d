"""The command that looks for audience surprises: audience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from bandit.cli.choices import OTHER_DIMENSIONS
from bandit.cli.console import output_format, progress, show, show_plain
from bandit.cli.evaluation_options import PropensitySource, RewardModels, one_of, reward_model_named
from bandit.cli.help import OUTPUT
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Database,
    Event,
    Format,
    Level,
    LogOptions,
    MappingFile,
    Objective,
    Seed,
    Window,
    WrittenBy,
)
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.cli.logs import Opened
    from bandit.evaluate import Propensities
    from bandit.evaluate.audience import Audience, OtherDimensions


def audience(
    db: Database,
    baseline: Annotated[
        str,
        typer.Option(
            metavar="POLICY", help="Today's rules, such as rules:rules.toml, or \"logged\" for the log's own."
        ),
    ],
    catalogue: CatalogueFile = None,
    mapping: MappingFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="FACT", help="Search only this fact; can be repeated; default: all facts."),
    ] = None,
    others: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            help='The other dimensions: as the "baseline" has them, or "even" over all, which needs less data.',
        ),
    ] = OTHER_DIMENSIONS[0],
    reward_model: RewardModels = "ridge",
    propensities: PropensitySource = None,
    written_by: WrittenBy = None,
    level: Level = 0.98,
    seed: Seed = 1,
    details: Annotated[
        bool,
        typer.Option("--details", help="Show all segments, not only those looked at again.", rich_help_panel=OUTPUT),
    ] = False,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Find options whose true audience is not the one that today's rules assume, where moving them earns more.

    For each option: whom the rules give it, who responds when everybody is offered it, for whom a model prefers it,
    and what giving it to a segment would earn more than what the rules give. All segments of one fact or two are
    searched on one half of the customers. The few most promising ones are confirmed on the other half, by intervals
    that hold together, and only where both share and gain are confirmed is a surprise announced. Everything else is
    "as assumed" or "cannot tell".

    DB can also be a log file (Parquet, CSV, dsjson), with --catalogue and, unless it is an export, --mapping. The log
    must have a share of random choices: what the rules never gave to anybody, no log can show.
    """
    from bandit.cli.logs import left_out_json, opened, unused
    from bandit.report.audience import audience_lines, audience_notes, audience_shown, audience_table
    from bandit.report.evaluations import unit_of

    chosen = cast("OtherDimensions", one_of(others, OTHER_DIMENSIONS, "way to treat the other dimensions"))
    style = output_format(as_json, format_name)
    source = None if propensities is None else cast("Propensities", propensities)
    options = LogOptions(db, catalogue, mapping, objective, event, window, written_by)
    with opened(options, "search") as log:
        found = _search(log, baseline, by or (), chosen, reward_model, source, level, seed)
        plain = {"seed": seed} | left_out_json(log.log)
        if show_plain(style, lambda: found.to_dict() | plain, lambda: [("audiences", found)]):
            return
        table = audience_table(found, unit_of(log.catalogue.objective, log.catalogue.currency), details=details)
        lines = [*audience_notes(found, details=details), *unused(log.log, counted_in=True)]
        show([table] if audience_shown(found, details=details) else [], lines, verdicts=audience_lines(found))


def _search(
    log: Opened,
    baseline: str,
    by: tuple[str, ...] | list[str],
    others: OtherDimensions,
    reward_model: str,
    propensities: Propensities | None,
    level: float,
    seed: int,
) -> Audience:
    import numpy as np

    from bandit.cli.policies import parse_policy
    from bandit.evaluate import LOGGED
    from bandit.evaluate.audience import audience as search

    if baseline == "everyone":
        raise InputError("the baseline is one policy, and everyone names many; write offer:DIMENSION=OPTION,...")
    with progress("searching") as report:
        return search(
            log.log,
            LOGGED if baseline == LOGGED else parse_policy(log.catalogue, baseline),
            catalogue=log.catalogue,
            rng=np.random.default_rng(seed),
            by=by,
            level=level,
            others=others,
            propensities=propensities,
            reward_model=reward_model_named(reward_model),
            progress=report,
        )
