"""The commands that judge policies by a log: evaluate and replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, cast, get_args

import numpy as np
import typer

from bandit.analysis.replay import replay as replay_log
from bandit.cli.console import progress, show, show_json
from bandit.cli.logs import MappingFile, WrittenBy, opened, unused
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
from bandit.cli.policies import parse_policies, parse_policy
from bandit.clock import now
from bandit.encoding.encoder import Encoder
from bandit.errors import InputError
from bandit.evaluate import Propensities, RewardModel, RidgeReward, verdicts
from bandit.evaluate import evaluate as evaluate_log
from bandit.evaluate import gate as gate_of
from bandit.evaluate.diagnostics import SampleRatioTest, sample_ratio
from bandit.evaluate.rewards.vw import VwReward
from bandit.ope import DEFAULT_INTERVAL, ESTIMATORS, IntervalKind
from bandit.report import (
    all_estimates_table,
    evaluation_lines,
    evaluation_table,
    replay_table,
    segment_table,
    unit_of,
)
from bandit.store import Store, Where

INTERVALS: tuple[str, ...] = get_args(IntervalKind)

REWARD_MODELS: Mapping[str, Callable[[Encoder], RewardModel]] = {"ridge": RidgeReward, "vw": VwReward}

Baseline = Annotated[
    str | None,
    typer.Option(metavar="POLICY", help='A policy to compare with, or "logged" for what wrote the log.'),
]

Intervals = Annotated[
    str, typer.Option("--interval", metavar="KIND", help=f"How intervals are made: {', '.join(INTERVALS)}.")
]

RewardModels = Annotated[
    str, typer.Option(metavar="NAME", help=f"What predicts rewards for dm, dr and kin: {', '.join(REWARD_MODELS)}.")
]

PropensitySource = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="logged, or estimated from the log; default: logged where they are known."),
]

Gate = Annotated[bool, typer.Option("--gate", help="End with 0 better, 3 worse, 4 no difference found, 5 cannot tell.")]


def evaluate(
    db: Database,
    policy: Policies,
    baseline: Baseline = None,
    catalogue: CatalogueFile = None,
    mapping: MappingFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    split: Annotated[
        float | None,
        typer.Option(help="Share of the customers to learn on; default: 0.5 where a policy learns, else nobody."),
    ] = None,
    crossfit: Annotated[
        int | None,
        typer.Option(metavar="FOLDS", help="Judge on all customers, by copies that learned from the others instead."),
    ] = None,
    estimators: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Separated by commas, of {', '.join(ESTIMATORS)}.")
    ] = "dr,snips",
    interval: Intervals = DEFAULT_INTERVAL,
    reward_model: RewardModels = "ridge",
    logging: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help="The policy that wrote the log, for mips and pi; not needed if uniform."),
    ] = None,
    dimensions: Annotated[
        str, typer.Option(metavar="NAMES", help="Dimensions that mips keeps, separated by commas.")
    ] = "",
    propensities: PropensitySource = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="FACT", help="Judge within the segments of a fact, too; may be repeated."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(metavar="SHARES", help='Shares that the groups were meant to have, as "policy=0.9,control=0.1".'),
    ] = None,
    written_by: WrittenBy = None,
    all_estimators: Annotated[bool, typer.Option("--all-estimators", help="Show every estimator's answer.")] = False,
    gate: Gate = False,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Say what frozen policies would have earned per decision, from the log of another one.

    Where a policy learns (thompson, vw and kin), the log is split by customer: it learns from one part, and all
    policies are judged on the other. `offer-bandit learn-offline` judges it on all of them. DB may also be a file that
    could be imported (Parquet, CSV, dsjson), with --catalogue and, unless it is an export, --mapping.

    Each policy is called better or worse than the baseline, "no difference found" or, with the reason, "cannot tell".
    With --gate the exit code says so to a pipeline: 0 better, 3 worse, 4 no difference found, 5 cannot tell (of several
    policies the highest).
    """
    require_gate(gate, baseline)
    with opened(db, catalogue, mapping, (objective, event, window), written_by) as found:
        target, log, store = found.catalogue, found.log, found.store
        named, base = parse_policies(target, policy, baseline)
        if split is None and crossfit is None and any(each.learns for each in named.values()):
            split = 0.5
        kept = split_names(dimensions)
        wrote = None if logging is None else parse_policy(target, logging)
        names = every_estimator(bool(kept), wrote is not None) if all_estimators else split_names(estimators)
        with progress("evaluating") as report:
            result = evaluate_log(
                log,
                named,
                base,
                catalogue=target,
                rng=np.random.default_rng(seed),
                estimators=names,
                level=level,
                interval=cast("IntervalKind", one_of(interval, INTERVALS, "kind of interval")),
                split=split,
                crossfit=crossfit,
                reward_model=REWARD_MODELS[one_of(reward_model, tuple(REWARD_MODELS), "reward model")],
                logging=wrote,
                propensities=None if propensities is None else cast("Propensities", propensities),
                dimensions=kept,
                by=by or (),
                groups=None if groups is None else check_groups(store, groups, written_by),
                now=now(),
                progress=report,
            )
        if as_json:
            left = {"left_out": log.left_out, "open": log.still_open}
            show_json(result.to_dict() | {"verdicts": verdicts(result), "seed": seed, "split": split} | left)
        else:
            tables = [evaluation_table(result, unit_of(target.objective, target.currency))]
            if result.segments:
                tables.append(segment_table(result))
            if all_estimators:
                tables.append(all_estimates_table(result))
            show(tables, [*evaluation_lines(result), *unused(log)])
    if gate:
        raise typer.Exit(gate_of(result))


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
    with opened(db, catalogue, None, (objective, event, window), written_by) as found:
        target, log = found.catalogue, found.log
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


def require_gate(gate: bool, baseline: str | None) -> None:
    """InputError for a gate without anything to be better than."""
    if gate and baseline is None:
        raise InputError("--gate needs a --baseline to be better than; name today's rules, or logged")


def one_of(given: str, allowed: Sequence[str], what: str) -> str:
    """Return what was given; InputError where it is not allowed."""
    if given not in allowed:
        raise InputError(f'there is no {what} "{given}"; choose from {", ".join(allowed)}')
    return given


def check_groups(store: Store | None, text: str, policy_id: int | None) -> SampleRatioTest:
    """Return whether the customers of each group are as many as its share; InputError for what names no shares."""
    pairs = [part.partition("=") for part in split_names(text)]
    try:
        shares = {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        raise InputError(f'the shares "{text}" cannot be read; write GROUP=SHARE,GROUP=SHARE') from None
    if store is None:
        raise InputError("--groups is for databases, which know every customer's group; import the file first")
    counts, several = store.decisions.customers_by_group(Where(policy_id=policy_id))
    return sample_ratio(counts, shares, several)


def split_names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def every_estimator(dimensions: bool, logging: bool) -> tuple[str, ...]:
    """Return all estimators that can be asked for: mips and pi only where what they need is named."""
    met = {None, "predictions", "robust"} | ({"slate"} if logging else set()) | ({"marginal"} if dimensions else set())
    return tuple(name for name, each in ESTIMATORS.items() if each.needs in met)
