"""The command that learns a policy from a log and estimates its value: learn-offline."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.choices import INTERVAL_KINDS
from bandit.cli.console import output_format, progress
from bandit.cli.evaluation_options import (
    Baseline,
    EstimationOptions,
    Gate,
    Intervals,
    PropensitySource,
    RewardModels,
    require_gate,
    reward_model_named,
)
from bandit.cli.evaluation_output import EvaluationOutput, show_evaluation
from bandit.cli.help import ESTIMATION, POLICIES
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Cluster,
    Details,
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
from bandit.cli.tuning import require_new
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.cli.logs import Opened
    from bandit.domain import PartRunner, Policy, Progress
    from bandit.evaluate import Evaluation


_BATCH = 8_192


@dataclass(frozen=True, slots=True)
class LearnOfflineOptions:
    """The options of `learn-offline`, as given on the command line."""

    log: LogOptions
    policy: str
    baseline: str | None
    folds: int
    into: Path | None
    name: str | None
    estimation: EstimationOptions
    gate: bool
    output: EvaluationOutput


def learn_offline(
    db: Annotated[Path, typer.Argument(metavar="LOG.db", help="The database or file with the log to learn from.")],
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help="The policy that learns, such as thompson or vw.",
            rich_help_panel=POLICIES,
        ),
    ] = "thompson",
    baseline: Baseline = "logged",
    folds: Annotated[int, typer.Option(min=2, help="Number of folds of customers.", rich_help_panel=ESTIMATION)] = 5,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="DB",
            help="A new database for the policy, learned from all of the log; or the log's own, which it then joins.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="With --into: the policy's name; in the log's own, one not used."),
    ] = None,
    catalogue: CatalogueFile = None,
    mapping: MappingFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    interval: Intervals = INTERVAL_KINDS[0],
    reward_model: RewardModels = "ridge",
    propensities: PropensitySource = None,
    written_by: WrittenBy = None,
    cluster: Cluster = None,
    gate_: Gate = False,
    level: Level = 0.95,
    seed: Seed = 1,
    details: Details = False,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Learn a policy from a log, and estimate its value by cross-fitting.

    The customers are split into folds. For each fold, a copy of the policy learns from the other folds and is evaluated
    on this one, so every decision of the log is used and no copy has seen the customers it is evaluated on. The value
    is that of policies learned from 4 in 5 of the customers (with 5 folds).

    With --into the policy is then learned from all of the log and written to a new database, where `offer-bandit
    decide` uses it. With the log's own database it joins the policies there, with what it has learned noted, so that
    nothing is learned twice: as a candidate for `offer-bandit rollout challenge`.

    With --gate this is done only if it is better than the baseline, and the exit code is the verdict: 0 better,
    3 worse, 4 no difference found, 5 cannot tell.
    """
    require_gate(gate_, baseline)
    if into is not None and not _is_own(db, into):
        require_new(db, into)
    if name is not None and into is None:
        raise InputError("--name is the policy's name in the database of --into; give both")
    options = LearnOfflineOptions(
        log=LogOptions(db, catalogue, mapping, objective, event, window, written_by, cluster),
        policy=policy,
        baseline=baseline,
        folds=folds,
        into=into,
        name=name,
        estimation=EstimationOptions(interval, reward_model, propensities, level, seed),
        gate=gate_,
        output=EvaluationOutput(output_format(as_json, format_name), details, written_by=written_by),
    )
    code = _learn_offline(options)
    if code:
        raise typer.Exit(code)


def _learn_offline(options: LearnOfflineOptions) -> int:
    """Evaluate by cross-fitting, write the policy to its database, and print; return the exit code."""
    from bandit.cli.clusters import part_runner
    from bandit.cli.logs import opened
    from bandit.cli.policies import parse_policy
    from bandit.evaluate import gate

    with opened(options.log, "learn from") as found:
        learner = parse_policy(found.catalogue, options.policy)
        if not learner.learns:
            raise InputError(f'the policy "{options.policy}" does not learn; evaluate it with `offer-bandit evaluate`')
        joins = options.into is not None and _is_own(options.log.path, options.into)
        if joins:
            _require_newest_version(found)
        with part_runner(found.log, options.log.cluster) as runner:
            result = _cross_fit(options, found, runner)
            code = gate(result) if options.gate else 0
            policy_id = None
            if options.into is not None and code == 0:
                named = _named(found.catalogue, learner, options.name, joins=joins)
                with progress("learning from the whole log") as report:
                    learning = _Learning(found, named, report, runner)
                    policy_id = _write(options.into, learning, joins=joins)
        _show(options, found, result, policy_id, joins=joins)
    return code


def _cross_fit(options: LearnOfflineOptions, found: Opened, runner: PartRunner | None) -> Evaluation:
    import numpy as np

    from bandit.cli.policies import parse_policies
    from bandit.clock import now
    from bandit.evaluate import evaluate

    estimation = options.estimation
    named, base = parse_policies(found.catalogue, [options.policy], options.baseline)
    with progress("learning and evaluating") as report:
        return evaluate(
            found.log,
            named,
            base,
            catalogue=found.catalogue,
            rng=np.random.default_rng(estimation.seed),
            estimators=("dr", "snips"),
            level=estimation.level,
            interval=estimation.interval_kind(),
            crossfit=options.folds,
            reward_model=reward_model_named(estimation.reward_model),
            propensities=estimation.propensity_source(),
            now=now(),
            progress=report,
            runner=runner,
        )


def _show(
    options: LearnOfflineOptions, found: Opened, result: Evaluation, policy_id: int | None, *, joins: bool
) -> None:
    """Print the evaluation, and what to do with the policy; `policy_id` is None where it was not written."""
    into = options.into
    further = {
        "seed": options.estimation.seed,
        "into": None if policy_id is None else str(into),
        "policy_id": policy_id,
    }
    lines = [] if into is None else _next_step(into, found.log.n, policy_id, joins=joins)
    show_evaluation(options.output, found, result, further, lines)


def _next_step(into: Path, n: int, policy_id: int | None, *, joins: bool) -> list[str]:
    """Return what became of the policy, and the command that uses it."""
    path = shlex.quote(str(into))
    if policy_id is None:
        return [f"{into} {'was not changed' if joins else 'was not created'}: the policy did not pass the gate."]
    all_of_it = f"learned from all {n:,} decisions"
    if joins:
        return [
            f"It is policy {policy_id} of {into}, {all_of_it}; it serves nobody yet. Next:",
            f"  offer-bandit rollout challenge {path} --policy {policy_id} --share 0.1",
        ]
    return [f"{into} has the policy, {all_of_it}. Next:", f"  offer-bandit decide {path} CUSTOMER"]


def _is_own(db: Path, into: Path) -> bool:
    """Say whether the policy is to join the database of the log itself."""
    return db.exists() and into.exists() and into.samefile(db)


def _require_newest_version(found: Opened) -> None:
    """Raise InputError unless the policy can join the log's database: a log file, or another catalogue."""
    latest = None if found.store is None else found.store.catalogues.latest()
    if latest is None or latest[1].version != found.catalogue.version:
        raise InputError(
            "a policy joins the database of its log under the newest catalogue there; leave out --catalogue, "
            "--objective, --event and --window, or name a new database with --into"
        )


def _named(catalogue: Catalogue, policy: Policy, name: str | None, *, joins: bool) -> Policy:
    """Return an untrained policy of the same settings under a name; one that joins a log's database has a new one."""
    from bandit.clock import now
    from bandit.policies import build
    from bandit.report.times import iso_minute

    if name is None:
        if not joins:
            return policy
        name = f"{policy.name}, learned {iso_minute(now())}"
    return build(catalogue, {**policy.spec(), "name": name})


@dataclass(frozen=True, slots=True, eq=False)
class _Learning:
    """The log that a policy learns, the policy, and where its progress is shown and its sums are added up."""

    found: Opened
    policy: Policy
    report: Progress
    runner: PartRunner | None


def _write(into: Path, learning: _Learning, *, joins: bool) -> int:
    """Let the policy learn the whole log, create or open its database, and return its number there."""
    from bandit.cli.databases import all_or_nothing, writing
    from bandit.engine import Engine
    from bandit.evaluate import teach, untrained_copy
    from bandit.learning import add_candidate
    from bandit.store import StoreLog

    found, report = learning.found, learning.report
    policy = untrained_copy(learning.policy, found.catalogue)
    if joins and isinstance(found.log, StoreLog) and found.store is not None:
        with found.store.one_state(), writing(into) as store:  # what is noted as learned is what was learned
            teach(policy, found.log, _BATCH, report, learning.runner)
            return add_candidate(store, found.catalogue, policy, found.log, found.store)
    teach(policy, found.log, _BATCH, report, learning.runner)
    with all_or_nothing(into), Engine.open(into, found.catalogue, policy) as engine:
        return engine.policy_id
