"""Off-policy evaluation: what a policy would have earned, from the log of another one.

The estimators know rewards, propensities and target probabilities, and no policy, catalogue or file. `estimate`
and `compare` take all rows at once; `Tally` takes them batch by batch and merges with `+`.

Intervals are linearised and Student-t (delta method), clustered where clusters are given: they are right for many
rows of moderate weight, and `effective_sample_size` says when they are not to be trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.ope.dr_os import ShrunkDR
from bandit.ope.estimate import Estimate
from bandit.ope.estimator import Estimator
from bandit.ope.feedback import Feedback
from bandit.ope.registry import DEFAULT, ESTIMATORS, resolve
from bandit.ope.switch_dr import SwitchDR
from bandit.ope.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "DEFAULT",
    "ESTIMATORS",
    "Estimate",
    "Estimator",
    "Feedback",
    "ShrunkDR",
    "SwitchDR",
    "Tally",
    "compare",
    "estimate",
    "resolve",
]


def estimate(
    feedback: Feedback,
    estimators: Sequence[str | Estimator] = DEFAULT,
    level: float = 0.95,
) -> tuple[Estimate, ...]:
    """Return each estimator's value of the target policy per decision, with its interval.

    Without predictions the default set is ips and snips. Raises InputError for an estimator asked for by name that
    needs predictions which are not there, for no rows, and for a level outside (0, 1).
    """
    tally = Tally(1, resolve(estimators, predictions=feedback.predicts))
    tally.add(feedback)
    return tally.estimates(0, level)


def compare(
    target: Feedback,
    baseline: Feedback,
    estimators: Sequence[str | Estimator] = DEFAULT,
    level: float = 0.95,
) -> tuple[Estimate, ...]:
    """Return each estimator's value(target) - value(baseline), with the paired interval.

    Both must speak of the same rows; the interval is that of the row-by-row difference of influences, so what
    moves both policies alike does not widen it. Raises InputError where rewards, propensities or clusters differ.
    """
    tally = Tally(2, resolve(estimators, predictions=target.predicts and baseline.predicts))
    tally.add(target, baseline)
    return tally.difference(0, 1, level)
