"""The commands that judge policies by a log: evaluate and replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, get_args

import numpy as np
import typer

from bandit.catalogue import Catalogue
from bandit.cli.console import progress, show, show_json
from bandit.cli.databases import catalogue_for, reading
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Database,
    Event,
    Level,
    Objective,
    Policies,
    Seed,
    Window,
)
from bandit.cli.policies import parse_policies
from bandit.clock import now
from bandit.errors import InputError
from bandit.evaluate import RewardModel, RidgeReward, verdicts
from bandit.evaluate import evaluate as evaluate_log
from bandit.evaluate.vw_reward import VwReward
from bandit.features import Encoder
from bandit.objective import ObjectiveKind
from bandit.ope import ESTIMATORS
from bandit.replay import replay as replay_log
from bandit.report import all_estimates_table, evaluation_lines, evaluation_table, replay_table, unit_of
from bandit.store import Store, StoreLog, Where

WrittenBy = Annotated[
    int | None,
    typer.Option(metavar="ID", help="Use only the decisions that this policy of the database made (see doctor)."),
]

KINDS: tuple[str, ...] = get_args(ObjectiveKind)

REWARD_MODELS: Mapping[str, Callable[[Encoder], RewardModel]] = {"ridge": RidgeReward, "vw": VwReward}


def evaluate(
    db: Database,
    policy: Policies,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help='A policy to compare with, or "logged" for what wrote the log.'),
    ] = None,
    catalogue: CatalogueFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    split: Annotated[
        float | None,
        typer.Option(help="Share of the customers to learn on; default: 0.5 where a policy learns, else nobody."),
    ] = None,
    estimators: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Separated by commas, of {', '.join(ESTIMATORS)}.")
    ] = "dr,snips",
    reward_model: Annotated[
        str, typer.Option(metavar="NAME", help=f"What predicts rewards for dm, dr and kin: {', '.join(REWARD_MODELS)}.")
    ] = "ridge",
    written_by: WrittenBy = None,
    all_estimators: Annotated[bool, typer.Option("--all-estimators", help="Show every estimator's answer.")] = False,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Say what frozen policies would have earned per decision, from the log of another one.

    Where a policy learns (thompson, vw and kin), the log is split by customer: it learns from one part, and all
    policies are judged on the other.
    """
    if reward_model not in REWARD_MODELS:
        raise InputError(f'there is no reward model "{reward_model}"; choose from {", ".join(REWARD_MODELS)}')
    with reading(db) as store:
        target = with_objective(catalogue_for(store, catalogue), objective, event, window)
        named, base = parse_policies(target, policy, baseline)
        log = settled_log(store, target, written_by)
        require_rows(store, log)
        if split is None and any(each.learns for each in named.values()):
            split = 0.5
        names = tuple(ESTIMATORS) if all_estimators else tuple(name.strip() for name in estimators.split(","))
        with progress("evaluating") as report:
            result = evaluate_log(
                log,
                named,
                base,
                catalogue=target,
                rng=np.random.default_rng(seed),
                estimators=names,
                level=level,
                split=split,
                reward_model=REWARD_MODELS[reward_model],
                progress=report,
            )
        if as_json:
            show_json(
                result.to_dict()
                | {
                    "verdicts": verdicts(result),
                    "seed": seed,
                    "split": split,
                    "left_out": log.left_out,
                    "open": log.still_open,
                }
            )
            return
        tables = [evaluation_table(result, unit_of(target.objective, target.currency))]
        if all_estimators:
            tables.append(all_estimates_table(result))
        show(tables, [*evaluation_lines(result), *unused(log)])


def replay(
    db: Database,
    policy: Policies,
    catalogue: CatalogueFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    bound: Annotated[
        float | None,
        typer.Option(help="Largest ratio of probabilities accepted as it is; default: 1 / smallest propensity."),
    ] = None,
    written_by: WrittenBy = None,
    block: Annotated[int, typer.Option(help="Decisions answered before what they taught is learned.")] = 64,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Run a policy that learns through the log, keeping the decisions that it would have made itself.

    Never to be mixed with `evaluate`, which judges policies that stand still.
    """
    with reading(db) as store:
        target = with_objective(catalogue_for(store, catalogue), objective, event, window)
        log = settled_log(store, target, written_by)
        require_rows(store, log)
        replays = []
        for name, each in parse_policies(target, policy)[0].items():
            rng = np.random.default_rng(seed)
            with progress(f"replaying {name}") as report:
                replays.append(replay_log(log, each, rng=rng, bound=bound, block=block, level=level, progress=report))
        if as_json:
            show_json(
                {
                    "seed": seed,
                    "left_out": log.left_out,
                    "open": log.still_open,
                    "replays": [each.to_dict() for each in replays],
                }
            )
            return
        lines = [f"{each.name}: {each.warning}." for each in replays if each.warning is not None]
        show([replay_table(replays, unit_of(target.objective, target.currency))], [*lines, *unused(log)])


def with_objective(catalogue: Catalogue, kind: str | None, event: str | None, window: str | None) -> Catalogue:
    """Return the catalogue with another objective where the command line asks for one."""
    if kind is not None and kind not in KINDS:
        raise InputError(f'there is no objective "{kind}"; choose from {", ".join(KINDS)}')
    given = {"kind": kind, "event": event, "window": window}
    changed = {key: value for key, value in given.items() if value is not None}
    if not changed:
        return catalogue
    plain = catalogue.to_dict()
    objective = plain.get("objective", {})
    plain["objective"] = (dict(objective) if isinstance(objective, dict) else {}) | changed
    return Catalogue.from_dict(plain, where="the objective asked for")


def settled_log(store: Store, catalogue: Catalogue, policy_id: int | None) -> StoreLog:
    """Return the decisions, of one policy or of all, that are closed or have their window over by now."""
    if policy_id is not None and policy_id not in {row.id for row in store.policies()}:
        known = ", ".join(str(row.id) for row in store.policies()) or "none"
        raise InputError(f"{store.path}: no policy {policy_id} has decided in this database; known are {known}")
    before = now() - catalogue.objective.window
    return StoreLog(store, catalogue, where=Where(policy_id=policy_id, settled_before=before))


def require_rows(store: Store, log: StoreLog, purpose: str = "judge by") -> None:
    """InputError where the log has nothing to `purpose`."""
    if log.n == 0:
        raise InputError(
            " ".join([f"{store.path}: the log has no decisions to {purpose}; import some first.", *unused(log)])
        )


def unused(log: StoreLog) -> list[str]:
    """Return what to say of decisions that were left out."""
    lines = []
    if log.left_out:
        lines.append(f"{log.left_out:,} decisions were left out: the catalogue does not have their offers.")
    if log.still_open:
        lines.append(f"{log.still_open:,} decisions were left out: they are still open, their window has not ended.")
    return lines
