"""The command that learns a policy from a log and estimates its value: learn-offline."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bandit.cli.choices import INTERVAL_KINDS
from bandit.cli.console import progress, show, show_json
from bandit.cli.evaluate import (
    Baseline,
    Gate,
    Intervals,
    PropensitySource,
    RewardModels,
    one_of,
    require_gate,
    reward_model_named,
)
from bandit.cli.options import AsJson, CatalogueFile, Event, Level, MappingFile, Objective, Seed, Window, WrittenBy
from bandit.cli.tuning import require_new
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import Log, Policy
    from bandit.evaluate import Propensities
    from bandit.ope import IntervalKind


_BATCH = 8_192


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
    import numpy as np

    from bandit.cli.logs import opened, unused
    from bandit.cli.policies import parse_policies, parse_policy
    from bandit.clock import now
    from bandit.evaluate import evaluate as evaluate_log
    from bandit.evaluate import gate, untrained_copy, verdicts
    from bandit.report.evaluations import evaluation_lines, evaluation_table, unit_of

    require_gate(gate_, baseline)
    if into is not None:
        require_new(db, into)
    with opened(db, catalogue, mapping, (objective, event, window), written_by, "learn from") as found:
        target, log = found.catalogue, found.log
        learner = parse_policy(target, policy)
        if not learner.learns:
            raise InputError(f'the policy "{policy}" does not learn; evaluate it with `offer-bandit evaluate`')
        named, base = parse_policies(target, [policy], baseline)
        with progress("learning and judging") as report:
            result = evaluate_log(
                log,
                named,
                base,
                catalogue=target,
                rng=np.random.default_rng(seed),
                estimators=("dr", "snips"),
                level=level,
                interval=cast("IntervalKind", one_of(interval, INTERVAL_KINDS, "kind of interval")),
                crossfit=folds,
                reward_model=reward_model_named(reward_model),
                propensities=None if propensities is None else cast("Propensities", propensities),
                now=now(),
                progress=report,
            )
        code = gate(result) if gate_ else 0
        made = into is not None and code == 0
        if into is not None and made:
            with progress("learning from all of it"):
                _make(into, target, untrained_copy(learner, target), log)
        if as_json:
            left = {"left_out": log.left_out, "open": log.still_open, "into": str(into) if made else None}
            show_json(result.to_dict() | {"verdicts": verdicts(result), "seed": seed} | left)
        else:
            lines = [*evaluation_lines(result), *unused(log)]
            if into is not None:
                lines.append(
                    f"{into} has the policy, learned from all {log.n:,} decisions. "
                    f"Next: offer-bandit decide {shlex.quote(str(into))} CUSTOMER"
                    if made
                    else f"{into} was not created: the policy did not pass the gate."
                )
            show([evaluation_table(result, unit_of(target.objective, target.currency))], lines)
    if code:
        raise typer.Exit(code)


def _make(into: Path, catalogue: Catalogue, policy: Policy, log: Log) -> None:
    from bandit.cli.databases import all_or_nothing
    from bandit.engine import Engine
    from bandit.evaluate import teach

    teach(policy, log, _BATCH)
    with all_or_nothing(into), Engine.open(into, catalogue, policy):
        pass
