"""Verdicts on policies from paired differences that hold for all of them at once, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bandit.evaluate.diagnostics import Finding
from bandit.evaluate.diagnostics.target import MAX_UNSUPPORTED, MIN_EVENTS, too_few_events
from bandit.evaluate.propensity.calibration import DETERMINISTIC_LOGGING
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE
from bandit.ope.numbers import NumberFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.evaluate.diagnostics.cures import Cure
    from bandit.evaluate.propensity.calibration import PropensityFit
    from bandit.evaluate.results import Evaluation
    from bandit.ope import Estimate

Verdict: TypeAlias = Literal["better", "worse", "no difference found", "cannot tell", "the baseline"]
"""What an evaluation says of a policy."""

GATE: dict[Verdict, int] = {"better": 0, "the baseline": 0, "worse": 3, "no difference found": 4, "cannot tell": 5}
"""The exit code of each verdict, for pipelines."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a verdict on one policy is based on.

    `difference` is the paired difference to the baseline, with an interval that holds for all `compared` policies at
    once, None where there is none. `estimated` says whether propensities are estimates, and `events` how many outcomes
    of the rarer kind are to be expected where policy and baseline differ. Values are per `unit`; with `every_look` the
    interval holds at all looks together. `numbers` is the format of the numbers of all comparisons that are shown
    beside it, None for that of this difference alone.
    """

    baseline: str | None
    is_baseline: bool
    difference: Estimate | None
    compared: int
    estimated: bool
    events: float
    unit: str = "decision"
    every_look: bool = False
    numbers: NumberFormat | None = None


def verdict_of(difference: Estimate) -> Verdict:
    """Return what a difference to the baseline shows, by its interval."""
    if not np.isfinite(difference.value) or too_few(difference):
        return "cannot tell"
    if difference.low > 0.0:
        return "better"
    return "worse" if difference.high < 0.0 else "no difference found"


def too_few(estimate: Estimate) -> bool:
    """Return whether an estimate is based on too few effective decisions or customers to trust its interval."""
    return min(estimate.effective_sample_size, estimate.clusters) < MIN_EFFECTIVE_SAMPLE_SIZE


def verdict_and_reason(found: Sequence[Finding], comparison: Comparison) -> tuple[Verdict | None, str | None]:
    """Return the verdict on a policy and the reason in one sentence, from its findings and its comparison.

    Both are None without a baseline, unless the log cannot judge the policy at all.
    """
    fatal = next((each.sentence for each in found if each.severity == "fatal"), None)
    if fatal is not None:
        return "cannot tell", f"cannot tell: {fatal}"
    if comparison.is_baseline:
        return "the baseline", "the other policies are compared with it"
    difference, baseline = comparison.difference, comparison.baseline
    if difference is None:
        return None, None
    if comparison.events < MIN_EVENTS:
        return "cannot tell", f"cannot tell: {too_few_events(comparison.events, str(baseline))}"
    verdict = verdict_of(difference)
    if verdict == "cannot tell":
        return verdict, f"cannot tell: the difference to {baseline} has no finite value"
    return verdict, _amount_and_interval(verdict, difference, comparison)


def cure_of(found: Sequence[Finding], comparison: Comparison) -> Cure | None:
    """Return what would let a policy be told where `verdict_and_reason` says "cannot tell", None otherwise."""
    fatal = next((each for each in found if each.severity == "fatal"), None)
    if fatal is not None:
        return fatal.cure
    difference = comparison.difference
    if comparison.is_baseline or difference is None:
        return None
    untold = comparison.events < MIN_EVENTS or verdict_of(difference) == "cannot tell"
    return "more decisions" if untold else None


def _amount_and_interval(verdict: Verdict, difference: Estimate, comparison: Comparison) -> str:
    """Return a difference that can be told, or whose interval contains 0, with its interval in one sentence."""
    numbers = comparison.numbers or NumberFormat.of([difference])
    holds = [f"{comparison.compared} comparisons at once"] if comparison.compared > 1 else []
    holds += ["at every look"] if comparison.every_look else []
    holds += ["if the estimated propensities are right"] if comparison.estimated else []
    level = f"{100.0 * difference.level:g}% interval"
    interval = numbers.interval(difference, signed=True)
    if verdict == "no difference found":
        what = f"it may earn anything from {interval} per {comparison.unit} compared with {comparison.baseline}"
        return f"{what} ({', '.join([level, *holds])})"
    amount = f"{numbers.number(abs(difference.value))} {'more' if verdict == 'better' else 'less'}"
    what = f"it earns {amount} per {comparison.unit} than {comparison.baseline}"
    return f"{what} ({', '.join([f'{level} {interval}', *holds])})"


def propensity_findings(fit: PropensityFit | None) -> tuple[Finding, ...]:
    """Return the findings about estimated propensities that concern every policy, none where they are logged."""
    if fit is None:
        return ()
    note = Finding("propensities", "doubt", fit.note)
    if fit.warning is None or fit.deterministic:
        return (note,)
    return (Finding("propensities", "fatal", _without_verdict(fit.warning), "known propensities"), note)


def overlap_findings(share: float, fit: PropensityFit | None) -> tuple[Finding, ...]:
    """Return why estimated propensities cannot judge one policy, empty where they can.

    `share` is the part of the policy's choices that the logging policy hardly ever made.
    """
    if fit is None or share <= MAX_UNSUPPORTED:
        return ()
    if fit.deterministic:
        return (Finding("overlap", "fatal", _without_verdict(DETERMINISTIC_LOGGING), "random share"),)
    sentence = (
        f"{share:.0%} of this policy's choices are offers that the policy that wrote the log hardly ever made to "
        "such customers"
    )
    return (Finding("overlap", "fatal", sentence, "random share"),)


def baseline_finding(name: str) -> Finding:
    """Return the finding about every other policy where the log cannot judge the baseline."""
    return Finding("baseline", "fatal", f"the log does not support the baseline, {name}", "other baseline")


def verdicts(evaluation: Evaluation) -> dict[str, Verdict]:
    """Return a verdict for each policy, by the default estimator; empty without a baseline.

    With m policies against one baseline, the chance that any of them is wrongly called better or worse is at most
    1 - level, since the intervals of the m differences hold together (the largest of the m Student's t, with their
    correlations: Hothorn, Bretz and Westfall 2008, "Simultaneous inference in general parametric models"). So a policy
    may be neither better nor worse although its own interval, which ignores the other comparisons, excludes 0.
    """
    return {row.name: row.verdict for row in evaluation.rows if row.verdict is not None}


def gate(evaluation: Evaluation) -> int:
    """Return the exit code for a pipeline: that of the verdict furthest from "better" among the policies."""
    return max(GATE[verdict] for verdict in verdicts(evaluation).values())


def _without_verdict(sentence: str) -> str:
    return sentence.removeprefix("cannot tell: ")
