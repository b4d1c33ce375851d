"""Off-policy evaluation: what a policy would have earned, from the log of another one.

The estimators know rewards, propensities and target probabilities, and no policy, catalogue or file. `estimate`
and `compare` take all rows at once; `Tally` takes them batch by batch and merges with `+`.

Intervals are clustered where clusters are given, and of five kinds: "skew" (the default), "normal", "bootstrap",
"bernstein" and "anytime". See `bandit.ope.intervals`; `Tally.simultaneous` makes many of them hold together. Someone
who looks at every row uses `ConfidenceSequence`, which needs neither many rows nor independent ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.ope.confidence_sequence import ConfidenceSequence
from bandit.ope.estimate import Estimate
from bandit.ope.estimator import Estimator
from bandit.ope.estimators.dr_os import ShrunkDR
from bandit.ope.estimators.registry import DEFAULT, ESTIMATORS, resolve
from bandit.ope.estimators.switch_dr import SwitchDR
from bandit.ope.feedback import Feedback
from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalKind
from bandit.ope.simultaneous import Simultaneous
from bandit.ope.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.ope.estimator import AnyEstimator

__all__ = [
    "DEFAULT",
    "DEFAULT_INTERVAL",
    "ESTIMATORS",
    "ConfidenceSequence",
    "Estimate",
    "Estimator",
    "Feedback",
    "IntervalKind",
    "ShrunkDR",
    "Simultaneous",
    "SwitchDR",
    "Tally",
    "compare",
    "estimate",
    "resolve",
]


def estimate(
    feedback: Feedback,
    estimators: Sequence[str | AnyEstimator] = DEFAULT,
    level: float = 0.95,
    interval: IntervalKind = DEFAULT_INTERVAL,
    reward_range: tuple[float, float] | None = None,
) -> tuple[Estimate, ...]:
    """Return each estimator's value of the target policy per decision, with its interval.

    Of the default set only those are answered whose needs the feedback meets; without predictions that is ips and
    snips. `reward_range` is used by bernstein intervals, by default that of the rewards seen. Raises InputError for
    an estimator asked for by name that needs columns which are not there, for no rows, for a level outside (0, 1)
    and for an unknown interval.
    """
    tally = Tally(1, resolve(estimators, feedback.has))
    tally.add(feedback)
    return tally.estimates(0, level, interval, reward_range)


def compare(
    target: Feedback,
    baseline: Feedback,
    estimators: Sequence[str | AnyEstimator] = DEFAULT,
    level: float = 0.95,
    interval: IntervalKind = DEFAULT_INTERVAL,
    reward_range: tuple[float, float] | None = None,
) -> tuple[Estimate, ...]:
    """Return each estimator's value(target) - value(baseline), with the paired interval.

    Both must speak of the same rows; the interval is that of the row-by-row difference of influences, so what
    moves both policies alike does not widen it. Raises InputError where rewards, propensities or clusters differ.
    """
    tally = Tally(2, resolve(estimators, target.has & baseline.has))
    tally.add(target, baseline)
    return tally.difference(0, 1, level, interval, reward_range)
