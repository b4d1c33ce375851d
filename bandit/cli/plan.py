"""The command that plans the sample size before launch: plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.choices import ONE_POLICY_FORMS
from bandit.cli.console import output_format, show, show_plain
from bandit.cli.help import EXPECTED, GROUPS, LOG, POLICIES, TARGET
from bandit.cli.options import AsJson, Cluster, Format, Level, Seed, WrittenBy
from bandit.cli.plan_designs import (
    ExpectedOptions,
    PilotOptions,
    PlanOptions,
    designs_by_formula,
    designs_from_pilot,
)
from bandit.cli.plan_groups import GroupOptions
from bandit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from bandit.analysis.sample_size import PlanRow, PrecisionTarget
    from bandit.catalogue import Catalogue
    from bandit.tabular import Tabular


DEFAULT_GOAL = 0.1
"""The difference to detect by default, as a share of the value of a decision."""

DEFAULT_PER_WEEK = 10_000.0
"""The decisions a week, where neither an option nor a log says how many there are."""


def plan(
    catalogue: Annotated[Path, typer.Argument(metavar="CATALOGUE.toml", help="The offers and what they cost.")],
    per_week: Annotated[
        float | None,
        typer.Option(
            "--decisions-per-week",
            metavar="N",
            help="Decisions per week; default: 10,000, for groups with --from as many as the log has.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    weeks: Annotated[
        float,
        typer.Option(
            metavar="N",
            help="Weeks for which the table shows the interval's width; groups: within which the cheapest shares tell.",
            rich_help_panel=TARGET,
        ),
    ] = 4.0,
    difference: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="The difference per decision to detect; default: a tenth of the value of a decision.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    width: Annotated[
        float | None,
        typer.Option(metavar="X", help="Or: the planned width of the difference's interval.", rich_help_panel=TARGET),
    ] = None,
    explore: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of decisions made at random.", rich_help_panel=EXPECTED)
    ] = 0.1,
    response: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of decisions that convert.", rich_help_panel=EXPECTED)
    ] = 0.05,
    basket: Annotated[
        float,
        typer.Option(
            metavar="MONEY",
            help='Mean revenue of a conversion; for objective "reward", mean reward.',
            rich_help_panel=EXPECTED,
        ),
    ] = 50.0,
    basket_sd: Annotated[
        float | None,
        typer.Option(metavar="MONEY", help="Its standard deviation; default: the mean.", rich_help_panel=EXPECTED),
    ] = None,
    eligible: Annotated[
        float | None,
        typer.Option(metavar="N", help="Offers a customer may get; default: all legal ones.", rich_help_panel=EXPECTED),
    ] = None,
    agreement: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Share of customers for whom policy and rules agree.", rich_help_panel=EXPECTED
        ),
    ] = 0.0,
    explained: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the reward's variance that a reward model explains.",
            rich_help_panel=EXPECTED,
        ),
    ] = 0.0,
    visits: Annotated[float, typer.Option(metavar="N", help="Decisions per customer.", rich_help_panel=EXPECTED)] = 1.0,
    correlation: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Correlation of the rewards of one customer.", rich_help_panel=EXPECTED),
    ] = 0.1,
    live_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the customers on the policy, side by side with the rules.",
            rich_help_panel=EXPECTED,
        ),
    ] = 0.5,
    uniform_value: Annotated[
        float | None,
        typer.Option(
            metavar="MONEY", help="Value of a decision with a random offer, if known.", rich_help_panel=EXPECTED
        ),
    ] = None,
    pilot: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="LOG.db",
            help="A pilot log, or a dataset of one, to take the variance from.",
            rich_help_panel=LOG,
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help=f"With --from: the planned policy. One of {ONE_POLICY_FORMS}.",
            rich_help_panel=POLICIES,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help='With --from: the rules; default: "logged".', rich_help_panel=POLICIES),
    ] = None,
    written_by: WrittenBy = None,
    cluster: Cluster = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help='Plan live groups with these shares, such as "policy=0.8,rules=0.2"; default: the catalogue\'s.',
            rich_help_panel=GROUPS,
        ),
    ] = None,
    lift: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help='Groups: the lift per decision to tell, as an amount or as "10%" of what a decision is worth.',
            rich_help_panel=GROUPS,
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUP",
            help="Groups: tell the policy from this group; can be repeated; default: all.",
            rich_help_panel=GROUPS,
        ),
    ] = None,
    deviations: Annotated[
        str | None,
        typer.Option(
            metavar="SDS",
            help='Groups: standard deviations per decision, such as "policy=12,rules=10".',
            rich_help_panel=GROUPS,
        ),
    ] = None,
    customers: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Groups: all decisions are by these N customers; default: new ones keep coming.",
            rich_help_panel=GROUPS,
        ),
    ] = None,
    policy_only: Annotated[
        bool,
        typer.Option(
            "--policy-only",
            help="Groups: plan for lift --group policy, which judges one comparison.",
            rich_help_panel=GROUPS,
        ),
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Groups: costs and cheapest shares are for one look, not for a look every day.",
            rich_help_panel=GROUPS,
        ),
    ] = False,
    level: Level = 0.95,
    power: Annotated[
        float, typer.Option(help="Probability of detecting a true difference.", rich_help_panel=TARGET)
    ] = 0.8,
    seed: Seed = 1,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Compute how many decisions it takes to detect the difference between a policy and the rules.

    By formula, from what you expect: how many customers respond, what they spend, and how many decisions there are a
    week. It compares two designs: from the log of the rules, with a random share of decisions spread evenly over the
    eligible offers, so that no customer is exposed to the policy; and live, with policy and rules side by side. With
    --from, the variance is that of a pilot log, with its own random share, instead of the formula's.

    With groups, declared in the catalogue or given with --groups, it also says when lift will tell the policy from each
    other group, by one look on a fixed day and looking every day, what is forgone until then, and which shares tell it
    soonest, or at the smallest cost within --weeks. With --from, each group has its variance in that log, and --policy
    may be left out.

    The formula assumes a normal distribution: if fewer than about thirty decisions of a log show the policy's offer and
    convert, the interval itself is uncertain.
    """
    if difference is not None and width is not None:
        raise InputError("--difference and --width are two goals; give one of them")
    options = PlanOptions(
        per_week=DEFAULT_PER_WEEK if per_week is None else per_week,
        weeks=weeks,
        difference=difference,
        width=width,
        explore=explore,
        live_share=live_share,
        level=level,
        power=power,
        expected=ExpectedOptions(
            response=response,
            basket=basket,
            basket_sd=basket if basket_sd is None else basket_sd,
            eligible=eligible,
            agreement=agreement,
            explained=explained,
            visits=visits,
            correlation=correlation,
            uniform_value=uniform_value,
        ),
        pilot=PilotOptions(
            path=pilot, policy=policy, baseline=baseline, written_by=written_by, seed=seed, cluster=cluster
        ),
    )
    of_groups = GroupOptions(groups, lift, tuple(against or ()), deviations, customers, policy_only, once)
    _plan(catalogue, options, of_groups, per_week, output_format(as_json, format_name))


def _plan(file: Path, options: PlanOptions, of_groups: GroupOptions, per_week: float | None, style: str) -> None:
    """Compute the plan and print it."""
    from bandit.catalogue import Catalogue
    from bandit.cli.plan_groups import plan_with_groups, planned_shares
    from bandit.report.group_plan import few_outcomes, group_plan_lines, plan_tables

    catalogue = Catalogue.from_toml(file)
    shares = planned_shares(of_groups, catalogue)
    parts = []
    if shares is None:
        of_groups.require_none()
        parts.append(_designs(file, catalogue, options))
    else:
        found = plan_with_groups(options, of_groups, shares, catalogue, per_week)
        goal = abs(found.plan.target.lift) if options.width is None else None
        pilot = options.pilot
        if pilot.path is None or pilot.policy is not None or pilot.baseline is not None:
            parts.append(_designs(file, catalogue, replace(options, per_week=found.per_week, difference=goal)))
        first, *lines = group_plan_lines(found.plan, catalogue)
        parts.append(
            _PlanPart(
                {"groups": found.plan.to_dict()},
                [("groups", found.plan)],
                list(plan_tables(found.plan, catalogue)),
                [first],
                [*lines, *few_outcomes(found.plan), *found.lines],
            )
        )

    def document() -> dict[str, object]:
        return {name: value for part in parts for name, value in part.plain.items()}

    if not show_plain(style, document, lambda: [rows for part in parts for rows in part.rows]):
        show(
            [table for part in parts for table in part.tables],
            [line for part in parts for line in part.lines],
            verdicts=[line for part in parts for line in part.first],
        )


@dataclass(frozen=True, slots=True)
class _PlanPart:
    """One plan: as JSON values, as named rows, as tables, and in sentences, of which the first ones are the answer."""

    plain: Mapping[str, object]
    rows: Sequence[tuple[str, Tabular]]
    tables: Sequence[Table]
    first: Sequence[str]
    lines: Sequence[str]


def _designs(file: Path, catalogue: Catalogue, options: PlanOptions) -> _PlanPart:
    """Return the comparison of designs."""
    from bandit.analysis.sample_size import plan as plan_of
    from bandit.report.sample_size import plan_lines, plan_table

    if options.pilot.path is None:
        comparison = designs_by_formula(options, catalogue, file)
    else:
        comparison = designs_from_pilot(options, catalogue, options.pilot.path)
    target = _target(options, comparison.value)
    planned = plan_of(comparison.designs, target, options.per_week, options.weeks, comparison.exploration_cost)
    asked = next(row for row in planned.rows if row.design == "pilot" or row.share == options.explore)
    first = [*plan_lines(planned, catalogue, asked), *_cost_until_reached(asked, catalogue)]
    plain = planned.to_dict() | {"asked": asked.to_dict(), "value": comparison.value}
    return _PlanPart(plain, [("designs", planned)], [plan_table(planned, catalogue)], first, comparison.lines)


def _target(options: PlanOptions, value: float) -> PrecisionTarget:
    """Return the width or the difference asked for; by default a tenth of the value of a decision."""
    from bandit.analysis.sample_size import PrecisionTarget

    if options.width is not None:
        return PrecisionTarget("width", options.width, options.level, options.power)
    difference = options.difference
    if difference is None:
        if value == 0.0:
            raise InputError(
                "a decision is worth 0 on average, so the default difference, a tenth of that, is 0; give one with "
                "--difference"
            )
        difference = DEFAULT_GOAL * abs(value)
    return PrecisionTarget("difference", difference, options.level, options.power)


def _cost_until_reached(asked: PlanRow, catalogue: Catalogue) -> list[str]:
    """Return what exploration costs until the target is reached, if that is known."""
    from bandit.report.sample_size import amount

    if asked.cost is None or asked.cost <= 0.0:
        return []
    return [f"Until then exploration costs {amount(asked.cost * asked.decisions, catalogue)} in all."]
