"""Gradients against finite differences, and standard errors against influence values written out by hand."""

import numpy as np
import pytest

from bandit.ope import compare, estimate
from tests.ope.tools import NAMES, SHARP, another_policy, make


def influences(name, feedback):
    """The (n,) influence values, written out from each estimator's formula: the slow oracle."""
    w = feedback.target / feedback.propensity
    r, q, m = feedback.reward, feedback.predicted_logged, feedback.predicted_target
    if name == "snips":
        return w * (r - np.sum(w * r) / np.sum(w)) / np.mean(w)
    if name == "sndr":
        ratio = np.sum(w * (r - q)) / np.sum(w)
        return m - m.mean() + w * (r - q - ratio) / np.mean(w)
    of_rows = {
        "ips": w * r,
        "clipped-ips": np.where(w > 2.0, 2.0, w) * r,
        "dm": m,
        "dr": m + w * (r - q),
        "switch-dr": m + np.where(w <= 2.0, w, 0.0) * (r - q),
        "dr-os": m + 4.0 * w / (w**2 + 4.0) * (r - q),
        "mrdr": feedback.robust_target + w * (r - feedback.robust_logged),
        "mips": feedback.marginal_weight * r,
        "pi": feedback.slate_weight * r,
    }[name]
    return of_rows - of_rows.mean()


@pytest.mark.parametrize("estimator", SHARP, ids=NAMES)
def test_gradient_is_the_derivative_of_the_value(estimator):
    means = np.array([0.7, -0.4, 1.3])[: len(estimator.terms)]
    if estimator.name == "snips":
        means = np.array([0.7, 1.3])
    _, gradient = estimator.at(means)
    step = 1e-6 * np.eye(len(means))
    numeric = [(estimator.at(means + e)[0] - estimator.at(means - e)[0]) / 2e-6 for e in step]
    assert gradient == pytest.approx(numeric, rel=1e-8)


@pytest.mark.parametrize("estimator", SHARP, ids=NAMES)
@pytest.mark.parametrize("groups", [None, 20])
def test_standard_error_is_that_of_the_influence_values(estimator, groups):
    feedback = make(np.random.default_rng(3), 300, groups)
    psi = influences(estimator.name, feedback)
    if groups is not None:
        psi = np.bincount(feedback.cluster, weights=psi)
    variance = len(psi) / (len(psi) - 1) * np.sum(psi**2) / 300**2
    assert estimate(feedback, (estimator,))[0].standard_error == pytest.approx(np.sqrt(variance), rel=1e-11)


@pytest.mark.parametrize("estimator", SHARP, ids=NAMES)
def test_difference_has_the_error_of_the_row_by_row_difference_of_influences(estimator):
    rng = np.random.default_rng(12)
    one = make(rng, 200)
    other = another_policy(rng, one)
    psi = influences(estimator.name, one) - influences(estimator.name, other)
    want = np.sqrt(200 / 199 * np.sum(psi**2)) / 200
    assert compare(one, other, (estimator,))[0].standard_error == pytest.approx(want, rel=1e-11)
