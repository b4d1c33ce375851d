"""What the paired differences show, all of them together: the best of many near-equal policies is no winner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bandit.evaluate.diagnostics.target import MIN_EFFECTIVE_SIZE

if TYPE_CHECKING:
    from bandit.evaluate.results import Evaluation
    from bandit.ope import Estimate

Verdict: TypeAlias = Literal["better", "worse", "no difference found", "cannot tell", "the baseline"]

GATE: dict[Verdict, int] = {"better": 0, "the baseline": 0, "worse": 3, "no difference found": 4, "cannot tell": 5}
"""What a pipeline is told by an exit code."""


def verdict_of(difference: Estimate) -> Verdict:
    """Return what a difference to the baseline shows; its interval must hold together with those beside it."""
    if not np.isfinite(difference.value) or too_few(difference):
        return "cannot tell"
    if difference.low > 0.0:
        return "better"
    return "worse" if difference.high < 0.0 else "no difference found"


def too_few(estimate: Estimate) -> bool:
    """Return whether too few decisions or customers say anything for an interval to be trusted."""
    return min(estimate.effective_sample_size, estimate.clusters) < MIN_EFFECTIVE_SIZE


def verdicts(evaluation: Evaluation) -> dict[str, Verdict]:
    """Return a verdict for each policy, by the default estimator; empty without a baseline.

    With m policies against one baseline, the chance that any of them is wrongly called better or worse is at most
    1 - level, since the intervals of the m differences hold together (the largest of the m Student's t, with their
    correlations: Hothorn, Bretz and Westfall 2008, "Simultaneous inference in general parametric models"). So a verdict
    may hold back where the policy's own interval, which knows nothing of the others, excludes 0.
    """
    return {row.name: row.verdict for row in evaluation.rows if row.verdict is not None}


def gate(evaluation: Evaluation) -> int:
    """Return the exit code of a gate: that of the verdict furthest from "better" among the policies."""
    return max(GATE[verdict] for verdict in verdicts(evaluation).values())
