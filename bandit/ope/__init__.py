"""Off-policy evaluation: the value of a target policy, estimated from decisions that another policy logged.

Estimators work on arrays of rewards, propensities and target probabilities; they know no policy, catalogue or file.
`estimate` and `compare` take all rows at once; `Tally` takes them in batches and merges with `+`.

Confidence intervals are clustered where cluster ids are given. There are six kinds: "skew" (the default), "normal",
"bootstrap", "bernstein", "anytime" and "anytime-skew"; `bandit.ope.intervals` compares them. `Tally.simultaneous`
returns intervals with joint coverage. For continuous monitoring with exact coverage from the first row use
`ConfidenceSequence`.
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
    """Return each estimator's value of the target policy per decision, with its confidence interval.

    The default set is reduced to the estimators whose needs the feedback meets: without predictions, ips and snips.
    `reward_range` bounds the rewards for bernstein intervals; by default it is the range of the observed rewards.
    Raises InputError for an estimator named explicitly whose columns are missing, for zero rows, for a level outside
    (0, 1) and for an unknown interval.

    Three decisions with weights w = target / propensity = 1, 2, 2: ips is (1 + 0 + 4) / 3, snips (1 + 0 + 4) / 5.

    >>> feedback = Feedback(reward=[1, 0, 2], propensity=[0.5, 0.25, 0.5], target=[0.5, 0.5, 1.0])
    >>> [(each.name, round(each.value, 3)) for each in estimate(feedback)]
    [('ips', 1.667), ('snips', 1.0)]
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
    """Return each estimator's value(target) - value(baseline), with the paired confidence interval.

    Both arguments describe the same logged rows; the interval is that of the row-by-row difference of influence
    values, so variation that both policies share does not widen it. Raises InputError where rewards, propensities or
    clusters differ, and as `estimate` does.

    A baseline that logged the rows itself has target = propensity, so each of its weights is 1 and its value 3 / 3:

    >>> target = Feedback(reward=[1, 0, 2], propensity=[0.5, 0.25, 0.5], target=[0.5, 0.5, 1.0])
    >>> baseline = Feedback(reward=[1, 0, 2], propensity=[0.5, 0.25, 0.5], target=[0.5, 0.25, 0.5])
    >>> (difference,) = compare(target, baseline, ("ips",))
    >>> round(difference.value, 3)
    0.667
    """
    tally = Tally(2, resolve(estimators, target.has & baseline.has))
    tally.add(target, baseline)
    return tally.difference(0, 1, level, interval, reward_range)
