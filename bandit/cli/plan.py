"""The command that says, before launch, how many decisions it takes: plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bandit.analysis.design_variance import (
    live_variance,
    logged_conversions,
    logged_variance,
    pilot_variance,
    two_group_factor,
)
from bandit.analysis.response_model import response_model_of
from bandit.analysis.sample_size import Design, PlanRow, PrecisionTarget
from bandit.analysis.sample_size import plan as plan_of
from bandit.catalogue import Catalogue
from bandit.cli.console import progress, show, show_json
from bandit.cli.databases import reading
from bandit.cli.logs import WrittenBy, require_rows, settled_log, unused
from bandit.cli.options import AsJson, Level, Seed
from bandit.cli.policies import NAMES, parse_policies
from bandit.errors import InputError
from bandit.evaluate import LOGGED, Evaluation
from bandit.evaluate import evaluate as evaluate_log
from bandit.policies import Uniform
from bandit.report.sample_size import amount, plan_lines, plan_table

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares left to chance that the table compares, beside the one asked about."""

DEFAULT_GOAL = 0.1
"""The difference to tell where none is asked for, as a share of what a decision is worth."""

_UNIFORM = "uniform choice"


def plan(
    catalogue: Annotated[Path, typer.Argument(metavar="CATALOGUE.toml", help="The offers and what they cost.")],
    per_week: Annotated[float, typer.Option("--decisions-per-week", metavar="N", help="Decisions a week.")] = 10_000.0,
    weeks: Annotated[float, typer.Option(metavar="N", help="Weeks after which the table says what is known.")] = 4.0,
    difference: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="The difference a decision to tell from nothing; default: a tenth of what one is worth."
        ),
    ] = None,
    width: Annotated[
        float | None, typer.Option(metavar="X", help="Or: the width that the difference's interval is to have.")
    ] = None,
    explore: Annotated[float, typer.Option(metavar="SHARE", help="Share of decisions left to chance.")] = 0.1,
    response: Annotated[float, typer.Option(metavar="SHARE", help="Share of decisions that convert.")] = 0.05,
    basket: Annotated[
        float, typer.Option(metavar="MONEY", help='Mean revenue of a conversion; for objective "reward", mean reward.')
    ] = 50.0,
    basket_sd: Annotated[
        float | None, typer.Option(metavar="MONEY", help="Its standard deviation; default: the mean.")
    ] = None,
    eligible: Annotated[
        float | None, typer.Option(metavar="N", help="Offers a customer may get; default: all legal ones.")
    ] = None,
    agreement: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of customers for whom policy and rules agree.")
    ] = 0.0,
    explained: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the reward's variance that a reward model explains.")
    ] = 0.0,
    visits: Annotated[float, typer.Option(metavar="N", help="Decisions a customer.")] = 1.0,
    correlation: Annotated[
        float, typer.Option(metavar="SHARE", help="Correlation of the rewards of one customer.")
    ] = 0.1,
    live_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the customers on the policy, side by side with the rules.")
    ] = 0.5,
    uniform_value: Annotated[
        float | None, typer.Option(metavar="MONEY", help="What a decision is worth with an offer at random, if known.")
    ] = None,
    pilot: Annotated[
        Path | None, typer.Option("--from", metavar="LOG.db", help="Take the variance from this log instead.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(metavar="POLICY", help=f"With --from: the policy to come. One of {NAMES}.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="POLICY", help='With --from: the rules; default: "logged".')
    ] = None,
    written_by: WrittenBy = None,
    level: Level = 0.95,
    power: Annotated[float, typer.Option(help="How often a true difference is to be told.")] = 0.8,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Say how many decisions it takes until a policy's difference to the rules is told from nothing.

    By formula, from what you expect: how many respond, what they spend, and how many decisions come a week. Learned
    either from the log of the rules, which leave a share of their decisions to chance, evenly over the eligible
    offers - no customer meets the policy - or live, side by side. With --from, the variance is that of a pilot log,
    with its own share left to chance, in place of the formula.

    The formula knows no luck: where fewer than about thirty decisions of a log show the policy's offer and convert,
    the interval itself is uncertain.
    """
    target = Catalogue.from_toml(catalogue)
    if difference is not None and width is not None:
        raise InputError("--difference and --width are two goals; give one of them")
    lines: list[str] = []
    if pilot is None:
        if policy is not None or baseline is not None or written_by is not None:
            raise InputError("--policy, --baseline and --written-by are for a pilot log; name it with --from LOG.db")
        if target.n_offers < 2:
            raise InputError(f"{catalogue}: the catalogue has only one legal offer, so there is nothing to compare")
        earned = response_model_of(target, response, basket, basket if basket_sd is None else basket_sd)
        worth = earned.value
        offers = float(target.n_offers) if eligible is None else eligible
        ways = [
            Design(
                "log",
                share,
                logged_variance(earned, offers, share, agreement=agreement, explained=explained, visits=visits),
                logged_conversions(earned, offers, share, agreement),
            )
            for share in sorted({*SHARES, explore})
        ]
        live = live_variance(earned, live_share, visits=visits, correlation=correlation)
        seen = min(live_share, 1.0 - live_share) * earned.rate
        ways.append(Design("live", live_share, live, seen))
        given_up = None if uniform_value is None else worth - uniform_value
        lines.append(
            f"Assumed: a decision is worth {amount(worth, target)} under the rules, with a standard deviation of "
            f"{amount(earned.variance**0.5, target)}, and {offers:g} offers are eligible."
        )
    else:
        judged, name, said = _judged(pilot, target, policy, baseline, written_by, level, seed)
        against = judged.row(name).against_baseline(judged.default)
        if against is None:
            raise InputError(f'the policy "{name}" is the baseline itself; name another with --policy')
        worth = judged.realised_mean
        live = pilot_variance(judged.realised) * two_group_factor(live_share)
        ways = [Design("pilot", None, pilot_variance(against)), Design("live", live_share, live)]
        given_up = None
        lines += [*said, *_exploring(judged, target)]
    goal = _goal(difference, width, worth, level, power)
    planned = plan_of(ways, goal, per_week, weeks, given_up)
    asked = next(row for row in planned.rows if row.design == "pilot" or row.share == explore)
    if as_json:
        show_json(planned.to_dict() | {"asked": asked.to_dict(), "value": worth})
        return
    show([plan_table(planned, target)], [*plan_lines(planned, target, asked), *_given_up(asked, target), *lines])


def _goal(difference: float | None, width: float | None, worth: float, level: float, power: float) -> PrecisionTarget:
    if width is not None:
        return PrecisionTarget("width", width, level, power)
    if difference is None and worth == 0.0:
        raise InputError("a decision is worth 0 on average, of which no tenth can be told; name a --difference")
    return PrecisionTarget("difference", DEFAULT_GOAL * abs(worth) if difference is None else difference, level, power)


def _given_up(asked: PlanRow, catalogue: Catalogue) -> list[str]:
    """Return what exploring costs until the goal is reached, where that is known."""
    if asked.cost is None or asked.cost <= 0.0:
        return []
    total = asked.cost * asked.decisions
    return [f"Until then what is left to chance costs {amount(total, catalogue)} in all."]


def _judged(
    pilot: Path,
    target: Catalogue,
    policy: str | None,
    baseline: str | None,
    written_by: int | None,
    level: float,
    seed: int,
) -> tuple[Evaluation, str, list[str]]:
    """Return the evaluation of a pilot log, the name of the policy in it, and what is to be said of it."""
    if policy is None:
        raise InputError("--from needs the policy whose difference is to be learned; name it with --policy")
    with reading(pilot) as store:
        named, base = parse_policies(target, [policy], LOGGED if baseline is None else baseline)
        if len(set(named) - {base}) > 1:
            raise InputError(f'a plan is for one policy, and "{policy}" names several; write one of them')
        name, learns = next(iter(named)), any(each.learns for each in named.values())
        log = settled_log(store, target, written_by)
        require_rows(str(pilot), log)
        with progress("evaluating the pilot") as report:
            judged = evaluate_log(
                log,
                named | {_UNIFORM: Uniform(target)},
                base,
                catalogue=target,
                rng=np.random.default_rng(seed),
                estimators=("dr",),
                level=level,
                split=0.5 if learns else None,
                progress=report,
            )
    of = " other customers' decisions after it learned from the rest" if judged.learned_on else " decisions"
    said = [f"Taken from {judged.n:,}{of} in {pilot}.", *unused(log)]
    warning = judged.row(name).warning
    if warning is not None:
        said.append(f"The pilot supports no plan yet: {warning}.")
    return judged, name, said


def _exploring(judged: Evaluation, target: Catalogue) -> list[str]:
    """Return what an offer at random earns less than the log did, where the log can tell."""
    row = judged.row(_UNIFORM)
    if row.warning is not None:
        return []
    less = judged.realised_mean - row.estimate(judged.default).value
    verb = "less" if less > 0 else "more"
    return [f"An offer at random earns about {amount(abs(less), target)} a decision {verb} than the log did."]
