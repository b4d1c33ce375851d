"""The command that learns a policy from a log and estimates its value: learn-offline."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.choices import INTERVAL_KINDS
from bandit.cli.console import progress, show, show_json
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
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Event,
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
    from bandit.domain import Log, Policy
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
    estimation: EstimationOptions
    gate: bool


def learn_offline(
    db: Annotated[Path, typer.Argument(metavar="LOG.db", help="The database or file with the log to learn from.")],
    policy: Annotated[
        str, typer.Option("--policy", metavar="POLICY", help="The policy that learns, such as thompson or vw.")
    ] = "thompson",
    baseline: Baseline = "logged",
    folds: Annotated[int, typer.Option(min=2, help="Number of folds of customers.")] = 5,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="NEW.db", help="A new database for the policy, learned from all of the log."),
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
    gate_: Gate = False,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Learn a policy from a log, and estimate its value by cross-fitting.

    The customers are split into folds. For each fold, a copy of the policy learns from the other folds and is evaluated
    on this one, so every decision of the log is used and no copy has seen the customers it is evaluated on. The value
    is that of policies learned from 4 in 5 of the customers (with 5 folds).

    With --into the policy is then learned from all of the log and written to a new database, where `offer-bandit
    decide` uses it. With --gate this is done only if it is better than the baseline, and the exit code is the
    verdict: 0 better, 3 worse, 4 no difference found, 5 cannot tell.
    """
    require_gate(gate_, baseline)
    if into is not None:
        require_new(db, into)
    options = LearnOfflineOptions(
        log=LogOptions(db, catalogue, mapping, objective, event, window, written_by),
        policy=policy,
        baseline=baseline,
        folds=folds,
        into=into,
        estimation=EstimationOptions(interval, reward_model, propensities, level, seed),
        gate=gate_,
    )
    code = _learn_offline(options, as_json=as_json)
    if code:
        raise typer.Exit(code)


def _learn_offline(options: LearnOfflineOptions, *, as_json: bool) -> int:
    """Evaluate by cross-fitting, write the policy to its database, and print; return the exit code."""
    from bandit.cli.logs import opened
    from bandit.cli.policies import parse_policy
    from bandit.evaluate import gate, untrained_copy

    with opened(options.log, "learn from") as found:
        learner = parse_policy(found.catalogue, options.policy)
        if not learner.learns:
            raise InputError(f'the policy "{options.policy}" does not learn; evaluate it with `offer-bandit evaluate`')
        result = _cross_fit(options, found)
        code = gate(result) if options.gate else 0
        written = options.into is not None and code == 0
        if options.into is not None and written:
            with progress("learning from the whole log"):
                _write(options.into, found.catalogue, untrained_copy(learner, found.catalogue), found.log)
        _show(options, found, result, written=written, as_json=as_json)
    return code


def _cross_fit(options: LearnOfflineOptions, found: Opened) -> Evaluation:
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
        )


def _show(options: LearnOfflineOptions, found: Opened, result: Evaluation, *, written: bool, as_json: bool) -> None:
    from bandit.cli.logs import left_out_json, unused
    from bandit.evaluate import verdicts
    from bandit.report.evaluations import evaluation_lines, evaluation_table, unit_of

    into, log = options.into, found.log
    if as_json:
        left = left_out_json(log) | {"into": str(into) if written else None}
        show_json(result.to_dict() | {"verdicts": verdicts(result), "seed": options.estimation.seed} | left)
        return
    lines = [*evaluation_lines(result), *unused(log)]
    if into is not None:
        lines.append(
            f"{into} has the policy, learned from all {log.n:,} decisions. "
            f"Next: offer-bandit decide {shlex.quote(str(into))} CUSTOMER"
            if written
            else f"{into} was not created: the policy did not pass the gate."
        )
    show([evaluation_table(result, unit_of(found.catalogue.objective, found.catalogue.currency))], lines)


def _write(into: Path, catalogue: Catalogue, policy: Policy, log: Log) -> None:
    """Let the policy learn the whole log, and create its database."""
    from bandit.cli.databases import all_or_nothing
    from bandit.engine import Engine
    from bandit.evaluate import teach

    teach(policy, log, _BATCH)
    with all_or_nothing(into), Engine.open(into, catalogue, policy):
        pass
