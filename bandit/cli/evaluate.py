"""The commands that evaluate policies on a log: evaluate, replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bandit.cli.choices import ESTIMATOR_NAMES, INTERVAL_KINDS, REWARD_MODEL_NAMES
from bandit.cli.console import progress, show, show_json
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Database,
    Event,
    Level,
    MappingFile,
    Objective,
    Policies,
    Seed,
    Window,
    WrittenBy,
)
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.encoding.encoder import Encoder
    from bandit.evaluate import Propensities, RewardModel
    from bandit.evaluate.diagnostics import SampleRatioTest
    from bandit.ope import IntervalKind
    from bandit.store import Store


Baseline = Annotated[
    str | None,
    typer.Option(metavar="POLICY", help='A policy to compare with, or "logged" for the policy that wrote the log.'),
]

Intervals = Annotated[
    str,
    typer.Option("--interval", metavar="KIND", help=f"The kind of confidence interval: {', '.join(INTERVAL_KINDS)}."),
]

RewardModels = Annotated[
    str,
    typer.Option(
        metavar="NAME", help=f"The reward model of dm, dr and related estimators: {', '.join(REWARD_MODEL_NAMES)}."
    ),
]

PropensitySource = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="logged, or estimated from the log; default: logged if they are known."),
]

Gate = Annotated[
    bool, typer.Option("--gate", help="Exit with 0 better, 3 worse, 4 no difference found, 5 cannot tell.")
]


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
        typer.Option(help="Share of the customers to learn from; default: 0.5 if a policy learns, else 0."),
    ] = None,
    crossfit: Annotated[
        int | None,
        typer.Option(
            metavar="FOLDS", help="Cross-fit: evaluate on all customers, with copies that learned from the other folds."
        ),
    ] = None,
    estimators: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Names separated by commas: {', '.join(ESTIMATOR_NAMES)}.")
    ] = "dr,snips",
    interval: Intervals = INTERVAL_KINDS[0],
    reward_model: RewardModels = "ridge",
    logging: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help="The policy that wrote the log, for mips and pi; default: uniform."),
    ] = None,
    dimensions: Annotated[
        str, typer.Option(metavar="NAMES", help="Dimensions on which mips conditions, separated by commas.")
    ] = "",
    propensities: PropensitySource = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="FACT", help="Evaluate also within the segments of a fact; can be repeated."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(metavar="SHARES", help='Planned shares of the groups, such as "policy=0.9,control=0.1".'),
    ] = None,
    written_by: WrittenBy = None,
    all_estimators: Annotated[
        bool, typer.Option("--all-estimators", help="Show the results of all estimators.")
    ] = False,
    gate: Gate = False,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Estimate what policies would have earned per decision, from the log of another policy.

    If a policy learns (thompson, vw, vw-slates), the log is split by customer: it learns from one part, and all
    policies are evaluated on the other. `offer-bandit learn-offline` evaluates it on all customers. DB can also be a
    log file (Parquet, CSV, dsjson), with --catalogue and, unless it is an export, --mapping.

    Each policy is called better or worse than the baseline, "no difference found" or, with the reason, "cannot tell".
    With --gate the exit code carries the verdict to a pipeline: 0 better, 3 worse, 4 no difference found, 5 cannot
    tell; of several policies, the highest code.
    """
    import numpy as np

    from bandit.cli.logs import opened, unused
    from bandit.cli.policies import parse_policies, parse_policy
    from bandit.clock import now
    from bandit.evaluate import evaluate as evaluate_log
    from bandit.evaluate import gate as gate_of
    from bandit.evaluate import verdicts
    from bandit.report.evaluations import (
        all_estimates_table,
        evaluation_lines,
        evaluation_table,
        segment_table,
        unit_of,
    )

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
                interval=cast("IntervalKind", one_of(interval, INTERVAL_KINDS, "kind of interval")),
                split=split,
                crossfit=crossfit,
                reward_model=reward_model_named(reward_model),
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
        typer.Option(help="Largest ratio of probabilities without rejection; default: 1 / smallest propensity."),
    ] = None,
    written_by: WrittenBy = None,
    block: Annotated[int, typer.Option(help="Decisions per learning step.")] = 64,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Replay the log: a policy learns from the decisions that it would have made itself.

    The result is the value of a policy while it learns; `evaluate` gives the value of policies that do not change.
    """
    import numpy as np

    from bandit.analysis.replay import replay as replay_log
    from bandit.cli.logs import opened, unused
    from bandit.cli.policies import parse_policies
    from bandit.report.evaluations import replay_table, unit_of

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


def reward_model_named(name: str) -> Callable[[Encoder], RewardModel]:
    """Return what builds the reward model of a name; InputError for an unknown name."""
    from bandit.evaluate import RidgeReward
    from bandit.evaluate.rewards.vw import VwReward

    one_of(name, REWARD_MODEL_NAMES, "reward model")
    return VwReward if name == "vw" else RidgeReward


def require_gate(gate: bool, baseline: str | None) -> None:
    """Raise InputError for a gate without a baseline."""
    if gate and baseline is None:
        raise InputError("--gate needs a --baseline to compare with; give today's rules, or logged")


def one_of(given: str, allowed: Sequence[str], what: str) -> str:
    """Return the value; InputError if it is not allowed."""
    if given not in allowed:
        raise InputError(f'there is no {what} "{given}"; choose from {", ".join(allowed)}')
    return given


def check_groups(store: Store | None, text: str, policy_id: int | None) -> SampleRatioTest:
    """Test whether the sizes of the groups match their planned shares; InputError for text that cannot be read."""
    from bandit.evaluate.diagnostics import sample_ratio
    from bandit.store import Where

    pairs = [part.partition("=") for part in split_names(text)]
    try:
        shares = {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        raise InputError(f'the shares "{text}" cannot be read; write GROUP=SHARE,GROUP=SHARE') from None
    if store is None:
        raise InputError("--groups needs a database, which has every customer's group; import the file first")
    counts, several = store.decisions.customers_by_group(Where(policy_id=policy_id))
    return sample_ratio(counts, shares, several)


def split_names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def every_estimator(dimensions: bool, logging: bool) -> tuple[str, ...]:
    """Return the names of all estimators that can be used: mips needs dimensions, pi the logging policy."""
    from bandit.ope import ESTIMATORS

    met = {None, "predictions", "robust"} | ({"slate"} if logging else set()) | ({"marginal"} if dimensions else set())
    return tuple(name for name, each in ESTIMATORS.items() if each.needs in met)
