"""Random feedback for the tests of estimators, and comparisons of estimates."""

from dataclasses import fields, replace

import numpy as np

from bandit.ope import ESTIMATORS, Feedback, ShrunkDR, SwitchDR
from bandit.ope.estimator import Selection
from bandit.ope.estimators.clipped_ips import ClippedIps

NAMES = tuple(name for name, each in ESTIMATORS.items() if not isinstance(each, Selection))
# With moderate weights in the tests, these parameters make the clipped and shrunk ones differ from ips and dr.
SHARP_ONES = {"clipped-ips": ClippedIps(2.0), "switch-dr": SwitchDR(2.0), "dr-os": ShrunkDR(4.0)}
SHARP = tuple(SHARP_ONES.get(name, ESTIMATORS[name]) for name in NAMES)


def make(rng, n=200, groups=None, level=0.0):
    """Feedback with weights from 0 to about 10, every optional column, and clusters on request."""
    return Feedback(
        reward=rng.normal(level, 2.0, n),
        propensity=rng.uniform(0.1, 1.0, n),
        target=rng.uniform(0.0, 1.0, n),
        predicted_logged=rng.normal(level, 1.0, n),
        predicted_target=rng.normal(level, 1.0, n),
        cluster=None if groups is None else rng.integers(0, groups, n),
        robust_logged=rng.normal(level, 1.0, n),
        robust_target=rng.normal(level, 1.0, n),
        marginal_weight=rng.uniform(0.0, 3.0, n),
        slate_weight=rng.normal(1.0, 1.0, n),
    )


def another_policy(rng, feedback):
    """Feedback on another policy from the same rows."""
    n = len(feedback)
    return replace(
        feedback,
        target=rng.uniform(0.0, 1.0, n),
        predicted_target=rng.normal(size=n),
        robust_target=rng.normal(size=n),
        marginal_weight=rng.uniform(0.0, 3.0, n),
        slate_weight=rng.normal(1.0, 1.0, n),
    )


def modelled(reward, propensity, target, logged, mean, cluster=None):
    """Feedback with one model in both places of a model, and with w as the marginal and the slate weight."""
    w = np.asarray(target) / np.asarray(propensity)
    return Feedback(reward, propensity, target, logged, mean, cluster, logged, mean, w, w)


def rows(feedback, chosen):
    """The chosen rows of a feedback."""
    columns = {each.name: getattr(feedback, each.name) for each in fields(feedback)}
    return Feedback(**{name: column if column is None else column[chosen] for name, column in columns.items()})


def numbers(estimates):
    """The estimates as one array, for comparisons."""
    return np.array(
        [[e.value, e.standard_error, e.low, e.high, e.effective_sample_size, e.max_weight] for e in estimates]
    )
