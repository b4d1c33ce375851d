"""The command that estimates the value of policies from a log: evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.choices import ESTIMATOR_NAMES, INTERVAL_KINDS
from bandit.cli.console import output_format, progress
from bandit.cli.evaluation_options import (
    Baseline,
    EstimationOptions,
    Gate,
    Intervals,
    PropensitySource,
    RewardModels,
    check_groups,
    every_estimator,
    require_gate,
    reward_model_named,
    split_names,
)
from bandit.cli.evaluation_output import EvaluationOutput, show_evaluation
from bandit.cli.help import ESTIMATION, LOG, OUTPUT, POLICIES
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Cluster,
    Database,
    Details,
    Event,
    Format,
    Level,
    LogOptions,
    MappingFile,
    Objective,
    Policies,
    Seed,
    Window,
    WrittenBy,
)

if TYPE_CHECKING:
    from bandit.cli.logs import Opened
    from bandit.evaluate import Evaluation


DEFAULT_SPLIT = 0.5
"""Share of the customers to learn from if a policy learns."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """The options of `evaluate`, as given on the command line; `estimators` and `dimensions` are lists with commas."""

    log: LogOptions
    policies: Sequence[str]
    baseline: str | None
    estimation: EstimationOptions
    estimators: str
    all_estimators: bool
    split: float | None
    crossfit: int | None
    logging: str | None
    dimensions: str
    by: Sequence[str]
    groups: str | None
    resamples: int


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
        typer.Option(
            help="Share of the customers to learn from; default: 0.5 if a policy learns, else 0.",
            rich_help_panel=ESTIMATION,
        ),
    ] = None,
    crossfit: Annotated[
        int | None,
        typer.Option(
            metavar="FOLDS",
            help="Cross-fit: evaluate on all customers, with copies that learned from the other folds.",
            rich_help_panel=ESTIMATION,
        ),
    ] = None,
    estimators: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help=f"Names separated by commas: {', '.join(ESTIMATOR_NAMES)}.",
            rich_help_panel=ESTIMATION,
        ),
    ] = "dr,snips",
    interval: Intervals = INTERVAL_KINDS[0],
    reward_model: RewardModels = "ridge",
    logging: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="The policy that wrote the log, for mips and pi; default: uniform.",
            rich_help_panel=POLICIES,
        ),
    ] = None,
    dimensions: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Dimensions on which mips conditions, separated by commas.",
            rich_help_panel=ESTIMATION,
        ),
    ] = "",
    propensities: PropensitySource = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACT", help="Evaluate also in each segment of a fact; can be repeated.", rich_help_panel=ESTIMATION
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help='Planned shares of the groups, to check their sizes: "policy=0.9,control=0.1".',
            rich_help_panel=LOG,
        ),
    ] = None,
    written_by: WrittenBy = None,
    cluster: Cluster = None,
    calibrate: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Check the intervals on N resamples of the log's customers, such as 1000: how many hold the log's own "
            "value.",
            rich_help_panel=ESTIMATION,
        ),
    ] = 0,
    all_estimators: Annotated[
        bool,
        typer.Option("--all-estimators", help="Show the results of all estimators.", rich_help_panel=OUTPUT),
    ] = False,
    details: Details = False,
    gate: Gate = False,
    level: Level = 0.95,
    seed: Seed = 1,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Estimate what policies would have earned per decision, from the log of another policy.

    If a policy learns (thompson, vw, vw-slates), the log is split by customer: it learns from one part, and all
    policies are evaluated on the other. `offer-bandit learn-offline` evaluates it on all customers. DB can also be a
    log file (Parquet, CSV, dsjson), with --catalogue and, unless it is an export, --mapping, or a dataset that
    `export --partitions` wrote: its partitions are computed side by side, wherever --cluster says.

    Each policy is called better or worse than the baseline, "no difference found" or, with the reason, "cannot tell".
    With --gate the exit code carries the verdict to a pipeline: 0 better, 3 worse, 4 no difference found, 5 cannot
    tell; of several policies, the highest code.
    """
    require_gate(gate, baseline)
    options = EvaluateOptions(
        log=LogOptions(db, catalogue, mapping, objective, event, window, written_by, cluster),
        policies=policy,
        baseline=baseline,
        estimation=EstimationOptions(interval, reward_model, propensities, level, seed),
        estimators=estimators,
        all_estimators=all_estimators,
        split=split,
        crossfit=crossfit,
        logging=logging,
        dimensions=dimensions,
        by=by or (),
        groups=groups,
        resamples=calibrate,
    )
    output = EvaluationOutput(output_format(as_json, format_name), details, all_estimators, written_by)
    code = _evaluate(options, output, gate=gate)
    if code:
        raise typer.Exit(code)


def _evaluate(options: EvaluateOptions, output: EvaluationOutput, *, gate: bool) -> int:
    """Evaluate and print; return the exit code: with `gate` that of the verdict, else 0."""
    from bandit.cli.logs import opened
    from bandit.evaluate import gate as gate_of

    with opened(options.log) as found:
        result, split = _estimate(options, found)
        show_evaluation(output, found, result, {"seed": options.estimation.seed, "split": split})
    return gate_of(result) if gate else 0


def _estimate(options: EvaluateOptions, found: Opened) -> tuple[Evaluation, float | None]:
    """Return the evaluation, and the share of customers that policies learned from, None without a split."""
    import numpy as np

    from bandit.cli.clusters import part_runner
    from bandit.cli.policies import parse_policies, parse_policy
    from bandit.clock import now
    from bandit.evaluate import evaluate as evaluate_log

    target, estimation = found.catalogue, options.estimation
    named, base = parse_policies(target, options.policies, options.baseline)
    split = options.split
    if split is None and options.crossfit is None and any(each.learns for each in named.values()):
        split = DEFAULT_SPLIT
    dimensions = split_names(options.dimensions)
    logging = None if options.logging is None else parse_policy(target, options.logging)
    names = (
        every_estimator(bool(dimensions), logging is not None)
        if options.all_estimators
        else split_names(options.estimators)
    )
    groups = None if options.groups is None else check_groups(found.store, options.groups, options.log.written_by)
    with part_runner(found.log, options.log.cluster) as runner, progress("evaluating") as report:
        result = evaluate_log(
            found.log,
            named,
            base,
            catalogue=target,
            rng=np.random.default_rng(estimation.seed),
            estimators=names,
            level=estimation.level,
            interval=estimation.interval_kind(),
            split=split,
            crossfit=options.crossfit,
            reward_model=reward_model_named(estimation.reward_model),
            logging=logging,
            propensities=estimation.propensity_source(),
            dimensions=dimensions,
            by=options.by,
            groups=groups,
            now=now(),
            progress=report,
            runner=runner,
            resamples=options.resamples,
        )
    return result, split
