"""The part of `plan` about live groups: which groups, which lift, and what variances and traffic are assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bandit.cli.console import progress
from bandit.errors import InputError
from bandit.printable import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bandit.analysis.group_plan import GroupPlan
    from bandit.analysis.group_timing import CustomerTraffic, GroupReward
    from bandit.analysis.group_variance import MeasuredGroups
    from bandit.catalogue import Catalogue
    from bandit.cli.plan_designs import ExpectedOptions, PilotOptions, PlanOptions

_VALUED = ("rules", "holdout", "random")
"""The group whose mean reward a relative lift is a share of: the first one that a log has."""


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """The options of `plan` about groups, as given; each is None or empty where it is not given."""

    shares: str | None
    lift: str | None
    against: tuple[str, ...]
    deviations: str | None
    customers: float | None
    policy_only: bool
    once: bool

    def require_none(self) -> None:
        """Raise InputError if something about groups is given."""
        given = {
            "--lift": self.lift,
            "--against": self.against,
            "--deviations": self.deviations,
            "--customers": self.customers,
            "--policy-only": self.policy_only,
            "--once": self.once,
        }
        for name, value in given.items():
            if value:
                raise InputError(
                    f"{name} is about groups, and the catalogue declares none; give them with --groups "
                    '"policy=0.8,rules=0.2"'
                )


@dataclass(frozen=True, slots=True)
class PlannedGroups:
    """A plan of groups with sentences about what it rests on; `per_week` are the decisions a week that it assumes."""

    plan: GroupPlan
    per_week: float
    lines: tuple[str, ...]


def planned_shares(options: GroupOptions, catalogue: Catalogue) -> dict[str, float] | None:
    """Return the shares given, else those that the catalogue declares, None where there are no groups."""
    from bandit.catalogue.group_schema import GROUP_ORDER
    from bandit.cli.evaluation_options import parse_shares

    if options.shares is None:
        groups = catalogue.groups
        return None if groups is None else dict(zip(groups.names, groups.shares, strict=True))
    given = parse_shares(options.shares)
    _require_known(given, GROUP_ORDER, "--groups")
    return {name: given[name] for name in GROUP_ORDER if name in given}


def plan_with_groups(
    options: PlanOptions,
    groups: GroupOptions,
    shares: Mapping[str, float],
    catalogue: Catalogue,
    per_week: float | None,
) -> PlannedGroups:
    """Return the plan of these groups; `per_week` is None where the decisions a week are not given.

    Without a pilot log all groups have the variance that the expected response and revenue give; with one, each group
    has its own, as measured. InputError for what cannot be planned.
    """
    from bandit.analysis.group_plan import plan_groups
    from bandit.analysis.group_timing import LiftTarget

    pilot, expected = options.pilot.path, options.expected
    measured = None if pilot is None else _measured(pilot, catalogue, options.pilot)
    value, lines = _value(measured, expected, catalogue)
    lift = _lift(groups.lift, options.difference, value)
    others = sum(share > 0.0 for name, share in shares.items() if name != "policy")
    target = LiftTarget(
        lift,
        options.level,
        options.power,
        options.weeks,
        "once" if groups.once else "daily",
        1 if groups.policy_only else max(others, 1),
        everyone=not groups.policy_only,
    )
    rewards, said = _rewards(groups, shares, measured, expected, catalogue, lift)
    traffic = _traffic(groups, measured, expected, per_week)
    plan = plan_groups(shares, rewards, traffic, target, groups.against)
    about = [] if measured is None else [_measured_line(measured, pilot)]
    return PlannedGroups(plan, traffic.decisions_per_week, (*about, *lines, *said))


def _measured(path: Path, catalogue: Catalogue, pilot: PilotOptions) -> MeasuredGroups:
    """Return what the pilot log says about rewards and traffic."""
    from bandit.analysis.group_variance import measure_groups, measure_groups_of_parts
    from bandit.cli.clusters import part_runner, refuse_cluster
    from bandit.cli.databases import reading
    from bandit.cli.datasets import is_dataset
    from bandit.cli.logs import require_rows, settled_log
    from bandit.clock import now
    from bandit.logfiles.dataset.log import open_dataset
    from bandit.store import Where

    if is_dataset(path):
        log = open_dataset(path, catalogue, policy_id=pilot.written_by)
        require_rows(log.address, log, "plan from")
        with part_runner(log, pilot.cluster) as runner, progress("measuring the pilot") as report:
            return measure_groups_of_parts(log, runner, report)
    refuse_cluster(pilot.cluster)
    with reading(path) as store:
        require_rows(str(path), settled_log(store, catalogue, pilot.written_by), "plan from")
        where = Where(policy_id=pilot.written_by, settled_before=now() - catalogue.objective.window)
        with progress("measuring the pilot") as report:
            return measure_groups(store, catalogue, where, report)


def _value(measured: MeasuredGroups | None, expected: ExpectedOptions, catalogue: Catalogue) -> tuple[float, list[str]]:
    """Return the mean value of a decision that a relative lift is a share of, and a sentence about it."""
    from bandit.analysis.response_model import response_model_of
    from bandit.report.sample_size import amount

    if measured is None:
        model = response_model_of(catalogue, expected.response, expected.basket, expected.basket_sd)
        return model.value, []
    name = next((each for each in _VALUED if each in measured.values), None)
    value = measured.value if name is None else measured.values[name]
    of = "of all groups" if name is None else f'of the group "{name}"'
    return value, [
        f"A decision {of} earned {amount(value, catalogue)} on average; a lift in per cent is a share of that."
    ]


def _lift(given: str | None, difference: float | None, value: float) -> float:
    """Return the lift per decision: as given, in per cent of the value too, by default a tenth of the value."""
    from bandit.cli.plan import DEFAULT_GOAL

    if given is None:
        if difference is None and value == 0.0:
            raise InputError(
                "a decision is worth 0 on average, so the default lift, a tenth of that, is 0; give one with --lift"
            )
        return DEFAULT_GOAL * abs(value) if difference is None else difference
    if difference is not None:
        raise InputError("--lift and --difference are the same quantity; give one of them")
    text = given.strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f'the lift "{given}" cannot be read; write an amount, such as 0.2, or a share, such as "10%"')
    if not text.endswith("%"):
        return number
    if value == 0.0:
        raise InputError(f"a decision is worth 0 on average, so {text} of that is no lift; give --lift as an amount")
    return number / 100.0 * abs(value)


def _rewards(
    groups: GroupOptions,
    shares: Mapping[str, float],
    measured: MeasuredGroups | None,
    expected: ExpectedOptions,
    catalogue: Catalogue,
    lift: float,
) -> tuple[dict[str, GroupReward], list[str]]:
    """Return the rewards of each group and a sentence about those that are assumed."""
    from bandit.analysis.group_timing import GroupReward
    from bandit.analysis.response_model import response_model_of
    from bandit.report.sample_size import amount

    said = []
    if measured is None:
        model = response_model_of(catalogue, expected.response, expected.basket, expected.basket_sd)
        rare = catalogue.objective.kind == "conversion"
        found = {}
        for name in shares:
            each = model.with_uplift(lift) if name == "policy" else model
            if each.variance <= 0.0:
                raise InputError(
                    "all decisions of a group are expected to earn the same, so there is no variance to plan with; "
                    "give another --response or --basket-sd"
                )
            rate = min(each.rate, 1.0 - each.rate) if rare else each.rate
            found[name] = GroupReward(each.variance, expected.correlation, rate)
    else:
        found = {name: measured.rewards.get(name, measured.overall) for name in shares}
        pooled = [name for name in shares if name not in measured.rewards]
        if pooled:
            said.append(
                f"The log has fewer than 30 customers in {', '.join(pooled)}: for these the variance is that of all "
                "decisions."
            )
    if groups.deviations is not None:
        found |= _with_deviations(groups.deviations, found)
    deviations = ", ".join(f"{name} {amount(each.variance**0.5, catalogue)}" for name, each in found.items())
    said.append(f"Standard deviation of a decision: {deviations}.")
    return found, said


def _with_deviations(text: str, rewards: Mapping[str, GroupReward]) -> dict[str, GroupReward]:
    """Return the rewards of the groups whose standard deviations are given."""
    from bandit.analysis.design_variance import check_number
    from bandit.cli.evaluation_options import parse_shares

    try:
        given = parse_shares(text)
    except InputError:
        raise InputError(f'the deviations "{text}" cannot be read; write GROUP=DEVIATION,GROUP=DEVIATION') from None
    _require_known(given, tuple(rewards), "--deviations")
    for name, deviation in given.items():
        check_number(f'deviation of "{name}"', deviation, 0.0 < deviation < math.inf, "a number above 0")
    return {name: replace(rewards[name], variance=deviation**2) for name, deviation in given.items()}


def _traffic(
    groups: GroupOptions, measured: MeasuredGroups | None, expected: ExpectedOptions, per_week: float | None
) -> CustomerTraffic:
    """Return the traffic: as given, else as measured, else the default."""
    from bandit.analysis.group_timing import CustomerTraffic
    from bandit.cli.plan import DEFAULT_PER_WEEK

    if measured is None:
        return CustomerTraffic(DEFAULT_PER_WEEK if per_week is None else per_week, expected.visits, groups.customers)
    weekly = measured.traffic.decisions_per_week if per_week is None else per_week
    return replace(measured.traffic, decisions_per_week=weekly, customers=groups.customers)


def _measured_line(measured: MeasuredGroups, path: Path | None) -> str:
    """Return what was measured, in a sentence."""
    span = f"in {measured.weeks:.1f} weeks" if measured.weeks >= 1.0 else "in less than a week"
    log = f"{counted(measured.decisions, 'settled decision')} of {counted(measured.customers, 'customer')}"
    return (
        f"Measured on {log} {span} in {path}: "
        f"{measured.traffic.visits:.2f} decisions a customer, whose rewards have the correlation "
        f"{measured.overall.correlation:.2f}."
    )


def _require_known(given: Mapping[str, float], known: tuple[str, ...], option: str) -> None:
    for name in given:
        if name not in known:
            raise InputError(f'{option}: there is no group "{name}"; the groups are {", ".join(known)}')
