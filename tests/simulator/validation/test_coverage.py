"""The check of coverage: intervals of the demo's policies counted over worlds."""

import pytest

from bandit.ope import Estimate
from simulator.campaign import CampaignPlan
from simulator.market.ceilings import CLAIRVOYANT, FACTS_CLAIRVOYANT
from simulator.validation import coverage


def estimate(value, low, high):
    return Estimate("dr", value, low, high, 1_000, 100.0, 5.0, 1.0, (high - low) / 4, 100, 0.95)


def test_coverage_counts_intervals_that_hold_the_truth():
    """Of [2, 4], [2, 4] and [5, 7] two hold 3; estimates less truth are 0, 0 and 3: mean 1, error sqrt(3)/sqrt(3)."""
    cases = [
        coverage.CoverageCase(
            "p", seed, estimate(low + 1.0, low, low + 2.0), 3.0, estimate(1.0, low - 3, low - 1), 0.0, answered
        )
        for seed, low, answered in ((1, 2.0, True), (2, 2.0, True), (3, 5.0, False))
    ]
    (only,) = coverage.summarise(cases)
    assert (only.n, only.covered, only.difference_covered, only.cannot_tell) == (3, 2, 2, 1)
    assert only.bias == pytest.approx(1.0)
    assert only.bias_error == pytest.approx(1.0)
    assert only.width == pytest.approx(2.0)


@pytest.mark.slow
def test_a_coverage_check_evaluates_the_policies_of_the_demo():
    cases = coverage.evaluate_world(CampaignPlan(seed=3, customers=600, decisions=6_000, live=10, truth=300))
    assert [case.policy for case in cases] == [
        "segment rules",
        "thompson sampling",
        "vowpal wabbit",
        FACTS_CLAIRVOYANT,
        CLAIRVOYANT,
    ]
