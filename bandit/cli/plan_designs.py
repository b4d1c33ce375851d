"""The designs that `plan` compares, with their variances: by formula, or estimated from a pilot log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.cli.console import progress
from bandit.errors import InputError
from bandit.printable import decisions_that_count

if TYPE_CHECKING:
    from bandit.analysis.sample_size import Design
    from bandit.catalogue import Catalogue
    from bandit.cli.logs import OpenedLog
    from bandit.evaluate import Evaluation


COMPARED_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Random shares that the table compares, beside the one asked about."""

_UNIFORM = "uniform choice"


@dataclass(frozen=True, slots=True)
class ExpectedOptions:
    """What is expected of customers and rewards; money per decision, shares between 0 and 1."""

    response: float
    basket: float
    basket_sd: float
    eligible: float | None
    agreement: float
    explained: float
    visits: float
    correlation: float
    uniform_value: float | None


@dataclass(frozen=True, slots=True)
class PilotOptions:
    """The pilot log, if there is one, and the policies to compare on it."""

    path: Path | None
    policy: str | None
    baseline: str | None
    written_by: int | None
    seed: int
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options of `plan`, as given on the command line."""

    per_week: float
    weeks: float
    difference: float | None
    width: float | None
    explore: float
    live_share: float
    level: float
    power: float
    expected: ExpectedOptions
    pilot: PilotOptions


@dataclass(frozen=True, slots=True)
class DesignComparison:
    """The designs to compare, the mean value of a decision, the cost of a random offer if known, and sentences."""

    designs: Sequence[Design]
    value: float
    exploration_cost: float | None
    lines: Sequence[str]


def designs_by_formula(options: PlanOptions, catalogue: Catalogue, file: Path) -> DesignComparison:
    """Return the designs with variances from the expected response and revenue."""
    from bandit.analysis.design_variance import live_variance, logged_conversions, logged_variance
    from bandit.analysis.response_model import response_model_of
    from bandit.analysis.sample_size import Design
    from bandit.report.sample_size import amount

    pilot, expected = options.pilot, options.expected
    if pilot.policy is not None or pilot.baseline is not None or pilot.written_by is not None:
        raise InputError("--policy, --baseline and --written-by are for a pilot log; name it with --from LOG.db")
    if catalogue.n_offers < 2:
        raise InputError(f"{file}: the catalogue has only one legal offer, so there is nothing to compare")
    model = response_model_of(catalogue, expected.response, expected.basket, expected.basket_sd)
    offers = float(catalogue.n_offers) if expected.eligible is None else expected.eligible
    agreement, explained, visits = expected.agreement, expected.explained, expected.visits
    designs = [
        Design(
            "log",
            share,
            logged_variance(model, offers, share, agreement=agreement, explained=explained, visits=visits),
            logged_conversions(model, offers, share, agreement),
        )
        for share in sorted({*COMPARED_SHARES, options.explore})
    ]
    live = live_variance(model, options.live_share, visits=visits, correlation=expected.correlation)
    conversions = min(options.live_share, 1.0 - options.live_share) * model.rate
    designs.append(Design("live", options.live_share, live, conversions))
    assumed = (
        f"Assumed: a decision is worth {amount(model.value, catalogue)} under the rules, with a standard deviation of "
        f"{amount(model.variance**0.5, catalogue)}, and {offers:g} offers are eligible."
    )
    return DesignComparison(
        designs,
        value=model.value,
        exploration_cost=None if expected.uniform_value is None else model.value - expected.uniform_value,
        lines=[assumed],
    )


def designs_from_pilot(options: PlanOptions, catalogue: Catalogue, path: Path) -> DesignComparison:
    """Return the designs with variances estimated from a pilot log."""
    from bandit.analysis.design_variance import pilot_variance, two_group_factor
    from bandit.analysis.sample_size import Design

    evaluation, name, lines = _evaluate_pilot(options, catalogue, path)
    if evaluation.stands_for != evaluation.n:
        counted = decisions_that_count(evaluation.n, evaluation.stands_for)
        raise InputError(
            f"{path}: {counted} do not show how much single decisions vary; give a pilot log that kept every decision, "
            "or plan by --rate without --from"
        )
    difference = evaluation.row(name).against_baseline(evaluation.default)
    if difference is None:
        raise InputError(f'the policy "{name}" is the baseline itself; name another with --policy')
    live = pilot_variance(evaluation.realised) * two_group_factor(options.live_share)
    return DesignComparison(
        [Design("pilot", None, pilot_variance(difference)), Design("live", options.live_share, live)],
        value=evaluation.realised_mean,
        exploration_cost=None,
        lines=[*lines, *_uniform_line(evaluation, catalogue)],
    )


def _evaluate_pilot(options: PlanOptions, catalogue: Catalogue, path: Path) -> tuple[Evaluation, str, list[str]]:
    """Return the evaluation of a pilot log, the name of the planned policy in it, and sentences about the log."""
    import numpy as np

    from bandit.cli.clusters import part_runner
    from bandit.cli.logs import require_rows, unused
    from bandit.cli.policies import parse_policies
    from bandit.evaluate import LOGGED
    from bandit.evaluate import evaluate as evaluate_log
    from bandit.policies import Uniform

    pilot = options.pilot
    if pilot.policy is None:
        raise InputError("--from needs the policy whose difference is to be learned; name it with --policy")
    with _pilot_log(path, catalogue, pilot.written_by) as log:
        named, base = parse_policies(catalogue, [pilot.policy], LOGGED if pilot.baseline is None else pilot.baseline)
        if len(set(named) - {base}) > 1:
            raise InputError(f'a plan is for one policy, and "{pilot.policy}" names several; write one of them')
        name, learns = next(iter(named)), any(each.learns for each in named.values())
        require_rows(str(path), log)
        with part_runner(log, pilot.cluster) as runner, progress("evaluating the pilot") as report:
            evaluation = evaluate_log(
                log,
                named | {_UNIFORM: Uniform(catalogue)},
                base,
                catalogue=catalogue,
                rng=np.random.default_rng(pilot.seed),
                estimators=("dr",),
                level=options.level,
                split=0.5 if learns else None,
                progress=report,
                runner=runner,
            )
        not_used = unused(log)
    of = " of other customers, after it learned from the rest," if evaluation.learned_on else ""
    lines = [f"Taken from {decisions_that_count(evaluation.n, evaluation.stands_for)}{of} in {path}.", *not_used]
    warning = evaluation.row(name).warning
    if warning is not None:
        lines.append(f"The pilot supports no plan yet: {warning}.")
    return evaluation, name, lines


@contextmanager
def _pilot_log(path: Path, catalogue: Catalogue, written_by: int | None) -> Iterator[OpenedLog]:
    """Open the settled decisions of a database or a dataset in the numbers of a catalogue."""
    from bandit.cli.databases import reading
    from bandit.cli.datasets import is_dataset
    from bandit.cli.logs import settled_log
    from bandit.logfiles import open_dataset

    if is_dataset(path):
        yield open_dataset(path, catalogue, policy_id=written_by)
        return
    with reading(path) as store:
        yield settled_log(store, catalogue, written_by)


def _uniform_line(evaluation: Evaluation, catalogue: Catalogue) -> list[str]:
    """Return what a random offer earns less than the log did, if the log allows an estimate."""
    from bandit.report.sample_size import amount

    row = evaluation.row(_UNIFORM)
    if row.warning is not None:
        return []
    less = evaluation.realised_mean - row.estimate(evaluation.default).value
    verb = "less" if less > 0 else "more"
    return [f"An offer at random earns about {amount(abs(less), catalogue)} a decision {verb} than the log did."]
