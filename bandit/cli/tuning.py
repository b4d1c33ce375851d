"""The commands for warm starts and tuning: fit, half-life, exploration."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bandit.cli.choices import EXPLORATION_PERIODS, HALF_LIFE_BLOCK, HALF_LIVES
from bandit.cli.console import output_format, progress, show, show_plain
from bandit.cli.help import ESTIMATION, OUTPUT, POLICIES
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Cluster,
    Database,
    Event,
    Format,
    Level,
    LogOptions,
    Objective,
    PolicyId,
    Window,
    WrittenBy,
)
from bandit.errors import InputError, PolicyError

if TYPE_CHECKING:
    from bandit.analysis.exploration_cost import PeriodUnit
    from bandit.domain import Policy
    from bandit.store import Store


def fit(
    db: Annotated[
        Path,
        typer.Argument(metavar="LOG.db", help="The database, exported file or dataset with the log to learn from."),
    ],
    into: Annotated[Path, typer.Option("--into", metavar="NEW.db", help="The new database, for future decisions.")],
    half_life: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help='Age at which an outcome counts half, such as "30d"; default: never.',
            rich_help_panel=POLICIES,
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Posterior draws per decision.", rich_help_panel=POLICIES)] = 64,
    width: Annotated[
        float,
        typer.Option(help="Factor on the posterior standard deviation; less explores less.", rich_help_panel=POLICIES),
    ] = 0.5,
    floor: Annotated[
        float, typer.Option(help="Share of decisions spread evenly over the eligible offers.", rich_help_panel=POLICIES)
    ] = 0.01,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs/--no-pairs", help="Learn an interaction weight for each pair of options.", rich_help_panel=POLICIES
        ),
    ] = True,
    personal: Annotated[
        bool,
        typer.Option(
            "--personal/--no-personal",
            help="Learn how each customer differs from the others.",
            rich_help_panel=POLICIES,
        ),
    ] = True,
    written_by: WrittenBy = None,
    catalogue: CatalogueFile = None,
    cluster: Cluster = None,
    top: Annotated[int, typer.Option(min=0, help="How many of the best offers to list.", rich_help_panel=OUTPUT)] = 5,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Fit a policy to a log before it goes live: a warm start.

    Fits Thompson sampling on the settled decisions of LOG.db - its own or an imported campaign's - to convergence,
    and creates NEW.db with the log's catalogue and the fitted policy as its first state. Propensities are not used:
    the policy learns how customers responded to the offers that they got.

    NEW.db must not exist: in the database of the log itself the policy would learn the decisions twice; use
    `offer-bandit learn` there. LOG.db can also be a file that `export` wrote, with --catalogue, or a dataset: its
    partitions are added up side by side, wherever --cluster says, and only where the market moves, or with more than
    1,200 weights, is it read in order by this process. Go live on NEW.db with `offer-bandit decide NEW.db CUSTOMER`,
    or in a program with Engine.resume("NEW.db"). Choose a half-life by `offer-bandit half-life LOG.db`.

    \b
    In a program, with a log from any source:
      policy = bandit.ThompsonSampling(catalogue)
      policy.fit(log)
      with bandit.Engine.open("NEW.db", catalogue, policy) as engine: ...
    """  # noqa: D301 - click reads the backspace
    from bandit.analysis.warm_start import warm_start
    from bandit.cli.clusters import part_runner
    from bandit.cli.databases import all_or_nothing
    from bandit.cli.logs import left_out_json, opened, unused
    from bandit.engine import Engine
    from bandit.policies import ThompsonSampling
    from bandit.report.evaluations import unit_of
    from bandit.report.learning import warm_start_json, warm_start_rows, warm_start_tables

    require_new(db, into)
    style = output_format(as_json, format_name)
    with opened(LogOptions(db, catalogue, None, None, None, None, written_by, cluster), "learn from") as found:
        target, log = found.catalogue, found.log
        try:
            policy = ThompsonSampling(
                target, draws=draws, width=width, floor=floor, pairs=pairs, personal=personal, half_life=half_life
            )
        except PolicyError as fault:
            raise InputError(f"the policy cannot be used: {fault}") from fault
        with part_runner(log, cluster) as runner, progress("fitting") as report:
            start = warm_start(log, policy, report, runner)
        left_out, not_used = left_out_json(log), unused(log)
    with all_or_nothing(into), Engine.open(into, target, policy) as engine:
        policy_id = engine.policy_id
    made = {"database": str(into), "policy_id": policy_id, "policy": dict(policy.spec())}
    document = made | warm_start_json(start, target, top) | left_out
    if show_plain(style, lambda: document, lambda: [("best offers", warm_start_rows(start, target, top))]):
        return
    unit = unit_of(target.objective, target.currency)
    lines = [f"{into} has the fitted policy and no decision yet.", *not_used]
    lines += ["Next:", f"  offer-bandit decide {shlex.quote(str(into))} CUSTOMER"]
    show(warm_start_tables(start, target, unit, top), lines)


def half_life(
    db: Database,
    candidates: Annotated[
        str,
        typer.Option(
            metavar="DURATIONS", help="Half-lives to compare, separated by commas.", rich_help_panel=ESTIMATION
        ),
    ] = ",".join(HALF_LIVES),
    even: Annotated[
        bool,
        typer.Option(
            "--even/--as-logged",
            help="Weight decisions by 1 / propensity, so that every eligible offer counts alike; or as logged.",
            rich_help_panel=ESTIMATION,
        ),
    ] = True,
    block: Annotated[
        int, typer.Option(help="Decisions per block, predicted before they are learned.", rich_help_panel=ESTIMATION)
    ] = HALF_LIFE_BLOCK,
    personal: Annotated[
        bool,
        typer.Option(
            "--personal/--no-personal",
            help="Learn also how each customer differs from the others.",
            rich_help_panel=ESTIMATION,
        ),
    ] = False,
    written_by: WrittenBy = None,
    catalogue: CatalogueFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    level: Level = 0.95,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Choose a half-life: the one that would have predicted the log best.

    Runs through the log in order of time. Each block of decisions is predicted with what was learned before it, and
    is learned afterwards; once for each half-life, all on the same blocks. The loss is the log loss of the response to
    the logged offer (the squared error for objective "reward"), weighted so that every eligible offer counts alike:
    a choice needs a good prediction for each. The best candidate is chosen if it is significantly better than "never";
    otherwise "never". A stable market gives "never", and so may a log that is short or has little exploration.
    """
    from bandit.analysis.half_life import HalfLifeOptions, choose_half_life
    from bandit.cli.databases import catalogue_for, reading
    from bandit.cli.logs import left_out_json, require_rows, settled_log, unused, with_objective
    from bandit.report.learning import half_life_lines, half_life_table, half_life_verdict

    style = output_format(as_json, format_name)
    with reading(db) as store:
        target = with_objective(catalogue_for(store, catalogue), objective, event, window)
        log = settled_log(store, target, written_by)
        require_rows(str(db), log, "learn from")
        with progress("comparing half-lives") as report:
            found = choose_half_life(
                log,
                target,
                [name for name in candidates.split(",") if name.strip()],
                HalfLifeOptions(personal=personal, even=even, block=block, level=level),
                progress=report,
            )
        left_out, not_used = left_out_json(log), unused(log)
    if not show_plain(style, lambda: found.to_dict() | left_out, lambda: [("half-lives", found)]):
        lines = [*half_life_lines(found), *not_used]
        show([half_life_table(found)], lines, verdicts=[half_life_verdict(found)])


def exploration(
    db: Database,
    policy_id: PolicyId = None,
    by: Annotated[
        str, typer.Option(metavar="PERIOD", help=f"The period of each row: {' or '.join(EXPLORATION_PERIODS)}.")
    ] = EXPLORATION_PERIODS[0],
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Estimate what a policy's exploration has cost so far, in money.

    For each decision that the policy made: the expected reward of the best eligible offer minus that of the offer
    chosen, both as the policy predicts them now. The policy is the newest in the database, or --policy-id.

    It is an estimate, not a measurement: the best of nearly equal offers looks better than it is. Events
    that are not learned yet do not count; run `offer-bandit learn` first.
    """
    from bandit.analysis.exploration_cost import exploration as exploration_of
    from bandit.cli.databases import reading
    from bandit.policies import ThompsonSampling
    from bandit.report.evaluations import unit_of
    from bandit.report.learning import exploration_lines, exploration_table
    from bandit.store import StoreLog, Where

    style = output_format(as_json, format_name)
    if by not in EXPLORATION_PERIODS:
        raise InputError(f'there is no period "{by}"; choose from {", ".join(EXPLORATION_PERIODS)}')
    with reading(db) as store:
        number, policy = _remembered(store, policy_id)
        if not isinstance(policy, ThompsonSampling):
            raise InputError(
                f"policy {number} is {policy.name}, which has no expected rewards; give one of Thompson "
                "sampling with --policy-id (see doctor)"
            )
        log = StoreLog(store, policy.catalogue, where=Where(policy_id=number))
        with progress("counting") as report:
            found = exploration_of(log, policy, by=cast("PeriodUnit", by), progress=report)
    document = {"policy_id": number, "policy": policy.name} | found.to_dict()
    if not show_plain(style, lambda: document, lambda: [("exploration", found)]):
        table = exploration_table(found, unit_of(policy.catalogue.objective, policy.catalogue.currency))
        first, *lines = exploration_lines(found)
        show([table], lines, verdicts=[first])


def _remembered(store: Store, policy_id: int | None) -> tuple[int, Policy]:
    """Return a policy of the database in its current state; nothing is written."""
    from bandit.engine.default_policy import default_policy
    from bandit.learning import PolicyLearner
    from bandit.policies import build

    known = [row.id for row in store.catalogues.policies()]
    if not known:
        raise InputError(f"{store.path}: the database has no policy yet; decide or learn with one first")
    if policy_id is not None and policy_id not in known:
        raise InputError(f"{store.path}: there is no policy {policy_id}; known are {', '.join(map(str, known))}")
    number = policy_id or default_policy(store) or known[-1]
    catalogue_id, spec = store.catalogues.policy_spec(number)
    catalogue = store.catalogues.get(catalogue_id)
    policy = build(catalogue, spec)
    PolicyLearner(store, catalogue, catalogue_id, policy)  # brings the policy to its current state
    return number, policy


def require_new(db: Path, into: Path) -> None:
    """Raise InputError if `into` is the log itself, exists, or cannot be created."""
    from bandit.cli.databases import require
    from bandit.cli.datasets import is_dataset

    if not is_dataset(db):
        require(db)
    if into.exists():
        if db.exists() and into.samefile(db):
            raise InputError(
                f"{into} is the log itself, where the policy would learn its decisions twice; name a new database with "
                "--into, or use `offer-bandit learn` to learn the log where it is"
            )
        raise InputError(f"{into}: is there already; give a new name with --into")
    if not into.parent.is_dir():
        raise InputError(f"{into}: there is no directory {into.parent}; create it, or give another with --into")
