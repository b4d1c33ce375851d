"""The calibration of intervals on a log of one's own: a dataset, a database or a log file."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from bandit.cli.clusters import part_runner
from bandit.cli.console import progress
from bandit.cli.logs import opened
from bandit.cli.options import LogOptions
from bandit.cli.policies import parse_policies
from bandit.errors import InputError
from bandit.evaluate import evaluate
from bandit.evaluate.resampled import ResampledCoverage
from bandit.report.calibration import coverage_lines, coverage_table


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """Which log, which policies, how many resamples, and where the parts of a dataset are read."""

    log: Path
    catalogue: Path | None
    policies: tuple[str, ...]
    baseline: str
    resamples: int
    cluster: str | None
    as_json: bool

    @staticmethod
    def of(given: Namespace) -> LogQuestion:
        """Return the question of parsed arguments; InputError without a policy."""
        if not given.policy:
            raise InputError("--log needs a policy to judge; give one with --policy, such as --policy uniform")
        named = (given.log, given.catalogue, tuple(given.policy), given.baseline, given.resamples, given.cluster)
        return LogQuestion(*named, given.json)


def calibrate_log(question: LogQuestion) -> int:
    """Print how often intervals hold the log's own value; return 1 where those of a policy are too narrow, else 0."""
    log = LogOptions(question.log, question.catalogue, None, None, None, None, None, question.cluster)
    with opened(log) as found:
        policies, baseline = parse_policies(found.catalogue, list(question.policies), question.baseline)
        with part_runner(found.log, question.cluster) as runner, progress("evaluating") as report:
            result = evaluate(
                found.log,
                policies,
                baseline,
                catalogue=found.catalogue,
                rng=np.random.default_rng(1),
                split=0.5 if any(each.learns for each in policies.values()) else None,
                progress=report,
                runner=runner,
                resamples=question.resamples,
            )
    coverage = result.calibration
    if coverage is None:
        raise InputError("give at least 100 --resamples")
    if question.as_json:
        sys.stdout.write(json.dumps(coverage.to_dict(), indent=1) + "\n")
    else:
        console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 160)
        console.print(coverage_table(coverage))
        for line in coverage_lines(coverage, result.default):
            console.print(line, markup=False)
    return 1 if _too_narrow(coverage, result.default) else 0


def _too_narrow(coverage: ResampledCoverage, estimator: str) -> bool:
    return any(row.bounds[1] < coverage.level for row in coverage.rows if row.estimator == estimator)
