"""How far a log supports one policy."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.evaluate.diagnostics import (
    PolicyContrast,
    TargetWeights,
)
from bandit.ope import Feedback, estimate
from tests.evaluate.diagnostics.logs import N


def mean_weight(value=1.0, low=0.9, high=1.1):
    ones = np.ones(2)
    return replace(estimate(Feedback(ones, ones, ones), ("ips",))[0], value=value, low=low, high=high)


def support(weights, cluster=None, mean=None, unsupported=0.0):
    found = TargetWeights()
    found.add(np.asarray(weights, dtype=float), None if cluster is None else np.asarray(cluster))
    return found.result("p", mean_weight() if mean is None else mean, unsupported)


def test_effective_sizes_are_kishs_by_row_and_by_customer():
    """Weights 1, 1, 2 of customers a, a, b: 16 / 6 rows; sums 2 and 2, so 16 / 8 = 2 customers, each half of it."""
    found = support([1, 1, 2], [0, 0, 1])
    assert found.effective_rows == pytest.approx(16 / 6)
    assert found.effective_customers == pytest.approx(2.0)
    assert (found.largest_weight, found.largest_share) == (2.0, 0.5)


def test_support_reports_the_gravest_finding():
    even, customers = np.ones(1_000), np.arange(1_000)
    assert support(even, customers).sentence() is None
    assert support([1, 1, 2]).severity == "fatal"
    assert "20 customers" in support(even, customers % 20).sentence()
    assert "10% of this policy's choices" in support(even, customers, unsupported=0.1).sentence()
    assert "average 1.300" in support(even, customers, mean_weight(1.3, 1.2, 1.4)).sentence()
    regular = np.where(customers < 130, 0, customers)
    assert "one single customer has 13%" in support(even, regular).sentence()
    assert support(even, regular).severity == "doubt"
    assert "only 100 effective decisions support this policy" in support(np.ones(100), np.arange(100)).sentence()


def test_contrast_is_the_smaller_of_two_effective_numbers():
    """Weights 3 and 0 against 1: 20 rows prefer the one by 2 each, 40 the other by 1 each: 20 and 40 rows.

    With one outcome in five these are 4 events. Hardly any difference, such as an estimate's error, is none.
    """
    contrast = PolicyContrast()
    contrast.add(np.repeat([2.0, -1.0, 0.0], [20, 40, 500]))
    assert contrast.size == pytest.approx(20.0)
    alike = PolicyContrast()
    alike.add(np.full(100, 1e-3))
    assert alike.size == np.inf
    one_side = PolicyContrast()
    one_side.add(np.array([-1.0] * 5 + [0.0] * 95))
    assert one_side.size == 0.0
    found = TargetWeights()
    found.add(np.repeat([3.0, 0.0, 1.0], [20, 40, 500]), np.arange(560))
    result = found.result("p", mean_weight(), 0.0, rarer=0.2)
    assert result.events == pytest.approx(4.0)
    assert result.severity == "fatal"
    assert "only 4 outcomes of the rarer kind" in result.sentence()


def test_choices_that_the_logging_policy_rules_out_are_fatal():
    logging, target = np.zeros((400, N)), np.zeros((400, N))
    logging[:, 0], target[:, 0], target[:, 1] = 1.0, 0.75, 0.25
    found = TargetWeights()
    found.add(np.full(400, 0.75), np.arange(400), target, logging)
    result = found.result("p", mean_weight(), 0.0)
    assert result.impossible == pytest.approx(0.25)
    assert result.severity == "fatal"
