"""What the paired differences show, all of them together: the best of many near-equal policies is no winner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import stdtr

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.evaluate.results import Evaluation
    from bandit.ope import Estimate

Verdict: TypeAlias = Literal["better", "worse", "no difference shown", "cannot tell", "the baseline"]


def verdicts(evaluation: Evaluation) -> dict[str, Verdict]:
    """Return a verdict for each policy, by the default estimator; empty without a baseline.

    With m policies against one baseline, the chance that any of them is wrongly called better or worse is at most
    1 - level: Holm 1979, "A simple sequentially rejective multiple test procedure". So a verdict may hold back where
    the policy's own interval, which knows nothing of the others, excludes 0.
    """
    if evaluation.baseline is None:
        return {}
    said: dict[str, Verdict] = {}
    compared: dict[str, Estimate] = {}
    for row in evaluation.rows:
        difference = row.against_baseline(evaluation.default)
        if difference is None:
            said[row.name] = "the baseline"
        elif not row.support_ok:
            said[row.name] = "cannot tell"
        else:
            compared[row.name] = difference
    adjusted = holm(np.array([_p_value(each) for each in compared.values()]))
    for (name, difference), p in zip(compared.items(), adjusted.tolist(), strict=True):
        if p > 1.0 - difference.level:
            said[name] = "no difference shown"
        else:
            said[name] = "better" if difference.value > 0 else "worse"
    return {row.name: said[row.name] for row in evaluation.rows}


def holm(p: FloatArray) -> FloatArray:
    """Return p-values adjusted for being (m,) looks at once: the largest of (m - i) p_i so far, in ascending order."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _p_value(difference: Estimate) -> float:
    """Return the two-sided p-value of no difference, of the same Student's t as the interval."""
    error = difference.standard_error
    if not np.isfinite(error) or not np.isfinite(difference.value):
        return 1.0
    if error == 0.0:
        return 1.0 if difference.value == 0.0 else 0.0
    return float(2.0 * stdtr(difference.clusters - 1, -abs(difference.value) / error))
